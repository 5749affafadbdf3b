/**
 * Strangers cost us a handshake each (several elliptic-curve operations in JavaScript) before their key is known and
 * refused. A host whose peers were refused a few times in a row is therefore turned away before the handshake, except
 * for one try a second. A host on which a peer of ours lives is never turned away: strangers behind the same address
 * must not be able to lock a validator out.
 */

const BURST = 10;
const PER_SECOND = 1;
const HOSTS_MAX = 4_096;

export type KnockLimitOptions = {
  /** Milliseconds on a clock that does not go back. */
  readonly now: () => number;
  /** A connected or configured peer of ours is on this host. */
  readonly isHome: (host: string) => boolean;
};

export class KnockLimit {
  readonly #options: KnockLimitOptions;
  /** Tries left, as of the time beside it. */
  readonly #hosts = new Map<string, { tries: number; atMs: number }>();

  constructor(options: KnockLimitOptions) {
    this.#options = options;
  }

  /** Another handshake of this host came to nothing. */
  onRefused(host: string): void {
    const tries = this.#tries(host) - 1;
    // When it is full the memory is dropped whole: under a flood from that many hosts it would be of no use.
    if (!this.#hosts.has(host) && this.#hosts.size >= HOSTS_MAX) this.#hosts.clear();
    this.#hosts.set(host, { tries, atMs: this.#options.now() });
  }

  /** The host is to be turned away now, unheard. */
  isTurnedAway(host: string): boolean {
    return this.#hosts.has(host) && this.#tries(host) < 1 && !this.#options.isHome(host);
  }

  #tries(host: string): number {
    const known = this.#hosts.get(host);
    if (known === undefined) return BURST;
    return Math.min(BURST, known.tries + (Math.max(0, this.#options.now() - known.atMs) / 1000) * PER_SECOND);
  }
}
