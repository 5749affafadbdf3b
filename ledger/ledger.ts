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
import type { Address, Bytes, Hash, Height } from '../primitives/ids.ts';
import type { Account } from './account.ts';
import { type Block, type BlockResult, decodeBlock, type Header } from './block.ts';
import { type BlockRefusal, type Expectation, type Judge, refuse } from './block-rules.ts';
import type { ChainRules, GenesisInput } from './chain-rules.ts';
import type { BuildRequest, Executed, Executor } from './executor.ts';
import { HISTORY_LIMITS, type History, type HistoryLimits } from './history.ts';
import { type Opened, openStore, settled } from './open.ts';
import type { ChainReader, HeaderWithHash } from './reader.ts';
import type { Receipt } from './receipt.ts';
import type { KeyValueStore } from './store.ts';
import type { Transaction, TransactionResult } from './transaction.ts';
import { TransactionCache } from './transaction-cache.ts';
import { BlockWriter, type Done, FLUSH_LIMITS, type FlushLimits } from './writer.ts';

export type LedgerOptions = ChainRules & {
  readonly store: KeyValueStore;
  readonly genesis: GenesisInput;
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
export type ExecuteResult =
  | { readonly ok: true }
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
  readonly #decode: (raw: Bytes) => TransactionResult;
  readonly #genesisHash: Hash;
  readonly #speculativeMax: number;
  readonly #listeners = new Set<FinalListener>();
  /** Executed and not final, parents before children. */
  readonly #speculative = new Map<Hash, Executed>();
  /** Final and not written, ascending. */
  readonly #unwritten: Executed[] = [];
  #head: Executed;
  #committed: Executed;
  #tip: Executed;

  /** Creates block 0 or checks what is there. Throws STORE_DAMAGED or GENESIS_MISMATCH. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const { chainId, gasLimit, baseFee } = options;
    const cache = new TransactionCache({ chainId });
    const decode = options.decode ?? ((raw: Bytes) => cache.decode(raw));
    const opened = await openStore({
      store: options.store,
      rules: { chainId, gasLimit, baseFee },
      genesis: options.genesis,
      decode,
      history: options.history ?? HISTORY_LIMITS,
      stateNodesMax: options.stateNodesMax ?? STATE_NODES_MAX,
    });
    return new Ledger(options, opened, decode);
  }

  private constructor(options: LedgerOptions, opened: Opened, decode: (raw: Bytes) => TransactionResult) {
    this.#executor = opened.executor;
    this.#reader = opened.reader;
    this.#history = opened.history;
    this.#decode = decode;
    this.#genesisHash = opened.genesis.block.hash;
    this.#speculativeMax = options.speculativeMax ?? SPECULATIVE_MAX;
    this.#head = opened.replayed.at(-1) ?? opened.base;
    this.#committed = this.#head;
    this.#tip = this.#head;
    this.#writer = new BlockWriter({
      store: options.store,
      trie: opened.trie,
      history: opened.history,
      flush: options.flush ?? FLUSH_LIMITS,
      head: opened.base,
      oldestUndo: opened.oldestUndo,
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
  build(request: BuildRequest): Block {
    const parent = this.#parent(request.parent);
    assert(parent !== undefined, 'ledger: build on a parent that was not executed');
    const executed = this.#executor.build(parent, request);
    this.#keep(executed);
    return executed.block;
  }

  /** Checks and executes a block on its parent, which must have been executed. Known blocks are fine at once. */
  execute(block: Block, judge: Judge | undefined, expect: Expectation): ExecuteResult {
    if (this.executed(block.hash)) return { ok: true };
    const parent = this.#parent(block.header.parentHash);
    if (parent === undefined) return refuse('unknown-parent', `parent ${block.header.parentHash} was not executed`);
    const result = this.#executor.execute(parent, block, judge, expect);
    if ('ok' in result) return result;
    this.#keep(result);
    return { ok: true };
  }

  /** What a new block may build on: anything speculative and the newest committed block. */
  #parent(hash: Hash): Executed | undefined {
    return this.#committed.block.hash === hash ? this.#committed : this.#speculative.get(hash);
  }

  #keep(executed: Executed): void {
    if (this.executed(executed.block.hash)) return;
    this.#speculative.set(executed.block.hash, executed);
    if (this.#speculative.size > this.#speculativeMax) this.#dropForks();
  }

  /** Drops the oldest block that the tip and the newest block do not build on, with what builds on it. */
  #dropForks(): void {
    const kept = new Set([...this.#chainTo(this.#tip), ...this.#chainTo([...this.#speculative.values()].at(-1)!)]);
    for (const executed of this.#speculative.values()) {
      if (kept.has(executed)) continue;
      const gone = new Set<Hash>([executed.block.hash]);
      this.#speculative.delete(executed.block.hash);
      for (const [hash, { block }] of this.#speculative) {
        if (!gone.has(block.header.parentHash)) continue;
        gone.add(hash);
        this.#speculative.delete(hash);
      }
      return;
    }
  }

  /** Speculative blocks from above the committed one up to `executed`, descending. */
  #chainTo(executed: Executed): Executed[] {
    const chain: Executed[] = [];
    let at = this.#speculative.get(executed.block.hash);
    while (at !== undefined) {
      chain.push(at);
      at = this.#speculative.get(at.block.header.parentHash);
    }
    return chain;
  }

  /** The block was executed here and is speculative or final. */
  executed(hash: Hash): boolean {
    return this.#find(hash) !== undefined || this.#finalHeight(hash) !== undefined;
  }

  #find(hash: Hash): Executed | undefined {
    if (this.#head.block.hash === hash) return this.#head;
    return this.#speculative.get(hash) ?? this.#unwritten.find((executed) => executed.block.hash === hash);
  }

  // --- making final

  /**
   * Makes an executed block final; its parent must be the newest committed block. May be called again before the batch
   * before is written. `proof` may be empty for a block whose descendant has the proof. After an error the process ends.
   */
  commit(hash: Hash, proof: Bytes, done: Done): void {
    const executed = this.#speculative.get(hash);
    assert(executed !== undefined, 'ledger: commit of a block that was not executed');
    assert(
      executed.block.header.parentHash === this.#committed.block.hash,
      'ledger: commit of a block that does not follow the last',
    );
    this.#speculative.delete(hash);
    this.#unwritten.push(executed);
    this.#committed = executed;
    const kept = new Set<Hash>([hash]);
    for (const [key, { block }] of this.#speculative) {
      if (kept.has(block.header.parentHash)) kept.add(key);
      else this.#speculative.delete(key);
    }
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
  account(address: Address, at: { readonly height: Height }): Account | undefined | 'pruned' | 'unknown';
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
    const chain = this.#chainTo(this.#tip).reverse();
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
