/** What a call to the governance contract has done, by the logs in its receipt. */
import { decodeEvent, EVENTS } from '../ledger/governance/abi.ts';
import { AbiError } from '../ledger/governance/abi-types.ts';
import { fromHex } from '../primitives/bytes.ts';
import type { Address, Epoch } from '../primitives/ids.ts';

export type CallOutcome = {
  /** The proposal that the call made. */
  readonly proposed: number | undefined;
  /** The epoch that begins after the block. */
  readonly opened: { readonly epoch: Epoch; readonly validators: readonly Address[] } | undefined;
};

/** `logs` of `eth_getTransactionReceipt`; what is no event of the contract is passed over. */
export function outcomeOf(logs: unknown): CallOutcome {
  let proposed: CallOutcome['proposed'];
  let opened: CallOutcome['opened'];
  for (const item of Array.isArray(logs) ? logs : []) {
    const { address, topics, data } = item as { address?: unknown; topics?: unknown; data?: unknown };
    const bytes = typeof data === 'string' ? fromHex(data) : undefined;
    if (typeof address !== 'string' || !Array.isArray(topics) || bytes === undefined) continue;
    const log = { address: address.toLowerCase(), topics: topics.map(String), data: bytes };
    try {
      proposed ??= decodeEvent(EVENTS.Proposed, log)?.id;
      const closed = decodeEvent(EVENTS.EpochClosed, log);
      if (closed) opened = { epoch: closed.epoch, validators: closed.validators.map(({ validator }) => validator) };
    } catch (error) {
      if (!(error instanceof AbiError)) throw error;
    }
  }
  return { proposed, opened };
}
