/**
 * The ledger, seen from outside: executes blocks speculatively on any executed parent, makes them final in order, and
 * answers reads. Synchronous but for the store's write callbacks; no clock, no randomness. Final means written: `head`
 * moves, and listeners are called, when a block's batch is in the store, with receipts and indexes all at once.
 *
 * Three positions: `head`, newest written; `committed`, newest final and maybe on its way to the store; `tip`, what the
 * next block and `pending` build on. The store may be ahead of `head` by the batch under way, so all state is read through
 * the newest committed version of the trie and corrected by the undo of what is not written yet (trie.ts says why).
 */
import { assert } from '../primitives/errors.ts';
import {
  type Address,
  type Bytes,
  type Epoch,
  GOVERNANCE_ADDRESS,
  type Hash,
  type Height,
  ZERO_HASH,
} from '../primitives/ids.ts';
import type { Account } from './account.ts';
import { type Block, type BlockResult, decodeBlock, type Header, headerEpoch } from './block.ts';
import { type BlockRefusal, type Expectation, type Judge, refuse } from './block-rules.ts';
import type { ChainRules, GenesisInput } from './chain-rules.ts';
import { type EpochInfo, epochInfoOf } from './epoch-info.ts';
import { Epochs } from './epochs.ts';
import type { BuildRequest, Executed, Executor } from './executor.ts';
import { GovernanceReads } from './governance/kept.ts';
import type { GovernanceState } from './governance/state.ts';
import { type Governance, storageWord } from './governance/storage.ts';
import { HISTORY_LIMITS, type History, type HistoryLimits } from './history.ts';
import { type Opened, openStore, settled } from './open.ts';
import type { ChainReader, HeaderWithHash } from './reader.ts';
import type { Receipt } from './receipt.ts';
import type { Recovery } from './recovery.ts';
import { Speculation } from './speculation.ts';
import { StateView } from './state-view.ts';
import type { KeyValueStore } from './store.ts';
import type { Transaction, TransactionResult } from './transaction.ts';
import { TransactionCache } from './transaction-cache.ts';
import { BlockWriter, type Done, FLUSH_LIMITS, type FlushLimits } from './writer.ts';

export type LedgerOptions = ChainRules & {
  readonly store: KeyValueStore;
  readonly genesis: GenesisInput;
  /** Where the chain was broken and by whom it goes on, every statement verified. Default: nowhere. */
  readonly recoveries?: readonly Recovery[];
  /** Decodes one raw transaction; give one that knows the pool's by hash. Default: a TransactionCache of its own. */
  readonly decode?: (raw: Bytes) => TransactionResult;
  readonly history?: HistoryLimits;
  readonly flush?: FlushLimits;
  /** Nodes of the state trie kept in memory. Default 200,000, some 100 MB. */
  readonly stateNodesMax?: number;
  /** Executed blocks above the head, forks included; past it the oldest off the tip's chain go. Default 256. */
  readonly speculativeMax?: number;
};

export type Head = { readonly height: Height; readonly hash: Hash; readonly header: Header };
/** `closes`: nothing of this epoch may follow the block, what follows belongs to the next. */
export type Built = { readonly block: Block; readonly closes: boolean };
export type ExecuteResult =
  | { readonly ok: true; readonly closes: boolean }
  | { readonly ok: false; readonly reason: BlockRefusal; readonly detail: string };
export type FinalListener = (block: Block, receipts: readonly Receipt[]) => void;
/** Which state an account is read from; `block` names an executed block at or above the head. */
export type StateAt = { readonly final: true } | { readonly tip: true } | { readonly block: Hash };

const STATE_NODES_MAX = 200_000;
const SPECULATIVE_MAX = 256;

