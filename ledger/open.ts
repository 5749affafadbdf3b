/**
 * Opening a store: creates block 0 in an empty one, else checks that what is there is this chain, whole, and not older than
 * it was, and executes the blocks the stored state lacks (reliability.md section 3.3).
 */

import { uint64 } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import { type Bytes, GOVERNANCE_ADDRESS, type Height } from '../primitives/ids.ts';
import type { Account } from './account.ts';
import { decodeBlock, type Header, headerTimeMs } from './block.ts';
import type { ChainRules, GenesisInput } from './chain-rules.ts';
import { ACCOUNT_CODEC, type Executed, Executor } from './executor.ts';
import { executeGenesis } from './genesis-block.ts';
import { KeptGovernance, loadGovernance } from './governance/kept.ts';
import { History, type HistoryLimits } from './history.ts';
import { ChainReader } from './reader.ts';
import {
  accountPrefix,
  blockKey,
  damaged,
  decodeHeadRecord,
  decodeStateRecord,
  encodeHeadRecord,
  encodeReceiptsRecord,
  encodeStateRecord,
  governanceKey,
  HEAD_KEY,
  type HeadRecord,
  numberKey,
  receiptsKey,
  type Slot,
  STATE_KEY,
  type StateRecord,
} from './records.ts';
import { checkRecoveries, type Recovery, statementMissing } from './recovery.ts';
import type { KeyValueStore } from './store.ts';
import type { TransactionResult } from './transaction.ts';
import { Trie } from './trie.ts';

export type OpenOptions = {
  readonly store: KeyValueStore;
  readonly rules: ChainRules;
  readonly genesis: GenesisInput;
  readonly decode: (raw: Bytes) => TransactionResult;
  readonly history: HistoryLimits;
  readonly stateNodesMax: number;
  readonly recoveries: readonly Recovery[];
};

export type Opened = {
  readonly trie: Trie<Account>;
  readonly executor: Executor;
  readonly reader: ChainReader;
  readonly history: History;
  readonly governance: KeptGovernance;
  readonly genesis: Executed;
  /** The newest block whose state is in the store. */
  readonly base: Executed;
  /** Blocks above it, executed again, ascending. */
  readonly replayed: readonly Executed[];
  readonly oldestUndo: Height;
  readonly slot: Slot;
};

/** A log of LevelDB holds some 8 MiB before a new one begins: a hole in it lies within these last bytes of blocks. */
const CHECKED_BYTES = 12 * 1024 * 1024;
const CHECKED_BLOCKS = 4096;

/** Block 0 of a chain; pure. */
export function genesisBlock(rules: ChainRules, input: GenesisInput): Executed {
  return executeGenesis(rules, memoryTrie(), input);
}

/** A state that is made, not read. */
function memoryTrie(): Trie<Account> {
  return newTrie(() => undefined, Number.POSITIVE_INFINITY, 0);
}

function newTrie(read: (key: Bytes) => Bytes | undefined, nodesMax: number, slot: Slot): Trie<Account> {
  return new Trie({ codec: ACCOUNT_CODEC, prefix: accountPrefix(slot), read, nodesMax });
}

export async function openStore(options: OpenOptions): Promise<Opened> {
  const { store, rules, recoveries } = options;
  const read = (key: Bytes) => store.get(key);
  const head = decodeHeadRecord(store.get(HEAD_KEY));
  const genesis = genesisBlock(rules, options.genesis);
  if (head === undefined) {
    if (store.floor >= 0) throw damaged(`it is empty but was at block ${store.floor}`);
    await createStore(store, rules, options.genesis);
  } else if (store.floor < 0) {
    // Only a crash while block 0 was written leaves a database without the height it must not fall below.
    if (head.height > 0) throw damaged('the height kept beside it is gone');
    await settled((done) => store.raiseFloor(0, done));
  }
  const state = decodeStateRecord(store.get(STATE_KEY));
  const trie = newTrie(read, options.stateNodesMax, state?.slot ?? 0);
  const executor = new Executor(rules, trie, genesis.block.hash, recoveries);
  const reader = new ChainReader(store, rules.chainId);
  const history = new History(read, options.history);
  const newest = head ?? { height: 0, hash: genesis.block.hash, oldestUndo: 1 };
  checkGenesis(reader, genesis.block.hash);
  checkChain(reader, newest, store.floor);
  const base = readState(store, reader, { trie, executor, state }, newest);
  const replayed = replay(reader, executor, base, newest.height, options.decode);
  const { breaks } = (replayed.at(-1) ?? base).governance.state;
  const hashAt = (height: Height) => reader.header(height)?.hash;
  checkRecoveries({ recoveries, head: newest.height, breaks, hashAt });
  history.restore(newest.height, newest.oldestUndo, (height) => headerTimeMs(headerAt(reader, height)));
  const governance = new KeptGovernance(read);
  const slot = state?.slot ?? 0;
  const { oldestUndo } = newest;
  return { trie, executor, reader, history, governance, genesis, base, replayed, oldestUndo, slot };
}

