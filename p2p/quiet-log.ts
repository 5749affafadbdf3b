/**
 * Log events of peers, rate-limited: the same key is said once, then at most once a minute with how often it happened
 * since, so that a stranger who knocks all day does not fill the disk.
 */
import type { TransportEvent } from './transport.ts';

const INTERVAL_MS = 60_000;
const KEYS_MAX = 1_000;

export type QuietLogOptions = { readonly log: (event: TransportEvent) => void; readonly now: () => number };

export class QuietLog {
  readonly #options: QuietLogOptions;
  readonly #said = new Map<string, { atMs: number; suppressed: number }>();

  constructor(options: QuietLogOptions) {
    this.#options = options;
  }

  /** Says it now, whatever was said before. */
  say(event: TransportEvent): void {
    this.#options.log(event);
  }

  /** Says it unless the same key was said within the last minute. */
  sayOnce(key: string, event: TransportEvent): void {
    const now = this.#options.now();
    const said = this.#said.get(key);
    if (said !== undefined && now - said.atMs < INTERVAL_MS) {
      said.suppressed++;
      return;
    }
    // Forgetting everything at once costs at most one extra line per key.
    if (said === undefined && this.#said.size >= KEYS_MAX) this.#said.clear();
    this.#said.set(key, { atMs: now, suppressed: 0 });
    const repeated = said?.suppressed ?? 0;
    this.say(repeated === 0 ? event : { ...event, data: { ...event.data, repeated } });
  }

  /** The matter is settled: the next time is news again. */
  forget(key: string): void {
    this.#said.delete(key);
  }
}
