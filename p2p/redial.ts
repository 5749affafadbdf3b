/**
 * Keeps trying to reach one peer, for ever: libp2p has no auto-dialler any more, and its keep-alive gives up after half
 * a minute. Back-off from 0.1 to 1 s with jitter, so that a killed validator is back within a second of listening again
 * and thirty validators do not knock in step.
 */
import { REDIAL_MAX_MS, REDIAL_MIN_MS, REDIAL_REFUSED_MS, SECOND_DIALLER_MS } from './limits.ts';

export type RedialOptions = {
  /** One attempt. It ends by a call of `linked` or `failed`. */
  readonly attempt: () => void;
  /** From 0 up to 1, for the jitter. */
  readonly random: () => number;
};

export class Redial {
  readonly #options: RedialOptions;
  /** We are the side that dials; otherwise we only do when the other has not for a while. */
  #designated: boolean;
  #failures = 0;
  #state: 'idle' | 'waiting' | 'busy' | 'stopped' = 'idle';
  #timer: NodeJS.Timeout | undefined;

  constructor(designated: boolean, options: RedialOptions) {
    this.#designated = designated;
    this.#options = options;
  }

  /** First attempt: at once for the designated side. */
  start(): void {
    if (this.#state === 'idle') this.#wait(this.#designated ? 0 : SECOND_DIALLER_MS);
  }

  /** The peer's place in the set, or its address, is another now: try again soon. */
  retry(designated: boolean): void {
    this.#designated = designated;
    this.#failures = 0;
    if (this.#state === 'waiting') this.#wait(this.#designated ? REDIAL_MIN_MS : SECOND_DIALLER_MS);
  }

  /** A link to the peer is up, whoever dialled it. */
  linked(): void {
    if (this.#state === 'stopped') return;
    clearTimeout(this.#timer);
    this.#state = 'idle';
    this.#failures = 0;
  }

  /** The attempt failed, or the link is gone. */
  failed(refused: boolean): void {
    if (this.#state === 'stopped' || this.#state === 'waiting') return;
    this.#wait(
      redialDelayMs({ failures: this.#failures++, refused, designated: this.#designated }, this.#options.random),
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#state = 'stopped';
  }

  #wait(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#state = 'waiting';
    this.#timer = setTimeout(() => {
      this.#state = 'busy';
      this.#options.attempt();
    }, delayMs);
  }
}

/** Doubling from the minimum to the maximum, then between half and all of it. */
export function redialDelayMs(
  after: { readonly failures: number; readonly refused: boolean; readonly designated: boolean },
  random: () => number,
): number {
  const backoff = Math.min(REDIAL_MAX_MS, REDIAL_MIN_MS * 2 ** Math.min(after.failures, 16));
  const base = after.refused ? REDIAL_REFUSED_MS : backoff;
  return Math.ceil(base * (0.5 + 0.5 * random())) + (after.designated ? 0 : SECOND_DIALLER_MS);
}
