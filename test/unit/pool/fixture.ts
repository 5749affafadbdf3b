/** Transactions and accounts for pool tests: no signatures, since the pool never looks at them. */
import { Pool, type PoolOptions } from '../../../ledger/pool.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { EMPTY } from '../../../primitives/bytes.ts';
import { type Address, ZERO_ADDRESS } from '../../../primitives/ids.ts';

let serial = 0;

export function address(n: number): Address {
  return '0x' + n.toString(16).padStart(40, '0');
}

export function transaction(fields: Partial<Transaction> & { readonly size?: number } = {}): Transaction {
  const { size = 110, gasPrice = 0n, ...rest } = fields;
  const price = rest.maxFeePerGas ?? gasPrice;
  return {
    raw: new Uint8Array(size),
    hash: '0x' + (++serial).toString(16).padStart(64, '0'),
    type: rest.maxFeePerGas === undefined ? 0 : 2,
    chainId: 1337,
    nonce: 0,
    gasLimit: 21_000,
    to: ZERO_ADDRESS,
    value: 0n,
    data: EMPTY,
    accessList: [],
    gasPrice: price,
    maxFeePerGas: price,
    maxPriorityFeePerGas: price,
    intrinsicGas: 21_000,
    signature: EMPTY,
    yParity: 0,
    v: 0n,
    r: 1n,
    s: 1n,
    from: address(1),
    ...rest,
  };
}

export type Chain = Map<Address, { nonce: number; balance: bigint }>;

/** A pool over a map of accounts and a clock that the test moves. */
export function makePool(options: Partial<PoolOptions> = {}) {
  const chain: Chain = new Map();
  const clock = { ms: 1_000_000 };
  const pool = new Pool({
    chainId: 1337,
    gasLimit: 100_000_000,
    baseFee: 0n,
    account: (who) => chain.get(who),
    now: () => clock.ms,
    ...options,
  });
  return { pool, chain, clock };
}

/** Proposing order on top of the final state. */
export function candidateHashes(pool: Pool, chain: Chain): string[] {
  return [...pool.candidates((who) => chain.get(who)?.nonce ?? 0)].map((tx) => tx.hash);
}
