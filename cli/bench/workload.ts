/**
 * The transactions of a run: transfers of 1 wei around a ring of accounts, signed before the run, so that the machine's
 * processors work for the network while it is measured. A lane owns its accounts and sends one request at a time: the
 * nonces of an account then arrive in order whatever the network does.
 */
import type { Address, Bytes } from '../../primitives/ids.ts';
import { privateKeyAddress, randomPrivateKey } from '../../primitives/secp256k1.ts';
import { type SignedTransaction, signTransaction } from '../../primitives/sign-transaction.ts';
import type { Fees } from '../fees.ts';

export const TRANSFER_GAS = 21_000;

export type BenchAccount = { readonly key: Bytes; readonly address: Address; nonce: number };

export function makeAccounts(count: number): BenchAccount[] {
  return Array.from({ length: count }, () => {
    const key = randomPrivateKey();
    return { key, address: privateKeyAddress(key), nonce: 0 };
  });
}

export type Terms = Fees & { readonly chainId: number };

function signTransfer(from: BenchAccount, to: Address, terms: Terms): SignedTransaction {
  const fields = { ...terms, nonce: from.nonce++, gasLimit: TRANSFER_GAS, to, value: 1n, data: '0x' };
  return signTransaction(fields, from.key);
}

/** The signed transactions of one lane, taken from the front. */
export class Workload {
  readonly #accounts: readonly BenchAccount[];
  readonly #terms: Terms;
  #queue: SignedTransaction[] = [];
  #at = 0;

  constructor(accounts: readonly BenchAccount[], terms: Terms) {
    this.#accounts = accounts;
    this.#terms = terms;
  }

  get size(): number {
    return this.#queue.length - this.#at;
  }

  /** Signs `count` more, the accounts in turn. */
  sign(count: number): void {
    this.#queue = this.#queue.slice(this.#at);
    this.#at = 0;
    const accounts = this.#accounts;
    for (let i = 0; i < count; i++) {
      const from = accounts[i % accounts.length]!;
      this.#queue.push(signTransfer(from, accounts[(i + 1) % accounts.length]!.address, this.#terms));
    }
  }

  take(count: number): SignedTransaction[] {
    const batch = this.#queue.slice(this.#at, this.#at + count);
    this.#at += batch.length;
    return batch;
  }
}
