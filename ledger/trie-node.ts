/**
 * Nodes of the state trie in memory. A node belongs to the version (block) that made it; other versions share it and never
 * change it, except that a child may be swapped for its hash stub and back, which does not change what the node says.
 * Values sit in leaves only: keys have one length.
 */
import type { Bytes, Hash } from '../primitives/ids.ts';

export type TrieNode<V> = Leaf<V> | Extension<V> | Branch<V> | Stub;

export class Leaf<V> {
  readonly kind = 0;
  /** The whole key as nibbles; the leaf's own path is what remains below its depth. */
  readonly key: Bytes;
  readonly value: V;
  /** What the parent holds (trie-codec.ts), once hashed at this depth. */
  reference: Bytes | undefined;

  constructor(key: Bytes, value: V, reference?: Bytes) {
    this.key = key;
    this.value = value;
    this.reference = reference;
  }
}

export class Extension<V> {
  readonly kind = 1;
  readonly nibbles: Bytes;
  child: TrieNode<V>;
  reference: Bytes | undefined;
  readonly version: number;
  /** Handed to the store in a batch, or read from it. */
  stored: boolean;
  /** Generation of the last visit, for eviction. */
  used = 0;

  constructor(nibbles: Bytes, child: TrieNode<V>, version: number, reference?: Bytes) {
    this.nibbles = nibbles;
    this.child = child;
    this.version = version;
    this.reference = reference;
    this.stored = reference !== undefined;
  }
}

export class Branch<V> {
  readonly kind = 2;
  readonly children: (TrieNode<V> | undefined)[];
  reference: Bytes | undefined;
  readonly version: number;
  stored: boolean;
  used = 0;

  constructor(children: (TrieNode<V> | undefined)[], version: number, reference?: Bytes) {
    this.children = children;
    this.version = version;
    this.reference = reference;
    this.stored = reference !== undefined;
  }
}

/** A node that is in the store and not in memory. */
export class Stub {
  readonly kind = 3;
  readonly reference: Bytes;

  constructor(reference: Bytes) {
    this.reference = reference;
  }
}

/** Version of nodes read from the store: no edit owns them. */
export const LOADED = 0;

/** First position from `depth` at which the keys differ. */
export function commonEnd(a: Bytes, b: Bytes, depth: number, end: number): number {
  let at = depth;
  while (at < end && a[at] === b[at]) at++;
  return at;
}

/** One version of a trie. `node` changes only between a stub and the node it stands for. */
export type TrieRoot<V> = {
  node: TrieNode<V> | undefined;
  readonly hash: Hash;
  /** Paths whose record must go when this version is flushed. */
  readonly vanished: readonly Bytes[];
};

/** What an edit needs of the trie it belongs to. */
export interface NodeSource<V> {
  /** Nodes in memory, counted up as they are made or read. */
  resident: number;
  /** Nodes the store lacks. */
  unstored: number;
  /** Marks nodes as used now. */
  readonly generation: number;
  /** Child of a branch along the key, read from the store if need be. */
  childOf(branch: Branch<V>, key: Bytes, depth: number): TrieNode<V> | undefined;
  childOfExtension(extension: Extension<V>, key: Bytes, depth: number): TrieNode<V>;
  load(stub: Stub, key: Bytes, depth: number): TrieNode<V>;
  rootHash(node: TrieNode<V> | undefined): Hash;
}
