/**
 * The mix of the swarm (reliability.md section 5.3): which kind of run a seed is, its size and its pace. What is decided
 * here is handed to the run like any other override, so that the command that replays it says it all.
 */
import { MACHINES_MAX } from './keys.ts';
import type { Overrides } from './options.ts';
import { Rng } from './rng.ts';

/**
 * Crashes, network and disks; liars, never more than the promises allow for; liars and faults beyond that; validators that
 * come and go.
 */
export const RUN_KINDS = ['crash', 'liars', 'anarchy', 'epochs'] as const;
export type RunKind = (typeof RUN_KINDS)[number];

export type Plan = {
  readonly kind: RunKind;
  readonly overrides: Overrides;
  /** Run twice, to see that nothing in it depends on anything but the seed. */
  readonly twice: boolean;
};

const SHARES: Readonly<Record<RunKind, number>> = { crash: 0.55, liars: 0.25, anarchy: 0.1, epochs: 0.1 };
const VALIDATORS_MAX = MACHINES_MAX - 1;
const PACE_MAX = 150;

function drawKind(rng: Rng): RunKind {
  let left = rng.float();
  for (const kind of RUN_KINDS) {
    left -= SHARES[kind];
    if (left < 0) return kind;
  }
  return 'epochs';
}

/** With n below 3 nobody may lie. */
function drawSize(rng: Rng, kind: RunKind): number {
  const usual = rng.pick([3, 3, 3, 5, 5, 7]);
  const least = kind === 'liars' || kind === 'anarchy' ? 3 : 1;
  const any = least + rng.int(VALIDATORS_MAX - least + 1);
  return rng.chance(0.6) ? usual : any;
}

const OF_KIND: Readonly<Record<RunKind, Overrides>> = {
  crash: { honest: true, without: ['epochs'] },
  liars: { lying: true, without: ['epochs'] },
  anarchy: { anarchy: true, without: ['epochs'] },
  epochs: { epochs: true },
};

/** Two thirds of the runs are slow ones, with a Δ of up to 40 seconds: what has a time of its own is short there. */
export function planOf(seed: number): Plan {
  const rng = new Rng(seed, 'mix');
  const kind = drawKind(rng);
  const validators = drawSize(rng, kind);
  const slow = Math.round(rng.scale(1, PACE_MAX));
  const pace = rng.chance(1 / 3) ? 1 : slow;
  return { kind, overrides: { ...OF_KIND[kind], validators, pace }, twice: rng.chance(0.01) };
}
