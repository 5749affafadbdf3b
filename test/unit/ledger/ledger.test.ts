/** The facade: speculation, finality, reads. */
import { describe, expect, it } from 'vitest';
import { readBlockId } from '../../../ledger/block.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { build, COIN, commit, extend, genesis, KEYS, MINER, openLedger, transfer } from './fixtures.ts';

const EXPECT = {};
const [A, B, C] = [KEYS[0]!, KEYS[1]!, KEYS[2]!];

describe('ledger', () => {
  it('a new store begins with block 0 and its allocation', async () => {
    const ledger = await openLedger();
    expect(ledger.head.height).toBe(0);
    expect(ledger.head.hash).toBe(ledger.genesisHash);
    expect(ledger.account(A.address, { final: true })?.balance).toBe(1000n * COIN);
    expect(ledger.account(MINER, { final: true })).toBeUndefined();
  });

  it('a built block is executed by another ledger with the same roots, from its wire bytes', async () => {
    const ledger = await openLedger();
    const other = await openLedger();
    const block = build(ledger, [transfer({ from: A, nonce: 0, to: B.address, value: 5n, fee: 3n, tip: 2n })]);
    const decoded = other.decodeBlock(block.bytes);
    expect(decoded.ok && decoded.block.hash).toBe(block.hash);
    expect(readBlockId(block.bytes)).toEqual({ hash: block.hash, parentHash: ledger.genesisHash, height: 1 });
    expect(other.execute((decoded as { block: typeof block }).block, undefined, EXPECT)).toEqual({
      ok: true,
      closes: false,
    });
    await commit(other, block.hash);
    expect(other.head.height).toBe(1);
    expect(other.account(MINER, { final: true })?.balance).toBe(42_000n);
    expect(other.account(A.address, { final: true })).toMatchObject({ nonce: 1, balance: 1000n * COIN - 5n - 42_000n });
    expect(other.transactionByHash(block.transactions[0]!.hash)?.index).toBe(0);
    expect(other.receipts(block.hash)?.[0]).toMatchObject({ status: 1, gasUsed: 21_000, effectiveGasPrice: 2n });
  });

  it('state at a height is what it was then; pruned and future heights say so', async () => {
    const limits = { blocks: 5, blocksMin: 3, ageMinMs: 200, entries: 1000, entriesAtStart: 1000 };
    const ledger = await openLedger({ history: limits });
    for (let n = 0; n < 20; n++) await extend(ledger, [transfer({ from: A, nonce: n, to: C.address, value: 1n })]);
    expect(ledger.head.height).toBe(20);
    for (let h = ledger.oldestState; h <= 20; h++) {
      expect(ledger.account(A.address, { height: h })).toMatchObject({ nonce: h });
      expect(ledger.account(C.address, { height: h })).toMatchObject({ balance: 1000n * COIN + BigInt(h) });
      expect(ledger.account(B.address, { height: h })).toMatchObject({ nonce: 0 });
    }
    expect(ledger.oldestState).toBe(15);
    expect(ledger.account(A.address, { height: 14 })).toBe('pruned');
    expect(ledger.account(A.address, { height: 21 })).toBe('unknown');
  });

  it('several blocks in flight: commits queue, head and listeners follow the writes in order', async () => {
    const deferred: (() => void)[] = [];
    const ledger = await openLedger();
    let hold = false;
    const slow = new MemoryStore({ defer: (run) => (hold ? deferred.push(run) : queueMicrotask(run)) });
    const node = await openLedger({ store: slow });
    hold = true;
    const seen: number[] = [];
    node.onFinal((block) => seen.push(block.header.number));
    const done: number[] = [];
    for (let n = 0; n < 4; n++) {
      const block = build(ledger, [transfer({ from: A, nonce: n, to: B.address })]);
      ledger.setTip(block.hash);
      expect(node.execute(block, undefined, EXPECT).ok).toBe(true);
      node.setTip(block.hash);
    }
    for (const block of ledger.unfinal())
      node.commit(block.hash, new Uint8Array(0), () => done.push(block.header.number));
    expect(node.head.height).toBe(0);
    expect(node.account(A.address, { final: true })?.nonce).toBe(0);
    expect(node.account(A.address, { tip: true })?.nonce).toBe(4);
    expect(node.unfinal()).toHaveLength(4);
    deferred.shift()!();
    expect(node.head.height).toBe(1);
    expect(node.account(A.address, { final: true })?.nonce).toBe(1);
    expect(node.transactionByHash(ledger.unfinal()[1]!.transactions[0]!.hash)).toBeUndefined();
    while (deferred.length > 0) deferred.shift()!();
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(done).toEqual([1, 2, 3, 4]);
  });

  it('forks live side by side until one is final; the others are dropped with their children', async () => {
    const ledger = await openLedger();
    const left = build(ledger, [transfer({ from: A, nonce: 0, value: 1n })]);
    const right = build(ledger, [transfer({ from: A, nonce: 0, value: 2n })]);
    const above = build(ledger, [transfer({ from: A, nonce: 1, value: 3n })], { parent: left.hash });
    const kept = build(ledger, [transfer({ from: A, nonce: 1, value: 4n })], { parent: right.hash });
    ledger.setTip(above.hash);
    await commit(ledger, right.hash);
    expect(ledger.executed(left.hash)).toBe(false);
    expect(ledger.executed(above.hash)).toBe(false);
    expect(ledger.block(kept.hash)).toBe(kept);
    expect(ledger.tip.hash).toBe(right.hash);
    await commit(ledger, kept.hash);
    expect(ledger.head.height).toBe(2);
    expect(ledger.execute(above, undefined, EXPECT)).toMatchObject({ ok: false, reason: 'unknown-parent' });
  });

  it('a store opened again is at the same head, with the same state, and goes on', async () => {
    const store = new MemoryStore();
    const first = await openLedger({ store });
    for (let n = 0; n < 10; n++) await extend(first, [transfer({ from: A, nonce: n, to: B.address, value: 7n })]);
    const second = await openLedger({ store });
    expect(second.head.hash).toBe(first.head.hash);
    expect(second.account(B.address, { final: true })).toEqual(first.account(B.address, { final: true }));
    expect(second.account(B.address, { height: 4 })).toMatchObject({ balance: 1000n * COIN + 28n });
    await extend(second, [transfer({ from: A, nonce: 10, to: B.address, value: 7n })]);
    await second.close();
    const third = await openLedger({ store });
    expect(third.head.height).toBe(11);
    expect(Buffer.from(third.proof(11)!).toString()).toBe('proof');
    expect(third.transactionByHash(third.blockByHeight(11)!.transactions[0]!.hash)?.transaction.from).toBe(A.address);
  });

  it('another genesis is refused', async () => {
    const store = new MemoryStore();
    await openLedger({ store });
    await expect(openLedger({ store, genesis: genesis(new Map()) })).rejects.toMatchObject({
      code: 'GENESIS_MISMATCH',
    });
  });
});
