/**
 * What governs changes of the validator set (consensus.md section 7). It begins in the genesis and changes by the vote it
 * governs, so the file and the contract must agree on what each field may be.
 */

export type Policy = {
  /** A proposal passes when approvals * 10,000 > validators * this: 5,000 is "more than half". */
  readonly quorumBasisPoints: number;
  /** An open proposal ends this long after it was made, by the time in blocks. */
  readonly expirySeconds: number;
  /** Whether proven evidence will remove its culprit at the next epoch, or is only recorded. */
  readonly evidenceRemoves: boolean;
  /** No change may leave fewer validators. */
  readonly leastValidators: number;
  /** A READY counts for this many blocks. */
  readonly readyLag: number;
  /** Least time between two same-set epochs that one validator asks for, by the time in blocks. */
  readonly rejoinIntervalSeconds: number;
};

type Range = { readonly min: number; readonly max: number };
type NumberField = Exclude<keyof Policy, 'evidenceRemoves'>;

/** 9,999 is "all of them": with 10,000 nothing could ever pass. */
export const POLICY_RANGES: { readonly [K in NumberField]: Range } = {
  quorumBasisPoints: { min: 5000, max: 9999 },
  expirySeconds: { min: 1, max: 31_536_000 },
  leastValidators: { min: 1, max: 100 },
  readyLag: { min: 1, max: 1_000_000 },
  rejoinIntervalSeconds: { min: 1, max: 86_400 },
};

export const DEFAULT_POLICY: Policy = {
  quorumBasisPoints: 5000,
  expirySeconds: 604_800,
  evidenceRemoves: false,
  leastValidators: 1,
  readyLag: 1024,
  rejoinIntervalSeconds: 60,
};

/** What is out of range, one sentence each. */
export function policyProblems(policy: Policy): string[] {
  const fields = Object.entries(POLICY_RANGES) as [NumberField, Range][];
  return fields
    .filter(
      ([field, { min, max }]) => !Number.isSafeInteger(policy[field]) || policy[field] < min || policy[field] > max,
    )
    .map(([field, { min, max }]) => `${field} is ${policy[field]}; give a whole number from ${min} to ${max}`);
}
