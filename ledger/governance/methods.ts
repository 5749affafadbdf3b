/** The calls that change the governance state. A refusal is a sentence for the sender; nothing has changed then. */
import { hexBytes } from '../../primitives/bytes.ts';
import type { Address, Hash, Height } from '../../primitives/ids.ts';
import type { Policy } from '../../primitives/policy.ts';
import { readyDigest } from '../../primitives/ready.ts';
import { recoverAddress } from '../../primitives/secp256k1.ts';
import { EVENTS, encodeEvent, UNCHANGED_POLICY } from './abi.ts';
import { candidatesOf, changeProblems } from './change.ts';
import { closeForRejoin, endProposals, type Step, settle } from './closing.ts';
import type { EvidenceJudge } from './judge.ts';
import { type Change, GOVERNANCE_LIMITS, type GovernanceState, type OpenProposal, type Outcome } from './state.ts';

/** What a call may know of the block it is in. */
export type CallContext = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly number: Height;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Hash of an ancestor of the block. */
  readonly hashAt: (height: Height) => Hash | undefined;
  /** The node's; without one no evidence is taken. */
  readonly judgeEvidence: EvidenceJudge | undefined;
};

/** How far back a READY may name a block, whatever the policy lets it count for: nodes need not remember older hashes. */
export const READY_BLOCKS_MAX = 256;

/** Validators that this account casts the votes of, or why it has none. */
export function seatsOf({ members, epoch }: GovernanceState, operator: Address): readonly Address[] | string {
  const seats = members.filter((member) => member.operator === operator).map(({ validator }) => validator);
  if (seats.length > 0) return seats;
  return `${operator} is no operator of a validator of epoch ${epoch}; only operators of current validators may do this`;
}

function sameFields(a: Policy, b: Policy): boolean {
  return (Object.keys(b) as (keyof Policy)[]).every((field) => a[field] === b[field]);
}

export type ProposeArguments = Omit<Change, 'policy'> & { readonly policy: Policy };

export function propose(
  { state, logs }: Step,
  { policy, additions, removals, replacements }: ProposeArguments,
  from: Address,
  context: CallContext,
): (Step & { readonly id: number }) | string {
  const seats = seatsOf(state, from);
  if (typeof seats === 'string') return seats;
  if (policy.quorumBasisPoints === 0 && !sameFields(policy, UNCHANGED_POLICY)) {
    return 'policy: quorumBasisPoints is 0, which leaves the policy as it is; give all of its fields or leave all of them 0';
  }
  const own = state.open.filter(({ proposer }) => proposer === from);
  if (own.length >= GOVERNANCE_LIMITS.openPerOperator) {
    return `${from} has ${own.length} open proposals (${own.map(({ id }) => id).join(', ')}); withdraw one first`;
  }
  const change = {
    additions,
    removals,
    replacements,
    policy: policy.quorumBasisPoints === 0 ? undefined : policy,
  };
  const [problem] = changeProblems(state, change);
  if (problem !== undefined) return problem;
  const id = state.nextId;
  const expiresAt = context.timestamp + state.policy.expirySeconds;
  const proposal: OpenProposal = {
    id,
    proposer: from,
    epoch: state.epoch,
    change,
    createdAt: context.timestamp,
    expiresAt,
    approvals: seats,
    rejections: [],
  };
  const next = { ...state, nextId: id + 1, open: [...state.open, proposal] };
  const proposed = encodeEvent(EVENTS.Proposed, {
    id,
    proposer: from,
    additions,
    removals,
    replacements,
    policy,
    expiresAt,
  });
  const votes = seats.map((validator) => encodeEvent(EVENTS.Voted, { id, validator, operator: from, approve: true }));
  return { ...settle({ state: next, logs: [...logs, proposed, ...votes] }, [proposal], context), id };
}

const ENDED_HOW: Readonly<Record<Outcome, string>> = {
  passed: 'has passed',
  withdrawn: 'was withdrawn',
  expired: 'has expired',
  lapsed: 'lapsed with its epoch',
};

/** An open proposal, or why there is none with this number. */
function openProposal({ open, ended, nextId }: GovernanceState, id: number): OpenProposal | string {
  const found = open.find((proposal) => proposal.id === id);
  if (found !== undefined) return found;
  const past = ended.find((proposal) => proposal.id === id);
  if (past !== undefined) return `proposal ${id} is not open any more, it ${ENDED_HOW[past.outcome]}; make a new one`;
  if (id > 0 && id < nextId) return `proposal ${id} ended long ago; make a new one`;
  return `there is no proposal ${id}; proposals() lists them`;
}

