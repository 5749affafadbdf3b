/**
 * Executed blocks that are not final, forks included: which of them a final block keeps, and which must go when there are
 * too many.
 */
import type { Hash } from '../primitives/ids.ts';
import type { Executed } from './executor.ts';

export class Speculation {
  readonly #blocksMax: number;
  /** Parents before children. */
  readonly #blocks = new Map<Hash, Executed>();

  constructor(blocksMax: number) {
    this.#blocksMax = blocksMax;
  }

  get(hash: Hash): Executed | undefined {
    return this.#blocks.get(hash);
  }

  /** Past the bound, the oldest block goes that neither `tip` nor the new one builds on, with what builds on it. */
  add(executed: Executed, tip: Executed): void {
    this.#blocks.set(executed.block.hash, executed);
    if (this.#blocks.size <= this.#blocksMax) return;
    const kept = new Set([...this.chainTo(tip), ...this.chainTo(executed)]);
    const oldest = [...this.#blocks.values()].find((known) => !kept.has(known));
    if (oldest === undefined) return;
    const gone = new Set<Hash>([oldest.block.hash]);
    this.#blocks.delete(oldest.block.hash);
    for (const [hash, { block }] of this.#blocks) {
      if (!gone.has(block.header.parentHash)) continue;
      gone.add(hash);
      this.#blocks.delete(hash);
    }
  }

  /** The block is final: only what builds on it stays. Returns the hashes of those, its own included. */
  settle(hash: Hash): ReadonlySet<Hash> {
    this.#blocks.delete(hash);
    const kept = new Set<Hash>([hash]);
    for (const [key, { block }] of this.#blocks) {
      if (kept.has(block.header.parentHash)) kept.add(key);
      else this.#blocks.delete(key);
    }
    return kept;
  }

  /** From above the newest final block up to this one, descending. */
  chainTo({ block }: Executed): Executed[] {
    const chain: Executed[] = [];
    let at = this.#blocks.get(block.hash);
    while (at !== undefined) {
      chain.push(at);
      at = this.#blocks.get(at.block.header.parentHash);
    }
    return chain;
  }
}
