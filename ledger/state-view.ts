/**
 * The state after one recent block, whole and unchanging while the chain goes on: what a node serves to those that take a
 * snapshot. The store's own snapshot holds the state of some block at or above it, and the undo records in between lead
 * back (decision 0014). The root that comes out is compared with the header's.
 */
import { type Address, type Bytes, GOVERNANCE_ADDRESS, type Hash, type Height } from '../primitives/ids.ts';
import type { Account } from './account.ts';
import { AddressKeys } from './address-keys.ts';
import type { Undo } from './block-state.ts';
import { ACCOUNT_CODEC } from './executor.ts';
import {
  accountPrefix,
  damaged,
  decodeHeadRecord,
  decodeStateRecord,
  governanceKey,
  HEAD_KEY,
  openRecord,
  STATE_KEY,
  undoKey,
} from './records.ts';
import type { StoreSnapshot } from './store.ts';
import { Trie } from './trie.ts';
import type { TrieRoot } from './trie-node.ts';
import { decodeUndo } from './undo-record.ts';

/** Accounts that may have changed since the block; with more the view is refused, and a newer block is asked for. */
const REWOUND_MAX = 200_000;
/** Of them at once, between two pauses: a few milliseconds. */
const REWOUND_AT_ONCE = 256;
/** Nodes kept in memory. */
const VIEW_NODES_MAX = 20_000;

export type ViewOf = { readonly height: Height; readonly root: Hash };

export class StateView {
  readonly of: ViewOf;
  readonly #snapshot: StoreSnapshot;
  readonly #trie: Trie<Account>;
  readonly #root: TrieRoot<Account>;
  readonly #keys: AddressKeys;

  /**
   * Undefined when the snapshot does not lead to that block: it is too new or too old for it. `pause` lets other work
   * pass. Owns the snapshot from here on.
   */
  static async open(snapshot: StoreSnapshot, of: ViewOf, pause: () => Promise<void>): Promise<StateView | undefined> {
    const undo = undoSince(snapshot, of.height);
    const state = decodeStateRecord(snapshot.get(STATE_KEY));
    if (undo === undefined || state === undefined) {
      await snapshot.close();
      return undefined;
    }
    /** Records that the way back made anew. */
    const rewound = new Map<string, Bytes>();
    const read = (key: Bytes) => rewound.get(keyText(key)) ?? snapshot.get(key);
    const prefix = accountPrefix(state.slot);
    const trie = new Trie({ codec: ACCOUNT_CODEC, prefix, read, nodesMax: VIEW_NODES_MAX });
    const keys = new AddressKeys();
    let root = trie.stored(state.root);
    const changes = [...undo];
    for (let at = 0; at < changes.length; at += REWOUND_AT_ONCE) {
      const edit = trie.edit(root);
      for (const [address, account] of changes.slice(at, at + REWOUND_AT_ONCE)) {
        if (account === undefined) edit.remove(keys.key(address));
        else edit.put(keys.key(address), account);
      }
      root = edit.seal();
      for (const [key, record] of trie.flush(root)) rewound.set(keyText(key), record);
      sweep(trie, root);
      await pause();
    }
    if (root.hash !== of.root) throw damaged(`the state of block ${of.height} cannot be told from the undo records`);
    return new StateView({ of, snapshot, trie, root, keys });
  }

  private constructor(parts: {
    readonly of: ViewOf;
    readonly snapshot: StoreSnapshot;
    readonly trie: Trie<Account>;
    readonly root: TrieRoot<Account>;
    readonly keys: AddressKeys;
  }) {
    this.of = parts.of;
    this.#snapshot = parts.snapshot;
    this.#trie = parts.trie;
    this.#root = parts.root;
    this.#keys = parts.keys;
  }

  /** Records of the nodes at these paths, in order, up to the first that is not there or would pass the bound. */
  records(paths: readonly Bytes[], bytesMax: number): Bytes[] {
    const out: Bytes[] = [];
    let bytes = 0;
    for (const path of paths) {
      const record = this.#trie.recordAt(this.#root, path);
      if (record === undefined || bytes + record.length > bytesMax) break;
      out.push(record);
      bytes += record.length;
    }
    sweep(this.#trie, this.#root);
    return out;
  }

  /** The governance contract's state as its storage holds it. */
  contract(): Bytes | undefined {
    const account = this.#trie.get(this.#root, this.#keys.key(GOVERNANCE_ADDRESS));
    return account && this.#snapshot.get(governanceKey(account.storageRoot));
  }

  close(): Promise<void> {
    return this.#snapshot.close();
  }
}

function keyText(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

/** Nothing here is written while the trie is read, so all of it may go. */
function sweep(trie: Trie<Account>, root: TrieRoot<Account>): void {
  trie.generation++;
  trie.sweep(root);
}

/** What the accounts were after a block that changed between it and the snapshot's state. */
function undoSince(snapshot: StoreSnapshot, height: Height): Undo | undefined {
  const head = decodeHeadRecord(snapshot.get(HEAD_KEY));
  const state = decodeStateRecord(snapshot.get(STATE_KEY));
  if (head === undefined || state === undefined || state.height < height || head.oldestUndo > height + 1)
    return undefined;
  const since = new Map<Address, Account | undefined>();
  for (let h = height + 1; h <= state.height; h++) {
    const record = openRecord(snapshot.get(undoKey(h)), `undo ${h}`);
    const undo = record && decodeUndo(record);
    if (undo === undefined) throw damaged(`undo record of block ${h}`);
    for (const [address, account] of undo) if (!since.has(address)) since.set(address, account);
    if (since.size > REWOUND_MAX) return undefined;
  }
  return since;
}
