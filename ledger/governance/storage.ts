/**
 * The governance contract as an Ethereum account: its state lies in storage as Solidity lays out a `bytes` variable in
 * slot 0 (twice the length plus one, then 32-byte words from keccak256(0) on), in a secure Merkle Patricia trie, so that
 * `storageRoot` and eth_getStorageAt mean what they mean everywhere. The code is one invalid instruction: what it does is
 * built into the program, but tools that ask for code see a contract.
 */
import { concat, equalBytes, hexBytes, toHex } from '../../primitives/bytes.ts';
import { type Bytes, type Hash, ZERO_HASH } from '../../primitives/ids.ts';
import { keccak256, keccakHash } from '../../primitives/keccak.ts';
import { rlpEncode } from '../../primitives/rlp.ts';
import type { Account } from '../account.ts';
import { sortedRoot, type TrieEntry } from '../ordered-root.ts';
import { toNibbles } from '../trie-codec.ts';
import type { GovernanceState } from './state.ts';
import { encodeState } from './state-codec.ts';

export const GOVERNANCE_CODE: Bytes = Uint8Array.of(0xfe);
const CODE_HASH: Hash = keccakHash(GOVERNANCE_CODE);

/** A state with its encoding and what the account says of it; blocks that do not change it share one. */
export type Governance = { readonly state: GovernanceState; readonly bytes: Bytes; readonly storageRoot: Hash };

const WORD = 32;
const SLOT_0 = new Uint8Array(WORD);
const FIRST_DATA_SLOT = BigInt(keccakHash(SLOT_0));

/** Trie keys of slots 0 and data 0, 1, …: the same in every state, so computed once. */
const keys: Bytes[] = [];

function slotKey(index: number): Bytes {
  keys[index] ??= toNibbles(keccak256(slotOf(index)));
  return keys[index];
}

function slotOf(index: number): Bytes {
  if (index === 0) return SLOT_0;
  return hexBytes('0x' + (FIRST_DATA_SLOT + BigInt(index - 1)).toString(16).padStart(64, '0'));
}

function lengthWord(bytes: Bytes): Bytes {
  const out = Buffer.alloc(WORD);
  out.writeUInt32BE(bytes.length * 2 + 1, WORD - 4);
  return out;
}

/** A word's RLP without leading zeros, as storage tries hold it; undefined for zero, which is absent. */
function storedWord(bytes: Bytes): Bytes | undefined {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? undefined : rlpEncode(bytes.subarray(first));
}

function dataWord(bytes: Bytes, at: number): Bytes {
  const part = bytes.subarray(at, at + WORD);
  return part.length === WORD ? part : concat(part, new Uint8Array(WORD - part.length));
}

/** Root of the storage trie that holds these bytes. */
export function storageRootOf(bytes: Bytes): Hash {
  const entries: TrieEntry[] = [{ key: slotKey(0), value: storedWord(lengthWord(bytes))! }];
  for (let at = 0, index = 1; at < bytes.length; at += WORD, index++) {
    const value = storedWord(dataWord(bytes, at));
    if (value !== undefined) entries.push({ key: slotKey(index), value });
  }
  entries.sort((a, b) => Buffer.compare(a.key, b.key));
  return sortedRoot(entries);
}

/** The word in a storage slot, 32 bytes as hex. */
export function storageWord(bytes: Bytes, slot: Hash): Hash {
  if (equalBytes(hexBytes(slot), SLOT_0)) return toHex(lengthWord(bytes));
  const offset = (BigInt(slot) - FIRST_DATA_SLOT) * BigInt(WORD);
  return offset >= 0n && offset < BigInt(bytes.length) ? toHex(dataWord(bytes, Number(offset))) : ZERO_HASH;
}

export function sealGovernance(state: GovernanceState): Governance {
  const bytes = encodeState(state);
  return { state, bytes, storageRoot: storageRootOf(bytes) };
}

/** The contract's account in block 0. EIP-161 gives contracts nonce 1. */
export function governanceAccount({ storageRoot }: Governance, balance: bigint): Account {
  return { nonce: 1, balance, storageRoot, codeHash: CODE_HASH };
}
