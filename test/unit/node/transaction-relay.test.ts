/** What nodes do for transactions that the primary does not have, however that came about. */
import { expect, test } from 'vitest';
import { Pool } from '../../../ledger/pool.ts';
import { decodeTransaction, type Transaction } from '../../../ledger/transaction.ts';
import { decodeBatch, encodeBatch, TransactionRelay } from '../../../node/transaction-relay.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';
import { CHAIN_ID, COIN, KEYS, RULES, signTransfer } from '../ledger/fixtures.ts';

const REQUEST_TIMEOUT_MS = 2000;
const TICK_MS = 100;
const PRIMARY = 'primary';

/** A primary and a second node over one state; time goes on by `tick`, and each tick the primary may make a block. */
class Pair {
  now = 1000;
  readonly nonces = new Map<string, number>();
  /** Announcements wait here until the next tick. */
  readonly #sent: (() => void)[] = [];
  readonly primary = this.#node([]);
  readonly other = this.#node([PRIMARY]);

  #node(validators: readonly string[]): { readonly pool: Pool; readonly relay: TransactionRelay } {
    const nonceOf = (address: string): number => this.nonces.get(address) ?? 0;
    const pool = new Pool({
      ...RULES,
      account: (address) => ({ nonce: nonceOf(address), balance: COIN }),
      now: () => this.now,
    });
    const relay = new TransactionRelay({
      pool,
      decode: (raw) => decodeTransaction(raw, { chainId: CHAIN_ID }),
      send: (_to, payload) => {
        this.#sent.push(() => this.primary.relay.onBatch(payload, { from: 'other', forward: false }));
        return true;
      },
      validators: () => validators,
      defer: (callback) => callback(),
      now: () => this.now,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      nonceOf,
      onPoolChanged: () => undefined,
    });
    return { pool, relay };
  }

  /** The links lose what is on its way. */
  loseAll(): void {
    this.#sent.length = 0;
  }

  #block(): void {
    const included: Transaction[] = [...this.primary.pool.candidates((address) => this.nonces.get(address) ?? 0)];
    if (included.length === 0) return;
    for (const { from, nonce } of included) this.nonces.set(from, nonce + 1);
    for (const { pool, relay } of [this.primary, this.other]) {
      relay.onBlock(included);
      pool.onFinal(included);
    }
  }

  /** True when the second node accuses the primary; it does so only as a follower. */
  tick(judged = true): boolean {
    this.now += TICK_MS;
    for (const arrive of this.#sent.splice(0)) arrive();
    this.#block();
    return this.other.relay.overdue({ primary: PRIMARY, judged, patienceMs: 1000, deltaMs: 250 });
  }
}

/** Three senders' transactions that only the second node has. */
function pairWithLost(): Pair {
  const pair = new Pair();
  for (const from of KEYS.slice(0, 3)) {
    for (let nonce = 0; nonce < 100; nonce++) {
      expect(pair.other.relay.submit(signTransfer({ from, nonce }))).toHaveProperty('hash');
    }
  }
  pair.loseAll();
  return pair;
}

test('what a primary lacks it is given all at once when it is reminded, not one transaction per patience', () => {
  const pair = pairWithLost();
  const from = pair.now;
  while (pair.other.pool.size > 0 && pair.now < from + 60_000) expect(pair.tick()).toBe(false);
  expect(pair.now - from).toBeLessThan(2 * REQUEST_TIMEOUT_MS);
});

test('a node that is no follower offers again what has waited for long, and again when that was lost too', () => {
  const pair = pairWithLost();
  const from = pair.now;
  while (pair.now < from + 10_000) expect(pair.tick(false)).toBe(false);
  pair.loseAll();
  while (pair.now < from + 19_900) pair.tick(false);
  expect(pair.other.pool.size).toBe(300);
  while (pair.now < from + 20_200) pair.tick(false);
  expect(pair.other.pool.size).toBe(0);
});

/** A relay whose checks wait until they are let run. */
function waitingRelay(): { readonly relay: TransactionRelay; readonly pool: Pool; readonly check: () => void } {
  const deferred: (() => void)[] = [];
  const pool = new Pool({ ...RULES, account: () => ({ nonce: 0, balance: COIN }), now: () => 0 });
  const relay = new TransactionRelay({
    pool,
    decode: (raw) => decodeTransaction(raw, { chainId: CHAIN_ID }),
    send: () => true,
    validators: () => [],
    defer: (callback) => deferred.push(callback),
    now: () => 0,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    nonceOf: () => 0,
    onPoolChanged: () => undefined,
  });
  const check = (): void => {
    for (let next = deferred.shift(); next !== undefined; next = deferred.shift()) next();
  };
  return { relay, pool, check };
}

test('a peer that floods leaves room for what another one sends', () => {
  const { relay, pool, check } = waitingRelay();
  const long = encodeBatch([new Uint8Array(128 * 1024).fill(1)]);
  const short = encodeBatch(Array.from({ length: 8000 }, () => Uint8Array.of(1)));
  for (let i = 0; i < 1000; i++) relay.onBatch(i % 2 === 0 ? long : short, { from: 'flood', forward: false });
  const honest = KEYS.slice(0, 3).map((from) => signTransfer({ from, nonce: 0 }));
  relay.onBatch(encodeBatch(honest), { from: 'friend', forward: false });
  check();
  expect(pool.size).toBe(3);
  relay.onBatch(encodeBatch([signTransfer({ from: KEYS[0]!, nonce: 1 })]), { from: 'flood', forward: false });
  check();
  expect(pool.size).toBe(4);
});

test.each([
  ['more items than any honest frame holds', encodeBatch(Array.from({ length: 500_000 }, () => Uint8Array.of(1)))],
  ['items that are lists', rlpEncode(Array.from({ length: 500_000 }, () => []))],
])('a frame of %s holds no transactions', (_, payload) => {
  expect(decodeBatch(payload)).toEqual([]);
});
