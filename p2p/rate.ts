/**
 * A token bucket that may go into debt: what has arrived has arrived, so it is charged in full, and the caller waits
 * (pauses the stream, ignores the next gossip) until the debt is paid. The burst is one second's allowance.
 */

export type Allowance = { readonly bytesPerSecond: number; readonly framesPerSecond: number };

export type RateOptions = Allowance & {
  /** Milliseconds on any clock that does not go back. */
  readonly now: () => number;
};

export class Rate {
  readonly #now: () => number;
  #allowance: Allowance;
  #bytes: number;
  #frames: number;
  #at: number;

  constructor(options: RateOptions) {
    this.#now = options.now;
    this.#allowance = options;
    this.#bytes = options.bytesPerSecond;
    this.#frames = options.framesPerSecond;
    this.#at = options.now();
  }

  /** Another allowance from now on; a debt stays. */
  allow(allowance: Allowance): void {
    this.charge(0, 0);
    this.#allowance = allowance;
  }

  /** Charges what arrived; gives the milliseconds to wait before taking more (0: none). */
  charge(bytes: number, frames: number): number {
    const { bytesPerSecond, framesPerSecond } = this.#allowance;
    const at = this.#now();
    const seconds = Math.max(0, at - this.#at) / 1000;
    this.#at = at;
    this.#bytes = Math.min(bytesPerSecond, this.#bytes + seconds * bytesPerSecond) - bytes;
    this.#frames = Math.min(framesPerSecond, this.#frames + seconds * framesPerSecond) - frames;
    const wait = Math.max(-this.#bytes / bytesPerSecond, -this.#frames / framesPerSecond);
    return wait > 0 ? Math.ceil(wait * 1000) : 0;
  }
}
