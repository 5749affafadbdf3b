/**
 * Verification of a whole store without a network: every header's link, every signature, every root by executing the chain
 * again from block 0, every index entry, every receipt, undo record, state node and governance state, and every finality
 * proof through the caller's check. Nothing the store says is taken on trust but the genesis input, which is not from the
 * store.
 */
import { equalBytes, toHex } from '../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import type { Account } from './account.ts';
import { type Block, decodeBlock } from './block.ts';
import type { Undo } from './block-state.ts';
import type { ChainRules, GenesisInput } from './chain-rules.ts';
import { type EpochInfo, epochInfoOf } from './epoch-info.ts';
import { ACCOUNT_CODEC, type Executed, Executor } from './executor.ts';
import { executeGenesis } from './genesis-block.ts';
import { READY_BLOCKS_MAX } from './governance/methods.ts';
import { storageRootOf } from './governance/storage.ts';
import {
  accountPrefix,
  blockKey,
  decodeHeadRecord,
  decodeNumber,
  decodePlace,
  decodeStateRecord,
  decodeSuperseded,
  encodeReceiptsRecord,
  endOf,
  GOVERNANCE_PREFIX,
  governanceKey,
  HEAD_KEY,
  numberKey,
  openRecord,
  proofKey,
  receiptsKey,
  STATE_KEY,
  SUPERSEDED_KEY,
  transactionKey,
  undoKey,
} from './records.ts';
import type { Recovery } from './recovery.ts';
import type { KeyValueStore } from './store.ts';
import { decodeTransaction } from './transaction.ts';
import { Trie } from './trie.ts';
import { decodeUndo, encodeUndo } from './undo-record.ts';

export type VerifyOptions = {
  readonly store: KeyValueStore;
  readonly rules: ChainRules;
  readonly genesis: GenesisInput;
  /** Where the chain was broken, every statement verified. Default: nowhere. */
  readonly recoveries?: readonly Recovery[];
  /**
   * Judges the finality proof of a block, which is undefined when it has none of its own; undefined: fine, else what is
   * wrong. Called in height order, so that it can wait for a descendant's proof.
   */
  readonly checkProof?: (block: Block, proof: Bytes | undefined) => string | undefined;
  /** The epoch of the blocks that are judged from here on: at first, and after each block that closes one. */
  readonly enterEpoch?: (epoch: EpochInfo) => void;
  /** Called now and then. */
  readonly progress?: (height: Height, head: Height) => void;
};

export type VerifyResult = {
  readonly ok: boolean;
  readonly head: Height;
  readonly hash: Hash;
  readonly transactions: number;
  /** What is wrong, at most 100 of them; the first often explains the rest. */
  readonly problems: readonly string[];
};

const PROBLEMS_MAX = 100;
const PROGRESS_EVERY = 100;
/** Blocks between two pauses, in which other work of the process may run. */
const PAUSE_EVERY = 16;

