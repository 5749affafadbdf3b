/**
 * What an operator asks of a node before signing: the open proposals, and dry runs of calls to the governance contract. A
 * dry run executes the call on the newest final state, as the next block would, and adds what only a node can know: who
 * is in touch and how far behind. It signs and sends nothing.
 */
import { candidatesOf, changeProblems, membersAfter } from '../ledger/governance/change.ts';
import { callGovernance, type GovernanceCall } from '../ledger/governance/contract.ts';
import { newSet } from '../ledger/governance/standing.ts';
import type { Change, GovernanceState } from '../ledger/governance/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { peerIdOfNodeKey } from '../p2p/peers.ts';
import type { Transport } from '../p2p/transport.ts';
import { hexBytes } from '../primitives/bytes.ts';
import type { Address, Height } from '../primitives/ids.ts';
import { faultsTolerated, type Validator } from '../primitives/membership.ts';
import { judgeOnChain } from './evidence-on-chain.ts';
import { type CallToSign, proposeCall, voteCall, withdrawCall } from './governance-call.ts';
import { type ChangeJson, type ChangeRequest, changeJson, completeChange } from './governance-change.ts';
import { changeWarnings, consequenceOf, type Sight } from './governance-outlook.ts';
import { type ProposalsInput, type ProposalView, proposalViews } from './governance-proposals.ts';
import type { NodeStatus } from './rpc/backend.ts';

/** What a dry run found: the call to sign, or in one sentence why the contract would refuse it. */
export type DryRun =
  | (CallToSign & {
      readonly ok: true;
      /** Unwise, not forbidden. */
      readonly warnings: readonly string[];
      /** What happens once it is final. */
      readonly next: string;
      /** Of the proposal it is about. */
      readonly id: number;
      /** It would open the next epoch. */
      readonly passes: boolean;
      readonly change: ChangeJson;
      /** The set the change leads to. */
      readonly after: { readonly validators: readonly Address[]; readonly t: number; readonly mustBeUp: number };
    })
  | { readonly ok: false; readonly problem: string };

export type GovernanceDeskOptions = {
  /** Newest final block that a peer which is no validator is known to have, by node key. */
  readonly followed: (nodeKey: string) => Height | undefined;
  readonly chainId: number;
  readonly ledger: Ledger;
  readonly status: () => NodeStatus;
  readonly transport: Pick<Transport, 'self' | 'connected'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};

/** `candidacy`: this node is to become a member; `ready`: so far as it is concerned, the proposal may pass. */
export type Standing = {
  readonly openProposals: number;
  readonly candidacy: { readonly proposal: number; readonly ready: boolean } | null;
};

type Subject = { readonly id: number; readonly change: Change };

export class GovernanceDesk {
  readonly #options: GovernanceDeskOptions;

  constructor(options: GovernanceDeskOptions) {
    this.#options = options;
  }

  get #state(): GovernanceState {
    const { ledger } = this.#options;
    return ledger.governanceAfter(ledger.head.hash);
  }

  /** The next block, if it were made now. */
  #next() {
    const { chainId, ledger, now } = this.#options;
    const { height, header } = ledger.head;
    return {
      chainId,
      genesisHash: ledger.genesisHash,
      number: height + 1,
      timestamp: Math.max(header.timestamp, Math.floor(now() / 1000)),
      hashAt: (at: number) => ledger.headerByHeight(at)?.hash,
      judgeEvidence: judgeOnChain,
    };
  }

  /** How this node sees others now. */
  #sight(): (validator: Validator) => Sight {
    const { transport, status, ledger, followed } = this.#options;
    const { validators } = status();
    const connected = transport.connected();
    return ({ validator, nodeKey }) => {
      const known = validators.find(({ address }) => address === validator);
      if (known !== undefined) return { reachable: known.reachable, final: known.final ?? undefined };
      const peer = peerIdOfNodeKey(nodeKey) ?? nodeKey;
      if (peer === transport.self) return { reachable: true, final: ledger.head.height };
      return { reachable: connected.includes(peer), final: followed(nodeKey) };
    };
  }

  #input(): ProposalsInput {
    const { ledger } = this.#options;
    return {
      state: this.#state,
      head: ledger.head.height,
      timestamp: this.#next().timestamp,
      sight: this.#sight(),
      membersOf: (epoch) => ledger.epochInfo(epoch)?.members ?? [],
    };
  }

  proposals(): ProposalView[] {
    return proposalViews(this.#input());
  }

  /** How many proposals are open, and whether one names this node as a member to be. */
  standing(): Standing {
    const { transport } = this.#options;
    const state = this.#state;
    const { number, timestamp } = this.#next();
    const open = state.open.filter(({ expiresAt }) => expiresAt > timestamp);
    for (const { id, change } of open) {
      const own = candidatesOf(change).find(({ nodeKey }) => peerIdOfNodeKey(nodeKey) === transport.self);
      if (own === undefined) continue;
      const { starters } = newSet(state, change, number);
      return { openProposals: open.length, candidacy: { proposal: id, ready: starters.includes(own.validator) } };
    }
    return { openProposals: open.length, candidacy: null };
  }

  /** `from`: the operator who would sign; without one, any whose call would be taken. */
  propose(request: ChangeRequest, from: Address | undefined): DryRun {
    const state = this.#state;
    const change = completeChange(request, state.policy);
    const problems = changeProblems(state, change);
    if (problems.length > 0) return { ok: false, problem: problems.join('; ') };
    return this.#dryRun(proposeCall(change), from, { id: state.nextId, change }, true);
  }

  vote(id: number, approve: boolean, from: Address | undefined): DryRun {
    return this.#dryRun(voteCall(id, approve), from, this.#subject(id), approve);
  }

  withdraw(id: number, from: Address | undefined): DryRun {
    return this.#dryRun(withdrawCall(id), from, this.#subject(id), false);
  }

  #subject(id: number): Subject {
    const found = this.#state.open.find((proposal) => proposal.id === id);
    return found ?? { id, change: { additions: [], removals: [], replacements: [], policy: undefined } };
  }

  #dryRun(call: CallToSign, from: Address | undefined, { id, change }: Subject, warn: boolean): DryRun {
    const before = this.#state;
    const { height } = this.#options.ledger.head;
    const after = this.#try(before, call, from);
    if (typeof after === 'string') return { ok: false, problem: after };
    const members = membersAfter(before.members, change);
    const t = faultsTolerated(members.length);
    return {
      ok: true,
      ...call,
      warnings: warn ? changeWarnings({ state: before, change, head: height, sight: this.#sight() }) : [],
      next: consequenceOf(before, after, id, height),
      id,
      passes: after.epoch > before.epoch,
      change: changeJson(change),
      after: { validators: members.map(({ validator }) => validator), t, mustBeUp: members.length - t },
    };
  }

  /** The state after the call, or why the contract refuses it. */
  #try(state: GovernanceState, { data }: CallToSign, from: Address | undefined): GovernanceState | string {
    const block = this.#next();
    const senders = from === undefined ? [...new Set(state.members.map(({ operator }) => operator))] : [from];
    let refused: string | undefined;
    for (const sender of senders) {
      const call: GovernanceCall = { from: sender, value: 0n, data: hexBytes(data) };
      const result = callGovernance(state, call, { view: block, transaction: block });
      if (result.ok) return result.state;
      refused ??= result.message;
    }
    return refused!;
  }
}
