/**
 * How proposals end and epochs close. A proposal that passes, and a same-set request, open the next epoch on top of the
 * block; what was open lapses when the set or the policy changes, because it was checked against the old ones. A same-set
 * epoch changes neither, so open proposals live on with their votes: else one liar that asks for such an epoch whenever
 * it may could keep everybody from ever voting it out.
 */
import { assert } from '../../primitives/errors.ts';
import type { Address, Hash, Height } from '../../primitives/ids.ts';
import { membershipHash, type Validator } from '../../primitives/membership.ts';
import type { Log } from '../receipt.ts';
import { EVENTS, encodeEvent } from './abi.ts';
import { candidatesOf, membersAfter } from './change.ts';
import { passes } from './standing.ts';
import {
  type Change,
  type EndedProposal,
  GOVERNANCE_LIMITS,
  type GovernanceState,
  type Life,
  type OpenProposal,
  type Outcome,
} from './state.ts';
import { changeBytes } from './state-codec.ts';

/** A state and what was logged on the way to it. */
export type Step = { readonly state: GovernanceState; readonly logs: readonly Log[] };

type Block = { readonly number: Height; readonly timestamp: number };
/** A block that may close the epoch knows its ancestors. */
type ClosingBlock = Block & { readonly hashAt: (height: Height) => Hash | undefined };

/** The newest that are kept: every block that changes the state hashes all of them. */
function kept(ended: readonly EndedProposal[]): EndedProposal[] {
  let bytes = 0;
  let from = ended.length;
  while (from > 0 && ended.length - from < GOVERNANCE_LIMITS.ended) {
    bytes += changeBytes(ended[from - 1]!.change);
    if (bytes > GOVERNANCE_LIMITS.endedBytes) break;
    from--;
  }
  return ended.slice(from);
}

/** Takes proposals off the open ones; READYs that no open proposal asks for go with them. */
export function endProposals(
  state: GovernanceState,
  proposals: readonly OpenProposal[],
  outcome: Outcome,
  { timestamp }: Block,
): GovernanceState {
  const open = state.open.filter((proposal) => !proposals.includes(proposal));
  const ended = [...state.ended, ...proposals.map((proposal) => ({ ...proposal, outcome, endedAt: timestamp }))];
  const wanted = new Set(open.flatMap(({ change }) => candidatesOf(change)).map(({ validator }) => validator));
  return {
    ...state,
    open,
    ended: kept(ended),
    readiness: state.readiness.filter(({ validator }) => wanted.has(validator)),
  };
}

/** Ends what is past its time; done before anything else in every call that changes the state. */
export function expireProposals(state: GovernanceState, block: Block): Step {
  const over = state.open.filter(({ expiresAt }) => expiresAt <= block.timestamp);
  if (over.length === 0) return { state, logs: [] };
  const logs = over.map(({ id }) => encodeEvent(EVENTS.Expired, { id }));
  return { state: endProposals(state, over, 'expired', block), logs };
}

/** Closes the epoch with the first of these open proposals that passes, if one does. */
export function settle({ state, logs }: Step, proposals: readonly OpenProposal[], block: ClosingBlock): Step {
  const passed = proposals.find((proposal) => passes(state, proposal, block.number));
  if (passed === undefined) return { state, logs };
  const { id, change } = passed;
  const members = membersAfter(state.members, change);
  const isMember = (validator: Address) => members.some((member) => member.validator === validator);
  const carried = state.readiness.filter(({ validator }) => isMember(validator));
  const lapsed = state.open.filter((proposal) => proposal !== passed);
  const ended = endProposals(endProposals(state, [passed], 'passed', block), lapsed, 'lapsed', block);
  const next: GovernanceState = {
    ...ended,
    multiaddrs: multiaddrsAfter(state, change, members),
    policy: change.policy ?? state.policy,
    lives: livesAfter(state, members, carried),
  };
  const closed = openEpoch(next, { members, carried, block });
  return {
    state: closed.state,
    logs: [
      ...logs,
      encodeEvent(EVENTS.Passed, { id, epoch: closed.state.epoch }),
      ...lapsed.map((proposal) => encodeEvent(EVENTS.Lapsed, { id: proposal.id })),
      ...closed.logs,
    ],
  };
}

