/** A validator set and its hash (consensus.md section 11): genesis, consensus, ledger headers and p2p all name it. */

import type { Address, Hash } from './ids.ts';
import { keccakHash } from './keccak.ts';
import { rlpEncode } from './rlp.ts';

/** One member: three different keys, bound together. */
export type Validator = {
  /** Address of the key that signs consensus messages. */
  readonly validator: Address;
  /** 33-byte compressed secp256k1 public key of its libp2p identity, 0x hex. */
  readonly nodeKey: string;
  /** Ethereum account that casts its votes and receives its fees. */
  readonly operator: Address;
};

/** Validators of one epoch. */
export const VALIDATORS_MAX = 100;

/** Faults tolerated by `n` validators: t = floor((n-1)/2). */
export function faultsTolerated(validators: number): number {
  return Math.floor((validators - 1) / 2);
}

/** keccak256(RLP([[validator, nodeKey, operator], …])), in genesis order. */
export function membershipHash(validators: readonly Validator[]): Hash {
  return keccakHash(rlpEncode(validators.map((v) => [v.validator, v.nodeKey, v.operator])));
}
