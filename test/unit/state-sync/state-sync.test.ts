/** A node that takes a snapshot from several peers, some of which lie or say nothing (reliability.md, P44, P45, Z22 to Z24). */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Ledger } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { BlockStaging, type GivenBlock } from '../../../ledger/staged-blocks.ts';
import { takeOverSnapshot } from '../../../ledger/take-over.ts';
import { verifyStore } from '../../../ledger/verify.ts';
import { chainOf, chainRules, genesisInput } from '../../../node/chain.ts';
import { proofJudges } from '../../../node/proof-judge.ts';
import { encodeSyncMessage, type Request, type SyncMessage } from '../../../node/state-sync/messages.ts';
import { EMPTY } from '../../../primitives/bytes.ts';
import { extendChain, GENESIS, proofOf } from '../node/proven-chain.ts';
import { honest, openNode, type Peer, Taker, VirtualTime } from './virtual-network.ts';

const BLOCKS = 300;
const CLOSING = 150;

let ledger: Ledger;
let shortLedger: Ledger;

beforeAll(async () => {
  // Every third block has no proof of its own, as blocks in flight together often have none.
  const proven = (height: number) => height % 3 !== 0 || height === CLOSING || height === BLOCKS;
  ledger = await openNode(new MemoryStore());
  await extendChain(ledger, BLOCKS, { closing: CLOSING, proven });
  shortLedger = await openNode(new MemoryStore());
  await extendChain(shortLedger, 40, {});
});

const given = (height: number): GivenBlock => ({
  block: ledger.rawBlock(height)!,
  receipts: ledger.rawReceipts(height)!,
  proof: ledger.proof(height) ?? EMPTY,
});
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => given(from + i));
const noPause = (): Promise<void> => Promise.resolve();

async function staging(store = new MemoryStore()): Promise<BlockStaging> {
  const node = await openNode(store);
  const judgeOf = proofJudges(chainOf(GENESIS, node.genesisHash), []);
  const rules = chainRules(GENESIS);
  return new BlockStaging({ store, ledger: node, rules, judge: (epoch, block, proof) => judgeOf(epoch)(block, proof) });
}

describe('blocks below a snapshot', () => {
  test('are taken in order, across the end of an epoch, and after a restart from where they were', async () => {
    const store = new MemoryStore();
    const steps = [1, 64, 100, CLOSING, 151, 200, BLOCKS];
    for (let i = 1; i < steps.length; i++) {
      const from = i === 1 ? 1 : steps[i - 1]! + 1;
      const blocks = await staging(store);
      expect(blocks.top.height).toBe(from - 1);
      const end = steps[i]!;
      const to = (ledger.proof(end) ?? EMPTY).length > 0 ? end : end + 1;
      expect(await blocks.append(range(from, to), noPause)).toBeUndefined();
      steps[i] = to;
    }
    expect((await staging(store)).top).toEqual({ height: BLOCKS, hash: ledger.head.hash });
    // Nobody sees them: the head is where it was.
    expect((await openNode(store)).head.height).toBe(0);
  });

  const forged: Record<string, (blocks: GivenBlock[]) => GivenBlock[] | Promise<GivenBlock[]>> = {
    'the last without a proof': (blocks) => [...blocks.slice(0, -1), { ...blocks.at(-1)!, proof: EMPTY }],
    'a proof of another block': (blocks) => [...blocks.slice(0, -1), { ...blocks.at(-1)!, proof: given(8).proof }],
    'a proof by others': async (blocks) => {
      const about = ledger.blockByHeight(10)!;
      return [...blocks.slice(0, -1), { ...blocks.at(-1)!, proof: await proofOf(about, ledger.epochInfo(1)) }];
    },
    'a proof in the middle that is none': (blocks) =>
      blocks.map((b, i) => (i === 4 ? { ...b, proof: Buffer.of(1) } : b)),
    'receipts of another block': (blocks) => blocks.map((b, i) => (i === 4 ? { ...b, receipts: Buffer.of(0xc0) } : b)),
    'receipts that are none': (blocks) => blocks.map((b, i) => (i === 4 ? { ...b, receipts: Buffer.of(0x01) } : b)),
    'a gap': (blocks) => blocks.filter((_, i) => i !== 4),
    'a block twice': (blocks) => [...blocks.slice(0, 5), ...blocks.slice(4)],
    'a block of another chain': (blocks) => [...blocks.slice(0, -1), { ...blocks.at(-1)!, block: forgedBlock(10) }],
    'a body of another block': (blocks) => blocks.map((b, i) => (i === 4 ? { ...b, block: swappedBody(5, 6) } : b)),
    'bytes that are no block': (blocks) => blocks.map((b, i) => (i === 4 ? { ...b, block: Buffer.of(1, 2, 3) } : b)),
  };
  test.each(Object.entries(forged))('are refused as a whole: %s', async (_what, forge) => {
    const blocks = await staging();
    const honestOnes = range(1, 10);
    expect(await blocks.append(await forge(honestOnes), noPause)).toBeTypeOf('string');
    expect(blocks.top.height).toBe(0);
    expect(await blocks.append(honestOnes, noPause)).toBeUndefined();
  });

  test('are refused above a closing block that has no proof of its own', async () => {
    const blocks = await staging();
    await blocks.append(range(1, 149), noPause);
    await blocks.append(range(blocks.top.height + 1, 149), noPause);
    const next = range(blocks.top.height + 1, 152).map((b, i, all) =>
      i === all.length - 3 ? { ...b, proof: EMPTY } : b,
    );
    expect(await blocks.append(next, noPause)).toMatch(/closes an epoch without a finality proof/);
  });
});

