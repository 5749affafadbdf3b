/**
 * A Merkle Patricia trie (yellow paper appendix D) for keys of one length, made for blocks: an edit shares all it does not
 * change with its parent version, a node is hashed once per block however often it changed, nodes come from the store when
 * first needed and go back to hash stubs when the cache is full. Several unfinal versions may live side by side.
 *
 * Which version may read the store: records lie under their path, so the store holds one version, the newest flushed one.
 * A version that descends from it is right to load a stub: had the record changed since, that version would hold the new
 * node in memory, because nodes leave memory only after their record is written (`sweep`).
 */
import { toHex } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { EMPTY_ROOT } from './ordered-root.ts';
import { encodeBranch, encodeExtension, encodeLeaf, HASH_REFERENCE_BYTES, referenceTo } from './trie-codec.ts';
import { TrieEdit } from './trie-edit.ts';
import { type Branch, type Extension, type NodeSource, Stub, type TrieNode, type TrieRoot } from './trie-node.ts';
import { nodeKey, readNode, type ValueCodec } from './trie-records.ts';

export type TrieOptions<V> = {
  readonly codec: ValueCodec<V>;
  /** Store keys of nodes begin with it. */
  readonly prefix: Bytes;
  readonly read: (key: Bytes) => Bytes | undefined;
  /** Nodes kept in memory, leaves included; a sweep goes down to about half. */
  readonly nodesMax: number;
};

export class Trie<V> implements NodeSource<V> {
  readonly options: TrieOptions<V>;
  /** Nodes in memory, about: exact after each sweep. */
  resident = 0;
  /** Nodes changed since the last flush, about: forks count as well. */
  unstored = 0;
  /** Counts edits; nodes carry the last one that visited them. */
  generation = 1;
  #sweptAt = 0;

  constructor(options: TrieOptions<V>) {
    this.options = options;
  }

  empty(): TrieRoot<V> {
    return { node: undefined, hash: EMPTY_ROOT, vanished: [] };
  }

  /** The version with this root in the store; its nodes are read when needed. */
  stored(hash: Hash): TrieRoot<V> {
    if (hash === EMPTY_ROOT) return this.empty();
    const reference = new Uint8Array(HASH_REFERENCE_BYTES);
    reference[0] = 0xa0;
    reference.set(Buffer.from(hash.slice(2), 'hex'), 1);
    return { node: new Stub(reference), hash, vanished: [] };
  }

  /** Value under a key of nibbles. */
  get(root: TrieRoot<V>, key: Bytes): V | undefined {
    if (root.node?.kind === 3) root.node = this.load(root.node, key, 0);
    let node = root.node;
    let depth = 0;
    while (node !== undefined) {
      if (node.kind === 0) return sameFrom(node.key, key, depth) ? node.value : undefined;
      assert(node.kind !== 3, 'trie: stub not loaded');
      node.used = this.generation;
      if (node.kind === 2) {
        node = this.childOf(node, key, depth);
        depth++;
      } else {
        const end = depth + node.nibbles.length;
        for (let i = depth; i < end; i++) if (node.nibbles[i - depth] !== key[i]) return undefined;
        node = this.childOfExtension(node, key, end);
        depth = end;
      }
    }
    return undefined;
  }

  /** Child of a branch along the key, read from the store if need be. */
  childOf(branch: Branch<V>, key: Bytes, depth: number): TrieNode<V> | undefined {
    const child = branch.children[key[depth]!];
    if (child === undefined || child.kind !== 3) return child;
    const loaded = this.load(child, key, depth + 1);
    branch.children[key[depth]!] = loaded;
    return loaded;
  }

  childOfExtension(extension: Extension<V>, key: Bytes, depth: number): TrieNode<V> {
    if (extension.child.kind === 3) extension.child = this.load(extension.child, key, depth);
    return extension.child;
  }

  /** Reads the node at key[0 .. depth). Throws STORE_DAMAGED. */
  load(stub: Stub, key: Bytes, depth: number): TrieNode<V> {
    const record = this.options.read(nodeKey(this.options.prefix, key, depth));
    const { node, nodes } = readNode(record, stub.reference, this.options.codec, key, depth);
    if (node.kind === 1 || node.kind === 2) node.used = this.generation;
    this.resident += nodes;
    return node;
  }

  /** Begins a new version on top of `root`. */
  edit(root: TrieRoot<V>): TrieEdit<V> {
    this.generation++;
    return new TrieEdit(this, root, this.generation);
  }

  /** Hashes what has no reference yet; `depth` is where the node sits. */
  reference(node: TrieNode<V>, depth: number): Bytes {
    if (node.kind === 3 || node.reference !== undefined) return node.reference!;
    node.reference = referenceTo(this.encode(node, depth));
    return node.reference;
  }

  encode(node: Exclude<TrieNode<V>, Stub>, depth: number): Bytes {
    if (node.kind === 0) return encodeLeaf(node.key, depth, this.options.codec.encode(node.value));
    if (node.kind === 1) return encodeExtension(node.nibbles, this.reference(node.child, depth + node.nibbles.length));
    const references: (Bytes | undefined)[] = new Array(16);
    for (let i = 0; i < 16; i++) {
      const child = node.children[i];
      references[i] = child === undefined ? undefined : (child.reference ?? this.reference(child, depth + 1));
    }
    return encodeBranch(references);
  }

