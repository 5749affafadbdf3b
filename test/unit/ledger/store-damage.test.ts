/** What crashes and damage to the store come to: the same chain or a refusal, never a wrong answer. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../../../ledger/ledger.ts';
import { LevelStore } from '../../../ledger/level-store.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { verifyStore } from '../../../ledger/verify.ts';
import { QuorateError } from '../../../primitives/errors.ts';
import { answers, FLUSH, grow, sync } from './damaged-chain.ts';
import { extend, genesis, KEYS, openLedger, RULES } from './fixtures.ts';

const [A, C] = [KEYS[0]!, KEYS[2]!];

describe('crashes', () => {
  it('after any number of batches lost, the store opens at an earlier block with the right state and goes on', async () => {
    const heights = new Set<number>();
    for (let kept = 0; kept <= 11; kept++) {
      const store = new MemoryStore();
      const ledger = await openLedger({ store, flush: FLUSH });
      await grow(ledger, 11);
      store.crash(kept);
      const again = await openLedger({ store, flush: FLUSH });
      expect(again.head.height).toBe(kept);
      expect(again.head.hash).toBe(ledger.blockByHeight(kept)?.hash ?? again.genesisHash);
      expect(again.account(A.address, { final: true })?.nonce).toBe(kept);
      expect(again.account(C.address, { height: Math.max(0, kept - 1) })).toMatchObject({
        balance: 1000n * 10n ** 18n + 3n * BigInt(Math.max(0, kept - 1)),
      });
      await grow(again, 6);
      expect(again.head.height).toBe(kept + 6);
      await again.close();
      expect(await verifyStore({ store, rules: RULES, genesis: genesis() })).toMatchObject({ ok: true, problems: [] });
      heights.add(kept);
    }
    expect(heights.size).toBe(12);
  });

  it('what was synced is not lost, and a store that lost it is refused', async () => {
    const store = new MemoryStore();
    const ledger = await openLedger({ store });
    await grow(ledger, 3);
    await sync(ledger);
    await grow(ledger, 2);
    store.crash(0);
    expect((await openLedger({ store })).head.height).toBe(3);
    const rolledBack = new MemoryStore();
    await grow(await openLedger({ store: rolledBack }), 2);
    await new Promise<void>((resolve) => rolledBack.raiseFloor(3, () => resolve()));
    await expect(openLedger({ store: rolledBack })).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });

  it('a failed write is passed on to every callback, and head stays', async () => {
    const store = new MemoryStore();
    const ledger = await openLedger({ store });
    await grow(ledger, 1);
    store.write = (_batch, _options, done) => queueMicrotask(() => done(new QuorateError('DISK_FAILED', 'disk full')));
    await expect(extend(ledger, [])).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await expect(sync(ledger)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    expect(ledger.head.height).toBe(1);
  });
});

describe('every record', () => {
  it('flipped or removed is noticed by verification, and never read as something else', async () => {
    const store = new MemoryStore();
    const ledger = await openLedger({ store, flush: FLUSH });
    await grow(ledger, 9);
    const all: (readonly [Uint8Array, Uint8Array])[] = [];
    for await (const entry of store.range(Buffer.alloc(0), Buffer.of(255))) all.push(entry);
    const truth = await answers(ledger);
    const write = (key: Uint8Array, value: Uint8Array | undefined) =>
      new Promise<void>((resolve) =>
        store.write(
          value === undefined ? { put: [], del: [key] } : { put: [[key, value]], del: [] },
          { sync: true },
          () => resolve(),
        ),
      );
    await fc.assert(
      fc.asyncProperty(fc.nat(all.length - 1), fc.nat(), fc.nat(8), async (n, position, bit) => {
        const [key, value] = all[n]!;
        if (Buffer.from(key).toString() === 'msync') return;
        const broken = Uint8Array.from(value);
        if (bit < 8) broken[position % broken.length]! ^= 1 << bit;
        await write(key, bit < 8 ? broken : undefined);
        const checkProof = (_block: unknown, proof: unknown) => (proof === undefined ? 'missing' : undefined);
        const result = await verifyStore({ store, rules: RULES, genesis: genesis(), checkProof });
        expect(result.ok, `record ${Buffer.from(key).toString('hex')}`).toBe(false);
        try {
          const found = await answers(await openLedger({ store, flush: FLUSH }));
          // A lost index entry or proof is an unknown one; everything that is answered is right.
          for (const [question, answer] of Object.entries(found)) {
            if (answer !== undefined) expect(answer).toBe(truth[question]);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'STORE_DAMAGED' });
        }
        await write(key, value);
      }),
      // The seed of a run in which the height in a record of the hash index became more than 2^53.
      { numRuns: 150, examples: all.map((_, n): [number, number, number] => [n, 0, 7]) },
    );
  });
});

describe('LevelDB on disk', () => {
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quorate-level-'));
    const store = await LevelStore.open(join(folder, 'ledger'));
    const ledger = await openLedger({ store, flush: FLUSH });
    await grow(ledger, 9);
    await sync(ledger);
    await store.close();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const path = () => join(folder, 'ledger', 'db');
  async function reopened<T>(use: (ledger: Ledger, store: LevelStore) => Promise<T>): Promise<T> {
    const store = await LevelStore.open(join(folder, 'ledger'));
    try {
      return await use(await openLedger({ store, flush: FLUSH }), store);
    } finally {
      await store.close();
    }
  }
  const refused = () =>
    expect(reopened((ledger) => Promise.resolve(ledger.head.height))).rejects.toMatchObject({ code: 'STORE_DAMAGED' });

  it('opens again with everything, and verifies', async () => {
    await reopened(async (ledger, store) => {
      expect(ledger.head.height).toBe(9);
      expect(ledger.account(A.address, { height: 5 })).toMatchObject({ nonce: 5 });
      const proofs: string[] = [];
      const result = await verifyStore({
        store,
        rules: RULES,
        genesis: genesis(),
        checkProof: (block, proof) => {
          proofs.push(`${block.header.number} ${Buffer.from(proof!).toString()}`);
          return block.header.number === 4 ? 'not enough signatures' : undefined;
        },
      });
      expect(result).toMatchObject({
        ok: false,
        head: 9,
        transactions: 18,
        problems: ['block 4: finality proof: not enough signatures'],
      });
      expect(proofs).toHaveLength(9);
    });
  });

  it('is refused while another has it open', async () => {
    await reopened(async () => {
      await expect(LevelStore.open(join(folder, 'ledger'))).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    });
  });

  it('is refused when CURRENT is gone, and nothing is deleted', async () => {
    const before = readdirSync(path())
      .filter((file) => file !== 'CURRENT')
      .sort();
    unlinkSync(join(path(), 'CURRENT'));
    await refused();
    expect(readdirSync(path()).sort()).toEqual(before);
  });

  it('is refused when the whole database is gone and the marker remains', async () => {
    rmSync(path(), { recursive: true });
    await refused();
  });

  it('is refused when its log is gone', async () => {
    for (const file of readdirSync(path())) if (file.endsWith('.log')) unlinkSync(join(path(), file));
    await refused();
  });

  it('is refused when the marker is gone or damaged', async () => {
    const marker = join(folder, 'ledger', 'INITIALIZED');
    const text = readFileSync(marker);
    unlinkSync(marker);
    await refused();
    writeFileSync(marker, 'x');
    await refused();
    writeFileSync(marker, text);
    await reopened((ledger) => Promise.resolve(expect(ledger.head.height).toBe(9)));
  });
});
