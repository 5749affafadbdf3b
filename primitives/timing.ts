/**
 * The bounds on time that all validators of an epoch share (consensus.md section 4). They begin in the genesis and change
 * by vote, so the file and the contract must agree on what they may be.
 */

export type Timing = {
  /** Δ: bound on one message's delay plus processing between two correct validators. A safety parameter. */
  readonly deltaMs: number;
  /** Where time-outs of suspicion start, and how far doubling may take them. */
  readonly suspicionTimeoutMs: number;
  readonly suspicionTimeoutMaxMs: number;
};

const MINUTE_MS = 60_000;

export const TIMING_RANGES: { readonly [K in keyof Timing]: { readonly min: number; readonly max: number } } = {
  deltaMs: { min: 10, max: MINUTE_MS },
  suspicionTimeoutMs: { min: 20, max: 10 * MINUTE_MS },
  suspicionTimeoutMaxMs: { min: 20, max: 60 * MINUTE_MS },
};

/** What the three must leave room for, one sentence per field that does not; each is within its range. */
export function timingMisfits(timing: Timing): { readonly field: keyof Timing; readonly expected: string }[] {
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = timing;
  const misfits: { field: keyof Timing; expected: string }[] = [];
  const check = (fits: boolean, field: keyof Timing, expected: string) => {
    if (!fits) misfits.push({ field, expected });
  };
  check(
    suspicionTimeoutMs >= 2 * deltaMs,
    'suspicionTimeoutMs',
    `at least ${2 * deltaMs} (twice deltaMs, a message and its answer)`,
  );
  check(
    suspicionTimeoutMaxMs >= suspicionTimeoutMs,
    'suspicionTimeoutMaxMs',
    `at least ${suspicionTimeoutMs} (suspicionTimeoutMs, from which it grows)`,
  );
  check(
    suspicionTimeoutMaxMs <= 1024 * suspicionTimeoutMs,
    'suspicionTimeoutMaxMs',
    'at most 1024 times suspicionTimeoutMs',
  );
  return misfits;
}
