/**
 * The transaction pool of one node: what could go into a block next (executable), and what waits behind a nonce gap.
 * Rules after geth's legacy pool (core/txpool/legacypool): a replacement must raise both caps by 10 %, the pool is
 * bounded in number and bytes, a sender's share is bounded. Purely local and deterministic: nothing here is consensus.
 * A transaction stays until a final block includes it or overtakes its nonce, so that a block that is voided in a view
 * change gives its transactions back by itself.
 */
import type { Address, Hash } from '../primitives/ids.ts';
import {
  type ChainTerms,
  checkFunds,
  checkReplacement,
  checkTerms,
  costOf,
  type Refusal,
  refuse,
  tipOf,
} from './pool-checks.ts';
import { POOL_LIMITS, type PoolLimits } from './pool-limits.ts';
import { byArrival, byTip, EvictionQueue } from './pool-order.ts';
import { type PoolEntry, PoolSender, type SenderAccount } from './pool-sender.ts';
import type { Transaction } from './transaction.ts';

export type PoolOptions = {
  readonly chainId: number;
  readonly gasLimit: number;
  readonly baseFee: bigint;
  readonly limits?: Partial<PoolLimits>;
  /** The account in the newest final state; undefined when it does not exist. */
  readonly account: (address: Address) => SenderAccount | undefined;
  readonly now: () => number;
  /** The accounts here are behind the chain's: a nonce that looks far ahead may be the next one. Default: they are not. */
  readonly isBehind?: () => boolean;
};

export type AddResult = { readonly ok: true } | Refusal;
export type PoolListener = (transaction: Transaction) => void;

const NO_ACCOUNT: SenderAccount = { nonce: 0, balance: 0n };
/** Hashes of included transactions remembered per generation; two generations are kept. */
const RECENT_MAX = 16_384;

export class Pool {
  readonly #terms: ChainTerms;
  readonly #account: (address: Address) => SenderAccount;
  readonly #now: () => number;
  readonly #isBehind: () => boolean;
  /** In order of arrival. */
  readonly #entries = new Map<Hash, PoolEntry>();
  readonly #senders = new Map<Address, PoolSender>();
  readonly #tips = new Map<bigint, number>();
  readonly #evictions = new EvictionQueue((entry) => this.#entries.get(entry.transaction.hash) === entry);
  readonly #onAdd = new Set<PoolListener>();
  readonly #onExecutable = new Set<PoolListener>();
  #recent = new Set<Hash>();
  #recentBefore = new Set<Hash>();
  #arrivals = 0;
  #bytes = 0;
  #executable = 0;

