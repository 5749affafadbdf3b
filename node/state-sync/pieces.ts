/**
 * Pieces of work that sources have been asked for. When nothing new is left to ask for, a piece that somebody has kept for
 * long is asked of another as well, so that one mute source does not hold up the rest; the first useful answer counts.
 */

/** A piece may be asked of a second source after this long, and of so many at a time. */
const SECOND_AFTER_MS = 1_000;
const ASKED_OF_MAX = 3;

type Asked = { readonly peers: Set<string>; at: number };

export class Pieces<T extends object> {
  readonly #now: () => number;
  /** The one asked for first comes first. */
  readonly #open = new Map<T, Asked>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Nothing of it is needed any more, or all of it was given back. */
  isOpen(piece: T): boolean {
    return this.#open.has(piece);
  }

  ask(piece: T, peer: string): void {
    const asked = this.#open.get(piece) ?? { peers: new Set(), at: 0 };
    asked.peers.add(peer);
    asked.at = this.#now();
    this.#open.set(piece, asked);
  }

  /** A piece that others have been asked for, and not lately. */
  overdue(peer: string): T | undefined {
    for (const [piece, { peers, at }] of this.#open) {
      if (this.#now() - at >= SECOND_AFTER_MS && peers.size < ASKED_OF_MAX && !peers.has(peer)) return piece;
    }
    return undefined;
  }

  /** It came: later answers are not looked at. */
  close(piece: T): void {
    this.#open.delete(piece);
  }

  /** A source gave nothing. True when it was the last that was asked: the piece is closed, and nobody's. */
  giveUp(piece: T, peer: string): boolean {
    const asked = this.#open.get(piece);
    asked?.peers.delete(peer);
    return asked?.peers.size === 0 && this.#open.delete(piece);
  }
}
