/**
 * What is drawn for liars that aim: which lies, told to whom, and what they wait for. All of it comes from a stream of its
 * own, so that what a seed draws besides is the same in a run with and one without schemes.
 */
import type { Rng } from './rng.ts';

/**
 * Lies that are told to chosen machines, at a chosen moment, by all liars together: `equivocates` shows them another valid
 * block, and votes for it; `delays` what they are waiting for; `empties` VC-FINALs, or fills them with forgeries;
 * `deceives` with other VIEW-CHANGEs, VC-FINALs and NEW-VIEWs than the rest gets; `spoils` blocks; `censors` accounts;
 * `storms` with SUSPECTs and jumps; `loses` its newest votes and certificates before a view change; `replays` what anybody
 * said, also as another chain's or epoch's; `garbles` frames.
 */
export const AIMED_HABITS = [
  'equivocates',
  'delays',
  'empties',
  'deceives',
  'spoils',
  'censors',
  'storms',
  'loses',
  'replays',
  'garbles',
] as const;
export type AimedHabit = (typeof AIMED_HABITS)[number];

/** What liars wait for. They read all traffic of the others. */
export const STRIKE_MOMENTS = [
  'any',
  'proposal',
  'vote',
  'accusation',
  'view change',
  'VC-FINAL',
  'NEW-VIEW',
  'restart',
  'hand-over',
] as const;
export type StrikeMoment = (typeof STRIKE_MOMENTS)[number];

export type SchemeOptions = {
  readonly moments: readonly StrikeMoment[];
  /** How long all liars lie once such a moment has come, and how long they hold back after that; means. */
  readonly strikeMs: number;
  readonly restMs: number;
  /** Honest machines that are lied to at a time, at most. */
  readonly marksMax: number;
};

export type DrawnScheme = { readonly scheme: SchemeOptions; readonly habits: readonly AimedHabit[] };

/** Half of the runs with liars have schemes; `forced` names the lies. */
export function drawScheme(
  rng: Rng,
  run: { readonly deltaMs: number; readonly machines: number; readonly forced: readonly AimedHabit[] | undefined },
): DrawnScheme | undefined {
  const { deltaMs, machines, forced } = run;
  const wanted = rng.chance(0.6);
  const drawn = AIMED_HABITS.filter(() => rng.chance(0.35));
  const moments = STRIKE_MOMENTS.filter(() => rng.chance(0.3));
  const scheme: SchemeOptions = {
    moments: moments.length === 0 ? ['any'] : moments,
    strikeMs: rng.scale(1, 40) * deltaMs,
    restMs: rng.pick([0, rng.scale(1, 40) * deltaMs]),
    marksMax: 1 + rng.int(machines),
  };
  const habits = forced ?? drawn;
  const isOn = forced === undefined ? wanted : forced.length > 0;
  return isOn && habits.length > 0 ? { scheme, habits } : undefined;
}
