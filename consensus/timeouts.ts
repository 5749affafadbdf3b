/**
 * Time-outs of suspicion (consensus.md section 4). They start from the genesis' value, never fall below what Δ and the
 * measured round trip imply, double for each view change that fails in a row up to a cap, and ease back once blocks are
 * final again: an uncapped doubling is what keeps chains down for hours after an outage.
 */
import type { Parameters } from './config.ts';

/** A time-out below this many round trips would accuse peers that are merely far away, or busy. */
const ROUND_TRIPS_MIN = 4;
/** What is left of a long wait, as an estimate of the next, after each shorter one. */
const WAIT_FADES = 0.9;
/** Waits for votes may raise the time-out this far: a follower that votes just in time, block by block, gets no more. */
const LOAD_RAISES = 2;

export class Timeouts {
  readonly #parameters: Parameters;
  readonly #t: number;
  /** Doublings: view changes that failed in a row, less one for every finality proof since. */
  #failures = 0;
  /** Smoothed round trip to each peer, in ticks. */
  readonly #roundTrips = new Map<number, number>();

  /**
   * Longest of the recent waits for others' votes on a block. Under load a vote takes many times the round trip of a
   * heartbeat, and a view change then only makes things worse.
   */
  #longestWait = 0;

  constructor(parameters: Parameters, t: number) {
    this.#parameters = parameters;
    this.#t = t;
  }

  get delta(): number {
    return this.#parameters.deltaMs;
  }

  /** T: how long an active may stay silent, or keep back a COMMIT, COMMITTED or VC-FINAL. */
  get suspicion(): number {
    const { suspicionTimeoutMs, suspicionTimeoutMaxMs, deltaMs } = this.#parameters;
    const least = Math.max(suspicionTimeoutMs, 4 * deltaMs, ROUND_TRIPS_MIN * this.#roundTrip);
    const loaded = Math.min(ROUND_TRIPS_MIN * this.#longestWait, LOAD_RAISES * least);
    return Math.min(Math.max(least, loaded) * 2 ** this.#failures, Math.max(suspicionTimeoutMaxMs, 4 * deltaMs));
  }

  /** The slowest peer's but for t: whoever lies about its own, as many as may, moves this no further than a correct one. */
  get #roundTrip(): number {
    return [...this.#roundTrips.values()].sort((a, b) => b - a)[this.#t] ?? 0;
  }

  /** A view change: at least 6Δ from when it can go on. */
  get viewChange(): number {
    return Math.max(this.suspicion, 6 * this.delta);
  }

  /** How often what may have been lost is sent again. */
  get resend(): number {
    return this.delta;
  }

  get heartbeat(): number {
    return this.delta;
  }

  /** So many views before the one entered came to nothing. Past the cap none counts, or it would take long to ease. */
  onViewEntered(failed: number): void {
    for (let i = 0; i < failed; i++) {
      const before = this.suspicion;
      this.#failures++;
      if (this.suspicion > before) continue;
      this.#failures--;
      return;
    }
  }

  onFinal(): void {
    if (this.#failures > 0) this.#failures--;
  }

  /** Votes on a block came after this many ticks. */
  onAnswered(ticks: number): void {
    this.#longestWait = Math.max(ticks, this.#longestWait * WAIT_FADES);
  }

  onRoundTrip(peer: number, ticks: number): void {
    const before = this.#roundTrips.get(peer);
    this.#roundTrips.set(peer, before === undefined ? ticks : before + (ticks - before) / 8);
  }
}
