/**
 * What is drawn for runs whose validator set changes: how many machines wait to be taken in, what operators propose and
 * how they vote, the policy, and the faults that only such runs have. All of it comes from a stream of its own, so that
 * what a seed draws besides is the same in a run with and one without epochs.
 */

import { faultsTolerated } from '../../primitives/membership.ts';
import { DEFAULT_POLICY, type Policy } from '../../primitives/policy.ts';
import type { Timing } from '../../primitives/timing.ts';
import { MACHINES_MAX } from './keys.ts';
import type { Rng } from './rng.ts';

export type EpochOptions = {
  /** Machines beside the founders, that may be taken in. */
  readonly candidates: number;
  readonly policy: Policy;
  /** Longer times than the genesis', which a vote may put in their place. */
  readonly timing: Timing;
  /** Mean time between two proposals, in all. */
  readonly proposeMs: number;
  /** Mean time between two looks that an operator takes at what is open. */
  readonly voteMs: number;
  readonly approveChance: number;
  /** Sizes of validator sets that are proposed. */
  readonly sizeMin: number;
  readonly sizeMax: number;
  /** Final blocks are gossiped, too. */
  readonly gossip: boolean;
  /** Machines whose disk is lost and that do not sign again yet, at most. */
  readonly lossesMax: number;
};

/** A policy under which epochs close within seconds, as the time of blocks goes. */
function drawPolicy(rng: Rng, leastValidators: number, pace: number): Policy {
  return {
    ...DEFAULT_POLICY,
    quorumBasisPoints: rng.pick([5000, 5000, 5000, 6667]),
    expirySeconds: Math.min(pace * rng.pick([5, 20, 604_800]), 604_800),
    readyLag: rng.pick([2, 10, 1024]),
    rejoinIntervalSeconds: rng.pick([1, 3, 10]),
    leastValidators,
  };
}

/**
 * Half of the runs have epochs. With lost disks about no set may be so small that it could not do without them: the
 * policy sees to that, whatever proposals meet.
 */
export function drawEpochs(
  rng: Rng,
  run: {
    readonly founders: number;
    readonly timing: Timing;
    readonly pace: number;
    readonly forced: boolean | undefined;
  },
): EpochOptions | undefined {
  const { founders, timing, pace, forced } = run;
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = timing;
  const longer = (ms: number): number => Math.round(1.5 * ms);
  const wanted = rng.chance(0.5);
  const candidates = Math.min(1 + rng.int(4), MACHINES_MAX - founders);
  const machines = founders + candidates;
  const sizeMax = Math.min(machines, rng.pick([3, 4, 5, 5, 7, 7, 9]));
  const least = rng.pick([1, 3, 3, 3, 5]);
  const sizeMin = Math.min(least, founders % 2 === 0 ? founders - 1 : founders, sizeMax);
  const epochs: EpochOptions = {
    candidates,
    policy: drawPolicy(rng, sizeMin, pace),
    timing: {
      deltaMs: longer(deltaMs),
      suspicionTimeoutMs: longer(suspicionTimeoutMs),
      suspicionTimeoutMaxMs: longer(suspicionTimeoutMaxMs),
    },
    proposeMs: rng.scale(4, 40) * deltaMs,
    voteMs: rng.scale(1, 15) * deltaMs,
    approveChance: rng.pick([0.6, 0.9, 1]),
    sizeMin,
    sizeMax: Math.max(sizeMin, sizeMax),
    gossip: rng.chance(0.5),
    lossesMax: faultsTolerated(sizeMin),
  };
  return (forced ?? wanted) ? epochs : undefined;
}
