/**
 * The nouns every module shares. Hashes and addresses travel as lower-case 0x hex strings (they are map keys
 * everywhere); raw bytes stay Uint8Array. Heights, views and epochs are plain numbers, safe up to 2^53.
 */

/** 0x + 64 lower-case hex digits: a keccak256 digest. */
export type Hash = string;
/** 0x + 40 lower-case hex digits: an Ethereum address. */
export type Address = string;
/** Any byte string. */
export type Bytes = Uint8Array;
/** Block number; the genesis block is 0. */
export type Height = number;
/** View number within an epoch, from 0. The head that opens an epoch carries view -1. */
export type View = number;
/** Epoch number, from 0. */
export type Epoch = number;

export const ZERO_HASH: Hash = '0x' + '0'.repeat(64);
export const ZERO_ADDRESS: Address = '0x' + '0'.repeat(40);
/** The contract through which validators are chosen (consensus.md section 11). */
export const GOVERNANCE_ADDRESS: Address = '0x' + '100'.padStart(40, '0');
