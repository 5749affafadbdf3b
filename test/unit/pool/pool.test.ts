import { describe, expect, test } from 'vitest';
import type { Transaction } from '../../../ledger/transaction.ts';
import { address, candidateHashes, makePool, transaction } from './fixture.ts';

const ok = { ok: true };
const hashes = (txs: Iterable<Transaction>) => [...txs].map((tx) => tx.hash);

describe('pool: what it takes in', () => {
  test('a first transaction of an account that does not exist, at a zero price', () => {
    const { pool } = makePool();
    const tx = transaction();
    expect(pool.add(tx)).toEqual(ok);
    expect([pool.size, pool.bytes, pool.executableCount, pool.has(tx.hash)]).toEqual([1, 110, 1, true]);
    expect(pool.get(tx.hash)).toBe(tx);
  });

  test.each<[string, Partial<Transaction> & { size?: number }, string]>([
    ['oversized', { size: 131_073 }, 'oversized data: transaction size 131073, limit 131072'],
    ['another chain', { chainId: 1 }, 'invalid chain id for signer: have 1 want 1337'],
    ['contract creation', { to: undefined }, 'contract creation is not supported on this chain yet'],
    [
      'gas above a block',
      { gasLimit: 100_000_001 },
      'exceeds block gas limit: gas 100000001, block gas limit 100000000',
    ],
    ['gas below the intrinsic', { gasLimit: 20_999 }, 'intrinsic gas too low: gas 20999, minimum needed 21000'],
    ['old nonce', { nonce: 4 }, 'nonce too low: next nonce 5, tx nonce 4'],
    [
      'tip above the fee cap',
      { maxFeePerGas: 7n, maxPriorityFeePerGas: 8n },
      'max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: 8, maxFeePerGas: 7',
    ],
    [
      'fee cap below the base fee',
      { maxFeePerGas: 6n, maxPriorityFeePerGas: 0n },
      `max fee per gas less than block base fee: address ${address(1)}, maxFeePerGas: 6, baseFee: 7`,
    ],
    ['gas price below the base fee', { gasPrice: 6n }, 'transaction underpriced: gas price 6, minimum needed 7'],
    [
      'no funds',
      { gasPrice: 7n, value: 10n ** 18n },
      'insufficient funds for gas * price + value: balance 1000000, tx cost 1000000000000147000, overshot 999999999999147000',
    ],
  ])('refuses %s in the words of geth', (_name, fields, message) => {
    const { pool, chain } = makePool({ baseFee: 7n });
    chain.set(address(1), { nonce: 5, balance: 1_000_000n });
    expect(pool.add(transaction({ nonce: 5, gasPrice: 7n, ...fields }))).toEqual({ ok: false, code: -32000, message });
    expect(pool.size).toBe(0);
  });

  test('refuses the same transaction again', () => {
    const { pool } = makePool();
    const tx = transaction();
    pool.add(tx);
    expect(pool.add(tx)).toEqual({ ok: false, code: -32000, message: 'already known' });
  });

  test('counts what a sender already has in the pool against its balance, a replaced transaction not', () => {
    const { pool, chain } = makePool();
    chain.set(address(1), { nonce: 0, balance: 100n });
    expect(pool.add(transaction({ value: 60n }))).toEqual(ok);
    expect(pool.add(transaction({ nonce: 1, value: 60n }))).toEqual({
      ok: false,
      code: -32000,
      message: 'insufficient funds for gas * price + value: balance 100, queued cost 60, tx cost 60, overshot 20',
    });
    chain.set(address(1), { nonce: 0, balance: 1_000_000n });
    expect(pool.add(transaction({ value: 1000n, gasPrice: 1n }))).toEqual(ok);
    expect(pool.size).toBe(1);
  });

  test('sees money that arrived after the sender was first met', () => {
    const { pool, chain } = makePool();
    chain.set(address(1), { nonce: 0, balance: 10n });
    pool.add(transaction({ value: 10n }));
    expect(pool.add(transaction({ nonce: 1, value: 5n })).ok).toBe(false);
    chain.set(address(1), { nonce: 0, balance: 15n });
    expect(pool.add(transaction({ nonce: 1, value: 5n }))).toEqual(ok);
  });
});

