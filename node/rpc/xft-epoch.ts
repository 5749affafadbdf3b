/** xft_getEpoch and xft_checkEpoch: who decides, since when, and whether the present set is at work. */
import type { Epoch, Height } from '../../primitives/ids.ts';
import type { EpochView } from '../epoch-view.ts';
import type { Extension, Unlisten } from './backend.ts';
import { FinalWaiters } from './final-waiters.ts';
import type { RpcLimits } from './limits.ts';
import { args, parseCount } from './params.ts';

export type EpochSource = {
  /** The epoch of the next block. */
  present(): Epoch;
  /** An epoch that a final block has begun. */
  epoch(epoch: Epoch): EpochView | undefined;
  /** Newest final block and the epoch it belongs to. */
  newest(): { readonly height: Height; readonly epoch: Epoch };
  onFinal(listener: () => void): Unlisten;
};

const WAIT_MS_DEFAULT = 10_000;

function optionalCount(value: unknown, what: string, fallback: number): number {
  return value === undefined || value === null ? fallback : parseCount(value, what);
}

export function epochMethods(
  source: EpochSource,
  limits: Pick<RpcLimits, 'waitersMax' | 'waitMsMax'>,
): Readonly<Record<string, Extension>> {
  const waiters = new FinalWaiters({ limits, what: 'epochs', onFinal: (listener) => source.onFinal(listener) });

  /** The epoch once its validators have made a block final. Block 0 is no one's work. */
  const working = (epoch: Epoch): (EpochView & { readonly final: Height }) | undefined => {
    const newest = source.newest();
    if (newest.height === 0 || newest.epoch < epoch) return undefined;
    const view = source.epoch(epoch);
    return view && { ...view, final: newest.height };
  };

  const missing = (epoch: Epoch, afterMs: number): string =>
    source.epoch(epoch) === undefined
      ? `epoch ${epoch} has not begun after ${afterMs} ms: the chain is in epoch ${source.present()}`
      : `epoch ${epoch} has no final block after ${afterMs} ms; an idle chain makes none: send a transaction`;

  return {
    xft_getEpoch: (params) => {
      const epoch = optionalCount(args(params, 0, 1)[0], 'argument 0', source.present());
      return source.epoch(epoch) ?? null;
    },
    xft_checkEpoch: (params) => {
      const [number, timeout] = args(params, 0, 2);
      const epoch = optionalCount(number, 'argument 0', source.present());
      const timeoutMs = optionalCount(timeout, 'argument 1', WAIT_MS_DEFAULT);
      return waiters.wait({ timeoutMs, look: () => working(epoch), timedOut: (ms) => missing(epoch, ms) });
    },
  };
}
