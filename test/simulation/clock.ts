/**
 * A machine's two clocks. The monotonic one drifts against virtual time and never goes back; the wall clock drifts with
 * it, may be off and may jump. Blocks carry wall time, time-outs run on the monotonic clock.
 */
import type { Timeline } from './timeline.ts';

/** Wall time at the start of every run: any fixed instant does. */
export const WALL_START_MS = 1_800_000_000_000;

export class SimClock {
  readonly #timeline: Timeline;
  readonly #rate: number;
  readonly #bootMs: number;
  #offsetMs: number;

  constructor(
    timeline: Timeline,
    drawn: { readonly driftPpm: number; readonly offsetMs: number; readonly bootMs: number },
  ) {
    this.#timeline = timeline;
    this.#rate = 1 + drawn.driftPpm / 1e6;
    this.#bootMs = drawn.bootMs;
    this.#offsetMs = drawn.offsetMs;
  }

  monotonicMs(): number {
    return Math.floor(this.#bootMs + this.#timeline.now * this.#rate);
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.#timeline.now * this.#rate + this.#offsetMs);
  }

  /** The wall clock is off by this much from now on. */
  setOffset(offsetMs: number): void {
    this.#offsetMs = offsetMs;
  }
}
