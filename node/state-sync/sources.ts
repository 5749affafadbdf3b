/**
 * Whom a snapshot may be asked of. A peer's word on how far it is counts until it is asked for that: nobody is believed,
 * only preferred. One that sent something wrong is left alone for a while, one that is slow for a shorter one, longer each
 * time.
 */
import type { Bytes, Height } from '../../primitives/ids.ts';
import { type Answer, encodeSyncMessage, type Request } from './messages.ts';

/** After wrong data. */
const BANNED_MS = 300_000;
/** After no answer: doubled each time in a row, up to so much. */
const SLOW_MS = 5_000;
const SLOW_MAX_MS = 120_000;
/** An answer that does not come by then is asked of another. */
const PATIENCE_MS = 8_000;
/** Until then its word on how far it is counts. */
const OWED_MS = 2_000;
/** Peers remembered. */
const PEERS_MAX = 256;

export type SourcePorts = {
  /** Peers in touch, by node key. */
  readonly connected: () => readonly string[];
  readonly send: (peer: string, payload: Bytes) => boolean;
  readonly now: () => number;
  readonly later: (run: () => void, delayMs: number) => void;
};

type Source = { final: Height; avoidUntil: number; slow: number };
type Waiting = { readonly peer: string; readonly since: number; readonly settle: (answer: Answer | undefined) => void };
type Unsent = Request extends infer R ? (R extends Request ? Omit<R, 'nonce'> : never) : never;

export class Sources {
  readonly #ports: SourcePorts;
  readonly #known = new Map<string, Source>();
  readonly #waiting = new Map<number, Waiting>();
  #nonce: number;

  constructor(ports: SourcePorts, firstNonce: number) {
    this.#ports = ports;
    this.#nonce = firstNonce;
  }

  #source(peer: string): Source {
    let source = this.#known.get(peer);
    if (source === undefined) {
      if (this.#known.size >= PEERS_MAX) this.#known.delete(this.#known.keys().next().value!);
      source = { final: 0, avoidUntil: Number.NEGATIVE_INFINITY, slow: 0 };
      this.#known.set(peer, source);
    }
    return source;
  }

  /** Peers in touch that are not left alone now. */
  usable(): readonly string[] {
    const now = this.#ports.now();
    return this.#ports.connected().filter((peer) => this.#source(peer).avoidUntil <= now);
  }

  finalOf(peer: string): Height {
    return this.#source(peer).final;
  }

  /** Newest block that some usable peer says it has; the word of one that owes an answer does not count. */
  best(): Height {
    const since = this.#ports.now() - OWED_MS;
    const owing = new Set(
      [...this.#waiting.values()].filter((waiting) => waiting.since < since).map(({ peer }) => peer),
    );
    const sources = this.usable().filter((peer) => !owing.has(peer));
    return Math.max(0, ...sources.map((peer) => this.finalOf(peer)));
  }

  ban(peer: string): void {
    this.#source(peer).avoidUntil = this.#ports.now() + BANNED_MS;
  }

  /** It had nothing to give just now. */
  rest(peer: string, forMs: number): void {
    this.#source(peer).avoidUntil = this.#ports.now() + forMs;
  }

  /** Questions to a peer that are not answered yet. */
  asked(peer: string): number {
    let count = 0;
    for (const waiting of this.#waiting.values()) if (waiting.peer === peer) count++;
    return count;
  }

  /** The answer, or undefined when none of the right kind comes in time: then the peer is slow. */
  async ask<K extends Answer['kind']>(
    peer: string,
    request: Unsent,
    kind: K,
  ): Promise<Extract<Answer, { kind: K }> | undefined> {
    const nonce = this.#nonce++;
    const answer = await new Promise<Answer | undefined>((resolve) => {
      const settle = (value: Answer | undefined): void => {
        if (this.#waiting.delete(nonce)) resolve(value);
      };
      this.#waiting.set(nonce, { peer, since: this.#ports.now(), settle });
      if (!this.#ports.send(peer, encodeSyncMessage({ ...request, nonce } as Request))) settle(undefined);
      else this.#ports.later(() => settle(undefined), PATIENCE_MS);
    });
    const source = this.#source(peer);
    if (answer?.kind !== kind) {
      source.avoidUntil = this.#ports.now() + Math.min(SLOW_MAX_MS, SLOW_MS * 2 ** source.slow++);
      return undefined;
    }
    source.slow = 0;
    if (answer.kind === 'HISTORY') source.final = answer.final;
    return answer as Extract<Answer, { kind: K }>;
  }

  /** Only what was asked, of whom it was asked, counts. */
  onAnswer(peer: string, answer: Answer): void {
    const waiting = this.#waiting.get(answer.nonce);
    if (waiting?.peer === peer) waiting.settle(answer);
  }

  /** The link is gone, and the answers with it. */
  onDown(peer: string): void {
    for (const waiting of [...this.#waiting.values()]) if (waiting.peer === peer) waiting.settle(undefined);
  }
}
