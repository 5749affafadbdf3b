/**
 * Which epoch is in force where. The newest is in the governance state; earlier ones are found by the epochs that headers
 * name and read from the EpochClosed event of the closing block, which the header's receiptsRoot binds.
 */
import { assert } from '../primitives/errors.ts';
import type { Epoch, Hash, Height } from '../primitives/ids.ts';
import { headerEpoch } from './block.ts';
import { type EpochInfo, epochInfoOf, epochOfRecovery } from './epoch-info.ts';
import { decodeEvent, EVENTS } from './governance/abi.ts';
import type { GovernanceState } from './governance/state.ts';
import type { ChainReader, HeaderWithHash } from './reader.ts';
import type { Receipt } from './receipt.ts';
import { damaged } from './records.ts';
import type { Recovery } from './recovery.ts';

/** Past epochs kept decoded. */
const EPOCHS_MAX = 64;

export type EpochsOptions = {
  readonly reader: ChainReader;
  /** Epoch 0. */
  readonly first: EpochInfo;
  readonly recoveries: readonly Recovery[];
};

export class Epochs {
  readonly #options: EpochsOptions;
  /** Least recently used first. */
  readonly #past = new Map<Epoch, EpochInfo>();
  readonly #ofState = new WeakMap<GovernanceState, EpochInfo>();

  constructor(options: EpochsOptions) {
    this.#options = options;
  }

  /** The epoch in force above a state; `hashAt` gives ancestors of its block. */
  above(state: GovernanceState, hashAt: (height: Height) => Hash | undefined): EpochInfo {
    const known = this.#ofState.get(state);
    if (known !== undefined) return known;
    const hash = hashAt(state.rootHeight);
    assert(hash !== undefined, 'ledger: the block that opened the epoch is an ancestor');
    const info = epochInfoOf(state, hash);
    this.#ofState.set(state, info);
    return info;
  }

  /** An epoch that has ended by height `head`. Throws STORE_DAMAGED. */
  past(epoch: Epoch, head: Height): EpochInfo {
    const known = this.#past.get(epoch);
    if (known !== undefined) this.#past.delete(epoch);
    const info = known ?? (epoch === 0 ? this.#options.first : this.#recovered(epoch)) ?? this.#read(epoch, head);
    this.#past.set(epoch, info);
    for (const oldest of this.#past.keys()) {
      if (this.#past.size <= EPOCHS_MAX) break;
      this.#past.delete(oldest);
    }
    return info;
  }

  /** An epoch that a recovery opened: no event tells of it, the statement does. */
  #recovered(epoch: Epoch): EpochInfo | undefined {
    const recovery = this.#options.recoveries.find((known) => known.epoch + 1 === epoch);
    return recovery && epochOfRecovery(recovery);
  }

  #read(epoch: Epoch, head: Height): EpochInfo {
    const { reader } = this.#options;
    const height = this.#closingHeight(epoch, head);
    const entry = reader.at(height);
    if (entry === undefined) throw damaged(`block ${height} is missing`);
    const opened = openedBy(entry.block, entry.receipts, epoch);
    if (opened === undefined) throw damaged(`block ${height} does not open epoch ${epoch}`);
    return opened;
  }

  /** Height of the last block of the epoch before; blocks of `epoch` are above it. */
  #closingHeight(epoch: Epoch, head: Height): Height {
    // An epoch that was broken off before its first block, at the newest one.
    if (this.#epochAt(head) < epoch) return head;
    let low = 0;
    let high = head;
    // low belongs to an earlier epoch, high to this or a later one.
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#epochAt(middle) < epoch) low = middle;
      else high = middle;
    }
    return low;
  }

  #epochAt(height: Height): Epoch {
    const read = this.#options.reader.header(height);
    if (read === undefined) throw damaged(`block ${height} is missing`);
    // Block 0 has the hash of the genesis there.
    return height === 0 ? 0 : headerEpoch(read.header);
  }
}

/** The epoch that a block opens, by what its receipts say: undefined when it is not this one. */
export function openedBy(
  { header, hash }: HeaderWithHash,
  receipts: readonly Pick<Receipt, 'logs'>[],
  epoch: Epoch,
): EpochInfo | undefined {
  for (const log of receipts.flatMap(({ logs }) => logs)) {
    const closed = decodeEvent(EVENTS.EpochClosed, log);
    if (closed?.epoch !== epoch || closed.membershipHash !== header.mixHash) continue;
    return {
      epoch,
      members: closed.validators,
      membershipHash: closed.membershipHash,
      root: { height: header.number, hash },
      incarnations: new Map(closed.ready.map((validator, i) => [validator, closed.incarnations[i]!])),
    };
  }
  return undefined;
}
