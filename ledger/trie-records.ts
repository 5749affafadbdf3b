/**
 * Trie nodes in the store, keyed by their path: prefix and one byte per nibble. The record of a branch holds the branch
 * and all its leaves, so that an account costs one write and not two; a leaf has a record of its own only as the root.
 * A node that shrinks below 32 bytes moves into its parent and leaves its old record, unused; no account is that short.
 * Reading checks every node against the hash its parent names: a flipped bit or a missing record is damage, never a value.
 */
import { concat, toHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { REMEDY } from './records.ts';
import { RlpScan } from './rlp-scan.ts';
import { decodePath, HASH_REFERENCE_BYTES } from './trie-codec.ts';
import { Branch, Extension, Leaf, LOADED, Stub, type TrieNode } from './trie-node.ts';

/** Values of a trie to and from bytes; `encode` may return a buffer it uses again. */
export type ValueCodec<V> = { encode(value: V): Bytes; decode(bytes: Bytes): V };

/** The key of the node at key[0 .. depth). */
export function nodeKey(prefix: Bytes, key: Bytes, depth: number): Bytes {
  const out = new Uint8Array(prefix.length + depth);
  out.set(prefix);
  for (let i = 0; i < depth; i++) out[prefix.length + i] = key[i]!;
  return out;
}

function damaged(path: Bytes, detail: string): QuorateError {
  return new QuorateError('STORE_DAMAGED', `the state in the ledger's folder store is damaged (${detail}): ${REMEDY}`, {
    data: { path: toHex(path) },
  });
}

const scan = new RlpScan();

/** Length of the RLP list at the start of `bytes`, or -1. */
function listLength(bytes: Bytes, at: number): number {
  const first = bytes[at];
  if (first === undefined || first < 0xc0) return -1;
  if (first < 0xf8) return 1 + first - 0xc0;
  let length = 0;
  for (let i = 1; i <= first - 0xf7; i++) length = length * 256 + (bytes[at + i] ?? 0);
  return 1 + (first - 0xf7) + length;
}

/** The one decoder of stored and inline nodes. Path is key[0 .. depth) of the node. */
class NodeReader<V> {
  readonly #codec: ValueCodec<V>;
  readonly #path: Bytes;
  readonly #depth: number;

  constructor(codec: ValueCodec<V>, path: Bytes, depth: number) {
    this.#codec = codec;
    this.#path = path;
    this.#depth = depth;
  }

  fail(detail: string): never {
    throw damaged(this.#path.subarray(0, this.#depth), detail);
  }

  /** A node whose encoding is already known to match `reference`. `extra` appends nibbles to the path. */
  node(encoded: Bytes, reference: Bytes, extra: readonly number[] = []): TrieNode<V> {
    if (scan.scan(encoded, 0) !== undefined || scan.payloadEnd !== encoded.length) this.fail('not a node');
    if (scan.count === 17) return this.#branch(encoded, reference, extra);
    if (scan.count !== 2) this.fail('not a node');
    const path = decodePath(encoded.subarray(scan.start[0]!, scan.end[0]!));
    if (path === undefined) this.fail('malformed path');
    if (path.leaf) {
      const key = concat(this.#path.subarray(0, this.#depth), Uint8Array.from(extra), path.nibbles);
      return new Leaf(
        Uint8Array.from(key),
        this.#codec.decode(encoded.subarray(scan.start[1]!, scan.end[1]!)),
        reference,
      );
    }
    const child = this.#child(encoded, scan.end[0]!, scan.end[1]!, scan.list[1]!, [...extra, ...path.nibbles]);
    return new Extension(Uint8Array.from(path.nibbles), child, LOADED, reference);
  }

  #branch(encoded: Bytes, reference: Bytes, extra: readonly number[]): Branch<V> {
    const ends = scan.end.slice(0, 17);
    const lists = scan.list.slice(0, 17);
    const children: (TrieNode<V> | undefined)[] = new Array(16).fill(undefined);
    let from = scan.payloadStart;
    for (let i = 0; i < 16; i++) {
      const to = ends[i]!;
      if (to - from > 1) children[i] = this.#child(encoded, from, to, lists[i]!, [...extra, i]);
      from = to;
    }
    return new Branch(children, LOADED, reference);
  }

  /** The child whose reference is encoded[from .. to): a stub, or the node itself when it is inline. */
  #child(encoded: Bytes, from: number, to: number, list: number, extra: readonly number[]): TrieNode<V> {
    const reference = Uint8Array.from(encoded.subarray(from, to));
    if (list === 1) return this.node(reference, reference, extra);
    if (reference.length !== HASH_REFERENCE_BYTES) this.fail('malformed reference');
    return new Stub(reference);
  }

  /** The leaves written behind a branch: child index and encoding, each matching what the branch names. */
  leaves(record: Bytes, from: number, branch: Branch<V>): number {
    let count = 0;
    for (let at = from; at < record.length; count++) {
      const index = record[at]!;
      const length = listLength(record, at + 1);
      const stub = branch.children[index];
      if (length < 0 || stub === undefined || stub.kind !== 3) this.fail('malformed leaves');
      const encoded = record.subarray(at + 1, at + 1 + length);
      if (!sameReference(stub.reference, encoded)) this.fail('a leaf does not match its hash');
      branch.children[index] = this.node(encoded, stub.reference, [index]);
      at += 1 + length;
    }
    return count;
  }
}

/** The root is named by its hash even when it is shorter than one. */
function sameReference(reference: Bytes, encoded: Bytes): boolean {
  if (reference.length !== HASH_REFERENCE_BYTES) return Buffer.compare(reference, encoded) === 0;
  return Buffer.compare(reference.subarray(1), keccak256(encoded)) === 0;
}

export type LoadedNode<V> = { readonly node: TrieNode<V>; readonly nodes: number };

/** Decodes and checks the record of the node at key[0 .. depth). Throws STORE_DAMAGED. */
export function readNode<V>(
  record: Bytes | undefined,
  reference: Bytes,
  codec: ValueCodec<V>,
  key: Bytes,
  depth: number,
): LoadedNode<V> {
  const reader: NodeReader<V> = new NodeReader(codec, key, depth);
  if (record === undefined) reader.fail('a node is missing');
  const length = listLength(record, 0);
  if (length < 0 || length > record.length) reader.fail('not a node');
  const encoded = record.subarray(0, length);
  if (!sameReference(reference, encoded)) reader.fail('a node does not match its hash');
  const node = reader.node(encoded, encoded.length < 32 ? Uint8Array.from(encoded) : reference);
  if (node.kind === 2) return { node, nodes: 1 + reader.leaves(record, length, node) };
  if (length !== record.length) reader.fail('bytes behind a node');
  return { node, nodes: 1 };
}

/** The record of a branch with one more of its leaves in it, which stand in the order of their places. */
export function leafBehind(record: Bytes, index: number, leaf: Bytes): Bytes {
  let at = listLength(record, 0);
  while (at < record.length && record[at]! < index) at += 1 + listLength(record, at + 1);
  if (record[at] === index) return record;
  return concat(record.subarray(0, at), Uint8Array.of(index), leaf, record.subarray(at));
}