  /** Root hash of a node: keccak256 of its encoding, short or not. */
  rootHash(node: TrieNode<V> | undefined): Hash {
    if (node === undefined) return EMPTY_ROOT;
    const reference = this.reference(node, 0);
    return toHex(reference.length === HASH_REFERENCE_BYTES ? reference.subarray(1) : keccak256(reference));
  }

  /** Records of all nodes not yet in the store; they count as stored from now on. */
  flush(root: TrieRoot<V>): (readonly [Bytes, Bytes])[] {
    const out: (readonly [Bytes, Bytes])[] = [];
    const path = new Uint8Array(256);
    this.unstored = 0;
    if (root.node?.kind === 0) {
      const key = nodeKey(this.options.prefix, path, 0);
      out.push([key, Uint8Array.from(this.encode(root.node, 0))]);
    } else if (root.node !== undefined) this.#flushNode(root.node, path, 0, out);
    return out;
  }

  #flushNode(node: TrieNode<V>, path: Uint8Array, depth: number, out: (readonly [Bytes, Bytes])[]): void {
    if (node.kind === 0 || node.kind === 3 || node.stored) return;
    node.stored = true;
    // An inline node is part of its parent's record, and so is all below it. The root has a record in any case.
    const own = depth === 0 || this.reference(node, depth).length === HASH_REFERENCE_BYTES;
    if (own) out.push([nodeKey(this.options.prefix, path, depth), this.record(node, depth)]);
    if (node.kind === 1) {
      path.set(node.nibbles, depth);
      this.#flushNode(node.child, path, depth + node.nibbles.length, out);
      return;
    }
    for (let i = 0; i < 16; i++) {
      const child = node.children[i];
      if (child === undefined || child.kind === 0 || child.kind === 3) continue;
      path[depth] = i;
      this.#flushNode(child, path, depth + 1, out);
    }
  }

  /** The record of the node at exactly this path, a leaf's too; undefined when there is none. */
  recordAt(root: TrieRoot<V>, path: Bytes): Bytes | undefined {
    if (root.node?.kind === 3) root.node = this.load(root.node, path, 0);
    let node = root.node;
    let depth = 0;
    while (node !== undefined && depth < path.length) {
      if (node.kind === 0 || node.kind === 3) return undefined;
      node.used = this.generation;
      if (node.kind === 2) node = this.childOf(node, path, depth++);
      else {
        const end = depth + node.nibbles.length;
        for (let i = depth; i < end; i++) if (node.nibbles[i - depth] !== path[i]) return undefined;
        node = this.childOfExtension(node, path, end);
        depth = end;
      }
    }
    if (node === undefined || node.kind === 3) return undefined;
    return node.kind === 0 ? Uint8Array.from(this.encode(node, depth)) : this.record(node, depth);
  }

  /** The node, and behind a branch its hashed leaves. */
  record(node: Extension<V> | Branch<V>, depth: number): Bytes {
    const parts: Bytes[] = [Uint8Array.from(this.encode(node, depth))];
    if (node.kind === 2) {
      for (let i = 0; i < 16; i++) {
        const child = node.children[i];
        if (child?.kind !== 0 || this.reference(child, depth + 1).length !== HASH_REFERENCE_BYTES) continue;
        parts.push(Uint8Array.of(i), Uint8Array.from(this.encode(child, depth + 1)));
      }
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /**
   * Swaps nodes not used lately for stubs when too many are in memory. Call it with the newest flushed version, and only
   * while no batch with nodes is on its way to the store.
   */
  sweep(root: TrieRoot<V>): void {
    if (this.resident <= this.options.nodesMax || root.node === undefined) return;
    this.resident = this.#collapse(root.node, this.#sweptAt);
    if (this.resident > this.options.nodesMax * 0.75) this.resident = this.#collapse(root.node, this.generation);
    this.#sweptAt = this.generation;
  }

  /** Collapses stored children last used before `cutoff`; returns how many nodes remain. */
  #collapse(node: TrieNode<V>, cutoff: number): number {
    if (node.kind === 0) return 1;
    if (node.kind === 3) return 0;
    if (node.kind === 1) {
      if (collapsible(node.child, cutoff)) node.child = new Stub(node.child.reference!);
      return 1 + this.#collapse(node.child, cutoff);
    }
    let count = 1;
    for (let i = 0; i < 16; i++) {
      const child = node.children[i];
      if (child === undefined) continue;
      if (collapsible(child, cutoff)) node.children[i] = new Stub(child.reference!);
      else count += this.#collapse(child, cutoff);
    }
    return count;
  }
}

/** A leaf stays with its branch: they share a record. An inline node has none. */
function collapsible<V>(node: TrieNode<V>, cutoff: number): node is Extension<V> | Branch<V> {
  if (node.kind === 0 || node.kind === 3) return false;
  return node.stored && node.used < cutoff && node.reference?.length === HASH_REFERENCE_BYTES;
}

function sameFrom(a: Bytes, b: Bytes, depth: number): boolean {
  if (a.length !== b.length) return false;
  for (let i = depth; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
