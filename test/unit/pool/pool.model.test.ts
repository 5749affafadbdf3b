import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Pool } from '../../../ledger/pool.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { address, type Chain, candidateHashes, makePool, transaction } from './fixture.ts';

/** The proposing order by definition: again and again the best of all senders' next transactions. */
function orderByDefinition(arrived: readonly Transaction[], chain: Chain): string[] {
  const next = new Map([...chain].map(([who, account]) => [who, account.nonce]));
  const out: string[] = [];
  for (;;) {
    const ready = arrived.filter((tx) => tx.nonce === next.get(tx.from));
    const best = ready.sort((a, b) => (a.gasPrice === b.gasPrice ? 0 : a.gasPrice > b.gasPrice ? -1 : 1))[0];
    if (best === undefined) return out;
    out.push(best.hash);
    next.set(best.from, best.nonce + 1);
  }
}

function check(pool: Pool, chain: Chain, limit: number): void {
  const held = [...pool.transactions()];
  expect(pool.size).toBe(held.length);
  expect(pool.size).toBeLessThanOrEqual(limit);
  expect(pool.bytes).toBe(held.reduce((sum, tx) => sum + tx.raw.length, 0));
  const order = orderByDefinition(held, chain);
  expect(candidateHashes(pool, chain)).toEqual(order);
  expect(pool.executableCount).toBe(order.length);
  for (const [who, account] of chain) {
    const nonces = new Set(held.filter((tx) => tx.from === who).map((tx) => tx.nonce));
    let nonce = account.nonce;
    while (nonces.has(nonce)) nonce++;
    expect(pool.pendingNonce(who)).toBe(nonce);
  }
}

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      sender: fc.integer({ min: 1, max: 4 }),
      ahead: fc.integer({ min: 0, max: 5 }),
      price: fc.integer({ min: 0, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ include: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ foreign: fc.integer({ min: 1, max: 4 }), count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ waitMs: fc.integer({ min: 1, max: 60 }) }) },
);

test.each([{ prices: 0n }, { prices: 1n }])(
  'pool: order, counts and bounds hold after any sequence of adds, final blocks and expiries (price unit $prices)',
  ({ prices }) => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const limit = 10;
        const { pool, chain, clock } = makePool({ limits: { transactionsMax: limit, timeToLiveMs: 100 } });
        for (let n = 1; n <= 4; n++) chain.set(address(n), { nonce: 0, balance: 10n ** 18n });
        for (const step of actions) {
          if ('sender' in step) {
            const from = address(step.sender);
            const nonce = chain.get(from)!.nonce + step.ahead;
            pool.add(transaction({ from, nonce, gasPrice: BigInt(step.price) * prices }));
          } else if ('include' in step) {
            const block = [...pool.candidates((who) => chain.get(who)!.nonce)].slice(0, step.include);
            for (const tx of block) chain.set(tx.from, { ...chain.get(tx.from)!, nonce: tx.nonce + 1 });
            pool.onFinal(block);
          } else if ('foreign' in step) {
            const from = address(step.foreign);
            const { nonce, balance } = chain.get(from)!;
            chain.set(from, { nonce: nonce + step.count, balance });
            pool.onFinal([transaction({ from, nonce })]);
          } else {
            clock.ms += step.waitMs;
            pool.expire();
          }
          check(pool, chain, limit);
        }
      }),
      { numRuns: 300 },
    );
  },
);
