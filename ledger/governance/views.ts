/** The calls that only read: what a state says at a block. */
import { type Address, type Height, ZERO_HASH } from '../../primitives/ids.ts';
import { UNCHANGED_POLICY } from './abi.ts';
import type { EndedProposal, GovernanceState, OpenProposal } from './state.ts';

/** The block a state is read at. */
export type ReadAt = { readonly number: Height; readonly timestamp: number };

/** As the ABI numbers them; 0 is never used, so that an empty answer is not mistaken for one. */
const STATUS = { open: 1, passed: 2, withdrawn: 3, expired: 4, lapsed: 5 } as const;
const NO_INCARNATION = '0x' + '00'.repeat(16);

/** The block that opened the epoch belongs to the one before. */
function closes(state: GovernanceState, { number }: ReadAt): boolean {
  return state.epoch > 0 && state.rootHeight === number;
}

export function epochAt(state: GovernanceState, at: ReadAt): number {
  return closes(state, at) ? state.epoch - 1 : state.epoch;
}

export function membersAt(state: GovernanceState, at: ReadAt) {
  return closes(state, at) ? state.previousMembers : state.members;
}

/** A proposal as the ABI shows it. One past its time is shown as expired before a call takes note of it. */
function viewOf(proposal: OpenProposal | EndedProposal, { timestamp }: ReadAt) {
  const { change, ...rest } = proposal;
  const over = proposal.expiresAt <= timestamp;
  const outcome = 'outcome' in proposal ? proposal.outcome : over ? 'expired' : 'open';
  const endedAt = 'endedAt' in proposal ? proposal.endedAt : over ? proposal.expiresAt : 0;
  return { ...rest, ...change, policy: change.policy ?? UNCHANGED_POLICY, status: STATUS[outcome], endedAt };
}

export function proposalAt(state: GovernanceState, id: number, at: ReadAt) {
  const found = [...state.open, ...state.ended].find((proposal) => proposal.id === id);
  return found && viewOf(found, at);
}

export function proposalsAt(state: GovernanceState, at: ReadAt) {
  const isOver = ({ expiresAt }: OpenProposal) => expiresAt <= at.timestamp;
  const open = state.open.filter((proposal) => !isOver(proposal)).map((proposal) => viewOf(proposal, at));
  const ended = [...state.ended, ...state.open.filter(isOver)].map((proposal) => viewOf(proposal, at));
  return { open, ended };
}

/** A candidate's READY and whether it still counts; of a member, the incarnation it may sign as. */
export function readinessAt(state: GovernanceState, validator: Address, { number }: ReadAt) {
  const { readyLag } = state.policy;
  const ready = state.readiness.find((known) => known.validator === validator);
  if (ready !== undefined) {
    const { height, hash, incarnation } = ready;
    return { counts: number - height <= readyLag, height, hash, incarnation };
  }
  const counts = state.members.some((member) => member.validator === validator);
  const life = state.lives.find((known) => known.validator === validator);
  return { counts, height: 0, hash: ZERO_HASH, incarnation: life?.incarnation ?? NO_INCARNATION };
}
