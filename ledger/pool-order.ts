/**
 * The two orders of the pool. Proposing: highest tip first, among equals the one that came first, each sender's nonces
 * in turn. Evicting: what waits behind a gap before what could run, then the lowest tip, then the one that came last;
 * only a sender's highest nonce may go, so that eviction never makes a gap.
 */
import type { Address } from '../primitives/ids.ts';
import { Heap } from './pool-heap.ts';
import type { PoolEntry, PoolSender } from './pool-sender.ts';
import type { Transaction } from './transaction.ts';

function proposedBefore(a: PoolEntry, b: PoolEntry): boolean {
  return a.tip === b.tip ? a.arrival < b.arrival : a.tip > b.tip;
}

/** Proposing order in general: a heap of every sender's next transaction. */
export function* byTip(
  senders: Iterable<PoolSender>,
  nonceOf: (address: Address) => number,
): Generator<Transaction, void, void> {
  const heap = new Heap<PoolEntry>(proposedBefore);
  for (const sender of senders) {
    const first = sender.at(nonceOf(sender.address));
    if (first !== undefined) heap.push(first);
  }
  for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
    yield entry.transaction;
    const next = entry.sender.at(entry.transaction.nonce + 1);
    if (next !== undefined) heap.push(next);
  }
}

/**
 * The same order where all tips are equal, as on a chain without fees: one walk in order of arrival that asks for a
 * sender's nonce only when it meets the sender, so that a block costs what it takes and not what the pool holds.
 */
export function* byArrival(
  entries: Iterable<PoolEntry>,
  nonceOf: (address: Address) => number,
): Generator<Transaction, void, void> {
  const nextNonce = new Map<PoolSender, number>();
  for (const entry of entries) {
    const { sender, arrival } = entry;
    const next = nextNonce.get(sender) ?? nonceOf(sender.address);
    if (entry.transaction.nonce !== next) {
      nextNonce.set(sender, next);
      continue;
    }
    let run: PoolEntry | undefined = entry;
    let nonce = next;
    // Later nonces that came earlier have waited for this one.
    while (run !== undefined && run.arrival <= arrival) {
      yield run.transaction;
      nonce++;
      run = sender.at(nonce);
    }
    nextNonce.set(sender, nonce);
  }
}

type Tail = { readonly entry: PoolEntry; readonly gapped: boolean };

function evictedBefore(a: Tail, b: Tail): boolean {
  if (a.gapped !== b.gapped) return a.gapped;
  return a.entry.tip === b.entry.tip ? a.entry.arrival > b.entry.arrival : a.entry.tip < b.entry.tip;
}

/** What is asked of a newcomer when the pool is full. */
export type Newcomer = { readonly sender: Address; readonly tip: bigint; readonly gapped: boolean };

/** Cheapest tails. Entries that are no longer a tail, or changed sides of a gap, are skipped when they surface. */
export class EvictionQueue {
  readonly #heap = new Heap<Tail>(evictedBefore);
  readonly #live: (entry: PoolEntry) => boolean;

  constructor(live: (entry: PoolEntry) => boolean) {
    this.#live = live;
  }

  /** To be told of every sender whose tail, or the tail's side of the gap, changed. */
  note(sender: PoolSender): void {
    const entry = sender.entries.at(-1);
    if (entry !== undefined) this.#heap.push({ entry, gapped: sender.isGapped(entry) });
  }

  /** Bounds the memory of stale items. */
  compact(senders: ReadonlyMap<Address, PoolSender>, size: number): void {
    if (this.#heap.size <= 2 * size + 1024) return;
    this.#heap.clear();
    for (const sender of senders.values()) this.note(sender);
  }

  /** Enough cheaper tails to free what is asked, or undefined. Nothing is removed: the pool does that. */
  plan(newcomer: Newcomer, need: { readonly count: number; readonly bytes: number }): PoolEntry[] | undefined {
    const victims: PoolEntry[] = [];
    const planned = new Map<PoolSender, number>();
    const taken: Tail[] = [];
    let { count, bytes } = need;
    while (count > 0 || bytes > 0) {
      const tail = this.#heap.pop();
      if (tail === undefined) break;
      const { entry } = tail;
      const { sender } = entry;
      const at = sender.entries.length - 1 - (planned.get(sender) ?? 0);
      if (sender.entries[at] !== entry || !this.#live(entry) || sender.isGapped(entry) !== tail.gapped) continue;
      taken.push(tail);
      if (!cheaper(tail, newcomer)) break;
      if (sender.address === newcomer.sender) continue; // evicting below one's own newcomer would make a gap
      victims.push(entry);
      planned.set(sender, (planned.get(sender) ?? 0) + 1);
      count--;
      bytes -= entry.transaction.raw.length;
      const below = sender.entries[at - 1];
      if (below !== undefined) this.#heap.push({ entry: below, gapped: sender.isGapped(below) });
    }
    for (const tail of taken) this.#heap.push(tail);
    return count > 0 || bytes > 0 ? undefined : victims;
  }
}

/** A transaction that could run displaces any that waits behind a gap; between two of a kind the higher tip wins. */
function cheaper(tail: Tail, newcomer: Newcomer): boolean {
  if (tail.gapped !== newcomer.gapped) return tail.gapped;
  return tail.entry.tip < newcomer.tip;
}
