/**
 * The transactions of the pool journal on their way back into the pool after a start. A node that was down may be behind
 * the chain, and by its old state refuse what it once accepted: funds that have not arrived yet, too many nonces ahead.
 * Such transactions are offered again while it catches up, and stay in the journal meanwhile.
 */
import type { Bytes } from '../primitives/ids.ts';
import type { SubmitOutcome } from './transaction-relay.ts';

/** The pause before the first further offer, and the longest one: each is twice the one before, checking costs time. */
const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 16_000;
/** After so long it is given up: the node has caught up by then, or has other troubles. */
const PATIENCE_MS = 600_000;

/** Refusals that no later state takes back: it is in the chain or in the pool, or another took its place. */
const SETTLED = /^(already known|nonce too low|replacement transaction underpriced)/;

export class PoolRestore {
  readonly #submit: (raw: Bytes) => SubmitOutcome;
  #waiting: readonly Bytes[];
  #pauseMs = PAUSE_FIRST_MS;
  #waitedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(raws: readonly Bytes[], submit: (raw: Bytes) => SubmitOutcome) {
    this.#waiting = raws;
    this.#submit = submit;
  }

  /** Not taken yet. */
  get waiting(): readonly Bytes[] {
    return this.#waiting;
  }

  /** Offers what waits to the pool, now and again until nothing waits. */
  start(): void {
    this.#waiting = this.#waiting.filter((raw) => {
      const outcome = this.#submit(raw);
      return !('hash' in outcome) && !SETTLED.test(outcome.message);
    });
    if (this.#waitedMs >= PATIENCE_MS) this.#waiting = [];
    if (this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => this.start(), this.#pauseMs);
    this.#waitedMs += this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MAX_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
