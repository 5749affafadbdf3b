/** Callers that wait for something to become final: so many at once, each for so long. */
import type { Unlisten } from './backend.ts';
import { LIMIT_EXCEEDED, REFUSED, RpcError } from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';

/** What one caller waits for. */
export type Wanted<T> = {
  /** Cut to what the limits allow. */
  readonly timeoutMs: number;
  /** The answer once it is there; looked at with every final block. */
  readonly look: () => T | undefined;
  /** What did not happen in that time. */
  readonly timedOut: (afterMs: number) => string;
};

export type FinalWaitersOptions = {
  readonly limits: Pick<RpcLimits, 'waitersMax' | 'waitMsMax'>;
  /** For the message when there are too many: blocks, epochs. */
  readonly what: string;
  readonly onFinal: (listener: () => void) => Unlisten;
};

export class FinalWaiters {
  readonly #options: FinalWaitersOptions;
  #count = 0;

  constructor(options: FinalWaitersOptions) {
    this.#options = options;
  }

  /** The answer at once, or as soon as a final block brings it. Refuses the caller that is one too many. */
  wait<T>({ timeoutMs, look, timedOut }: Wanted<T>): T | Promise<T> {
    const found = look();
    if (found !== undefined) return found;
    const { limits, what, onFinal } = this.#options;
    if (this.#count >= limits.waitersMax) {
      const message = `too many callers wait for ${what}: at most ${limits.waitersMax} on this node`;
      throw new RpcError(LIMIT_EXCEEDED, message);
    }
    this.#count++;
    const afterMs = Math.min(timeoutMs, limits.waitMsMax);
    return new Promise<T>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        unlisten();
        this.#count--;
      };
      const timer = setTimeout(() => {
        done();
        reject(new RpcError(REFUSED, `timed out: ${timedOut(afterMs)}`));
      }, afterMs);
      timer.unref();
      const unlisten = onFinal(() => {
        const answer = look();
        if (answer === undefined) return;
        done();
        resolve(answer);
      });
    });
  }
}
