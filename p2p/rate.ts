/**
 * A token bucket that may go into debt: what has arrived has arrived, so it is charged in full, and the caller waits
 * (pauses the stream, ignores the next gossip) until the debt is paid. The burst is one second's allowance.
 */

export type RateOptions = {
  readonly bytesPerSecond: number;
  readonly framesPerSecond: number;
  /** Milliseconds on any clock that does not go back. */
  readonly now: () => number;
};

export class Rate {
  readonly #options: RateOptions;
  #bytes: number;
  #frames: number;
  #at: number;

  constructor(options: RateOptions) {
    this.#options = options;
    this.#bytes = options.bytesPerSecond;
    this.#frames = options.framesPerSecond;
    this.#at = options.now();
  }

  /** Charges what arrived; gives the milliseconds to wait before taking more (0: none). */
  charge(bytes: number, frames: number): number {
    const { bytesPerSecond, framesPerSecond, now } = this.#options;
    const at = now();
    const seconds = Math.max(0, at - this.#at) / 1000;
    this.#at = at;
    this.#bytes = Math.min(bytesPerSecond, this.#bytes + seconds * bytesPerSecond) - bytes;
    this.#frames = Math.min(framesPerSecond, this.#frames + seconds * framesPerSecond) - frames;
    const wait = Math.max(-this.#bytes / bytesPerSecond, -this.#frames / framesPerSecond);
    return wait > 0 ? Math.ceil(wait * 1000) : 0;
  }
}
