/** eth_call and eth_estimateGas on the governance contract: views see the block that is read, transactions the next one. */
import { encodeError } from '../ledger/governance/abi.ts';
import { callGovernance, governanceGas } from '../ledger/governance/contract.ts';
import type { GovernanceState } from '../ledger/governance/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Height } from '../primitives/ids.ts';
import { judgeOnChain } from './evidence-on-chain.ts';
import type { CallRequest, CallResult } from './rpc/backend.ts';

export type GovernanceReading = {
  readonly ledger: Ledger;
  readonly chainId: number;
  readonly state: GovernanceState;
  /** The block whose state it is. */
  readonly block: { readonly number: Height; readonly timestamp: number };
  /** Unix seconds. */
  readonly now: number;
};

/** What the call returns, or the contract's sentence as a revert. */
export function readGovernance(request: CallRequest, reading: GovernanceReading): CallResult {
  const { ledger, chainId, state, block, now } = reading;
  const transaction = {
    chainId,
    genesisHash: ledger.genesisHash,
    number: block.number + 1,
    timestamp: Math.max(block.timestamp, now),
    hashAt: (height: Height) => ledger.headerByHeight(height)?.hash,
    judgeEvidence: judgeOnChain,
  };
  const result = callGovernance(state, request, { view: block, transaction });
  if (!result.ok) return { ok: false, message: result.message, data: encodeError(result.message) };
  return { ok: true, data: result.data, gasUsed: request.intrinsicGas + governanceGas(request.data) };
}