export function vote(
  { state, logs }: Step,
  { id, approve }: { readonly id: number; readonly approve: boolean },
  from: Address,
  context: CallContext,
): Step | string {
  const seats = seatsOf(state, from);
  if (typeof seats === 'string') return seats;
  const proposal = openProposal(state, id);
  if (typeof proposal === 'string') return proposal;
  const same = approve ? proposal.approvals : proposal.rejections;
  const cast = seats.filter((validator) => !same.includes(validator));
  if (cast.length === 0) return `${from} has voted ${approve ? 'for' : 'against'} proposal ${id} already`;
  const others = (list: readonly Address[]) => list.filter((validator) => !seats.includes(validator));
  const voted: OpenProposal = {
    ...proposal,
    approvals: approve ? [...proposal.approvals, ...cast] : others(proposal.approvals),
    rejections: approve ? others(proposal.rejections) : [...proposal.rejections, ...cast],
  };
  const next = { ...state, open: state.open.map((other) => (other === proposal ? voted : other)) };
  const votes = cast.map((validator) => encodeEvent(EVENTS.Voted, { id, validator, operator: from, approve }));
  return settle({ state: next, logs: [...logs, ...votes] }, [voted], context);
}

export function withdraw(
  { state, logs }: Step,
  { id }: { readonly id: number },
  from: Address,
  context: CallContext,
): Step | string {
  const proposal = openProposal(state, id);
  if (typeof proposal === 'string') return proposal;
  if (proposal.proposer !== from) {
    return `proposal ${id} was made by ${proposal.proposer}, who alone can withdraw it; vote against it instead`;
  }
  return {
    state: endProposals(state, [proposal], 'withdrawn', context),
    logs: [...logs, encodeEvent(EVENTS.Withdrawn, { id })],
  };
}

export type ReadyArguments = {
  readonly validator: Address;
  readonly height: Height;
  readonly hash: Hash;
  readonly incarnation: string;
  /** 65 bytes, 0x hex. */
  readonly signature: string;
};

/** From a candidate it counts for open proposals; from a current member it asks for a same-set epoch. */
export function ready({ state, logs }: Step, args: ReadyArguments, context: CallContext): Step | string {
  const { validator, height, hash, incarnation } = args;
  const isMember = state.members.some((member) => member.validator === validator);
  const refused =
    (isMember ? rejoinProblem(state, args, context) : candidacyProblem(state, args)) ??
    readyProblem(state, args, context);
  if (refused !== undefined) return refused;
  const told = [...logs, encodeEvent(EVENTS.Ready, { validator, height, hash, incarnation })];
  if (isMember) {
    const closed = closeForRejoin(state, { validator, incarnation }, context);
    return { state: closed.state, logs: [...told, ...closed.logs] };
  }
  const others = state.readiness.filter((known) => known.validator !== validator);
  const next = { ...state, readiness: [...others, { validator, height, hash, incarnation }] };
  return settle({ state: next, logs: told }, next.open, context);
}

function rejoinProblem(state: GovernanceState, args: ReadyArguments, context: CallContext): string | undefined {
  const { validator, incarnation } = args;
  const life = state.lives.find((known) => known.validator === validator);
  if (life === undefined) return undefined;
  if (life.incarnation === incarnation) {
    return `${validator} may sign as ${incarnation} already; a same-set epoch is for a new incarnation`;
  }
  const wait = life.rejoinedAt + state.policy.rejoinIntervalSeconds - context.timestamp;
  if (life.rejoinedAt === 0 || wait <= 0) return undefined;
  return `${validator} has had a same-set epoch lately; ask again in ${wait} s`;
}

function candidacyProblem(state: GovernanceState, { validator, height }: ReadyArguments): string | undefined {
  const named = state.open.some(({ change }) => candidatesOf(change).some((other) => other.validator === validator));
  if (!named) {
    return `${validator} is neither a validator nor a candidate of an open proposal; propose it first`;
  }
  // An older one would be a replay: it could put back the incarnation of a life that is lost.
  const known = state.readiness.find((other) => other.validator === validator);
  if (known === undefined || height > known.height) return undefined;
  return `${validator} is ready at block ${known.height} already; sign a newer block than that`;
}

/** What is wrong with the statement itself; the signature last, because it costs most. */
function readyProblem(state: GovernanceState, args: ReadyArguments, context: CallContext): string | undefined {
  const { validator, height, hash, incarnation, signature } = args;
  const { chainId, genesisHash, number, hashAt } = context;
  const most = Math.min(state.policy.readyLag, READY_BLOCKS_MAX);
  if (height >= number) return `block ${height} is not below this block ${number}; sign the newest final block`;
  if (number - height > most) {
    return `block ${height} is ${number - height} blocks back and at most ${most} are allowed; sign the newest final block`;
  }
  if (hashAt(height) !== hash) {
    return `block ${height} of this chain has another hash than ${hash}; sign the newest final block`;
  }
  const digest = readyDigest({ chainId, genesisHash, epoch: state.epoch, validator, height, hash, incarnation });
  if (recoverAddress(digest, hexBytes(signature)) === validator) return undefined;
  return `the signature is not that of ${validator} on this READY in epoch ${state.epoch}; sign it with the validator key`;
}
