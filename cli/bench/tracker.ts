/**
 * Which transactions are under way, and what became of them. Latency is measured for every transaction, from when it
 * was sent (or was due to be) to when the client heard of the final block that holds it.
 */
import type { Hash } from '../../primitives/ids.ts';

type Waiter = { readonly count: number; readonly go: () => void };

export type Window = { readonly fromMs: number; readonly toMs: number };

/** One final block with transactions of ours. */
type FinalBlock = { readonly atMs: number; readonly latenciesMs: readonly number[] };

export class Tracker {
  readonly #underWay = new Map<Hash, number>();
  readonly #outstandingMax: number;
  readonly #blocks: FinalBlock[] = [];
  #waiters: Waiter[] = [];
  #final = 0;

  constructor(outstandingMax: number) {
    this.#outstandingMax = outstandingMax;
  }

  get outstanding(): number {
    return this.#underWay.size;
  }

  get final(): number {
    return this.#final;
  }

  /** Resolves when `count` more may be under way. */
  room(count: number): Promise<void> {
    if (this.#hasRoom(count)) return Promise.resolve();
    return new Promise((go) => {
      this.#waiters.push({ count, go });
    });
  }

  #hasRoom(count: number): boolean {
    return this.#underWay.size === 0 || this.#underWay.size + count <= this.#outstandingMax;
  }

  sent(hash: Hash, atMs: number): void {
    this.#underWay.set(hash, atMs);
  }

  /** A transaction the node will never include. */
  refused(hash: Hash): void {
    this.#underWay.delete(hash);
    this.#wake();
  }

  /** A final block, heard of at `atMs`. */
  onFinal(hashes: readonly Hash[], atMs: number): void {
    const latenciesMs: number[] = [];
    for (const hash of hashes) {
      const sentMs = this.#underWay.get(hash);
      if (sentMs === undefined) continue; // somebody else's
      this.#underWay.delete(hash);
      latenciesMs.push(atMs - sentMs);
    }
    this.#final += latenciesMs.length;
    if (latenciesMs.length > 0) this.#blocks.push({ atMs, latenciesMs });
    this.#wake();
  }

  /** Lets everybody through, at the end of a run. */
  release(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.go();
  }

  #wake(): void {
    while (this.#waiters.length > 0 && this.#hasRoom(this.#waiters[0]!.count)) this.#waiters.shift()!.go();
  }

  /** Blocks and latencies of what became final within a window. */
  within({ fromMs, toMs }: Window): { readonly blocks: number; readonly latenciesMs: Float64Array } {
    const blocks = this.#blocks.filter((block) => block.atMs > fromMs && block.atMs <= toMs);
    return { blocks: blocks.length, latenciesMs: Float64Array.from(blocks.flatMap((block) => block.latenciesMs)) };
  }
}

/** The value below which a share of the sorted values lies (nearest rank). */
export function percentile(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!;
}