describe('pool: nonces', () => {
  test('holds what is behind a gap and promotes it when the gap is filled', () => {
    const { pool, chain } = makePool();
    const promoted: string[] = [];
    pool.onExecutable((tx) => promoted.push(tx.hash));
    const [a, b, c] = [transaction({ nonce: 0 }), transaction({ nonce: 1 }), transaction({ nonce: 2 })];
    expect([pool.add(a), pool.add(c)]).toEqual([ok, ok]);
    expect([pool.executableCount, pool.pendingNonce(address(1)), promoted]).toEqual([1, 1, [a.hash]]);
    expect(candidateHashes(pool, chain)).toEqual([a.hash]);
    pool.add(b);
    expect([pool.executableCount, pool.pendingNonce(address(1))]).toEqual([3, 3]);
    expect(promoted).toEqual([a.hash, b.hash, c.hash]);
    expect(candidateHashes(pool, chain)).toEqual([a.hash, b.hash, c.hash]);
  });

  test('pending nonce builds on certified blocks whose transactions the pool never saw', () => {
    const { pool, chain } = makePool();
    chain.set(address(1), { nonce: 3, balance: 0n });
    expect(pool.pendingNonce(address(1))).toBe(3);
    expect(pool.pendingNonce(address(1), 5)).toBe(5);
    pool.add(transaction({ nonce: 6 }));
    expect(pool.pendingNonce(address(1))).toBe(3);
    expect(pool.pendingNonce(address(1), 6)).toBe(7);
    expect(pool.pendingNonce(address(1), 5)).toBe(5);
  });

  test('bounds what one sender may hold, on both sides of a gap', () => {
    const { pool } = makePool({ limits: { executablePerSender: 3, gappedPerSender: 2 } });
    for (const nonce of [0, 1, 2]) expect(pool.add(transaction({ nonce }))).toEqual(ok);
    expect(pool.add(transaction({ nonce: 3 }))).toMatchObject({
      message: expect.stringContaining('account limit exceeded'),
    });
    for (const nonce of [5, 6]) expect(pool.add(transaction({ nonce }))).toEqual(ok);
    expect(pool.add(transaction({ nonce: 7 }))).toMatchObject({ message: expect.stringContaining('nonce gap') });
    expect(pool.add(transaction({ from: address(2) }))).toEqual(ok);
  });

  test('takes more behind a gap while the node itself is behind the chain', () => {
    let isBehind = true;
    const { pool } = makePool({ limits: { executablePerSender: 4, gappedPerSender: 2 }, isBehind: () => isBehind });
    for (const nonce of [5, 6, 7, 8]) expect(pool.add(transaction({ nonce }))).toEqual(ok);
    expect(pool.add(transaction({ nonce: 9 }))).toMatchObject({
      message: 'account limit exceeded: more than 4 transactions behind a nonce gap',
    });
    isBehind = false;
    expect(pool.add(transaction({ nonce: 9 }))).toMatchObject({ message: expect.stringContaining('more than 2') });
  });
});

describe('pool: replacement', () => {
  test.each<[bigint, bigint, boolean]>([
    [0n, 0n, false],
    [0n, 1n, true],
    [10n, 10n, false],
    [10n, 11n, true],
    [15n, 16n, false],
    [15n, 17n, true],
    [1000n, 1099n, false],
    [1000n, 1100n, true],
  ])('of a price of %d wei by %d wei: %s', (old, next, accepted) => {
    const { pool, chain } = makePool();
    chain.set(address(1), { nonce: 0, balance: 10n ** 18n });
    const first = transaction({ gasPrice: old });
    const second = transaction({ gasPrice: next });
    pool.add(first);
    expect(pool.add(second)).toEqual(
      accepted ? ok : { ok: false, code: -32000, message: 'replacement transaction underpriced' },
    );
    expect(hashes(pool.transactions())).toEqual([accepted ? second.hash : first.hash]);
    expect([pool.size, pool.bytes, pool.executableCount]).toEqual([1, 110, 1]);
  });

  test('needs both the fee cap and the tip cap raised', () => {
    const { pool, chain } = makePool();
    chain.set(address(1), { nonce: 0, balance: 10n ** 18n });
    pool.add(transaction({ maxFeePerGas: 100n, maxPriorityFeePerGas: 10n }));
    expect(pool.add(transaction({ maxFeePerGas: 200n, maxPriorityFeePerGas: 10n })).ok).toBe(false);
    expect(pool.add(transaction({ maxFeePerGas: 109n, maxPriorityFeePerGas: 20n })).ok).toBe(false);
    expect(pool.add(transaction({ maxFeePerGas: 110n, maxPriorityFeePerGas: 11n }))).toEqual(ok);
  });
});

