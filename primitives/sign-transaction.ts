/**
 * Signs transfers locally: EIP-1559 transactions (EIP-2718 type 2) with an empty access list. Written out here because
 * the load generator signs tens of thousands per second, which a wallet library does not.
 */
import { concat, toHex } from './bytes.ts';
import type { Address, Bytes, Hash } from './ids.ts';
import { keccak256, keccakHash } from './keccak.ts';
import { type RlpInput, rlpEncode } from './rlp.ts';
import { sign } from './secp256k1.ts';

export type TransactionFields = {
  readonly chainId: number;
  readonly nonce: number;
  readonly maxPriorityFeePerGas: bigint;
  readonly maxFeePerGas: bigint;
  readonly gasLimit: number;
  readonly to: Address;
  readonly value: bigint;
  readonly data: string;
};

export type SignedTransaction = { readonly raw: string; readonly hash: Hash };

const TYPE = Uint8Array.of(2);

/** Integers without leading zeros: RLP's own form of a signature half. */
function trimmed(bytes: Bytes): Bytes {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return bytes.subarray(start);
}

/** The raw transaction as hex, and its hash. */
export function signTransaction(fields: TransactionFields, privateKey: Bytes): SignedTransaction {
  const unsigned: RlpInput[] = [
    fields.chainId,
    fields.nonce,
    fields.maxPriorityFeePerGas,
    fields.maxFeePerGas,
    fields.gasLimit,
    fields.to,
    fields.value,
    fields.data,
    [],
  ];
  const signature = sign(keccak256(concat(TYPE, rlpEncode(unsigned))), privateKey);
  const signed = [...unsigned, signature[64]!, trimmed(signature.subarray(0, 32)), trimmed(signature.subarray(32, 64))];
  const raw = concat(TYPE, rlpEncode(signed));
  return { raw: toHex(raw), hash: keccakHash(raw) };
}
