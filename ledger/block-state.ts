/** The accounts a block touches while it is executed, on top of the parent's trie. */
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { type Account, EMPTY_CODE } from './account.ts';
import type { AddressKeys } from './address-keys.ts';
import { EMPTY_ROOT } from './ordered-root.ts';
import type { Trie } from './trie.ts';
import type { TrieRoot } from './trie-node.ts';

/** An account in work. */
export class WorkingAccount {
  readonly address: Address;
  readonly key: Bytes;
  readonly before: Account | undefined;
  nonce: number;
  balance: bigint;
  storageRoot: Hash;
  readonly codeHash: Hash;

  constructor(address: Address, key: Bytes, before: Account | undefined) {
    this.address = address;
    this.key = key;
    this.before = before;
    this.nonce = before?.nonce ?? 0;
    this.balance = before?.balance ?? 0n;
    this.storageRoot = before?.storageRoot ?? EMPTY_ROOT;
    this.codeHash = before?.codeHash ?? EMPTY_CODE;
  }

  /** An empty account that was not there before stays absent (EIP-161). */
  get changed(): boolean {
    const { before } = this;
    if (this.nonce !== (before?.nonce ?? 0) || this.balance !== (before?.balance ?? 0n)) return true;
    return before !== undefined && this.storageRoot !== before.storageRoot;
  }
}

/** What accounts were before a block; undefined: absent. */
export type Undo = ReadonlyMap<Address, Account | undefined>;

export class BlockState {
  readonly #trie: Trie<Account>;
  readonly #root: TrieRoot<Account>;
  readonly #keys: AddressKeys;
  readonly #accounts = new Map<Address, WorkingAccount>();

  constructor(trie: Trie<Account>, root: TrieRoot<Account>, keys: AddressKeys) {
    this.#trie = trie;
    this.#root = root;
    this.#keys = keys;
  }

  account(address: Address): WorkingAccount {
    const known = this.#accounts.get(address);
    if (known !== undefined) return known;
    const key = this.#keys.key(address);
    const account = new WorkingAccount(address, key, this.#trie.get(this.#root, key));
    this.#accounts.set(address, account);
    return account;
  }

  /** Puts what changed into a new version of the trie and hashes it once. */
  seal(): { readonly root: TrieRoot<Account>; readonly undo: Undo } {
    const undo = new Map<Address, Account | undefined>();
    const edit = this.#trie.edit(this.#root);
    for (const account of this.#accounts.values()) {
      if (!account.changed) continue;
      const { nonce, balance, storageRoot, codeHash } = account;
      edit.put(account.key, { nonce, balance, storageRoot, codeHash });
      undo.set(account.address, account.before);
    }
    return { root: undo.size === 0 ? { ...this.#root, vanished: [] } : edit.seal(), undo };
  }
}
