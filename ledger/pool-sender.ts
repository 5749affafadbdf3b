/**
 * One sender's transactions, sorted by nonce. The first `executable` of them follow each other without a gap from the
 * account's nonce; the rest wait behind a gap.
 */
import type { Address } from '../primitives/ids.ts';
import type { Transaction } from './transaction.ts';

export type PoolEntry = {
  readonly transaction: Transaction;
  readonly sender: PoolSender;
  /** Order of arrival; a replacement arrives anew. */
  readonly arrival: number;
  readonly addedMs: number;
  /** What the transaction may cost its sender at most: gas limit times gas price, plus value. */
  readonly cost: bigint;
  /** What it pays the proposer per gas. The base fee is constant, so this never changes. */
  readonly tip: bigint;
};

export type SenderAccount = { readonly nonce: number; readonly balance: bigint };

const NONE: readonly PoolEntry[] = [];

export class PoolSender {
  readonly address: Address;
  /** Ascending nonces. */
  readonly entries: PoolEntry[] = [];
  /** The account in the newest final state; the pool renews it when a final block names the sender. */
  account: SenderAccount;
  executable = 0;
  /** What the executable entries may cost together. */
  #spent = 0n;

  constructor(address: Address, account: SenderAccount) {
    this.address = address;
    this.account = account;
  }

  /** Position of the first entry whose nonce is not below. */
  position(nonce: number): number {
    const entries = this.entries;
    const last = entries.length - 1;
    if (last < 0 || entries[last]!.transaction.nonce < nonce) return entries.length;
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries[middle]!.transaction.nonce < nonce) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  at(nonce: number): PoolEntry | undefined {
    const entry = this.entries[this.position(nonce)];
    return entry?.transaction.nonce === nonce ? entry : undefined;
  }

  /** First nonce that no executable transaction covers. */
  get nextNonce(): number {
    return this.account.nonce + this.executable;
  }

  /** First nonce from `from` on that the pool does not hold. */
  nextNonceFrom(from: number): number {
    if (from >= this.account.nonce && from <= this.nextNonce) return this.nextNonce;
    let nonce = from;
    for (let i = this.position(from); this.entries[i]?.transaction.nonce === nonce; i++) nonce++;
    return nonce;
  }

  isGapped(entry: PoolEntry): boolean {
    return entry.transaction.nonce >= this.nextNonce;
  }

  /** What the executable transactions may cost together; one at `nonce`, which would be replaced, is left out. */
  expenditure(nonce: number): bigint {
    const replaced = this.at(nonce);
    return replaced !== undefined && !this.isGapped(replaced) ? this.#spent - replaced.cost : this.#spent;
  }

  /** Takes the place its nonce gives it; an entry with the same nonce is replaced and returned. */
  insert(entry: PoolEntry): PoolEntry | undefined {
    const at = this.position(entry.transaction.nonce);
    const old = this.entries[at];
    if (old?.transaction.nonce === entry.transaction.nonce) {
      this.entries[at] = entry;
      if (at < this.executable) this.#spent += entry.cost - old.cost;
      return old;
    }
    this.entries.splice(at, 0, entry);
    return undefined;
  }

  /** Lengthens the executable prefix as far as it goes and returns what became executable. */
  extend(): readonly PoolEntry[] {
    const before = this.executable;
    let entry = this.entries[before];
    while (entry !== undefined && entry.transaction.nonce === this.nextNonce) {
      this.#spent += entry.cost;
      this.executable++;
      entry = this.entries[this.executable];
    }
    return before === this.executable ? NONE : this.entries.slice(before, this.executable);
  }

  /** Removes what does not pass, moves to the account given and counts anew. Returns what left and what was promoted. */
  retain(
    account: SenderAccount,
    keep: (entry: PoolEntry) => boolean,
  ): { readonly removed: readonly PoolEntry[]; readonly promoted: readonly PoolEntry[] } {
    const reached = this.nextNonce;
    const removed: PoolEntry[] = [];
    let kept = 0;
    for (const entry of this.entries) {
      if (keep(entry)) this.entries[kept++] = entry;
      else removed.push(entry);
    }
    this.entries.length = kept;
    this.account = account;
    this.executable = 0;
    this.#spent = 0n;
    const promoted = this.extend().filter((entry) => entry.transaction.nonce >= reached);
    return { removed, promoted };
  }

  /** Removes the entry with the highest nonce: the executable prefix stays whole. */
  removeTail(): void {
    const tail = this.entries.pop();
    if (tail === undefined || this.executable <= this.entries.length) return;
    this.executable--;
    this.#spent -= tail.cost;
  }
}