/** Writes block 0 durably, then the floor outside the database. */
async function createStore(store: KeyValueStore, rules: ChainRules, input: GenesisInput): Promise<void> {
  const trie = memoryTrie();
  const { block, root, governance } = executeGenesis(rules, trie, input);
  const put: (readonly [Bytes, Bytes])[] = [
    ...trie.flush(root),
    [blockKey(0), block.bytes],
    [receiptsKey(0), encodeReceiptsRecord([])],
    [numberKey(block.hash), uint64(0)],
    [governanceKey(governance.storageRoot), governance.bytes],
    [STATE_KEY, encodeStateRecord({ height: 0, root: root.hash, slot: 0 })],
    [HEAD_KEY, encodeHeadRecord({ height: 0, hash: block.hash, oldestUndo: 1 })],
  ];
  await settled((done) => store.write({ put, del: [] }, { sync: true }, done));
  await settled((done) => store.raiseFloor(0, done));
}

/** A callback of the store as a promise. */
export function settled(run: (done: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run((error) => (error === undefined ? resolve() : reject(error))));
}

function headerAt(reader: ChainReader, height: Height): Header {
  const read = reader.header(height);
  if (read === undefined) throw damaged(`block ${height} is missing`);
  return read.header;
}

function checkGenesis(reader: ChainReader, expected: string): void {
  const found = reader.header(0);
  if (found === undefined) throw damaged('block 0 is missing');
  if (found.hash === expected) return;
  throw new QuorateError(
    'GENESIS_MISMATCH',
    `the ledger holds another chain (block 0 is ${found.hash}, the genesis file gives ${expected}): use its genesis file or an empty data folder`,
    { data: { found: found.hash, expected } },
  );
}

/** The newest blocks are all there and linked: a hole means that the database lost a part of its log. */
function checkChain(reader: ChainReader, head: HeadRecord, floor: Height): void {
  if (head.height < floor) throw damaged(`it ends at block ${head.height} but was at block ${floor}`);
  let hash = head.hash;
  let bytes = 0;
  for (let h = head.height; h >= 0 && head.height - h < CHECKED_BLOCKS && bytes < CHECKED_BYTES; h--) {
    const raw = reader.rawBlock(h);
    if (raw === undefined) throw damaged(`block ${h} is missing`);
    if (raw.hash !== hash) throw damaged(`block ${h} is not the parent of the next`);
    hash = raw.header.parentHash;
    bytes += raw.bytes.length;
  }
}

type StoredState = {
  readonly trie: Trie<Account>;
  readonly executor: Executor;
  readonly state: StateRecord | undefined;
};

function readState(
  store: KeyValueStore,
  reader: ChainReader,
  { trie, executor, state }: StoredState,
  head: HeadRecord,
): Executed {
  if (state === undefined || state.height > head.height) throw damaged('the record of the state is missing or too new');
  const entry = reader.at(state.height);
  if (entry === undefined) throw damaged(`block ${state.height} is missing`);
  if (entry.block.header.stateRoot !== state.root) throw damaged('the state is not that of its block');
  const root = trie.stored(state.root);
  const contract = executor.account(root, GOVERNANCE_ADDRESS); // reads the root node at least, and so checks it
  if (contract === undefined) throw damaged('the governance contract is missing');
  const governance = loadGovernance((key) => store.get(key), contract.storageRoot);
  return { ...entry, root, undo: new Map(), governance };
}

function replay(
  reader: ChainReader,
  executor: Executor,
  base: Executed,
  head: Height,
  decode: (raw: Bytes) => TransactionResult,
): Executed[] {
  const out: Executed[] = [];
  let parent = base;
  for (let h = base.block.header.number + 1; h <= head; h++) {
    const raw = reader.rawBlock(h);
    if (raw === undefined) throw damaged(`block ${h} is missing`);
    const decoded = decodeBlock(raw.bytes, decode);
    if (!decoded.ok) throw damaged(`block ${h}: ${decoded.reason}`);
    const result = executor.execute(parent, decoded.block, (height) => reader.header(height)?.hash);
    // It was executed here before, with the statement of a recovery that is gone now.
    if ('ok' in result && result.reason === 'epoch') throw statementMissing(h - 1);
    if ('ok' in result) throw damaged(`block ${h} executed again: ${result.detail}`);
    reader.remember(h, result);
    out.push(result);
    parent = result;
  }
  return out;
}
