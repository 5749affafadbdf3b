/**
 * A state put together from records that others sent, in the slot that is not in use (decision 0014). It grows from the
 * root down: a node is asked for by its path, and taken only when it hashes to what its parent names, so nothing that is
 * not part of exactly this state gets in, wherever it came from and whatever it claims to be.
 *
 * What is there says by itself how far it is: after a restart, and once more at the end, every record is read back and
 * checked from the root on.
 */
import { equalBytes } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import { type Bytes, GOVERNANCE_ADDRESS, type Hash, type Height } from '../primitives/ids.ts';
import { RlpError } from '../primitives/rlp.ts';
import type { Account } from './account.ts';
import { AddressKeys } from './address-keys.ts';
import { ACCOUNT_CODEC } from './executor.ts';
import { storageRootOf } from './governance/storage.ts';
import { settled } from './open.ts';
import {
  accountPrefix,
  decodeStagedState,
  decodeStateRecord,
  encodeStagedState,
  endOf,
  governanceKey,
  otherSlot,
  type Slot,
  STAGED_STATE_KEY,
  STATE_KEY,
  type StagedState,
} from './records.ts';
import type { KeyValueStore } from './store.ts';
import { Trie } from './trie.ts';
import type { TrieNode } from './trie-node.ts';
import { leafBehind, nodeKey, readNode } from './trie-records.ts';

/** A node that is not there yet: where it is, and what its parent holds for it. */
export type Wanted = { readonly path: Bytes; readonly reference: Bytes };

export type StateTarget = { readonly height: Height; readonly hash: Hash; readonly root: Hash };

/** Nibbles of every account's key. */
const KEY_NIBBLES = 64;
/** Records deleted with one batch. */
const CLEARED_AT_ONCE = 1024;

export class StateStaging {
  readonly target: StateTarget;
  readonly #store: KeyValueStore;
  readonly #slot: Slot;
  readonly #prefix: Bytes;
  readonly #trie: Trie<Account>;
  /** On their way to the store. */
  readonly #unwritten = new Map<string, Bytes>();

