/**
 * Final blocks on their way to the store: one atomic batch per block (block, finality proof, receipts, index entries, undo
 * record, head), in order, one batch at a time. The state's nodes go along with some of the batches only: accounts that
 * change in every block are then written once for many blocks. Blocks between the stored state and the head are executed
 * again on start; batches with state come often enough that this takes a moment.
 */

import { uint64 } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Bytes, Height } from '../primitives/ids.ts';
import type { Account } from './account.ts';
import { headerTimeMs } from './block.ts';
import type { Executed } from './executor.ts';
import type { KeptGovernance } from './governance/kept.ts';
import type { History } from './history.ts';
import {
  accountPrefix,
  blockKey,
  encodeHeadRecord,
  encodePlace,
  encodeReceiptsRecord,
  encodeStateRecord,
  HEAD_KEY,
  numberKey,
  proofKey,
  receiptsKey,
  type Slot,
  STATE_KEY,
  SYNC_KEY,
  sealRecord,
  transactionKey,
  undoKey,
} from './records.ts';
import type { KeyValueStore } from './store.ts';
import type { Trie } from './trie.ts';
import type { TrieRoot } from './trie-node.ts';
import { nodeKey } from './trie-records.ts';
import { encodeUndo } from './undo-record.ts';

export type Done = (error?: Error) => void;

/** The state is written when one of these is reached. */
export type FlushLimits = {
  /** Nodes that wait, about: bounds the time one batch takes. */
  readonly nodes: number;
  /** Account changes and blocks since the last time: bound what is executed again on start. */
  readonly changes: number;
  readonly blocks: number;
};

export const FLUSH_LIMITS: FlushLimits = { nodes: 6144, changes: 32_768, blocks: 256 };

/** Undo records removed with one block, beyond the one that makes room: they may lag after a restart. */
const UNDO_REMOVED_MAX = 4;

export type WriterOptions = {
  readonly store: KeyValueStore;
  readonly trie: Trie<Account>;
  readonly history: History;
  readonly governance: KeptGovernance;
  readonly flush: FlushLimits;
  /** Newest written block and oldest undo record at start. */
  readonly head: Executed;
  readonly oldestUndo: Height;
  /** Where the trie's nodes lie. */
  readonly slot: Slot;
  /** Newest committed state: the one that may be swept. */
  readonly newestRoot: () => TrieRoot<Account>;
  /** A block's batch is written: the head has moved. */
  readonly onWritten: (executed: Executed) => void;
};

type Job =
  | { readonly kind: 'block'; readonly executed: Executed; readonly proof: Bytes; readonly done: Done }
  | { readonly kind: 'sync'; readonly done: Done }
  | { readonly kind: 'state'; readonly done: Done };