describe('pool: proposing order', () => {
  test('arrival order among equal tips, and never a nonce before its predecessor', () => {
    const { pool, chain } = makePool();
    const b1 = transaction({ from: address(2), nonce: 1 });
    const a0 = transaction({ from: address(1), nonce: 0 });
    const b0 = transaction({ from: address(2), nonce: 0 });
    const c0 = transaction({ from: address(3), nonce: 0 });
    for (const tx of [b1, a0, b0, c0]) pool.add(tx);
    expect(candidateHashes(pool, chain)).toEqual([a0.hash, b0.hash, b1.hash, c0.hash]);
  });

  test('highest tip first across senders, nonce order within one', () => {
    const { pool, chain } = makePool();
    for (const n of [1, 2, 3]) chain.set(address(n), { nonce: 0, balance: 10n ** 18n });
    const cheap = transaction({ from: address(1), nonce: 0, gasPrice: 1n });
    const richBehind = transaction({ from: address(1), nonce: 1, gasPrice: 100n });
    const middle = transaction({ from: address(2), nonce: 0, gasPrice: 50n });
    const capped = transaction({ from: address(3), nonce: 0, maxFeePerGas: 1000n, maxPriorityFeePerGas: 60n });
    for (const tx of [cheap, richBehind, middle, capped]) pool.add(tx);
    expect(candidateHashes(pool, chain)).toEqual([capped.hash, middle.hash, cheap.hash, richBehind.hash]);
  });

  test('begins at the nonce of the state the block is built on', () => {
    const { pool } = makePool();
    const txs = [0, 1, 2, 3].map((nonce) => transaction({ nonce }));
    for (const tx of txs) pool.add(tx);
    expect(hashes(pool.candidates(() => 2))).toEqual([txs[2]!.hash, txs[3]!.hash]);
    expect(hashes(pool.candidates(() => 9))).toEqual([]);
  });

  test('asks for the nonces of no more senders than it proposes when all tips are equal', () => {
    const { pool } = makePool();
    for (let n = 1; n <= 100; n++) pool.add(transaction({ from: address(n) }));
    let asked = 0;
    const walk = pool.candidates(() => 0 * asked++)[Symbol.iterator]();
    for (let i = 0; i < 10; i++) walk.next();
    expect(asked).toBe(10);
  });
});

describe('pool: final blocks and time', () => {
  test('drops what was included and what a foreign block overtook, and promotes the rest', () => {
    const { pool, chain } = makePool();
    const promoted: string[] = [];
    const txs = [0, 1, 3].map((nonce) => transaction({ nonce }));
    for (const tx of txs) pool.add(tx);
    pool.onExecutable((tx) => promoted.push(tx.hash));
    chain.set(address(1), { nonce: 3, balance: 0n });
    pool.onFinal([txs[0]!, transaction({ nonce: 1 }), transaction({ nonce: 2 })]);
    expect(hashes(pool.transactions())).toEqual([txs[2]!.hash]);
    expect([pool.executableCount, pool.bytes, promoted]).toEqual([1, 110, [txs[2]!.hash]]);
    expect(pool.isKnown(txs[0]!.hash)).toBe(true);
    expect(pool.has(txs[0]!.hash)).toBe(false);
    expect(pool.isKnown(transaction().hash)).toBe(false);
  });

  test('drops what the sender can no longer pay; what came after waits behind the gap', () => {
    const { pool, chain } = makePool();
    chain.set(address(1), { nonce: 0, balance: 100n });
    const txs = [
      transaction({ nonce: 0, value: 50n }),
      transaction({ nonce: 1, value: 40n }),
      transaction({ nonce: 2 }),
    ];
    for (const tx of txs) pool.add(tx);
    chain.set(address(1), { nonce: 1, balance: 30n });
    pool.onFinal([], [address(1)]);
    expect(hashes(pool.transactions())).toEqual([txs[2]!.hash]);
    expect(pool.executableCount).toBe(0);
    expect(pool.pendingNonce(address(1))).toBe(1);
  });

  test('forgets transactions after their time to live, and only those', () => {
    const { pool, clock, chain } = makePool();
    const old = transaction({ nonce: 0 });
    pool.add(old);
    clock.ms += 1000;
    const young = transaction({ nonce: 1 });
    pool.add(young);
    clock.ms += 3_600_000 - 1000;
    expect(hashes(pool.expire())).toEqual([old.hash]);
    expect([pool.size, pool.executableCount]).toEqual([1, 0]);
    expect(candidateHashes(pool, chain)).toEqual([]);
    expect(pool.expire()).toEqual([]);
  });

  test('a listener that was stopped hears nothing more', () => {
    const { pool } = makePool();
    const heard: string[] = [];
    const stop = pool.onAdd((tx) => heard.push(tx.hash));
    const tx = transaction({ nonce: 7 });
    pool.add(tx);
    stop();
    pool.add(transaction({ nonce: 8 }));
    expect(heard).toEqual([tx.hash]);
  });
});

