/** Proposals as `xft_getProposals` shows them: everyone's vote, and of the open ones what they lead to and wait for. */
import { peerIdOf } from '../genesis/peer-address.ts';
import { candidatesOf } from '../ledger/governance/change.ts';
import { approvalsRequired, newSet } from '../ledger/governance/standing.ts';
import type { Candidate, EndedProposal, GovernanceState, OpenProposal, Outcome } from '../ledger/governance/state.ts';
import type { Address, Epoch, Height } from '../primitives/ids.ts';
import { faultsTolerated, type Validator } from '../primitives/membership.ts';
import { type ChangeJson, changeJson } from './governance-change.ts';
import { missingOf, type Sight } from './governance-outlook.ts';

export type CandidateView = {
  readonly validator: Address;
  readonly peerId: string;
  /** In touch with the node that is asked. */
  readonly reachable: boolean;
  /** Its READY counts now. */
  readonly ready: boolean;
  /** Block of its newest READY. */
  readonly readyAt: Height | null;
  /** Blocks behind, by what it tells its peers, else by its READY; null: not known. */
  readonly behind: number | null;
};

/** Plain JSON values. Times are Unix seconds. */
export type ProposalView = {
  readonly id: number;
  readonly status: 'open' | Outcome;
  /** In which it was made. */
  readonly epoch: Epoch;
  readonly proposer: Address;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly endedAt: number | null;
  readonly change: ChangeJson;
  readonly votes: readonly { validator: Address; operator: Address; vote: 'approve' | 'reject' | null }[];
  readonly approvals: number;
  readonly rejections: number;
  /** Approvals needed; null when it has ended. */
  readonly required: number | null;
  /** What it leads to; null when it has ended. */
  readonly after: { readonly validators: readonly Address[]; readonly t: number; readonly mustBeUp: number } | null;
  readonly candidates: readonly CandidateView[];
  /** In words; empty when nothing is missing, and when it has ended. */
  readonly missing: readonly string[];
};

export type ProposalsInput = {
  readonly state: GovernanceState;
  /** Newest final block, and the time the next one would have. */
  readonly head: Height;
  readonly timestamp: number;
  readonly sight: (validator: Validator) => Sight;
  readonly membersOf: (epoch: Epoch) => readonly Validator[];
};

/** By id, the oldest first. */
export function proposalViews(input: ProposalsInput): ProposalView[] {
  const { open, ended } = input.state;
  return [...ended, ...open].sort((a, b) => a.id - b.id).map((proposal) => proposalView(input, proposal));
}

export function proposalView(input: ProposalsInput, proposal: OpenProposal | EndedProposal): ProposalView {
  const { state, timestamp } = input;
  const { id, epoch, proposer, createdAt, expiresAt, change, approvals, rejections } = proposal;
  const over = expiresAt <= timestamp;
  const status = 'outcome' in proposal ? proposal.outcome : over ? 'expired' : 'open';
  const endedAt = 'endedAt' in proposal ? proposal.endedAt : over ? expiresAt : null;
  const votes = input.membersOf(epoch).map(({ validator, operator }) => ({
    validator,
    operator,
    vote: approvals.includes(validator)
      ? ('approve' as const)
      : rejections.includes(validator)
        ? ('reject' as const)
        : null,
  }));
  const isOpen = status === 'open';
  return {
    id,
    status,
    epoch,
    proposer,
    createdAt,
    expiresAt,
    endedAt,
    change: changeJson(change),
    votes,
    approvals: approvals.length,
    rejections: rejections.length,
    required: isOpen ? approvalsRequired(state) : null,
    after: isOpen ? afterView(input, proposal) : null,
    candidates: isOpen ? candidatesOf(change).map((candidate) => candidateView(input, candidate)) : [],
    missing: isOpen ? missingOf(state, proposal, input.head) : [],
  };
}

function afterView({ state, head }: ProposalsInput, { change }: OpenProposal): ProposalView['after'] {
  const { members } = newSet(state, change, head + 1);
  const t = faultsTolerated(members.length);
  return { validators: members.map(({ validator }) => validator), t, mustBeUp: members.length - t };
}

function candidateView({ state, head, sight }: ProposalsInput, candidate: Candidate): CandidateView {
  const { validator, nodeKey } = candidate;
  const { reachable, final } = sight(candidate);
  const said = state.readiness.find((ready) => ready.validator === validator);
  const isMember = state.members.some((member) => member.validator === validator);
  const known = final ?? said?.height;
  return {
    validator,
    peerId: peerIdOf(nodeKey),
    reachable,
    ready: isMember || (said !== undefined && head + 1 - said.height <= state.policy.readyLag),
    readyAt: said?.height ?? null,
    behind: known === undefined ? null : Math.max(0, head - known),
  };
}