export async function verifyStore(options: VerifyOptions): Promise<VerifyResult> {
  return await new Verification(options).run();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #executor: Executor;
  readonly #genesis: Executed;
  /** Of the newest blocks, for calls that name one, and of the block that opened the epoch. */
  readonly #hashes = new Map<Height, Hash>();
  #opened: { readonly height: Height; readonly hash: Hash } | undefined;
  /** Blocks that changed the governance state, with its storage root before and after. */
  readonly #governed: { readonly height: Height; readonly before: Hash; readonly after: Hash }[] = [];
  readonly #problems: string[] = [];
  #transactions = 0;
  #oldestUndo = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
    // The state is kept whole in memory: nothing is read from the store that is being judged.
    const inMemory = { codec: ACCOUNT_CODEC, prefix: accountPrefix(0), nodesMax: Number.POSITIVE_INFINITY };
    const trie = new Trie<Account>({ ...inMemory, read: () => undefined });
    this.#genesis = executeGenesis(options.rules, trie, options.genesis);
    this.#executor = new Executor(options.rules, trie, this.#genesis.block.hash, options.recoveries ?? []);
  }

  async run(): Promise<VerifyResult> {
    const head = this.#try('head', () => decodeHeadRecord(this.#options.store.get(HEAD_KEY)));
    if (head === undefined) return this.#result(0, '');
    this.#oldestUndo = head.oldestUndo;
    const state = this.#try('state', () => decodeStateRecord(this.#options.store.get(STATE_KEY)));
    let last = this.#genesis;
    this.#try('block 0', () => this.#checkGenesis(last));
    if (state?.height === 0) await this.#state(last);
    for (let height = 1; height <= head.height; height++) {
      const next = this.#try(`block ${height}`, () => this.#block(height, last));
      // Without a block nothing above it can be executed; what is there is reported as far as one can tell.
      if (next === undefined) return this.#result(head.height, head.hash);
      last = next;
      if (state?.height === height) await this.#state(last);
      if (height % PROGRESS_EVERY === 0 || height === head.height) this.#options.progress?.(height, head.height);
      if (height % PAUSE_EVERY === 0) await new Promise((resume) => setImmediate(resume));
    }
    if (last.block.hash !== head.hash) this.#problem(`head: ${head.hash} is not the hash of block ${head.height}`);
    if (state === undefined) this.#problem('state: its record is missing');
    else if (state.height > head.height) this.#problem(`state: it is of block ${state.height}, above the head`);
    await this.#governance(last, state?.height ?? 0);
    return this.#result(head.height, head.hash);
  }

  #result(head: Height, hash: Hash): VerifyResult {
    const problems = this.#problems;
    return { ok: problems.length === 0, head, hash, transactions: this.#transactions, problems };
  }

  #problem(text: string): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(text);
  }

  /** Runs one check; damage that it meets becomes a problem. */
  #try<T>(what: string, check: () => T | undefined): T | undefined {
    try {
      const result = check();
      if (result === undefined && this.#problems.length === 0) this.#problem(`${what}: missing`);
      return result;
    } catch (error) {
      if (!(error instanceof QuorateError) && !(error instanceof RangeError)) throw error;
      this.#problem(`${what}: ${errorMessage(error)}`);
      return undefined;
    }
  }

  #checkGenesis(expected: Executed): true {
    const bytes = this.#options.store.get(blockKey(0));
    if (bytes === undefined || !equalBytes(bytes, expected.block.bytes)) {
      this.#problem('block 0: it is not that of the genesis file');
    }
    this.#records(expected);
    this.#follow(expected);
    this.#options.enterEpoch?.(epochInfoOf(this.#executor.above(expected), expected.block.hash));
    return true;
  }

  /** Decodes with all signatures, executes on the block before, compares every record about it. */
  #block(height: Height, parent: Executed): Executed | undefined {
    const bytes = this.#options.store.get(blockKey(height));
    if (bytes === undefined) {
      this.#problem(`block ${height}: missing`);
      return undefined;
    }
    const decoded = decodeBlock(bytes, (raw) => decodeTransaction(raw, { chainId: this.#options.rules.chainId }));
    if (!decoded.ok) {
      this.#problem(`block ${height}: ${decoded.reason}`);
      return undefined;
    }
    const { block } = decoded;
    const result = this.#executor.execute(parent, block, (named) => this.#hashAt(named));
    if ('ok' in result) {
      this.#problem(`block ${height}: ${result.detail}`);
      return undefined;
    }
    this.#transactions += block.transactions.length;
    this.#records(result);
    const proof = openRecord(this.#options.store.get(proofKey(height)), `proof of block ${height}`);
    const refused = this.#options.checkProof?.(block, proof);
    if (refused !== undefined) this.#problem(`block ${height}: finality proof: ${refused}`);
    this.#follow(result, parent);
    if (this.#executor.closes(result))
      this.#options.enterEpoch?.(epochInfoOf(this.#executor.above(result), block.hash));
    return result;
  }

  #hashAt(height: Height): Hash | undefined {
    return this.#opened?.height === height ? this.#opened.hash : this.#hashes.get(height);
  }

  /** Remembers of a block what later checks ask for. */
  #follow(executed: Executed, parent?: Executed): void {
    const { block, governance } = executed;
    const height = block.header.number;
    this.#hashes.set(height, block.hash);
    const { rootHeight } = governance.state;
    if (rootHeight !== this.#opened?.height) this.#opened = { height: rootHeight, hash: this.#hashes.get(rootHeight)! };
    this.#hashes.delete(height - READY_BLOCKS_MAX - 1);
    if (parent === undefined || governance === parent.governance) return;
    this.#governed.push({ height, before: parent.governance.storageRoot, after: governance.storageRoot });
  }

  #records({ block, receipts, undo }: Executed): void {
    const { store } = this.#options;
    const height = block.header.number;
    const number = store.get(numberKey(block.hash));
    if (number === undefined || decodeNumber(number) !== height) this.#problem(`block ${height}: hash index is wrong`);
    const stored = store.get(receiptsKey(height));
    if (stored === undefined || !equalBytes(stored, encodeReceiptsRecord(receipts))) {
      this.#problem(`block ${height}: receipts differ from those of its execution`);
    }
    block.transactions.forEach((transaction, index) => {
      const record = store.get(transactionKey(transaction.hash));
      const place = record && decodePlace(record);
      if (place?.height === height && place.index === index) return;
      this.#problem(`block ${height}: index of transaction ${transaction.hash} is wrong`);
    });
    if (height < Math.max(1, this.#oldestUndo)) return;
    const kept = openRecord(store.get(undoKey(height)), `undo record of block ${height}`);
    const found = kept && decodeUndo(kept);
    if (found === undefined || !equalBytes(sorted(found), sorted(undo))) {
      this.#problem(`block ${height}: undo record is wrong`);
    }
  }

  /** The stored state of a block: exactly the nodes that its execution gives. */
  async #state(executed: Executed): Promise<void> {
    const { store } = this.#options;
    const height = executed.block.header.number;
    const state = decodeStateRecord(store.get(STATE_KEY));
    if (state?.root !== executed.root.hash) this.#problem(`state of block ${height}: its root is wrong`);
    const prefix = accountPrefix(state?.slot ?? 0);
    const expected = new Map(this.#nodes(executed).map(([key, value]) => [toHex(key.subarray(prefix.length)), value]));
    for await (const [key, value] of this.#range(prefix, endOf(prefix))) {
      const path = toHex(key.subarray(prefix.length));
      const wanted = expected.get(path);
      expected.delete(path);
      if (wanted === undefined) this.#problem(`state of block ${height}: a node at ${path} is not part of it`);
      else if (!equalBytes(wanted, value)) this.#problem(`state of block ${height}: the node at ${path} is wrong`);
    }
    for (const path of expected.keys()) this.#problem(`state of block ${height}: the node at ${path} is missing`);
  }

  /**
   * States of the governance contract: those that heights still served refer to are there, each is one that execution
   * gave, and the list of former ones names all that are left.
   */
  async #governance({ governance }: Executed, stateHeight: Height): Promise<void> {
    const { store } = this.#options;
    const listed = this.#try('governance', () => decodeSuperseded(store.get(SUPERSEDED_KEY))) ?? [];
    const oldest = Math.min(this.#oldestUndo - 1, stateHeight);
    const needed = new Set([toHex(governanceKey(governance.storageRoot))]);
    for (const { height, before } of this.#governed) {
      if (height <= oldest) continue;
      needed.add(toHex(governanceKey(before)));
      const found = listed.some((entry) => entry.height === height && entry.storageRoot === before);
      if (!found) this.#problem(`governance: the state before block ${height} is not listed`);
    }
    const roots = [this.#genesis.governance.storageRoot, ...this.#governed.map(({ after }) => after)];
    const known = new Map(roots.map((root) => [toHex(governanceKey(root)), root]));
    const end = Uint8Array.of(GOVERNANCE_PREFIX[0]! + 1);
    for await (const [key, value] of this.#range(GOVERNANCE_PREFIX, end)) {
      const root = known.get(toHex(key));
      needed.delete(toHex(key));
      if (root === undefined) this.#problem(`governance: the state under ${toHex(key)} is none of this chain`);
      else if (storageRootOf(value) !== root) this.#problem(`governance: the state with root ${root} is damaged`);
    }
    for (const key of needed) this.#problem(`governance: the state under ${key} is missing`);
  }

  /** A range of the store; damage met on the way is a problem and ends it. */
  async *#range(from: Bytes, to: Bytes): AsyncIterable<readonly [Bytes, Bytes]> {
    try {
      yield* this.#options.store.range(from, to);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      this.#problem(error.message);
    }
  }

  #nodes(executed: Executed): (readonly [Bytes, Bytes])[] {
    return this.#executor.stateRecords(executed.root);
  }
}

/** Accounts are in the order of their first use, which differs between who built the block and who executes it. */
function sorted(undo: Undo): Bytes {
  return encodeUndo(new Map([...undo].sort(([a], [b]) => (a < b ? -1 : 1))));
}
