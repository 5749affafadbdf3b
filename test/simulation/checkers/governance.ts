/**
 * A second, much simpler governance contract (consensus.md section 7): proposals, votes, READYs and what they make of the
 * validator list, executed over the one global chain. What the real one decided must agree with it. Arguments and the
 * digest of a READY are read by the code under test; every rule is written here anew.
 */
import { decodeArguments, FUNCTIONS, functionOf } from '../../../ledger/governance/abi.ts';
import { AbiError } from '../../../ledger/governance/abi-types.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { hexBytes } from '../../../primitives/bytes.ts';
import { type Address, type Epoch, GOVERNANCE_ADDRESS, type Hash, type Height } from '../../../primitives/ids.ts';
import type { Validator } from '../../../primitives/membership.ts';
import type { Policy } from '../../../primitives/policy.ts';
import { readyDigest } from '../../../primitives/ready.ts';
import { recoverAddress } from '../../../primitives/secp256k1.ts';

type Candidate = Validator & { readonly multiaddr: string };
type Change = {
  readonly additions: readonly Candidate[];
  readonly removals: readonly Address[];
  readonly replacements: readonly { readonly validator: Address; readonly by: Candidate }[];
  readonly policy: Policy | undefined;
};
type Proposal = {
  readonly id: number;
  readonly proposer: Address;
  readonly change: Change;
  readonly expiresAt: number;
  readonly approvals: ReadonlySet<Address>;
};
type Ready = { readonly height: Height; readonly incarnation: string };

export type BlockAt = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly number: Height;
  readonly timestamp: number;
  readonly hashAt: (height: Height) => Hash | undefined;
};

type State = {
  epoch: Epoch;
  members: readonly Validator[];
  policy: Policy;
  nextId: number;
  open: readonly Proposal[];
  ready: ReadonlyMap<Address, Ready>;
  /** Newest incarnation carried by a closing block, and when its holder last asked for a same-set epoch. */
  lives: ReadonlyMap<Address, { readonly incarnation: string; readonly rejoinedAt: number }>;
  /** Block that closed the epoch before. */
  closedAt: Height | undefined;
};

/** READYs name a block at most this far back. */
const READY_BACK_MAX = 256;
const OPEN_MAX = 2;

function candidatesOf({ additions, replacements }: Change): Candidate[] {
  return [...additions, ...replacements.map(({ by }) => by)];
}

function applied(members: readonly Validator[], change: Change): Validator[] {
  const next: Validator[] = [];
  for (const member of members) {
    if (change.removals.includes(member.validator)) continue;
    next.push(change.replacements.find(({ validator }) => validator === member.validator)?.by ?? member);
  }
  next.push(...change.additions);
  return next.map(({ validator, nodeKey, operator }) => ({ validator, nodeKey, operator }));
}

export class GovernanceModel {
  #state: State;

