/**
 * Blocks on top of executed blocks: building one from candidates, checking and executing one from elsewhere, and block 0.
 * Results share structure with their parent and touch no store, so that unfinal blocks can be dropped at no cost.
 */
import { equalBytes } from '../primitives/bytes.ts';
import { type Address, type Bytes, type Hash, ZERO_ADDRESS, ZERO_HASH } from '../primitives/ids.ts';
import { type Account, decodeAccount, EMPTY_CODE, encodeAccount } from './account.ts';
import { AddressKeys } from './address-keys.ts';
import {
  type Block,
  EMPTY_BLOOM,
  EMPTY_UNCLES,
  encodeExtraData,
  headerTimeMs,
  makeBlock,
  ZERO_NONCE,
} from './block.ts';
import { type Expectation, headerProblem, type Judge, type Refused, refuse } from './block-rules.ts';
import { BlockState, type Undo } from './block-state.ts';
import type { ChainRules, GenesisInput } from './chain-rules.ts';
import { applyTransaction, type ExecutionContext } from './execute.ts';
import { EMPTY_ROOT, orderedRoot } from './ordered-root.ts';
import { bloomOfReceipts, encodeReceipt, type Receipt } from './receipt.ts';
import type { Transaction } from './transaction.ts';
import type { Trie } from './trie.ts';
import type { TrieRoot } from './trie-node.ts';
import type { ValueCodec } from './trie-records.ts';

export const ACCOUNT_CODEC: ValueCodec<Account> = { encode: encodeAccount, decode: decodeAccount };

/** A block with what its execution gave. */
export type Executed = {
  readonly block: Block;
  readonly receipts: readonly Receipt[];
  readonly root: TrieRoot<Account>;
  readonly undo: Undo;
};

export type BuildRequest = {
  readonly parent: Hash;
  /** The primary's clock; the block gets the parent's time when that is later. */
  readonly timeMs: number;
  readonly epoch: number;
  readonly mixHash: Hash;
  readonly miner: Address;
  readonly candidates: Iterable<Transaction>;
  /** Bound of the wire form, about. */
  readonly bytesMax: number;
  readonly transactionsMax: number;
};

/** Room a block needs besides its transactions. */
const BLOCK_OVERHEAD_BYTES = 1024;
const RLP_OVERHEAD_BYTES = 5;
/** Candidates in a row that do not fit before building stops looking. */
const MISSES_MAX = 256;
const GAS_MIN = 21_000;

export class Executor {
  readonly rules: ChainRules;
  readonly keys = new AddressKeys();
  readonly #trie: Trie<Account>;

  constructor(rules: ChainRules, trie: Trie<Account>) {
    this.rules = rules;
    this.#trie = trie;
  }

  account(root: TrieRoot<Account>, address: Address): Account | undefined {
    return this.#trie.get(root, this.keys.key(address));
  }

  /** Records of all of a state's nodes that were not asked for before. */
  stateRecords(root: TrieRoot<Account>): (readonly [Bytes, Bytes])[] {
    return this.#trie.flush(root);
  }