  /** Goes on with what an earlier run left for the same target; anything else that is there is dropped. */
  static async begin(store: KeyValueStore, target: StateTarget): Promise<StateStaging> {
    const slot = otherSlot(decodeStateRecord(store.get(STATE_KEY))?.slot ?? 0);
    const found = stagedState(store);
    const staging = new StateStaging(store, target, slot);
    if (found?.hash === target.hash && found.slot === slot) return staging;
    if (found !== undefined) await write(store, [], [STAGED_STATE_KEY]);
    await clearSlot(store);
    await write(store, [staging.#record(false)], []);
    return staging;
  }

  private constructor(store: KeyValueStore, target: StateTarget, slot: Slot) {
    this.#store = store;
    this.target = target;
    this.#slot = slot;
    this.#prefix = accountPrefix(slot);
    const read = (key: Bytes) => this.#unwritten.get(keyText(key)) ?? store.get(key);
    this.#trie = new Trie({ codec: ACCOUNT_CODEC, prefix: this.#prefix, read, nodesMax: Number.POSITIVE_INFINITY });
  }

  #record(complete: boolean): readonly [Bytes, Bytes] {
    return [STAGED_STATE_KEY, encodeStagedState({ ...this.target, slot: this.#slot, complete })];
  }

  get #root(): Wanted {
    return { path: new Uint8Array(0), reference: referenceOf(this.target.root) };
  }

  /**
   * Reads all that is there, in the order of the paths, and gives what is missing: nothing means that the state is whole.
   * What does not belong is deleted.
   */
  async missing(): Promise<Wanted[]> {
    const missing: Wanted[] = [];
    /** Nodes to come, the next one last. */
    const expected: Wanted[] = [this.#root];
    const gone: Bytes[] = [];
    for await (const [key, record] of this.#store.range(this.#prefix, endOf(this.#prefix))) {
      const path = key.subarray(this.#prefix.length);
      while (expected.length > 0 && Buffer.compare(expected.at(-1)!.path, path) < 0) missing.push(expected.pop()!);
      const next = expected.at(-1);
      const node = next && equalBytes(next.path, path) ? this.#read(next, record) : undefined;
      if (node === undefined) {
        gone.push(Uint8Array.from(key));
        if (gone.length >= CLEARED_AT_ONCE) await write(this.#store, [], gone.splice(0));
      } else {
        expected.pop();
        expected.push(...childrenOf(node, path).reverse());
      }
    }
    if (gone.length > 0) await write(this.#store, [], gone);
    return [...missing, ...expected];
  }

  /** A record from the store as a node; undefined when it is not the one, in the one form that it has there. */
  #read(wanted: Wanted, record: Bytes): TrieNode<Account> | undefined {
    const node = checked(wanted, record);
    const isLeafAlone = node?.kind === 0 && wanted.path.length > 0;
    return node === undefined || isLeafAlone || !equalBytes(this.#stored(node, wanted), record) ? undefined : node;
  }

  #stored(node: TrieNode<Account>, { path }: Wanted): Bytes {
    if (node.kind === 0) return Uint8Array.from(this.#trie.encode(node, path.length));
    return node.kind === 3 ? node.reference : this.#trie.record(node, path.length);
  }

  /** Takes the record of a wanted node and gives what is wanted below it; undefined: it is not that node. */
  put(wanted: Wanted, record: Bytes): Wanted[] | undefined {
    const node = checked(wanted, record);
    if (node === undefined) return undefined;
    const { path } = wanted;
    if (node.kind === 0 && path.length > 0) this.#putLeaf(path, record);
    else this.#keep(nodeKey(this.#prefix, path, path.length), this.#stored(node, wanted));
    return childrenOf(node, path);
  }

  /** A leaf that came without its branch, which is there already: they share a record. */
  #putLeaf(path: Bytes, leaf: Bytes): void {
    const key = nodeKey(this.#prefix, path, path.length - 1);
    const branch = this.#trie.options.read(key)!;
    this.#keep(key, leafBehind(branch, path[path.length - 1]!, leaf));
  }

  #keep(key: Bytes, record: Bytes): void {
    this.#unwritten.set(keyText(key), record);
  }

  /** Writes what was taken. Not synced: what a power cut takes is missing at the next start. */
  async flush(): Promise<void> {
    const batch = [...this.#unwritten];
    await write(
      this.#store,
      batch.map(([key, record]) => [Buffer.from(key, 'latin1'), record] as const),
      [],
    );
    for (const [key, record] of batch) if (this.#unwritten.get(key) === record) this.#unwritten.delete(key);
  }

  /** Once nothing is missing: the root of the governance contract's storage. */
  contractRoot(): Hash | undefined {
    const key = new AddressKeys().key(GOVERNANCE_ADDRESS);
    return this.#trie.get(this.#trie.stored(this.target.root), key)?.storageRoot;
  }

  /** The last part, the contract's state; false: it is not that. Durable when it is there: the next start takes it over. */
  async complete(contract: Bytes): Promise<boolean> {
    const root = this.contractRoot();
    if (root === undefined || storageRootOf(contract) !== root) return false;
    const put = [[governanceKey(root), contract] as const, this.#record(true)];
    await settled((done) => this.#store.write({ put, del: [] }, { sync: true }, done));
    return true;
  }
}

export function stagedState(store: KeyValueStore): StagedState | undefined {
  return decodeStagedState(store.get(STAGED_STATE_KEY));
}

/** Empties the slot that is not in use, unless a state is being put together there, or it is time to stop. */
export async function clearSlot(store: KeyValueStore, isOver: () => boolean = () => false): Promise<void> {
  while (!isOver()) {
    const slot = otherSlot(decodeStateRecord(store.get(STATE_KEY))?.slot ?? 0);
    const prefix = accountPrefix(slot);
    const gone: Bytes[] = [];
    if (stagedState(store) !== undefined) return;
    for await (const [key] of store.range(prefix, endOf(prefix), { limit: CLEARED_AT_ONCE })) gone.push(key);
    if (gone.length === 0) return;
    await write(store, [], gone);
  }
}

function write(store: KeyValueStore, put: readonly (readonly [Bytes, Bytes])[], del: readonly Bytes[]): Promise<void> {
  return settled((done) => store.write({ put, del }, { sync: false }, done));
}

function keyText(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function referenceOf(root: Hash): Bytes {
  return Buffer.concat([Buffer.of(0xa0), Buffer.from(root.slice(2), 'hex')]);
}

/** The node in a record, when it is the wanted one, and all that came with it are leaves that belong to it. */
function checked({ path, reference }: Wanted, record: Bytes): TrieNode<Account> | undefined {
  let node: TrieNode<Account>;
  try {
    ({ node } = readNode(Uint8Array.from(record), reference, ACCOUNT_CODEC, path, path.length));
  } catch (error) {
    if (error instanceof RlpError || error instanceof QuorateError) return undefined;
    throw error;
  }
  if (node.kind === 0) return node.key.length === KEY_NIBBLES ? node : undefined;
  if (node.kind !== 2) return node;
  return node.children.every((child) => child === undefined || child.kind === 3 || child.kind === 0) ? node : undefined;
}

/** Nodes below that have records of their own, or may have: whether a hash is that of a leaf only the node itself says. */
function childrenOf(node: TrieNode<Account>, path: Bytes): Wanted[] {
  if (node.kind === 1 && node.child.kind === 3) {
    return [{ path: Buffer.concat([path, node.nibbles]), reference: node.child.reference }];
  }
  if (node.kind !== 2) return [];
  const out: Wanted[] = [];
  for (const [nibble, child] of node.children.entries()) {
    if (child?.kind === 3) out.push({ path: Buffer.concat([path, Buffer.of(nibble)]), reference: child.reference });
  }
  return out;
}