describe('pool: when it is full', () => {
  test('refuses what is not dearer than the cheapest tail', () => {
    const { pool } = makePool({ limits: { transactionsMax: 2 } });
    for (const n of [1, 2]) pool.add(transaction({ from: address(n) }));
    expect(pool.add(transaction({ from: address(3) }))).toEqual({
      ok: false,
      code: -32000,
      message: 'transaction pool is full',
    });
  });

  test('gives up the cheapest tail, the last to come among equals, and never the middle of a sequence', () => {
    const { pool, chain } = makePool({ limits: { transactionsMax: 3 } });
    for (const n of [1, 2, 3]) chain.set(address(n), { nonce: 0, balance: 10n ** 18n });
    const low = transaction({ from: address(1), nonce: 0, gasPrice: 1n });
    const tail = transaction({ from: address(1), nonce: 1, gasPrice: 5n });
    const other = transaction({ from: address(2), nonce: 0, gasPrice: 4n });
    for (const tx of [low, tail, other]) pool.add(tx);
    expect(pool.add(transaction({ from: address(3), gasPrice: 4n })).ok).toBe(false);
    const dear = transaction({ from: address(3), gasPrice: 6n });
    expect(pool.add(dear)).toEqual(ok);
    expect(hashes(pool.transactions())).toEqual([low.hash, tail.hash, dear.hash]);
  });

  test('gives up what waits behind a gap before anything that could run', () => {
    const { pool, chain } = makePool({ limits: { transactionsMax: 2 } });
    chain.set(address(1), { nonce: 0, balance: 10n ** 18n });
    const gapped = transaction({ from: address(1), nonce: 5, gasPrice: 9n });
    const runnable = transaction({ from: address(2) });
    pool.add(gapped);
    pool.add(runnable);
    expect(pool.add(transaction({ from: address(3), nonce: 1 })).ok).toBe(false);
    const next = transaction({ from: address(3) });
    expect(pool.add(next)).toEqual(ok);
    expect(hashes(pool.transactions())).toEqual([runnable.hash, next.hash]);
  });

  test('frees as many bytes as a large newcomer needs, or none at all', () => {
    const { pool, chain } = makePool({ limits: { bytesMax: 1000 } });
    for (let n = 1; n <= 12; n++) chain.set(address(n), { nonce: 0, balance: 10n ** 18n });
    for (let n = 1; n <= 8; n++) pool.add(transaction({ from: address(n), size: 120, gasPrice: n <= 3 ? 1n : 10n }));
    expect(pool.bytes).toBe(960);
    expect(pool.add(transaction({ from: address(11), size: 500, gasPrice: 5n })).ok).toBe(false);
    expect([pool.size, pool.bytes]).toEqual([8, 960]);
    expect(pool.add(transaction({ from: address(12), size: 300, gasPrice: 5n }))).toEqual(ok);
    expect([pool.size, pool.bytes]).toEqual([6, 900]);
  });
});
