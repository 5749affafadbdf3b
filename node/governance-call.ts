/** Calls of the governance contract, for an operator to sign. */
import { encodeCall, FUNCTIONS, UNCHANGED_POLICY } from '../ledger/governance/abi.ts';
import type { Change } from '../ledger/governance/state.ts';
import { toHex } from '../primitives/bytes.ts';
import { type Address, type Bytes, GOVERNANCE_ADDRESS } from '../primitives/ids.ts';

/** `data` is calldata, 0x hex. */
export type CallToSign = { readonly to: Address; readonly data: string };

function toSign(calldata: Bytes): CallToSign {
  return { to: GOVERNANCE_ADDRESS, data: toHex(calldata) };
}

export function proposeCall({ policy, ...change }: Change): CallToSign {
  return toSign(encodeCall(FUNCTIONS.propose, { ...change, policy: policy ?? UNCHANGED_POLICY }));
}

export function voteCall(id: number, approve: boolean): CallToSign {
  return toSign(encodeCall(FUNCTIONS.vote, { id, approve }));
}

export function withdrawCall(id: number): CallToSign {
  return toSign(encodeCall(FUNCTIONS.withdraw, { id }));
}