/** Another value in a transfer: another body, another header. */
function forgedBlock(height: number): Uint8Array {
  const bytes = Buffer.from(ledger.rawBlock(height)!);
  bytes[bytes.length - 1]! ^= 1;
  return bytes;
}

/** The header of one block and the transactions of another, both of the same length. */
function swappedBody(height: number, other: number): Uint8Array {
  const [mine, theirs] = [ledger.rawBlock(height)!, ledger.rawBlock(other)!];
  const raw = ledger.blockByHeight(height)!.transactions[0]!.raw.length + 4;
  return Buffer.concat([mine.subarray(0, -raw), theirs.subarray(-raw)]);
}

describe('taking a snapshot', () => {
  async function atTheEnd(taker: Taker): Promise<Ledger> {
    const store = taker.store;
    taker.kill();
    const height = await takeOverSnapshot(store);
    const node = await openNode(store);
    expect(node.head.height).toBe(height);
    expect(node.head.hash).toBe(ledger.headerByHeight(height!)!.hash);
    const { operator } = GENESIS.validators[0]!;
    expect(node.account(operator, { final: true })).toEqual(ledger.account(operator, { height: height! }));
    const result = await verifyStore({ store, rules: chainRules(GENESIS), genesis: genesisInput(GENESIS) });
    expect(result.problems).toEqual([]);
    return node;
  }

  /** A peer whose answers are bent on their way. */
  function bent(peer: Peer, bend: (message: SyncMessage, request: Request) => SyncMessage | undefined): Peer {
    return (request, answer) =>
      peer(request, (message) => {
        const other = bend(message, request);
        if (other !== undefined) answer(other);
      });
  }

  test('from three peers at once: each of them gives a part, and the chain below verifies', async () => {
    const time = new VirtualTime();
    const taker = await Taker.start(time, {
      a: honest(ledger, time),
      b: honest(ledger, time),
      c: honest(ledger, time),
    });
    expect(await time.until(() => taker.ready)).toBe(true);
    expect(
      new Set(taker.asked.filter(({ request }) => request.kind === 'FETCH-HISTORY').map(({ peer }) => peer)).size,
    ).toBe(3);
    expect(taker.lies).toEqual([]);
    const node = await atTheEnd(taker);
    expect(node.head.height).toBe(288);
    expect(node.epochInfo(1)?.members).toEqual(ledger.epochInfo(1)?.members);
  });

  test('not when it is not far behind, and never as a validator that may sign', async () => {
    const time = new VirtualTime();
    const near = await Taker.start(time, { a: honest(ledger, time) }, { after: BLOCKS });
    expect(await time.until(() => near.snapshots.progress !== undefined, 60_000)).toBe(false);
    near.kill();
    const signing = await Taker.start(time, { a: honest(ledger, time) });
    signing.follows = false;
    expect(await time.until(() => signing.ready, 60_000)).toBe(false);
  });

  const lies: Record<string, (message: SyncMessage) => SyncMessage | undefined> = {
    'other receipts': (m) =>
      m.kind === 'HISTORY' ? { ...m, blocks: m.blocks.map((b) => ({ ...b, receipts: Buffer.of(0xc0) })) } : m,
    'blocks out of order': (m) => (m.kind === 'HISTORY' ? { ...m, blocks: [...m.blocks].reverse() } : m),
    'no blocks though it has them': (m) => (m.kind === 'HISTORY' ? { ...m, blocks: [] } : m),
    'a height that nobody has': (m) => (m.kind === 'HISTORY' ? { ...m, final: 1_000_000_000, blocks: [] } : m),
    'nodes with a flipped bit': (m) =>
      m.kind === 'STATE' ? { ...m, records: m.records.map((r) => Buffer.from(r).fill(1, 40, 41)) } : m,
    'nodes in another order': (m) =>
      m.kind === 'STATE' && m.records.length > 0 ? { ...m, records: [Buffer.of(0xc0), ...m.records] } : m,
    'another contract': (m) => (m.kind === 'CONTRACT' && m.bytes.length > 0 ? { ...m, bytes: Buffer.of(1) } : m),
  };
  test.each(Object.entries(lies))(
    'a peer that sends %s is left alone, and the others are enough',
    async (_what, lie) => {
      const time = new VirtualTime();
      const peers = { liar: bent(honest(ledger, time), lie), a: honest(ledger, time), b: honest(ledger, time) };
      const taker = await Taker.start(time, peers);
      expect(await time.until(() => taker.ready)).toBe(true);
      expect(taker.banned.filter((peer) => peer !== 'liar')).toEqual([]);
      await atTheEnd(taker);
    },
  );

  test.each(Object.entries(lies))('a peer that sends %s can do no harm when it is the only one', async (_what, lie) => {
    const time = new VirtualTime();
    const taker = await Taker.start(time, { liar: bent(honest(ledger, time), lie) });
    expect(await time.until(() => taker.ready, 200_000)).toBe(false);
    expect(taker.banned).toEqual(['liar']);
    taker.peers.set('a', honest(ledger, time));
    expect(await time.until(() => taker.ready)).toBe(true);
    await atTheEnd(taker);
  });

  test('one that says nothing costs time, and so does one with an old chain', async () => {
    const time = new VirtualTime();
    const silent: Peer = (request, answer) => {
      if (request.kind === 'FETCH-HISTORY' && request.to < request.from)
        answer({ kind: 'HISTORY', nonce: request.nonce, final: BLOCKS, blocks: [] });
    };
    const peers = { silent, old: honest(shortLedger, time), a: honest(ledger, time) };
    const taker = await Taker.start(time, peers);
    expect(await time.until(() => taker.ready)).toBe(true);
    expect(taker.lies).toEqual([]);
    await atTheEnd(taker);
  });

  test('answers nobody asked for, of others than were asked, or that come late, are not looked at', async () => {
    const time = new VirtualTime();
    const taker = await Taker.start(time, { a: honest(ledger, time) });
    const stray = { kind: 'HISTORY', final: 10 ** 9, blocks: [] } as const;
    for (let nonce = 0; nonce < 50; nonce++) {
      taker.snapshots.onMessage('stranger', encodeSyncMessage({ ...stray, nonce }));
      taker.snapshots.onMessage('a', encodeSyncMessage({ ...stray, nonce: nonce + 1000 }));
    }
    expect(await time.until(() => taker.ready)).toBe(true);
    await atTheEnd(taker);
  });

  test('killed at any moment, it goes on from what it had', async () => {
    const time = new VirtualTime();
    const store = new MemoryStore();
    const ranges = new Set<number>();
    let lives = 0;
    for (let isReady = false; !isReady; lives++) {
      expect(lives).toBeLessThan(30);
      const peers = { a: honest(ledger, time), b: honest(ledger, time) };
      const taker = await Taker.start(time, peers, { store });
      const most = 1 + (lives % 3);
      expect(await time.until(() => taker.ready || taker.answered >= most)).toBe(true);
      isReady = taker.ready;
      for (const { request } of taker.asked) if (request.kind === 'FETCH-HISTORY') ranges.add(request.from);
      if (isReady) await atTheEnd(taker);
      else await taker.killAndWait();
    }
    expect(lives).toBeGreaterThan(2);
    // The first life began at block 1, and no later one did.
    expect(ranges.has(1)).toBe(true);
    expect(ranges.size).toBeGreaterThan(5);
  });

  test('a state that nobody has any more is given up for a newer one', async () => {
    const time = new VirtualTime();
    let refused = 0;
    const forgetful = bent(honest(ledger, time), (message, request) => {
      if (message.kind !== 'STATE' || request.kind !== 'FETCH-STATE' || request.height !== 288) return message;
      refused++;
      return { ...message, records: [] };
    });
    const taker = await Taker.start(time, { a: forgetful });
    expect(await time.until(() => taker.ready)).toBe(true);
    expect(refused).toBeGreaterThan(3);
    expect((await atTheEnd(taker)).head.height).toBe(BLOCKS);
  });
});