  constructor(members: readonly Validator[], policy: Policy) {
    this.#state = {
      epoch: 0,
      members,
      policy,
      nextId: 1,
      open: [],
      ready: new Map(),
      lives: new Map(),
      closedAt: undefined,
    };
  }

  get state(): Readonly<State> {
    return this.#state;
  }

  /** Applies a transaction that is final; others than calls of the contract change nothing. */
  apply(tx: Transaction, enoughGas: boolean, block: BlockAt): void {
    if (tx.to !== GOVERNANCE_ADDRESS || tx.value !== 0n || !enoughGas) return;
    if (this.#state.closedAt === block.number) return;
    const before = this.#expire(block);
    let after: State | undefined;
    try {
      after = this.#call(before, tx, block);
    } catch (error) {
      if (!(error instanceof AbiError)) throw error;
    }
    if (after !== undefined) this.#state = after;
  }

  #call(state: State, { data, from }: Transaction, block: BlockAt): State | undefined {
    switch (functionOf(data)) {
      case 'propose':
        return this.#propose(state, decodeArguments(FUNCTIONS.propose, data), from, block);
      case 'vote':
        return this.#vote(state, decodeArguments(FUNCTIONS.vote, data), from, block);
      case 'withdraw': {
        const { id } = decodeArguments(FUNCTIONS.withdraw, data);
        const own = state.open.some((proposal) => proposal.id === id && proposal.proposer === from);
        return own ? without(state, (proposal) => proposal.id === id) : undefined;
      }
      case 'ready':
        return this.#ready(state, decodeArguments(FUNCTIONS.ready, data), block);
      default:
        return undefined;
    }
  }

  #expire({ timestamp }: BlockAt): State {
    return without(this.#state, ({ expiresAt }) => expiresAt <= timestamp);
  }

  #propose(
    state: State,
    args: Omit<Change, 'policy'> & { readonly policy: Policy },
    from: Address,
    block: BlockAt,
  ): State | undefined {
    const seats = seatsOf(state, from);
    const change: Change = { ...args, policy: args.policy.quorumBasisPoints === 0 ? undefined : args.policy };
    if (seats.length === 0 || !isSound(state, change)) return undefined;
    if (state.open.filter(({ proposer }) => proposer === from).length >= OPEN_MAX) return undefined;
    const expiresAt = block.timestamp + state.policy.expirySeconds;
    const id = state.nextId;
    const proposal: Proposal = { id, proposer: from, change, expiresAt, approvals: new Set(seats) };
    return settled({ ...state, nextId: id + 1, open: [...state.open, proposal] }, [id], block);
  }

  #vote(
    state: State,
    { id, approve }: { readonly id: number; readonly approve: boolean },
    from: Address,
    block: BlockAt,
  ): State | undefined {
    const seats = seatsOf(state, from);
    const proposal = state.open.find((open) => open.id === id);
    if (seats.length === 0 || proposal === undefined) return undefined;
    const approvals = new Set(proposal.approvals);
    for (const seat of seats) {
      if (approve) approvals.add(seat);
      else approvals.delete(seat);
    }
    const open = state.open.map((other) => (other.id === id ? { ...proposal, approvals } : other));
    return settled({ ...state, open }, [id], block);
  }

  #ready(
    state: State,
    args: { validator: Address; height: number; hash: Hash; incarnation: string; signature: string },
    block: BlockAt,
  ): State | undefined {
    const { validator, height, hash, incarnation } = args;
    const { chainId, genesisHash, number, timestamp, hashAt } = block;
    const { epoch, policy } = state;
    const signed = readyDigest({ chainId, genesisHash, epoch, validator, height, hash, incarnation });
    const farBack = number - height > Math.min(policy.readyLag, READY_BACK_MAX);
    if (height >= number || farBack || hashAt(height) !== hash) return undefined;
    if (recoverAddress(signed, hexBytes(args.signature)) !== validator) return undefined;
    if (state.members.some((member) => member.validator === validator)) {
      const life = state.lives.get(validator);
      const early =
        life !== undefined && life.rejoinedAt > 0 && timestamp < life.rejoinedAt + policy.rejoinIntervalSeconds;
      if (early || life?.incarnation === incarnation) return undefined;
      const lives = new Map(state.lives).set(validator, { incarnation, rejoinedAt: timestamp });
      return { ...state, lives, epoch: epoch + 1, closedAt: number };
    }
    const named = state.open.some(({ change }) => candidatesOf(change).some((other) => other.validator === validator));
    const known = state.ready.get(validator);
    if (!named || (known !== undefined && known.height >= height)) return undefined;
    const ready = new Map(state.ready).set(validator, { height, incarnation });
    return settled(
      { ...state, ready },
      state.open.map(({ id }) => id),
      block,
    );
  }
}

function seatsOf({ members }: State, operator: Address): Address[] {
  return members.filter((member) => member.operator === operator).map(({ validator }) => validator);
}

/** Takes proposals away, and the READYs that nobody asks for any more. */
function without(state: State, isOver: (proposal: Proposal) => boolean): State {
  if (!state.open.some(isOver)) return state;
  const open = state.open.filter((proposal) => !isOver(proposal));
  const wanted = new Set(open.flatMap(({ change }) => candidatesOf(change).map(({ validator }) => validator)));
  return { ...state, open, ready: new Map([...state.ready].filter(([validator]) => wanted.has(validator))) };
}

/** Operators here never make a candidate up: what may be wrong is that the list has changed meanwhile. */
function isSound({ members, policy }: State, change: Change): boolean {
  const { additions, removals, replacements } = change;
  const subjects = [...removals, ...replacements.map(({ validator }) => validator)];
  if (subjects.length + additions.length === 0 && change.policy === undefined) return false;
  if (new Set(subjects).size !== subjects.length) return false;
  if (subjects.some((subject) => members.every(({ validator }) => validator !== subject))) return false;
  const next = applied(members, change);
  const distinct = new Set(next.map(({ validator }) => validator)).size === next.length;
  return distinct && next.length >= Math.max(1, (change.policy ?? policy).leastValidators);
}

/** Closes the epoch with the first of these proposals that passes. */
function settled(state: State, ids: readonly number[], { number }: BlockAt): State {
  const { members, policy, ready } = state;
  const required = Math.floor((members.length * policy.quorumBasisPoints) / 10_000) + 1;
  for (const { id, approvals, change } of state.open) {
    if (!ids.includes(id) || approvals.size < required) continue;
    const next = applied(members, change);
    const starters = next.filter(({ validator }) => {
      const said = ready.get(validator);
      const isReady = said !== undefined && number - said.height <= policy.readyLag;
      return isReady || members.some((member) => member.validator === validator);
    });
    if (starters.length < Math.floor((next.length - 1) / 2) + 1) continue;
    const lives = new Map<Address, { readonly incarnation: string; readonly rejoinedAt: number }>();
    for (const { validator } of next) {
      const before = state.lives.get(validator);
      const now = ready.get(validator);
      if (now !== undefined)
        lives.set(validator, { incarnation: now.incarnation, rejoinedAt: before?.rejoinedAt ?? 0 });
      else if (before !== undefined) lives.set(validator, before);
    }
    return {
      epoch: state.epoch + 1,
      members: next,
      policy: change.policy ?? policy,
      nextId: state.nextId,
      open: [],
      ready: new Map(),
      lives,
      closedAt: number,
    };
  }
  return state;
}
