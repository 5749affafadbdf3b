/**
 * What the governance contract knows (consensus.md section 7): plain data, never changed in place, so that blocks share it
 * with their parents until a call changes it. Everything is bounded, because every block that changes it encodes all of it.
 */
import type { Address, Epoch, Hash, Height } from '../../primitives/ids.ts';
import type { Validator } from '../../primitives/membership.ts';
import type { Policy } from '../../primitives/policy.ts';

/** A member to be. `multiaddr` is a hint where it is found, and may be empty. */
export type Candidate = Validator & { readonly multiaddr: string };

/** `by` takes the place of the member with this validator key. */
export type Replacement = { readonly validator: Address; readonly by: Candidate };

/** Removals close up, replacements keep their place, additions go to the end. */
export type Change = {
  readonly additions: readonly Candidate[];
  readonly removals: readonly Address[];
  readonly replacements: readonly Replacement[];
  /** Undefined: it stays as it is. */
  readonly policy: Policy | undefined;
};

export type OpenProposal = {
  readonly id: number;
  /** Operator account that made it. */
  readonly proposer: Address;
  readonly epoch: Epoch;
  readonly change: Change;
  /** Unix seconds, by the time in blocks. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Validators, in the order of their votes. */
  readonly approvals: readonly Address[];
  readonly rejections: readonly Address[];
};

export type Outcome = 'passed' | 'withdrawn' | 'expired' | 'lapsed';

export type EndedProposal = OpenProposal & { readonly outcome: Outcome; readonly endedAt: number };

/** A candidate's READY; kept while an open proposal names the candidate. */
export type Readiness = {
  readonly validator: Address;
  readonly height: Height;
  readonly hash: Hash;
  readonly incarnation: string;
};

/** The newest incarnation that a closing block carried for a member, in this epoch or an earlier one. */
export type Life = {
  readonly validator: Address;
  readonly incarnation: string;
  /** Unix seconds of the last same-set epoch it asked for; 0: none. */
  readonly rejoinedAt: number;
};

/** An epoch that its validators did not close: a recovery broke it off at its last block. */
export type Break = { readonly epoch: Epoch; readonly height: Height; readonly digest: Hash };

/** Faults of a validator in an epoch that evidence on the chain has proven: bit `k` stands for kind `k`. */
export type Reported = { readonly epoch: Epoch; readonly culprit: Address; readonly kinds: number };

export type GovernanceState = {
  /** Counts changes: no two states of one chain are equal, so none is found twice under its hash. */
  readonly revision: number;
  /** The epoch that blocks on top of this state belong to. */
  readonly epoch: Epoch;
  /** Height of the block that opened it, whose own epoch is the one before. */
  readonly rootHeight: Height;
  /** Validators of `epoch`, in the order of their indices. */
  readonly members: readonly Validator[];
  /** Those of the epoch before, which the opening block itself belongs to; the same in epoch 0. */
  readonly previousMembers: readonly Validator[];
  /** What the opening block carries. */
  readonly incarnations: readonly { readonly validator: Address; readonly incarnation: string }[];
  readonly lives: readonly Life[];
  /** Where members are found, as the proposals that brought them said. */
  readonly multiaddrs: readonly { readonly validator: Address; readonly multiaddr: string }[];
  readonly policy: Policy;
  readonly nextId: number;
  /** By id. */
  readonly open: readonly OpenProposal[];
  /** The newest, in the order of their ends. */
  readonly ended: readonly EndedProposal[];
  readonly readiness: readonly Readiness[];
  /** Every recovery of the chain, oldest first. */
  readonly breaks: readonly Break[];
  /** The block that opened the epoch before; undefined in epoch 0 and where a recovery opened this one. */
  readonly previousRoot: { readonly height: Height; readonly hash: Hash } | undefined;
  /** Of this epoch and the one before. */
  readonly reported: readonly Reported[];
};

export const GOVERNANCE_LIMITS = {
  /** Open proposals of one operator. */
  openPerOperator: 2,
  /** Additions, removals and replacements of one proposal. */
  changes: 100,
  /** The same, in bytes of their encoding. */
  changeBytes: 8192,
  multiaddrBytes: 200,
  ended: 64,
  /** The same, in bytes of what they would have changed: large ones are forgotten sooner. */
  endedBytes: 32_768,
} as const;

/** The state of block 0. */
export function genesisState(validators: readonly Validator[], policy: Policy): GovernanceState {
  const members = validators.map(({ validator, nodeKey, operator }) => ({ validator, nodeKey, operator }));
  return {
    revision: 0,
    epoch: 0,
    rootHeight: 0,
    members,
    previousMembers: members,
    incarnations: [],
    lives: [],
    multiaddrs: [],
    policy,
    nextId: 1,
    open: [],
    ended: [],
    readiness: [],
    breaks: [],
    previousRoot: undefined,
    reported: [],
  };
}
