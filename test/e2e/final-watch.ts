/**
 * Follows the final blocks of every node while nodes come and go, and holds what it saw against what it sees later: a
 * height that was final with one hash must never be final with another, on any node.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { blocksOf } from './agreement.ts';
import type { Rpc } from './rpc.ts';

const POLL_MS = 20;
const POLL_TIMEOUT_MS = 3000;

export type FinalBlockSeen = { readonly height: number; readonly hash: string; readonly atMs: number };

export class FinalWatch {
  /** First sighting of each final block, on any node, in height order. */
  readonly blocks: FinalBlockSeen[] = [];
  /** When each transaction was first seen final. */
  readonly finalAt = new Map<string, number>();
  readonly contradictions: string[] = [];
  readonly #byHeight = new Map<number, string>();
  readonly #loops: Promise<void>[] = [];
  /** The highest block seen of each node. */
  readonly #seen = new Map<Rpc, number>();
  #stopped = false;

  constructor(rpcs: readonly Rpc[]) {
    for (const rpc of rpcs) this.follow(rpc);
  }

  /** Watches one more node. */
  follow(rpc: Rpc): void {
    this.#loops.push(this.#follow(rpc));
  }

  /** A node that is about to lose its blocks may show them again from the first. */
  forget(rpc: Rpc): void {
    this.#seen.delete(rpc);
  }

  async #follow(rpc: Rpc): Promise<void> {
    while (!this.#stopped) {
      try {
        const height = await rpc.blockNumber(POLL_TIMEOUT_MS);
        const seen = this.#seen.get(rpc) ?? -1;
        if (height < seen) this.contradictions.push(`${rpc.url} went back from block ${seen} to ${height}`);
        if (height > seen) {
          const from = Math.max(seen + 1, height - 500);
          for (const block of await blocksOf(rpc, from, height)) this.#take(rpc, block);
          this.#seen.set(rpc, height);
        }
      } catch {
        // Down, or coming up: that is what these tests are about.
      }
      await sleep(POLL_MS);
    }
  }

  #take(
    rpc: Rpc,
    block: { readonly number: string; readonly hash: string; readonly transactions: readonly string[] },
  ): void {
    const height = Number(block.number);
    const known = this.#byHeight.get(height);
    if (known !== undefined && known !== block.hash) {
      this.contradictions.push(`block ${height} was ${known}, ${rpc.url} has ${block.hash}`);
    }
    if (known !== undefined) return;
    const atMs = performance.now();
    this.#byHeight.set(height, block.hash);
    this.blocks.push({ height, hash: block.hash, atMs });
    for (const hash of block.transactions) this.finalAt.set(hash, atMs);
  }

  get height(): number {
    return Math.max(-1, ...this.#byHeight.keys());
  }

  /** Hash of the final block seen at a height. */
  hashAt(height: number): string | undefined {
    return this.#byHeight.get(height);
  }

  /** Time from a moment to the first block that became final after it, undefined when none did. */
  resumedAfterMs(moment: number): number | undefined {
    const next = this.blocks.find(({ atMs }) => atMs > moment);
    return next === undefined ? undefined : next.atMs - moment;
  }

  /** The longest time without a new final block in a stretch. */
  longestGapMs(from: number, to = performance.now()): number {
    const times = [from, ...this.blocks.map(({ atMs }) => atMs).filter((at) => at > from && at < to), to];
    let longest = 0;
    for (let i = 1; i < times.length; i++) longest = Math.max(longest, times[i]! - times[i - 1]!);
    return longest;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }
}
