/** The stages of an import, fed with hostile files: whatever the bytes, only the true chain's proven blocks get in. */
import fc from 'fast-check';
import { pipe } from 'it-pipe';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeCertificate } from '../../../consensus/certificate-codec.ts';
import type { Ledger } from '../../../ledger/ledger.ts';
import { chainOf } from '../../../node/chain.ts';
import {
  type ChainHeader,
  type ChainRecord,
  decodeRecords,
  encodeRecords,
  HEADER_BYTES,
} from '../../../node/chain-file.ts';
import {
  blocksOf,
  commitTo,
  inChunks,
  newBlocks,
  provenRuns,
  RUN_LIMITS,
  type RunLimits,
  reporting,
} from '../../../node/chain-stages.ts';
import { type ProofJudge, proofJudges } from '../../../node/proof-judge.ts';
import { concat, EMPTY } from '../../../primitives/bytes.ts';
import { QuorateError } from '../../../primitives/errors.ts';
import type { Bytes, Hash } from '../../../primitives/ids.ts';
import { rlpDecode, rlpEncode } from '../../../primitives/rlp.ts';
import { certify, extendChain, GENESIS, openLedger } from './proven-chain.ts';

const HEIGHT = 9;
let source: Ledger;
let records: ChainRecord[];
let header: ChainHeader;
let file: Bytes;

beforeAll(async () => {
  source = await openLedger();
  await extendChain(source, HEIGHT, { proven: (height) => height % 3 === 0 });
  header = { genesisHash: source.genesisHash, first: 1, last: HEIGHT };
  records = await collect(blocksOf(source, header));
  file = await write(records);
});

function judgeFor(ledger: Ledger): (parent: Hash) => ProofJudge {
  const judgeOf = proofJudges(chainOf(GENESIS, ledger.genesisHash), []);
  return (parent) => judgeOf(ledger.epochAfter(parent));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** A file that is right in itself, whatever its blocks and proofs are. */
async function write(contents: readonly ChainRecord[]): Promise<Bytes> {
  const [first, last] = [contents[0]!.height, contents.at(-1)!.height];
  return concat(...(await collect(encodeRecords({ ...header, first, last })(each(contents)))));
}

async function read(bytes: Bytes, limits: RunLimits = RUN_LIMITS, chunk = 1000) {
  const ledger = await openLedger();
  const chunks: Bytes[] = [];
  for (let at = 0; at < bytes.length; at += chunk) chunks.push(bytes.subarray(at, at + chunk));
  let error: unknown;
  try {
    await pipe(
      each(chunks),
      decodeRecords,
      newBlocks(ledger),
      provenRuns(judgeFor(ledger), limits),
      commitTo(ledger),
      collect,
    );
  } catch (thrown) {
    error = thrown;
  }
  return { head: ledger.head, ledger, error };
}

const changed = (height: number, change: Partial<ChainRecord>): ChainRecord[] =>
  records.map((record) => (record.height === height ? { ...record, ...change } : record));

test('a whole file gives the whole chain, in whatever pieces it is read', async () => {
  for (const chunk of [1, 7, 1000, file.length]) {
    const { head, error } = await read(file, RUN_LIMITS, chunk);
    expect(error).toBeUndefined();
    expect(head.hash).toBe(source.head.hash);
  }
});

describe('whatever happened to the bytes, the ledger holds a proven beginning of the true chain', () => {
  /** The proven blocks whose records, checksums included, end at or before an offset. */
  const wholeBefore = (offset: number): number => {
    let end = HEADER_BYTES + 32;
    let height = 0;
    for (const { block, proof } of records) {
      end += 8 + rlpEncode([block, proof]).length + 32;
      if (end > offset) break;
      height++;
    }
    return height - (height % 3);
  };

  const expectBeginning = ({ head, error }: Awaited<ReturnType<typeof read>>, height: number): void => {
    expect(error).toBeInstanceOf(QuorateError);
    expect((error as QuorateError).code).toBe('CHAIN_FILE_INVALID');
    expect(head).toMatchObject({ height, hash: source.headerByHeight(height)!.hash });
  };

  test('cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), async (length) =>
        expectBeginning(await read(file.subarray(0, length)), wholeBefore(length)),
      ),
      { numRuns: 60 },
    );
  });

  test('one byte changed anywhere: everything before the block it is in, nothing of it', async () => {
    const change = fc.record({ at: fc.nat(file.length - 1), by: fc.integer({ min: 1, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, by }) => {
        const bytes = Uint8Array.from(file);
        bytes[at] = bytes[at]! ^ by;
        expectBeginning(await read(bytes), wholeBefore(at));
      }),
      { numRuns: 150 },
    );
  });

  test('bytes after the end', async () => {
    const result = await read(concat(file, Uint8Array.of(0)));
    expect(result.error).toMatchObject({ message: expect.stringContaining('damaged at its end') });
    expectBeginning(result, HEIGHT);
  });

  test('nothing but noise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (noise) => {
        expectBeginning(await read(concat(file.subarray(0, HEADER_BYTES + 32), noise)), 0);
      }),
      { numRuns: 50 },
    );
  });

  test('a newer format is told from damage', async () => {
    const newer = Uint8Array.from(file);
    newer[15] = 2;
    expect((await read(newer)).error).toMatchObject({ message: expect.stringMatching(/format 2 .* format 1; use/) });
  });
});

