/** Epochs as `xft_getEpoch` shows them: enough, with the genesis, for a light client to walk from one to the next. */
import { peerIdOf } from '../genesis/peer-address.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { assert } from '../primitives/errors.ts';
import type { Address, Epoch, Hash, Height } from '../primitives/ids.ts';
import { faultsTolerated } from '../primitives/membership.ts';
import { finalityView } from './finality-view.ts';
import type { RecoveryStatement } from './recovery-statement.ts';
import type { FinalityProofView } from './rpc/backend.ts';

export type EpochValidatorView = {
  readonly address: Address;
  readonly peerId: string;
  readonly nodeKey: string;
  readonly operator: Address;
  /** Where it is found, as genesis or proposal said; null: not known. Proves nothing. */
  readonly multiaddr: string | null;
};

export type EpochView = {
  readonly epoch: Epoch;
  readonly firstBlock: Height;
  /** Of `validators`, as the header of the closing block has it in mixHash. */
  readonly membershipHash: Hash;
  readonly validators: readonly EpochValidatorView[];
  readonly t: number;
  /**
   * Finality proof of the block that closed the epoch before; null for epoch 0, which the genesis opens. After a recovery
   * the operators' statement: the old validators did not hand over.
   */
  readonly handover: FinalityProofView | { readonly recovery: RecoveryStatement } | null;
};

export type EpochViewInput = {
  readonly ledger: Ledger;
  readonly info: EpochInfo;
  /** May know where a validator is found. */
  readonly multiaddrOf: (validator: Address) => string | undefined;
  /** Of the recoveries that the ledger knows. */
  readonly statements: readonly RecoveryStatement[];
};

/** An epoch that a final block has begun. */
export function epochView({ ledger, info, multiaddrOf, statements }: EpochViewInput): EpochView {
  const { epoch, members, membershipHash, root, recovery } = info;
  const statement = recovery === undefined ? undefined : statements.find((known) => known.epoch + 1 === epoch);
  return {
    epoch,
    firstBlock: epoch === 0 ? 0 : root.height + 1,
    membershipHash,
    validators: members.map(({ validator, nodeKey, operator }) => ({
      address: validator,
      peerId: peerIdOf(nodeKey),
      nodeKey,
      operator,
      multiaddr: multiaddrOf(validator) ?? null,
    })),
    t: faultsTolerated(members.length),
    handover:
      statement !== undefined ? { recovery: statement } : epoch === 0 ? null : handover(ledger, epoch - 1, root.height),
  };
}

/** Nothing is ever proposed above a closing block, so it has a proof of its own. */
function handover(ledger: Ledger, before: Epoch, height: Height): FinalityProofView {
  const info = ledger.epochInfo(before);
  const proof = info && finalityView(ledger, info, height);
  assert(proof !== undefined, `closing block ${height} has no finality proof`);
  return proof;
}
