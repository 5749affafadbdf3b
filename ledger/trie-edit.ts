/** One version of a trie being made: puts and removals copy the nodes of older versions and change its own in place. */
import { assert } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { Branch, commonEnd, Extension, Leaf, type NodeSource, type TrieNode, type TrieRoot } from './trie-node.ts';

export class TrieEdit<V> {
  readonly #trie: NodeSource<V>;
  readonly #version: number;
  #root: TrieNode<V> | undefined;
  #vanished: Bytes[] = [];

  constructor(trie: NodeSource<V>, root: TrieRoot<V>, version: number) {
    this.#trie = trie;
    this.#version = version;
    this.#root = root.node;
  }

  put(key: Bytes, value: V): void {
    this.#root = this.#put(this.#root, key, 0, value);
  }

  remove(key: Bytes): void {
    this.#root = this.#remove(this.#root, key, 0);
  }

  /** Hashes what changed. The edit must not be used afterwards. */
  seal(): TrieRoot<V> {
    return { node: this.#root, hash: this.#trie.rootHash(this.#root), vanished: this.#vanished };
  }

  #leaf(key: Bytes, value: V): Leaf<V> {
    return new Leaf(key, value);
  }

  /** The branch itself if this version made it, else a copy. */
  #ownBranch(node: Branch<V>): Branch<V> {
    const own = node.version === this.#version ? node : new Branch(node.children.slice(), this.#version);
    if (node.stored) this.#trie.unstored++;
    own.reference = undefined;
    own.stored = false;
    own.used = this.#trie.generation;
    return own;
  }

  #ownExtension(node: Extension<V>, child: TrieNode<V>): Extension<V> {
    const own = new Extension(node.nibbles, child, this.#version);
    own.used = this.#trie.generation;
    return own;
  }

  #newBranch(): Branch<V> {
    this.#trie.resident++;
    this.#trie.unstored++;
    const branch = new Branch<V>(new Array(16).fill(undefined), this.#version);
    branch.used = this.#trie.generation;
    return branch;
  }

  #put(node: TrieNode<V> | undefined, key: Bytes, depth: number, value: V): TrieNode<V> {
    if (node === undefined) {
      this.#trie.resident++;
      return this.#leaf(key, value);
    }
    if (node.kind === 2) {
      const nibble = key[depth]!;
      const child = this.#trie.childOf(node, key, depth);
      const own = this.#ownBranch(node);
      own.children[nibble] = this.#put(child, key, depth + 1, value);
      return own;
    }
    if (node.kind === 0) return this.#putAtLeaf(node, key, depth, value);
    if (node.kind === 1) return this.#putAtExtension(node, key, depth, value);
    return this.#put(this.#trie.load(node, key, depth), key, depth, value);
  }

  #putAtLeaf(leaf: Leaf<V>, key: Bytes, depth: number, value: V): TrieNode<V> {
    assert(leaf.key.length === key.length, 'trie: keys of different lengths');
    const end = commonEnd(leaf.key, key, depth, key.length);
    if (end === key.length) return this.#leaf(key, value);
    const branch = this.#newBranch();
    branch.children[leaf.key[end]!] = this.#leaf(leaf.key, leaf.value); // deeper now, so hashed anew
    branch.children[key[end]!] = this.#leaf(key, value);
    this.#trie.resident++;
    return this.#extend(key.subarray(depth, end), branch);
  }

  #putAtExtension(node: Extension<V>, key: Bytes, depth: number, value: V): TrieNode<V> {
    const length = node.nibbles.length;
    let same = 0;
    while (same < length && node.nibbles[same] === key[depth + same]) same++;
    if (same === length) {
      const child = this.#trie.childOfExtension(node, key, depth + length);
      return this.#ownExtension(node, this.#put(child, key, depth + length, value));
    }
    const branch = this.#newBranch();
    branch.children[node.nibbles[same]!] = this.#extend(node.nibbles.subarray(same + 1), node.child);
    branch.children[key[depth + same]!] = this.#leaf(key, value);
    this.#trie.resident++;
    return this.#extend(key.subarray(depth, depth + same), branch);
  }

  /** `child` below a path, which may be empty. */
  #extend(nibbles: Bytes, child: TrieNode<V>): TrieNode<V> {
    if (nibbles.length === 0) return child;
    this.#trie.resident++;
    const extension = new Extension(Uint8Array.from(nibbles), child, this.#version);
    extension.used = this.#trie.generation;
    return extension;
  }

  #remove(node: TrieNode<V> | undefined, key: Bytes, depth: number): TrieNode<V> | undefined {
    if (node === undefined) return undefined;
    if (node.kind === 3) return this.#remove(this.#trie.load(node, key, depth), key, depth);
    if (node.kind === 0) return commonEnd(node.key, key, depth, key.length) === key.length ? undefined : node;
    if (node.kind === 1) {
      const end = depth + node.nibbles.length;
      for (let i = depth; i < end; i++) if (node.nibbles[i - depth] !== key[i]) return node;
      const child = this.#trie.childOfExtension(node, key, end);
      const next = this.#remove(child, key, end);
      assert(next !== undefined, 'trie: nothing left below an extension');
      return next === child ? node : this.#join(node.nibbles, next, key, depth);
    }
    const child = this.#trie.childOf(node, key, depth);
    const next = this.#remove(child, key, depth + 1);
    if (next === child) return node;
    const own = this.#ownBranch(node);
    own.children[key[depth]!] = next;
    return next === undefined ? this.#shrink(own, key, depth) : own;
  }

  /** A branch that lost a child: with one child left it is no branch any more. */
  #shrink(branch: Branch<V>, key: Bytes, depth: number): TrieNode<V> {
    let only = -1;
    for (let i = 0; i < 16; i++) {
      if (branch.children[i] === undefined) continue;
      if (only >= 0) return branch;
      only = i;
    }
    assert(only >= 0, 'trie: branch without children');
    const path = key.slice(0, depth + 1);
    path[depth] = only;
    const child = this.#trie.childOf(branch, path, depth);
    assert(child !== undefined, 'trie: branch without children');
    return this.#join(Uint8Array.of(only), child, path, depth);
  }

  /** What `nibbles` and the node below them become together at key[0 .. depth). */
  #join(nibbles: Bytes, child: TrieNode<V>, key: Bytes, depth: number): TrieNode<V> {
    if (child.kind === 0) {
      this.#vanish(key, depth);
      return this.#leaf(child.key, child.value);
    }
    if (child.kind !== 1) return this.#extend(nibbles, child);
    const below = new Uint8Array(depth + nibbles.length);
    below.set(key.subarray(0, depth));
    below.set(nibbles, depth);
    this.#vanish(below, below.length);
    return this.#extend(Buffer.concat([nibbles, child.nibbles]), child.child);
  }

  /** The node at path[0 .. depth) has no record any more; the root always has one. */
  #vanish(path: Bytes, depth: number): void {
    if (depth > 0) this.#vanished.push(path.slice(0, depth));
  }
}
