/** An epoch as the chain defines it: its members, the block that opened it and what that block carries. */
import type { Address, Epoch, Hash, Height } from '../primitives/ids.ts';
import { membershipHash, type Validator } from '../primitives/membership.ts';
import type { GovernanceState } from './governance/state.ts';
import type { Recovery } from './recovery.ts';

export type EpochInfo = {
  readonly epoch: Epoch;
  /** In the order of their indices. */
  readonly members: readonly Validator[];
  readonly membershipHash: Hash;
  /** Closing block of the epoch before; block 0 in epoch 0. */
  readonly root: { readonly height: Height; readonly hash: Hash };
  /** Incarnations (0x and 32 hex digits) that the closing block carries, by validator. */
  readonly incarnations: ReadonlyMap<Address, string>;
  /** Digest of the statement, when no closing block opened the epoch but a recovery: `root` is then its base. */
  readonly recovery?: Hash;
};

/** The epoch in force above a state, whose opening block has this hash. */
export function epochInfoOf(state: GovernanceState, rootHash: Hash): EpochInfo {
  const { epoch, members, rootHeight, incarnations, breaks } = state;
  const last = breaks.at(-1);
  return {
    epoch,
    members,
    membershipHash: membershipHash(members),
    root: { height: rootHeight, hash: rootHash },
    incarnations: new Map(incarnations.map(({ validator, incarnation }) => [validator, incarnation])),
    ...(last?.epoch === epoch - 1 && { recovery: last.digest }),
  };
}

/** The epoch that a recovery opens. */
export function epochOfRecovery({ epoch, base, members, digest }: Recovery): EpochInfo {
  const list = members.map(({ validator, nodeKey, operator }) => ({ validator, nodeKey, operator }));
  return {
    epoch: epoch + 1,
    members: list,
    membershipHash: membershipHash(list),
    root: base,
    incarnations: new Map(members.map(({ validator, incarnation }) => [validator, incarnation])),
    recovery: digest,
  };
}