/** A same-set epoch: nothing changes but what the closing block carries. */
export function closeForRejoin(
  state: GovernanceState,
  rejoining: { readonly validator: Address; readonly incarnation: string },
  block: ClosingBlock,
): Step {
  const { members } = state;
  const lives = livesAfter(state, members, [rejoining]).map((life) =>
    life.validator === rejoining.validator ? { ...life, rejoinedAt: block.timestamp } : life,
  );
  return openEpoch({ ...state, lives }, { members, carried: [rejoining], block });
}

/** The culprit of proven evidence leaves, where the policy says so and enough stay; undefined: it does not. */
export function closeForEvidence(state: GovernanceState, culprit: Address, block: ClosingBlock): Step | undefined {
  const { policy } = state;
  const members = state.members.filter(({ validator }) => validator !== culprit);
  const stays = members.length === state.members.length || members.length < Math.max(1, policy.leastValidators);
  if (!policy.evidenceRemoves || stays) return undefined;
  const lapsed = state.open;
  const next = {
    ...endProposals(state, lapsed, 'lapsed', block),
    multiaddrs: state.multiaddrs.filter(({ validator }) => validator !== culprit),
    lives: livesAfter(state, members, []),
  };
  const closed = openEpoch(next, { members, carried: [], block });
  const told = lapsed.map(({ id }) => encodeEvent(EVENTS.Lapsed, { id }));
  return { state: closed.state, logs: [...told, ...closed.logs] };
}

type Carried = readonly { readonly validator: Address; readonly incarnation: string }[];

function openEpoch(
  state: GovernanceState,
  {
    members,
    carried,
    block,
  }: { readonly members: readonly Validator[]; readonly carried: Carried; readonly block: ClosingBlock },
): Step {
  const incarnations = carried.map(({ validator, incarnation }) => ({ validator, incarnation }));
  const epoch = state.epoch + 1;
  const closed = encodeEvent(EVENTS.EpochClosed, {
    epoch,
    membershipHash: membershipHash(members),
    validators: members,
    ready: incarnations.map(({ validator }) => validator),
    incarnations: incarnations.map(({ incarnation }) => incarnation),
  });
  const hash = block.hashAt(state.rootHeight);
  assert(hash !== undefined, 'governance: the block that opened the epoch is an ancestor');
  const previousRoot = { height: state.rootHeight, hash };
  const reported = state.reported.filter((record) => record.epoch >= state.epoch);
  const next = {
    ...state,
    epoch,
    rootHeight: block.number,
    members,
    previousMembers: state.members,
    incarnations,
    previousRoot,
    reported,
  };
  return { state: next, logs: [closed] };
}

/** The newest life of each member; who leaves takes its record along. */
function livesAfter(state: GovernanceState, members: readonly Validator[], carried: Carried): Life[] {
  return members.flatMap(({ validator }) => {
    const before = state.lives.find((life) => life.validator === validator);
    const now = carried.find((life) => life.validator === validator);
    if (now === undefined) return before === undefined ? [] : [before];
    return [{ validator, incarnation: now.incarnation, rejoinedAt: before?.rejoinedAt ?? 0 }];
  });
}

function multiaddrsAfter(state: GovernanceState, change: Change, members: readonly Validator[]) {
  const named = candidatesOf(change).filter(({ multiaddr }) => multiaddr !== '');
  return members.flatMap(({ validator }) => {
    const found = [...named, ...state.multiaddrs].find((hint) => hint.validator === validator);
    return found === undefined ? [] : [{ validator, multiaddr: found.multiaddr }];
  });
}
