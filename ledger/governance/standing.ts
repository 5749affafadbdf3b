/** Where a proposal stands: who has approved, and which members of the new set could start the next epoch. */
import type { Address, Height } from '../../primitives/ids.ts';
import { faultsTolerated, type Validator } from '../../primitives/membership.ts';
import { membersAfter } from './change.ts';
import type { Change, GovernanceState, OpenProposal } from './state.ts';

/** Least approvals with which approvals * 10,000 > validators * quorumBasisPoints. */
export function approvalsRequired({ members, policy }: GovernanceState): number {
  return Math.floor((members.length * policy.quorumBasisPoints) / 10_000) + 1;
}

export type NewSet = {
  readonly members: readonly Validator[];
  /** Members that must be current ones or ready: t' + 1, one synchronous group. */
  readonly startersRequired: number;
  /** Those that are. */
  readonly starters: readonly Address[];
  /** Neither current members nor ready. */
  readonly notReady: readonly Address[];
};

/** The set a change leads to, judged for a block of height `number`. */
export function newSet(state: GovernanceState, change: Change, number: Height): NewSet {
  const members = membersAfter(state.members, change);
  const starts = ({ validator }: Validator) =>
    state.members.some((member) => member.validator === validator) ||
    state.readiness.some((ready) => ready.validator === validator && number - ready.height <= state.policy.readyLag);
  return {
    members,
    startersRequired: faultsTolerated(members.length) + 1,
    starters: members.filter(starts).map(({ validator }) => validator),
    notReady: members.filter((member) => !starts(member)).map(({ validator }) => validator),
  };
}

export function passes(state: GovernanceState, proposal: OpenProposal, number: Height): boolean {
  if (proposal.approvals.length < approvalsRequired(state)) return false;
  const { starters, startersRequired } = newSet(state, proposal.change, number);
  return starters.length >= startersRequired;
}