  /** Executes as many candidates as fit; those invalid on the parent's state are passed over. */
  build(parent: Executed, request: BuildRequest): Executed {
    const state = new BlockState(this.#trie, parent.root, this.keys);
    const context: ExecutionContext = { rules: this.rules, miner: request.miner, gasUsed: 0 };
    const transactions: Transaction[] = [];
    const receipts: Receipt[] = [];
    let room = request.bytesMax - BLOCK_OVERHEAD_BYTES;
    let misses = 0;
    for (const candidate of request.candidates) {
      if (transactions.length >= request.transactionsMax) break;
      if (misses > MISSES_MAX || this.rules.gasLimit - context.gasUsed < GAS_MIN) break;
      const size = candidate.raw.length + RLP_OVERHEAD_BYTES;
      const receipt = size > room ? 'block full' : applyTransaction(state, candidate, context);
      if (typeof receipt === 'string') {
        misses++;
        continue;
      }
      misses = 0;
      room -= size;
      transactions.push(candidate);
      receipts.push(receipt);
    }
    const { root, undo } = state.seal();
    const timeMs = Math.max(request.timeMs, headerTimeMs(parent.block.header));
    const block = makeBlock(
      {
        parentHash: parent.block.hash,
        sha3Uncles: EMPTY_UNCLES,
        miner: request.miner,
        stateRoot: root.hash,
        transactionsRoot: transactionsRoot(transactions),
        receiptsRoot: orderedRoot(receipts.map(encodeReceipt)),
        logsBloom: bloomOfReceipts(receipts),
        difficulty: 0,
        number: parent.block.header.number + 1,
        gasLimit: this.rules.gasLimit,
        gasUsed: context.gasUsed,
        timestamp: Math.floor(timeMs / 1000),
        extraData: encodeExtraData(timeMs, request.epoch),
        mixHash: request.mixHash,
        nonce: ZERO_NONCE,
        baseFeePerGas: this.rules.baseFee,
      },
      transactions,
    );
    return { block, receipts, root, undo };
  }

  /** Checks everything a block claims by doing it. */
  execute(parent: Executed, block: Block, judge: Judge | undefined, expect: Expectation): Executed | Refused {
    const { header } = block;
    const problem = headerProblem(header, parent.block, this.rules, judge, expect);
    if (problem !== undefined) return problem;
    if (transactionsRoot(block.transactions) !== header.transactionsRoot) {
      return refuse('transactions-root', `transactionsRoot ${header.transactionsRoot} is not the body's`);
    }
    const state = new BlockState(this.#trie, parent.root, this.keys);
    const context: ExecutionContext = { rules: this.rules, miner: header.miner, gasUsed: 0 };
    const receipts: Receipt[] = [];
    for (const transaction of block.transactions) {
      const receipt = applyTransaction(state, transaction, context);
      if (typeof receipt === 'string') return refuse('transaction', `transaction ${receipts.length}: ${receipt}`);
      receipts.push(receipt);
    }
    if (context.gasUsed !== header.gasUsed) {
      return refuse('gas-used', `gasUsed ${header.gasUsed}, executed ${context.gasUsed}`);
    }
    if (orderedRoot(receipts.map(encodeReceipt)) !== header.receiptsRoot) {
      return refuse('receipts-root', `receiptsRoot ${header.receiptsRoot} is not what execution gives`);
    }
    if (!equalBytes(bloomOfReceipts(receipts), header.logsBloom)) return refuse('logs-bloom', 'logsBloom differs');
    const { root, undo } = state.seal();
    if (root.hash !== header.stateRoot) {
      return refuse('state-root', `stateRoot ${header.stateRoot}, executed ${root.hash}`);
    }
    return { block, receipts, root, undo };
  }

  /** Block 0 and its state. Accounts with nothing in them are left out (EIP-161). */
  genesis(input: GenesisInput): Executed {
    const edit = this.#trie.edit(this.#trie.empty());
    let any = false;
    for (const [address, balance] of input.alloc) {
      if (balance === 0n) continue;
      edit.put(this.keys.key(address), { nonce: 0, balance, storageRoot: EMPTY_ROOT, codeHash: EMPTY_CODE });
      any = true;
    }
    const root = any ? edit.seal() : this.#trie.empty();
    const block = makeBlock(
      {
        parentHash: ZERO_HASH,
        sha3Uncles: EMPTY_UNCLES,
        miner: ZERO_ADDRESS,
        stateRoot: root.hash,
        transactionsRoot: EMPTY_ROOT,
        receiptsRoot: EMPTY_ROOT,
        logsBloom: EMPTY_BLOOM,
        difficulty: 0,
        number: 0,
        gasLimit: this.rules.gasLimit,
        gasUsed: 0,
        timestamp: input.timestamp,
        extraData: Uint8Array.from(input.extraData),
        mixHash: input.mixHash,
        nonce: ZERO_NONCE,
        baseFeePerGas: this.rules.baseFee,
      },
      [],
    );
    return { block, receipts: [], root, undo: new Map() };
  }
}

export function transactionsRoot(transactions: readonly Transaction[]): Hash {
  return orderedRoot(transactions.map((transaction): Bytes => transaction.raw));
}
