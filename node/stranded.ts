/**
 * Notices that the others are in a later epoch to which nothing leads from here. A closing block is proven, and handed on
 * until everybody has it; what no proof leads to is an epoch begun by a recovery whose statement this node lacks. It then
 * stays where it is, and its operator has to be told why.
 */
import type { Epoch } from '../primitives/ids.ts';

/** Without a new final block for this long, although others speak in a later epoch. */
const PATIENCE_MS = 10_000;
const AGAIN_MS = 60_000;

export class Stranded {
  #later: { readonly epoch: Epoch; readonly since: number } | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** A message of a later epoch came. */
  onLater(epoch: Epoch, nowMs: number): void {
    this.#later = { epoch: Math.max(epoch, this.#later?.epoch ?? 0), since: this.#later?.since ?? nowMs };
  }

  /** This node got on. */
  onFinal(): void {
    this.#later = undefined;
  }

  /** The epoch of the others, when it is time to say that it cannot be reached. */
  due(nowMs: number): Epoch | undefined {
    const { epoch, since } = this.#later ?? {};
    if (since === undefined || nowMs - since < PATIENCE_MS || nowMs - this.#toldAt < AGAIN_MS) return undefined;
    this.#toldAt = nowMs;
    return epoch;
  }
}