export class Ledger {
  readonly #executor: Executor;
  readonly #reader: ChainReader;
  readonly #history: History;
  readonly #writer: BlockWriter;
  readonly #epochs: Epochs;
  readonly #governance: GovernanceReads;
  readonly #decode: (raw: Bytes) => TransactionResult;
  readonly #genesisHash: Hash;
  readonly #store: KeyValueStore;
  /** Those it was opened with; the base of one may not be here yet. */
  readonly recoveries: readonly Recovery[];
  readonly #listeners = new Set<FinalListener>();
  /** Executed and not final. */
  readonly #speculation: Speculation;
  /** Final and not written, ascending. */
  readonly #unwritten: Executed[] = [];
  #head: Executed;
  #committed: Executed;
  #tip: Executed;

  /** Creates block 0 or checks what is there. Throws STORE_DAMAGED or GENESIS_MISMATCH. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const { chainId, gasLimit, baseFee, judgeEvidence } = options;
    const cache = new TransactionCache({ chainId });
    const decode = options.decode ?? ((raw: Bytes) => cache.decode(raw));
    const opened = await openStore({
      store: options.store,
      rules: { chainId, gasLimit, baseFee, judgeEvidence },
      genesis: options.genesis,
      decode,
      history: options.history ?? HISTORY_LIMITS,
      stateNodesMax: options.stateNodesMax ?? STATE_NODES_MAX,
      recoveries: options.recoveries ?? [],
    });
    return new Ledger(options, opened, decode);
  }

  private constructor(options: LedgerOptions, opened: Opened, decode: (raw: Bytes) => TransactionResult) {
    this.#executor = opened.executor;
    this.#reader = opened.reader;
    this.#history = opened.history;
    this.#decode = decode;
    this.#store = options.store;
    this.#genesisHash = opened.genesis.block.hash;
    this.#speculation = new Speculation(options.speculativeMax ?? SPECULATIVE_MAX);
    this.#head = opened.replayed.at(-1) ?? opened.base;
    this.#committed = this.#head;
    this.#tip = this.#head;
    const { block, governance } = opened.genesis;
    this.recoveries = options.recoveries ?? [];
    const first = epochInfoOf(governance.state, block.hash);
    this.#epochs = new Epochs({ reader: opened.reader, first, recoveries: this.recoveries });
    this.#governance = new GovernanceReads((key) => options.store.get(key));
    this.#writer = new BlockWriter({
      store: options.store,
      trie: opened.trie,
      history: opened.history,
      governance: opened.governance,
      flush: options.flush ?? FLUSH_LIMITS,
      head: opened.base,
      oldestUndo: opened.oldestUndo,
      slot: opened.slot,
      newestRoot: () => this.#committed.root,
      onWritten: (executed) => this.#onWritten(executed),
    });
    for (const executed of opened.replayed) this.#writer.adopt(executed);
  }

  /** Newest final block whose batch is written. */
  get head(): Head {
    return headOf(this.#head);
  }

  get tip(): Head {
    return headOf(this.#tip);
  }

  get genesisHash(): Hash {
    return this.#genesisHash;
  }

  // --- executing

  /** Wire bytes to a block with this ledger's decoder. Never throws on hostile bytes. */
  decodeBlock(bytes: Bytes): BlockResult {
    return decodeBlock(bytes, this.#decode);
  }

  /** Builds the next block on an executed parent and keeps it as executed. */
  build(request: BuildRequest): Built {
    const parent = this.#parent(request.parent);
    assert(parent !== undefined, 'ledger: build on a parent that was not executed');
    const executed = this.#executor.build(parent, request, (height) => this.#ancestor(parent, height));
    this.#keep(executed);
    return { block: executed.block, closes: this.#executor.closes(executed) };
  }

  /** Checks and executes a block on its parent, which must have been executed. Known blocks are fine at once. */
  execute(block: Block, judge: Judge | undefined, expect: Expectation): ExecuteResult {
    const known = this.#closes(block.hash);
    if (known !== undefined) return { ok: true, closes: known };
    const parent = this.#parent(block.header.parentHash);
    if (parent === undefined) return refuse('unknown-parent', `parent ${block.header.parentHash} was not executed`);
    const result = this.#executor.execute(parent, block, (height) => this.#ancestor(parent, height), judge, expect);
    if ('ok' in result) return result;
    this.#keep(result);
    return { ok: true, closes: this.#executor.closes(result) };
  }

  /** Whether an executed block closed its epoch; undefined for a block not executed here. */
  #closes(hash: Hash): boolean | undefined {
    const executed = this.#find(hash);
    if (executed !== undefined) return this.#executor.closes(executed);
    const height = this.#finalHeight(hash);
    return height === undefined
      ? undefined
      : this.#epochAbove(height) > headerEpoch(this.#reader.header(height)!.header);
  }

  /** Hash of the block at a height at or below `executed`, on its chain. */
  #ancestor(executed: Executed, height: Height): Hash | undefined {
    let at = executed;
    while (at.block.header.number > height) {
      const parent = this.#find(at.block.header.parentHash);
      // What is in memory no more is final.
      if (parent === undefined) return this.#reader.header(height)?.hash;
      at = parent;
    }
    return at.block.header.number === height ? at.block.hash : undefined;
  }

  /** What a new block may build on: anything speculative and the newest committed block. */
  #parent(hash: Hash): Executed | undefined {
    return this.#committed.block.hash === hash ? this.#committed : this.#speculation.get(hash);
  }

  #keep(executed: Executed): void {
    if (!this.executed(executed.block.hash)) this.#speculation.add(executed, this.#tip);
  }

  /** The block was executed here and is speculative or final. */
  executed(hash: Hash): boolean {
    return this.#find(hash) !== undefined || this.#finalHeight(hash) !== undefined;
  }

  #find(hash: Hash): Executed | undefined {
    if (this.#head.block.hash === hash) return this.#head;
    return this.#speculation.get(hash) ?? this.#unwritten.find((executed) => executed.block.hash === hash);
  }

  // --- making final

  /**
   * Makes an executed block final; its parent must be the newest committed block. May be called again before the batch
   * before is written. `proof` may be empty for a block whose descendant has the proof. After an error the process ends.
   */
  commit(hash: Hash, proof: Bytes, done: Done): void {
    const executed = this.#speculation.get(hash);
    assert(executed !== undefined, 'ledger: commit of a block that was not executed');
    assert(
      executed.block.header.parentHash === this.#committed.block.hash,
      'ledger: commit of a block that does not follow the last',
    );
    this.#unwritten.push(executed);
    this.#committed = executed;
    const kept = this.#speculation.settle(hash);
    if (!kept.has(this.#tip.block.hash)) this.#tip = executed;
    this.#writer.block(executed, proof, done);
  }

  #onWritten(executed: Executed): void {
    const written = this.#unwritten.shift();
    assert(written === executed, 'ledger: blocks are written in order');
    this.#head = executed;
    this.#reader.remember(executed.block.header.number, executed);
    for (const listener of this.#listeners) listener(executed.block, executed.receipts);
  }

  /** Everything committed so far is on disk when `done` is called without an error. */
  sync(done: Done): void {
    this.#writer.sync(done);
  }

  /** Names the executed block that the next block and `pending` build on. */
  setTip(hash: Hash): void {
    const executed = this.#parent(hash) ?? this.#find(hash);
    assert(executed !== undefined, 'ledger: tip was not executed');
    this.#tip = executed.block.header.number < this.#committed.block.header.number ? this.#committed : executed;
  }

  /** Called in height order, after head has moved. Returns the function that removes the listener. */
  onFinal(listener: FinalListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Writes what is queued and the whole state, durably. Does not close the store. */
  async close(): Promise<void> {
    await settled((done) => this.#writer.state(done));
    await settled((done) => this.#writer.sync(done));
  }

  // --- reading

  account(address: Address, at: StateAt): Account | undefined;
  account(address: Address, at: StateAt | { readonly height: Height }): Account | undefined | 'pruned' | 'unknown';
  /** An account in a state. `pruned`: that height is no longer kept; `unknown`: it is above the head. */
  account(address: Address, at: StateAt | { readonly height: Height }): Account | undefined | 'pruned' | 'unknown' {
    if ('tip' in at) return this.#executor.account(this.#tip.root, address);
    if ('final' in at) return this.#finalAccount(address);
    if ('block' in at) return this.#accountAtBlock(address, at.block);
    if (at.height > this.#head.block.header.number) return 'unknown';
    if (at.height < this.oldestState) return 'pruned';
    const before = this.#history.before(address, at.height);
    return before === undefined ? this.#finalAccount(address) : before.account;
  }

  #finalAccount(address: Address): Account | undefined {
    for (const { undo } of this.#unwritten) {
      if (undo.has(address)) return undo.get(address);
    }
    return this.#executor.account(this.#committed.root, address);
  }

  #accountAtBlock(address: Address, hash: Hash): Account | undefined {
    if (hash === this.#head.block.hash) return this.#finalAccount(address);
    const executed = this.#parent(hash);
    assert(executed !== undefined, 'ledger: state of a block that is not at or above the head');
    return this.#executor.account(executed.root, address);
  }

  governance(at: StateAt): GovernanceState;
  governance(at: StateAt | { readonly height: Height }): GovernanceState | 'pruned' | 'unknown';
  /** State of the governance contract; heights as for accounts. */
  governance(at: StateAt | { readonly height: Height }): GovernanceState | 'pruned' | 'unknown' {
    const found = this.#governanceAt(at);
    return typeof found === 'string' ? found : found.state;
  }

  /** A word of an account's storage; heights as for accounts. */
  storage(address: Address, slot: Hash, at: StateAt | { readonly height: Height }): Hash | 'pruned' | 'unknown' {
    const found = this.#governanceAt(at);
    if (typeof found === 'string') return found;
    return address === GOVERNANCE_ADDRESS ? storageWord(found.bytes, slot) : ZERO_HASH;
  }

  #governanceAt(at: StateAt | { readonly height: Height }): Governance | 'pruned' | 'unknown' {
    if ('tip' in at) return this.#tip.governance;
    if ('final' in at) return this.#head.governance;
    if ('block' in at) {
      const executed = at.block === this.#head.block.hash ? this.#head : this.#parent(at.block);
      assert(executed !== undefined, 'ledger: state of a block that is not at or above the head');
      return executed.governance;
    }
    const contract = this.account(GOVERNANCE_ADDRESS, at);
    if (typeof contract === 'string') return contract;
    assert(contract !== undefined, 'ledger: the governance contract is in every state');
    const newest = this.#head.governance;
    return contract.storageRoot === newest.storageRoot ? newest : this.#governance.at(contract.storageRoot);
  }

  // --- epochs

  /** The epoch that children of an executed or final block belong to. */
  epochAfter(hash: Hash): EpochInfo {
    const executed = this.#find(hash);
    if (executed !== undefined) {
      return this.#epochs.above(this.#executor.above(executed), (height) => this.#ancestor(executed, height));
    }
    const height = this.#finalHeight(hash);
    assert(height !== undefined, 'ledger: epoch above a block that was not executed');
    return this.epochInfo(this.#epochAbove(height))!;
  }

  /** State of the governance contract that children of an executed block at or above the head begin with. */
  governanceAfter(hash: Hash): GovernanceState {
    const executed = this.#find(hash);
    assert(executed !== undefined, 'ledger: state above a block that is not at or above the head');
    return this.#executor.above(executed);
  }

  /** An epoch begun by a final block; undefined: not yet. */
  epochInfo(epoch: Epoch): EpochInfo | undefined {
    const newest = this.epochAfter(this.#head.block.hash);
    if (epoch === newest.epoch) return newest;
    const begun = Number.isSafeInteger(epoch) && epoch >= 0 && epoch < newest.epoch;
    return begun ? this.#epochs.past(epoch, this.#head.block.header.number) : undefined;
  }

  /** Epoch of the blocks on top of a final one. */
  #epochAbove(height: Height): Epoch {
    const next = this.headerByHeight(height + 1);
    return next === undefined ? this.#executor.above(this.#head).epoch : headerEpoch(next.header);
  }

  /** Oldest height whose state is still served. */
  get oldestState(): Height {
    return this.#history.oldest ?? this.#head.block.header.number;
  }

  /** Speculative and final blocks. */
  block(hash: Hash): Block | undefined {
    return this.#find(hash)?.block ?? this.blockByHash(hash);
  }

  /** Executed blocks above head up to the tip, ascending: what `pending` shows. */
  unfinal(): readonly Block[] {
    const chain = this.#speculation.chainTo(this.#tip).reverse();
    const first = this.#unwritten.filter(({ block }) => block.header.number <= this.#tip.block.header.number);
    return [...first, ...chain].map(({ block }) => block);
  }

  blockByHeight(height: Height): Block | undefined {
    return this.#isFinal(height) ? this.#reader.at(height)?.block : undefined;
  }

  /** Final blocks only. */
  blockByHash(hash: Hash): Block | undefined {
    const height = this.#finalHeight(hash);
    return height === undefined ? undefined : this.blockByHeight(height);
  }

  /** Header of a final block, without decoding its transactions. */
  headerByHeight(height: Height): HeaderWithHash | undefined {
    return this.#isFinal(height) ? this.#reader.header(height) : undefined;
  }

  /** Final transactions only. */
  transactionByHash(hash: Hash): { transaction: Transaction; block: Block; index: number } | undefined {
    const place = this.#reader.place(hash);
    if (place === undefined || !this.#isFinal(place.height)) return undefined;
    const block = this.blockByHeight(place.height);
    const transaction = block?.transactions[place.index];
    if (block === undefined || transaction?.hash !== hash) return undefined;
    return { transaction, block, index: place.index };
  }

  /** Receipts of a final or speculative block. */
  receipts(blockHash: Hash): readonly Receipt[] | undefined {
    const executed = this.#find(blockHash);
    if (executed !== undefined) return executed.receipts;
    const height = this.#finalHeight(blockHash);
    return height === undefined ? undefined : this.#reader.at(height)?.receipts;
  }

  /** Finality proof of a final block, if it was committed with one of its own. */
  proof(height: Height): Bytes | undefined {
    return this.#isFinal(height) ? this.#reader.proof(height) : undefined;
  }

  /** Wire form of a final block. */
  rawBlock(height: Height): Bytes | undefined {
    return this.#isFinal(height) ? this.#reader.rawBlock(height)?.bytes : undefined;
  }

  /** What a node that takes a snapshot needs besides the block: its receipts as the store has them. */
  rawReceipts(height: Height): Bytes | undefined {
    return this.#isFinal(height) ? this.#reader.rawReceipts(height) : undefined;
  }

  /** The state after a recent final block for serving it to others; undefined when it is no longer kept. */
  async stateView(height: Height, pause: () => Promise<void>): Promise<StateView | undefined> {
    const header = this.headerByHeight(height)?.header;
    if (header === undefined || height < this.oldestState) return undefined;
    // The stored state may lag behind the block; from the newest one the undo records lead back.
    await settled((done) => this.#writer.state(done));
    return await StateView.open(this.#store.snapshot(), { height, root: header.stateRoot }, pause);
  }

  #isFinal(height: Height): boolean {
    return Number.isSafeInteger(height) && height >= 0 && height <= this.#head.block.header.number;
  }

  #finalHeight(hash: Hash): Height | undefined {
    const height = this.#reader.heightOf(hash);
    if (height === undefined || !this.#isFinal(height)) return undefined;
    return this.#reader.header(height)?.hash === hash ? height : undefined;
  }
}

function headOf({ block }: Executed): Head {
  return { height: block.header.number, hash: block.hash, header: block.header };
}
