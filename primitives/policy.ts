/**
 * What governs changes of the validator set (consensus.md section 7). It begins in the genesis and changes by the vote it
 * governs, so the file and the contract must agree on what each field may be.
 */
import { TIMING_RANGES, type Timing, timingMisfits } from './timing.ts';

export type Rules = {
  /** A proposal passes when approvals * 10,000 > validators * this: 5,000 is "more than half". */
  readonly quorumBasisPoints: number;
  /** An open proposal ends this long after it was made, by the time in blocks. */
  readonly expirySeconds: number;
  /** Whether evidence reported to the contract ends the epoch without its culprit, or is only recorded. */
  readonly evidenceRemoves: boolean;
  /** No change may leave fewer validators. */
  readonly leastValidators: number;
  /** A READY counts for this many blocks. */
  readonly readyLag: number;
  /** Least time between two same-set epochs that one validator asks for, by the time in blocks. */
  readonly rejoinIntervalSeconds: number;
};

/** What votes may change. Its timing is all 0 as long as that of the genesis holds. */
export type Policy = Rules & Timing;

type Range = { readonly min: number; readonly max: number };
type NumberField = Exclude<keyof Rules, 'evidenceRemoves'>;

/** 9,999 is "all of them": with 10,000 nothing could ever pass. */
export const POLICY_RANGES: { readonly [K in NumberField]: Range } = {
  quorumBasisPoints: { min: 5000, max: 9999 },
  expirySeconds: { min: 1, max: 31_536_000 },
  leastValidators: { min: 1, max: 100 },
  readyLag: { min: 1, max: 1_000_000 },
  rejoinIntervalSeconds: { min: 1, max: 86_400 },
};

export const DEFAULT_RULES: Rules = {
  quorumBasisPoints: 5000,
  expirySeconds: 604_800,
  evidenceRemoves: false,
  leastValidators: 1,
  readyLag: 1024,
  rejoinIntervalSeconds: 60,
};

export const GENESIS_TIMING: Timing = { deltaMs: 0, suspicionTimeoutMs: 0, suspicionTimeoutMaxMs: 0 };

export const DEFAULT_POLICY: Policy = { ...DEFAULT_RULES, ...GENESIS_TIMING };

const TIMING_FIELDS = Object.keys(TIMING_RANGES) as (keyof Timing)[];

/** The timing that a policy sets in place of the genesis'; undefined when it sets none. */
export function policyTiming(policy: Policy): Timing | undefined {
  if (TIMING_FIELDS.every((field) => policy[field] === 0)) return undefined;
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = policy;
  return { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs };
}

/** What is wrong with it, one sentence each. */
export function policyProblems(policy: Policy): string[] {
  const timing = policyTiming(policy);
  const problems = outOfRange(policy, POLICY_RANGES);
  if (timing === undefined) return problems;
  const unfit = outOfRange(timing, TIMING_RANGES).map(
    (problem) => `${problem}, or 0 for all three times as the genesis has them`,
  );
  const misfits = timingMisfits(timing).map(({ field, expected }) => `${field} is ${timing[field]}; give ${expected}`);
  return [...problems, ...(unfit.length > 0 ? unfit : misfits)];
}

function outOfRange<K extends string>(
  values: { readonly [F in NoInfer<K>]: number },
  ranges: { readonly [F in K]: Range },
): string[] {
  const fields = Object.entries(ranges) as [K, Range][];
  return fields
    .filter(
      ([field, { min, max }]) => !Number.isSafeInteger(values[field]) || values[field] < min || values[field] > max,
    )
    .map(([field, { min, max }]) => `${field} is ${values[field]}; give a whole number from ${min} to ${max}`);
}
