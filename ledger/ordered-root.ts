/**
 * transactionsRoot and receiptsRoot: the root of a trie from RLP(index) to value (yellow paper section 4.3). The keys are
 * known, so the trie is hashed straight from the list without building nodes.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { rlpEncode } from '../primitives/rlp.ts';
import { encodeBranch, encodeExtension, encodeLeaf, referenceTo, toNibbles } from './trie-codec.ts';

/** keccak256(0x80). */
export const EMPTY_ROOT: Hash = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421';

/** `key` as nibbles. */
export type TrieEntry = { readonly key: Bytes; readonly value: Bytes };

/** Entries in the order of their keys: RLP(0) is 0x80 and lies between 127 and 128. */
function sorted(values: readonly Bytes[]): TrieEntry[] {
  const entries: TrieEntry[] = [];
  const add = (index: number) => entries.push({ key: indexKey(index), value: values[index]! });
  for (let i = 1; i < values.length && i < 128; i++) add(i);
  add(0);
  for (let i = 128; i < values.length; i++) add(i);
  return entries;
}

/** Keys are the same in every block; those of ordinary blocks are kept. */
const keys: Bytes[] = [];
const KEYS_KEPT = 4096;
function indexKey(index: number): Bytes {
  if (index >= KEYS_KEPT) return toNibbles(rlpEncode(index));
  keys[index] ??= toNibbles(rlpEncode(index));
  return keys[index];
}

/** Encoding of the node over entries[lo .. hi), which agree on their first `depth` nibbles. */
function encode(entries: readonly TrieEntry[], lo: number, hi: number, depth: number): Bytes {
  const first = entries[lo]!;
  if (hi - lo === 1) return encodeLeaf(first.key, depth, first.value);
  const last = entries[hi - 1]!;
  let split = depth;
  while (first.key[split] === last.key[split]) split++; // sorted and prefix-free: all between agree as well
  if (split > depth) {
    const child = referenceTo(encode(entries, lo, hi, split));
    return encodeExtension(first.key.subarray(depth, split), child);
  }
  const references: (Bytes | undefined)[] = new Array(16).fill(undefined);
  for (let from = lo; from < hi; ) {
    const nibble = entries[from]!.key[depth]!;
    let to = from + 1;
    while (to < hi && entries[to]!.key[depth] === nibble) to++;
    references[nibble] = referenceTo(encode(entries, from, to, depth + 1));
    from = to;
  }
  return encodeBranch(references);
}

/** Root of the trie that maps RLP(i) to values[i]. */
export function orderedRoot(values: readonly Bytes[]): Hash {
  if (values.length === 0) return EMPTY_ROOT;
  return sortedRoot(sorted(values));
}

/** Root of the trie that holds entries in the order of their keys, at least one, none a prefix of another. */
export function sortedRoot(entries: readonly TrieEntry[]): Hash {
  return toHex(keccak256(encode(entries, 0, entries.length, 0)));
}
