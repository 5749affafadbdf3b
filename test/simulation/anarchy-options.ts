/**
 * What is drawn for control runs, in which more is wrong than the protocol tolerates: it promises nothing there, and the
 * checkers must be seen to notice. Liars may be more than t, faults hit everybody, and in most of these runs the network
 * is split between honest validators while the liars, each run twice, keep both halves going.
 */
import { faultThreshold } from '../../consensus/config.ts';
import type { Rng } from './rng.ts';

/** Honest machines of two sides hear nothing of each other for a while. */
export type SplitOptions = {
  readonly sides: readonly [readonly number[], readonly number[]];
  readonly fromMs: number;
  readonly untilMs: number;
};

export type AnarchyOptions = { readonly liars: readonly number[]; readonly split: SplitOptions | undefined };

type Run = {
  readonly validators: number;
  /** Longest time-out of suspicion. */
  readonly timeoutMaxMs: number;
  readonly pace: number;
};

/** Undefined for validators that tolerate nothing: with them nobody lies. */
export function drawAnarchy(rng: Rng, { validators, timeoutMaxMs, pace }: Run): AnarchyOptions | undefined {
  const t = faultThreshold(validators);
  const isSplit = rng.chance(0.8);
  const order = rng.shuffle(Array.from({ length: validators }, (_, index) => index));
  const drawn = 1 + rng.int(Math.max(1, rng.chance(0.7) ? t : validators - 2));
  const fromMs = pace * rng.between(2000, 8000);
  const views = rng.between(1, 2) * (validators <= 4 ? 6 : 12);
  const cut = rng.float();
  if (t === 0) return undefined;
  // Each side needs n-t with the liars, or its view changes never end.
  const count = isSplit ? Math.max(drawn, validators - 2 * t) : drawn;
  const liars = order.slice(0, count);
  if (!isSplit) return { liars, split: undefined };
  const honest = order.slice(count);
  const least = Math.max(1, validators - t - count);
  const size = least + Math.floor(cut * (honest.length - 2 * least + 1));
  const sides = [honest.slice(0, size), honest.slice(size)] as const;
  return { liars, split: { sides, fromMs, untilMs: fromMs + views * timeoutMaxMs } };
}