  constructor(options: PoolOptions) {
    const { chainId, gasLimit, baseFee } = options;
    this.#terms = { chainId, gasLimit, baseFee, limits: { ...POOL_LIMITS, ...options.limits } };
    this.#account = (address) => options.account(address) ?? NO_ACCOUNT;
    this.#now = options.now;
    this.#isBehind = options.isBehind ?? (() => false);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of all raw transactions held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many follow each other without a gap from their senders' nonces. */
  get executableCount(): number {
    return this.#executable;
  }

  has(hash: Hash): boolean {
    return this.#entries.has(hash);
  }

  get(hash: Hash): Transaction | undefined {
    return this.#entries.get(hash)?.transaction;
  }

  /** In the pool, or included in a recent final block: no need to decode it again, its signature least of all. */
  isKnown(hash: Hash): boolean {
    return this.#entries.has(hash) || this.#recent.has(hash) || this.#recentBefore.has(hash);
  }

  /** Takes a transaction in, or says why not in geth's words. */
  add(tx: Transaction): AddResult {
    if (this.#entries.has(tx.hash)) return refuse('already known');
    const unfit = checkTerms(tx, this.#terms);
    if (unfit !== undefined) return unfit;
    const known = this.#senders.get(tx.from);
    const sender = known ?? new PoolSender(tx.from, this.#account(tx.from));
    const entry: PoolEntry = {
      transaction: tx,
      sender,
      arrival: this.#arrivals++,
      addedMs: this.#now(),
      cost: costOf(tx),
      tip: tipOf(tx, this.#terms.baseFee),
    };
    const refused = this.#checkSender(entry, known !== undefined) ?? this.#makeRoom(entry);
    if (refused !== undefined) return refused;
    this.#insert(entry);
    return { ok: true };
  }

  /**
   * What a block on top of a state may take, best first: per sender in nonce order, beginning at the nonce that state
   * has. The pool must not change while this is walked.
   */
  candidates(nonceOf: (address: Address) => number): Iterable<Transaction> {
    return this.#tips.size <= 1 ? byArrival(this.#entries.values(), nonceOf) : byTip(this.#senders.values(), nonceOf);
  }

  /**
   * The nonce the sender should use next. `from`: its nonce on top of certified blocks, when that is ahead of the final
   * state.
   */
  pendingNonce(address: Address, from?: number): number {
    const sender = this.#senders.get(address);
    const nonce = from ?? sender?.account.nonce ?? this.#account(address).nonce;
    return sender === undefined ? nonce : sender.nextNonceFrom(nonce);
  }

  /**
   * A block became final and its state is what `account` now reads. `changed`: further accounts whose nonce or balance
   * fell. Cost follows the block, not the pool.
   */
  onFinal(included: readonly Transaction[], changed: Iterable<Address> = []): void {
    const senders = new Set<PoolSender>();
    for (const tx of included) {
      this.#remember(tx.hash);
      const sender = this.#senders.get(tx.from);
      if (sender !== undefined) senders.add(sender);
    }
    for (const address of changed) {
      const sender = this.#senders.get(address);
      if (sender !== undefined) senders.add(sender);
    }
    for (const sender of senders) {
      const account = this.#account(sender.address);
      this.#retain(
        sender,
        account,
        (entry) => entry.transaction.nonce >= account.nonce && entry.cost <= account.balance,
      );
    }
    this.#evictions.compact(this.#senders, this.#entries.size);
  }

  /** Drops what is older than the time to live and returns it. */
  expire(): readonly Transaction[] {
    const before = this.#now() - this.#terms.limits.timeToLiveMs;
    const old = new Map<PoolSender, Set<PoolEntry>>();
    const removed: Transaction[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.addedMs > before) break; // order of arrival is order of time
      removed.push(entry.transaction);
      const list = old.get(entry.sender);
      if (list === undefined) old.set(entry.sender, new Set([entry]));
      else list.add(entry);
    }
    for (const [sender, entries] of old) this.#retain(sender, sender.account, (entry) => !entries.has(entry));
    return removed;
  }

  /** Everything held, in order of arrival. */
  *transactions(): Generator<Transaction, void, void> {
    for (const entry of this.#entries.values()) yield entry.transaction;
  }

  /** Told of every transaction taken in. Returns the function that stops it. */
  onAdd(listener: PoolListener): () => void {
    this.#onAdd.add(listener);
    return () => void this.#onAdd.delete(listener);
  }

  /** Told of every transaction that becomes executable, in nonce order per sender. */
  onExecutable(listener: PoolListener): () => void {
    this.#onExecutable.add(listener);
    return () => void this.#onExecutable.delete(listener);
  }

  /** Nonce, funds, replacement and the sender's share. `cached`: the sender's account may be behind what it received. */
  #checkSender(entry: PoolEntry, cached: boolean): Refusal | undefined {
    const { transaction: tx, sender, cost } = entry;
    const { limits } = this.#terms;
    if (tx.nonce < sender.account.nonce) {
      return refuse(`nonce too low: next nonce ${sender.account.nonce}, tx nonce ${tx.nonce}`);
    }
    const queued = sender.expenditure(tx.nonce);
    if (cached && cost + queued > sender.account.balance)
      sender.account = { ...sender.account, balance: this.#account(tx.from).balance };
    const poor = checkFunds(cost, sender.account, queued);
    if (poor !== undefined) return poor;
    const old = sender.at(tx.nonce);
    if (old !== undefined) return checkReplacement(tx, old, limits.priceBumpPercent);
    const gapped = sender.entries.length - sender.executable;
    if (tx.nonce > sender.nextNonce && gapped >= limits.gappedPerSender) {
      const gappedMax = this.#isBehind() ? limits.executablePerSender : limits.gappedPerSender;
      if (gapped >= gappedMax) {
        return refuse(`account limit exceeded: more than ${gappedMax} transactions behind a nonce gap`);
      }
    }
    if (tx.nonce === sender.nextNonce && sender.executable >= limits.executablePerSender) {
      return refuse(`account limit exceeded: more than ${limits.executablePerSender} transactions of one sender`);
    }
    return undefined;
  }

  /** Evicts cheaper tails when the pool is full. */
  #makeRoom(entry: PoolEntry): Refusal | undefined {
    const { transaction: tx, sender, tip } = entry;
    const { limits } = this.#terms;
    const old = sender.at(tx.nonce)?.transaction;
    const need = {
      count: this.#entries.size + (old === undefined ? 1 : 0) - limits.transactionsMax,
      bytes: this.#bytes + tx.raw.length - (old?.raw.length ?? 0) - limits.bytesMax,
    };
    if (need.count <= 0 && need.bytes <= 0) return undefined;
    const victims = this.#evictions.plan({ sender: tx.from, tip, gapped: tx.nonce > sender.nextNonce }, need);
    if (victims === undefined) return refuse('transaction pool is full');
    for (const victim of victims) {
      const before = victim.sender.executable;
      victim.sender.removeTail();
      this.#forget(victim);
      this.#settle(victim.sender, before);
    }
    return undefined;
  }

  #insert(entry: PoolEntry): void {
    const { transaction: tx, sender, tip } = entry;
    const before = sender.executable;
    const old = sender.insert(entry);
    if (old !== undefined) this.#forget(old);
    this.#entries.set(tx.hash, entry);
    this.#bytes += tx.raw.length;
    this.#tips.set(tip, (this.#tips.get(tip) ?? 0) + 1);
    this.#senders.set(sender.address, sender);
    const promoted = sender.extend();
    this.#settle(sender, before);
    this.#evictions.compact(this.#senders, this.#entries.size);
    for (const listener of this.#onAdd) listener(tx);
    if (old !== undefined && !sender.isGapped(entry)) this.#announce([entry]);
    this.#announce(promoted);
  }

  #retain(sender: PoolSender, account: SenderAccount, keep: (entry: PoolEntry) => boolean): void {
    const before = sender.executable;
    const { removed, promoted } = sender.retain(account, keep);
    for (const entry of removed) this.#forget(entry);
    this.#settle(sender, before);
    this.#announce(promoted);
  }

  #announce(entries: readonly PoolEntry[]): void {
    for (const entry of entries) for (const listener of this.#onExecutable) listener(entry.transaction);
  }

  /** Takes an entry that has left its sender out of everything else. */
  #forget(entry: PoolEntry): void {
    this.#entries.delete(entry.transaction.hash);
    this.#bytes -= entry.transaction.raw.length;
    const left = this.#tips.get(entry.tip)! - 1;
    if (left === 0) this.#tips.delete(entry.tip);
    else this.#tips.set(entry.tip, left);
  }

  /** Brings the counts in line after a sender changed. */
  #settle(sender: PoolSender, executableBefore: number): void {
    this.#executable += sender.executable - executableBefore;
    if (sender.entries.length === 0) this.#senders.delete(sender.address);
    else this.#evictions.note(sender);
  }

  #remember(hash: Hash): void {
    this.#recent.add(hash);
    if (this.#recent.size < RECENT_MAX) return;
    this.#recentBefore = this.#recent;
    this.#recent = new Set();
  }
}
