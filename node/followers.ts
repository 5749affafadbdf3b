/** How far peers that are no validators have come, as far as what they ask for shows it. */
import type { Height } from '../primitives/ids.ts';

const REMEMBERED_MAX = 64;

export class Followers {
  readonly #finals = new Map<string, Height>();

  /** A peer asked for the final blocks from a height on: it has those below. */
  onAsked(peer: string, from: Height): void {
    if (!this.#finals.has(peer) && this.#finals.size >= REMEMBERED_MAX) this.#finals.clear();
    this.#finals.set(peer, Math.max(0, from - 1));
  }

  /** Newest final block that a peer, named by its node key, is known to have. */
  finalOf(peer: string): Height | undefined {
    return this.#finals.get(peer);
  }
}