describe('a file made with intent, its checksums right', () => {
  const refused = async (contents: readonly ChainRecord[], text: RegExp, head: number): Promise<void> => {
    const result = await read(await write(contents));
    expect(result.error).toMatchObject({ code: 'VERIFY_FAILED', message: expect.stringMatching(text) });
    expect(result.head.height).toBe(head);
  };

  test('a proof signed by others than the group is refused, and its run with it', async () => {
    const proof = encodeCertificate(await certify(records[5]!, 'FP', [2, 2]));
    await refused(changed(6, { proof }), /finality proof of block 6 is not valid \(bad-certificate\); export/, 3);
  });

  test('a certificate that is no finality proof, one of another block, and noise are refused', async () => {
    const quorum = encodeCertificate(await certify(records[5]!, 'QC'));
    await refused(changed(6, { proof: quorum }), /proof of block 6 .*quorum certificate/, 3);
    await refused(changed(6, { proof: records[2]!.proof }), /proof of block 6 .*about block 3/, 3);
    const early = encodeCertificate(await certify({ height: 5, hash: records[5]!.hash }));
    await refused(changed(6, { proof: early }), /proof of block 6 .*about block 5/, 3);
    await refused(changed(6, { proof: Uint8Array.of(1, 2, 3) }), /proof of block 6 .*cannot be decoded/, 3);
  });

  test('after a change of validators only the new ones prove, and before it only the old', async () => {
    const changing = await openLedger();
    await extendChain(changing, HEIGHT, { closing: 5 });
    const told = await collect(blocksOf(changing, header));
    const [before, after] = [changing.epochInfo(0)!, changing.epochInfo(1)!];
    expect((await read(await write(told))).head.hash).toBe(changing.head.hash);
    for (const [height, within] of [
      [5, after],
      [6, before],
    ] as const) {
      const proof = encodeCertificate(await certify(told[height - 1]!, 'FP', undefined, within));
      const forged = told.map((record) => (record.height === height ? { ...record, proof } : record));
      await refused(forged, new RegExp(`proof of block ${height} is not valid \\(other-epoch`), height - 1);
    }
    const unproven = told.map((record) => (record.height === 5 ? { ...record, proof: EMPTY } : record));
    await refused(unproven, /proof of block 6 is not valid \(other-epoch: 1, and nothing here has ended epoch 0/, 4);
    const late = encodeCertificate(await certify(told[5]!, 'FP', undefined, before));
    const lied = unproven.map((record) => (record.height === 6 ? { ...record, proof: late } : record));
    await refused(lied, /block 5 of the chain file closes an epoch and has no finality proof of its own/, 4);
  });

  test('blocks above the last proof are not executed, and not imported', async () => {
    await refused(records.slice(0, 8), /^blocks 7 to 8 have no finality proof .*; export it again$/, 6);
    await refused(records.slice(0, 7), /^block 7 has no finality proof/, 6);
    const bare = records.map((record) => ({ ...record, proof: EMPTY }));
    await refused(bare, /^blocks 1 to 9 have no/, 0);
  });

  test('a run without a proof longer than is ever made ends the import, in blocks and in bytes', async () => {
    const bare = changed(6, { proof: EMPTY });
    const bytes = records[3]!.block.length;
    for (const limits of [
      { ...RUN_LIMITS, blocks: 5 },
      { ...RUN_LIMITS, bytes: 5 * bytes + 10 },
    ]) {
      const { error, head } = await read(await write(bare), limits);
      expect(error).toMatchObject({ message: expect.stringMatching(/^blocks 4 to 9 have no finality proof/) });
      expect(head.height).toBe(3);
    }
    expect((await read(await write(bare), { ...RUN_LIMITS, blocks: 6 })).head.height).toBe(9);
  });

  test("a body that is not its header's does not execute, however well the header is proven", async () => {
    const [head] = rlpDecode(records[4]!.block) as Bytes[];
    const block = rlpEncode([head!, []]);
    await refused(changed(5, { block }), /block 5 of the chain file does not execute \(transactionsRoot .*; export/, 4);
    const noise = rlpEncode([head!, [Uint8Array.of(1, 2, 3)]]);
    await refused(changed(5, { block: noise }), /block 5 of the chain file does not execute \(transaction 0/, 4);
  });

  test('a block that was exchanged for one of another chain does not follow', async () => {
    const other = await openLedger();
    await extendChain(other, HEIGHT, { value: 5n });
    const [foreign] = await collect(blocksOf(other, { first: 5, last: 5 }));
    await refused(changed(5, foreign!), /block 5 of the chain file does not follow block 4/, 3);
  });

  test('a record that holds no block, or another height, is named', async () => {
    for (const block of [EMPTY, Uint8Array.of(0xc0), records[5]!.block]) {
      const { error, head } = await read(await write(changed(5, { block })));
      expect(error).toMatchObject({ code: 'CHAIN_FILE_INVALID', data: { height: 5 } });
      expect(head.height).toBe(3);
    }
  });
});

test('an import pulls: no run is asked for before the last one is in the ledger', async () => {
  const ledger = await openLedger();
  const heads: number[] = [];
  const watched = async function* (items: AsyncIterable<ChainRecord>): AsyncGenerator<ChainRecord> {
    for await (const item of items) {
      heads.push(ledger.head.height);
      yield item;
    }
  };
  const runs = await pipe(
    each(records),
    watched,
    newBlocks(ledger),
    provenRuns(judgeFor(ledger)),
    commitTo(ledger),
    collect,
  );
  expect(heads).toEqual([0, 0, 0, 3, 3, 3, 6, 6, 6]);
  expect(runs).toEqual([3, 6, 9].map((height) => ({ height, blocks: 3 })));
});

test('an error at the end lets go of the source', async () => {
  let released = false;
  const chunks = async function* (): AsyncGenerator<Bytes> {
    try {
      yield file;
      yield EMPTY;
    } finally {
      released = true;
    }
  };
  const failing = async (items: AsyncIterable<ChainRecord>): Promise<void> => {
    for await (const { height } of items) if (height === 2) throw new QuorateError('DISK_FAILED', 'full');
  };
  await expect(pipe(chunks(), decodeRecords, failing)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  expect(released).toBe(true);
});

test('progress is silent for a second and then comes once a second', async () => {
  let now = 0;
  const told: number[] = [];
  const slow = async function* (): AsyncGenerator<{ height: number }> {
    for (let height = 1; height <= 10; height++) {
      yield { height };
      now += 400;
    }
  };
  const counted = async (items: AsyncIterable<{ height: number }>): Promise<number> => {
    let count = 0;
    for await (const { height } of items) count = Math.max(count, height);
    return count;
  };
  const progress = { tell: (height: number) => told.push(height), now: () => now };
  expect(await pipe(slow(), reporting<{ height: number }>(progress), counted)).toBe(10);
  expect(told).toEqual([4, 7, 10]);
});

test('small parts are joined and lose nothing', async () => {
  const parts = [1, 2, 3, 4, 5].map((n) => new Uint8Array(n).fill(n));
  const chunks = await collect(inChunks(6)(each(parts)));
  expect(chunks.map(({ length }) => length)).toEqual([6, 9]);
  expect(concat(...chunks)).toEqual(concat(...parts));
});