export class BlockWriter {
  readonly #options: WriterOptions;
  readonly #queue: Job[] = [];
  #busy = false;
  #failure: Error | undefined;
  #newest: Executed;
  #oldestUndo: Height;
  /** Height of the state in the store, once what is on its way there is written. */
  #stateHeight: Height;
  /** Since the state was last written. */
  #changes = 0;
  #blocks = 0;
  #vanished: Bytes[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#newest = options.head;
    this.#oldestUndo = options.oldestUndo;
    this.#stateHeight = options.head.block.header.number;
  }

  /** A block executed again at start: its state is not in the store yet. */
  adopt(executed: Executed): void {
    this.#newest = executed;
    this.#count(executed);
  }

  #count(executed: Executed): void {
    this.#changes += executed.undo.size;
    this.#blocks++;
    this.#vanished.push(...executed.root.vanished);
  }

  block(executed: Executed, proof: Bytes, done: Done): void {
    this.#push({ kind: 'block', executed, proof, done });
  }

  /** Everything pushed before is on disk when `done` is called. */
  sync(done: Done): void {
    this.#push({ kind: 'sync', done });
  }

  /** Writes the state as of the newest block before. */
  state(done: Done): void {
    this.#push({ kind: 'state', done });
  }

  #push(job: Job): void {
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      queueMicrotask(() => job.done(failure));
      return;
    }
    this.#queue.push(job);
    this.#next();
  }

  #next(): void {
    if (this.#busy) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#busy = true;
    if (job.kind === 'block') this.#writeBlock(job.executed, job.proof, job.done);
    else if (job.kind === 'sync') this.#writeSync(job.done);
    else this.#writeState(job.done);
  }

  #finish(done: Done, error: Error | undefined): void {
    this.#busy = false;
    if (error !== undefined) this.#fail(error);
    done(error);
    this.#next();
  }

  /** Nothing more is written after a failure: what the disk holds is not known any more. */
  #fail(error: Error): void {
    this.#failure = error;
    for (const job of this.#queue.splice(0)) job.done(error);
  }

  #writeBlock(executed: Executed, proof: Bytes, done: Done): void {
    const { header, hash, bytes, transactions } = executed.block;
    const height = header.number;
    assert(height === this.#newest.block.header.number + 1, 'ledger: blocks are written in order');
    const before = this.#newest.governance;
    this.#newest = executed;
    this.#count(executed);
    const undo = encodeUndo(executed.undo);
    const put: (readonly [Bytes, Bytes])[] = [
      [blockKey(height), bytes],
      [receiptsKey(height), encodeReceiptsRecord(executed.receipts)],
      [numberKey(hash), uint64(height)],
      [undoKey(height), sealRecord(undo)],
    ];
    if (proof.length > 0) put.push([proofKey(height), sealRecord(proof)]);
    for (let i = 0; i < transactions.length; i++) {
      put.push([transactionKey(transactions[i]!.hash), encodePlace({ height, index: i })]);
    }
    const { governance } = this.#options;
    if (executed.governance !== before) put.push(...governance.changed(height, before, executed.governance));
    const del = this.#removeUndo();
    del.push(...governance.dropped(Math.min(this.#oldestUndo - 1, this.#stateHeight)));
    const withState = this.#stateIsDue();
    if (withState) this.#addState(executed, put, del);
    put.push([HEAD_KEY, encodeHeadRecord({ height, hash, oldestUndo: this.#oldestUndo })]);
    this.#options.store.write({ put, del }, { sync: false }, (error) => {
      if (error === undefined) {
        this.#options.history.append(height, headerTimeMs(header), undo);
        if (withState) this.#options.trie.sweep(this.#options.newestRoot());
        this.#options.onWritten(executed);
      }
      this.#finish(done, error);
    });
  }

  #stateIsDue(): boolean {
    const { nodes, changes, blocks } = this.#options.flush;
    return this.#options.trie.unstored >= nodes || this.#changes >= changes || this.#blocks >= blocks;
  }

  /** Keys of undo records that memory no longer answers for. */
  #removeUndo(): Bytes[] {
    const keep = (this.#options.history.oldest ?? 0) + 1;
    const del: Bytes[] = [];
    while (this.#oldestUndo < keep && del.length <= UNDO_REMOVED_MAX) del.push(undoKey(this.#oldestUndo++));
    return del;
  }

  #addState(executed: Executed, put: (readonly [Bytes, Bytes])[], del: Bytes[]): void {
    const nodes = this.#options.trie.flush(executed.root);
    for (const entry of nodes) put.push(entry);
    if (this.#vanished.length > 0) del.push(...this.#vanishedKeys(nodes));
    const { height, root } = { height: executed.block.header.number, root: executed.root.hash };
    put.push([STATE_KEY, encodeStateRecord({ height, root, slot: this.#options.slot })]);
    this.#stateHeight = height;
    this.#changes = 0;
    this.#blocks = 0;
    this.#vanished = [];
  }

  /** Records to remove: those of paths that vanished and did not come back. */
  #vanishedKeys(nodes: readonly (readonly [Bytes, Bytes])[]): Bytes[] {
    const seen = new Set(nodes.map(([key]) => latin1(key)));
    const gone: Bytes[] = [];
    const prefix = accountPrefix(this.#options.slot);
    for (const path of this.#vanished) {
      const key = nodeKey(prefix, path, path.length);
      if (seen.has(latin1(key))) continue;
      seen.add(latin1(key));
      gone.push(key);
    }
    return gone;
  }

  #writeState(done: Done): void {
    const put: (readonly [Bytes, Bytes])[] = [];
    const del: Bytes[] = [];
    this.#addState(this.#newest, put, del);
    this.#options.store.write({ put, del }, { sync: false }, (error) => this.#finish(done, error));
  }

  #writeSync(done: Done): void {
    const { store } = this.#options;
    const height = this.#newest.block.header.number;
    store.write({ put: [[SYNC_KEY, uint64(height)]], del: [] }, { sync: true }, (error) => {
      if (error !== undefined) this.#finish(done, error);
      else store.raiseFloor(height, (failure) => this.#finish(done, failure));
    });
  }
}

function latin1(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
