/** A small chain for tests that damage its store, and all that can be asked of it. */
import type { Ledger } from '../../../ledger/ledger.ts';
import { extend, KEYS, transfer } from './fixtures.ts';

const [A, B, C] = [KEYS[0]!, KEYS[1]!, KEYS[2]!];
/** The state goes to the store with every fourth block. */
export const FLUSH = { nodes: 1_000_000, changes: 1_000_000, blocks: 4 };

export async function grow(ledger: Ledger, blocks: number): Promise<void> {
  for (let n = 0; n < blocks; n++) {
    const nonce = ledger.account(A.address, { final: true })!.nonce;
    const to = '0x' + nonce.toString(16).padStart(40, 'a');
    await extend(ledger, [
      transfer({ from: A, nonce, to, value: 5n, fee: 2n, tip: 1n }),
      transfer({ from: B, nonce, to: C.address, value: 3n }),
    ]);
  }
}

export function sync(ledger: Ledger): Promise<void> {
  return new Promise((resolve, reject) => ledger.sync((error) => (error ? reject(error) : resolve())));
}

/** Everything a client can ask, as text. */
export async function answers(ledger: Ledger): Promise<Record<string, string | undefined>> {
  const out: Record<string, string | undefined> = { head: ledger.head.hash };
  for (let height = 0; height <= ledger.head.height; height++) {
    const block = ledger.blockByHeight(height);
    out[`block ${height}`] = block?.hash;
    out[`raw ${height}`] = Buffer.from(ledger.rawBlock(height)!).toString('hex');
    out[`proof ${height}`] = ledger.proof(height) && Buffer.from(ledger.proof(height)!).toString('hex');
    out[`receipts ${height}`] = JSON.stringify(
      ledger.receipts(block!.hash)!.map((r) => [r.status, r.cumulativeGasUsed]),
    );
    for (const { address } of KEYS) out[`${address} at ${height}`] = show(ledger.account(address, { height }));
    for (const { hash } of block!.transactions) out[hash] = ledger.transactionByHash(hash)?.transaction.from;
  }
  return out;
}

function show(account: ReturnType<Ledger['account']> | 'pruned' | 'unknown'): string {
  return JSON.stringify(account, (_key, value) => (typeof value === 'bigint' ? value.toString() : value)) ?? 'none';
}
