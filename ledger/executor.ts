/**
 * Blocks on top of executed blocks: building one from candidates, checking and executing one from elsewhere. Results share
 * structure with their parent and touch no store, so that unfinal blocks can be dropped at no cost.
 */
import { equalBytes } from '../primitives/bytes.ts';
import { type Address, type Bytes, GOVERNANCE_ADDRESS, type Hash, type Height } from '../primitives/ids.ts';
import { membershipHash } from '../primitives/membership.ts';
import { type Account, decodeAccount, encodeAccount } from './account.ts';
import { AddressKeys } from './address-keys.ts';
import { type Block, EMPTY_UNCLES, encodeExtraData, headerTimeMs, makeBlock, ZERO_NONCE } from './block.ts';
import { bodyRoot } from './block-body.ts';
import { type Expectation, headerProblem, type Judge, type Refused, refuse } from './block-rules.ts';
import { BlockState, type Undo } from './block-state.ts';
import type { ChainRules } from './chain-rules.ts';
import { applyTransaction, type ExecutionContext } from './execute.ts';
import { recoveredState } from './governance/recovered.ts';
import type { GovernanceState } from './governance/state.ts';
import { type Governance, sealGovernance } from './governance/storage.ts';
import { orderedRoot } from './ordered-root.ts';
import { bloomOfReceipts, encodeReceipt, type Receipt } from './receipt.ts';
import { type Recovery, recoveryOn } from './recovery.ts';
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
  /** After the block: the parent's own object unless a call changed it. */
  readonly governance: Governance;
};

/** Hashes of a block's ancestors; undefined for what is none or too far back to tell. */
export type HashAt = (height: Height) => Hash | undefined;

export type BuildRequest = {
  readonly parent: Hash;
  /** The primary's clock; the block gets the parent's time when that is later. */
  readonly timeMs: number;
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
  readonly #genesisHash: Hash;
  readonly #recoveries: readonly Recovery[];
  /** By the base they are above. */
  readonly #recovered = new Map<Hash, GovernanceState>();

  constructor(rules: ChainRules, trie: Trie<Account>, genesisHash: Hash, recoveries: readonly Recovery[]) {
    this.rules = rules;
    this.#trie = trie;
    this.#genesisHash = genesisHash;
    this.#recoveries = recoveries;
  }

  /** The governance state that blocks on top of this one begin with: the block's own, unless it is a recovery's base. */
  above({ block, governance }: Executed): GovernanceState {
    const known = this.#recovered.get(block.hash);
    if (known !== undefined) return known;
    let { state } = governance;
    for (;;) {
      // A recovered epoch may have been broken off in turn before its first block.
      const recovery = recoveryOn(this.#recoveries, block.hash, state.epoch);
      if (recovery === undefined) break;
      state = recoveredState(state, recovery, block.header.timestamp);
      this.#recovered.set(block.hash, state);
    }
    return state;
  }

  /** A block ends its epoch when its execution opened the next, or a recovery does on top of it. */
  closes(executed: Executed): boolean {
    const { block, governance } = executed;
    const byVote = block.header.number > 0 && governance.state.rootHeight === block.header.number;
    return byVote || this.above(executed) !== governance.state;
  }

  account(root: TrieRoot<Account>, address: Address): Account | undefined {
    return this.#trie.get(root, this.keys.key(address));
  }

  /** Records of all of a state's nodes that were not asked for before. */
  stateRecords(root: TrieRoot<Account>): (readonly [Bytes, Bytes])[] {
    return this.#trie.flush(root);
  }

  #context(parent: Executed, miner: Address, timeMs: number, hashAt: HashAt): ExecutionContext {
    return {
      rules: this.rules,
      genesisHash: this.#genesisHash,
      miner,
      number: parent.block.header.number + 1,
      timestamp: Math.floor(timeMs / 1000),
      hashAt,
      gasUsed: 0,
      governance: this.above(parent),
    };
  }

  /** The governance state as an account, hashed once per block however often it changed. */
  #governance(parent: Executed, context: ExecutionContext, state: BlockState): Governance {
    if (context.governance === parent.governance.state) return parent.governance;
    const governance = sealGovernance(context.governance);
    state.account(GOVERNANCE_ADDRESS).storageRoot = governance.storageRoot;
    return governance;
  }

  /** Executes as many candidates as fit; those invalid on the parent's state are passed over. */
  build(parent: Executed, request: BuildRequest, hashAt: HashAt): Executed {
    const state = new BlockState(this.#trie, parent.root, this.keys);
    const timeMs = Math.max(request.timeMs, headerTimeMs(parent.block.header));
    const context = this.#context(parent, request.miner, timeMs, hashAt);
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
    const governance = this.#governance(parent, context, state);
    const { root, undo } = state.seal();
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
        number: context.number,
        gasLimit: this.rules.gasLimit,
        gasUsed: context.gasUsed,
        timestamp: context.timestamp,
        extraData: encodeExtraData(timeMs, this.above(parent).epoch),
        mixHash: nextMembership(parent, governance),
        nonce: ZERO_NONCE,
        baseFeePerGas: this.rules.baseFee,
      },
      transactions,
    );
    return { block, receipts, root, undo, governance };
  }

  /** Checks everything a block claims by doing it. */
  execute(
    parent: Executed,
    block: Block,
    hashAt: HashAt,
    judge?: Judge | undefined,
    expect: Expectation = {},
  ): Executed | Refused {
    const { header } = block;
    const { epoch } = this.above(parent);
    const problem = headerProblem(header, parent.block, this.rules, judge, { ...expect, epoch });
    if (problem !== undefined) return problem;
    const raws = block.transactions.map((transaction): Bytes => transaction.raw);
    if (bodyRoot(block.bytes, raws) !== header.transactionsRoot) {
      return refuse('transactions-root', `transactionsRoot ${header.transactionsRoot} is not the body's`);
    }
    const state = new BlockState(this.#trie, parent.root, this.keys);
    const context = this.#context(parent, header.miner, headerTimeMs(header), hashAt);
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
    const governance = this.#governance(parent, context, state);
    const mixHash = nextMembership(parent, governance);
    if (header.mixHash !== mixHash) return refuse('mix-hash', `mixHash ${header.mixHash}, executed ${mixHash}`);
    const { root, undo } = state.seal();
    if (root.hash !== header.stateRoot) {
      return refuse('state-root', `stateRoot ${header.stateRoot}, executed ${root.hash}`);
    }
    return { block, receipts, root, undo, governance };
  }
}

/** Hash of the validator list in force after a block: its parent's, unless an epoch began with or on top of the block. */
function nextMembership(parent: Executed, governance: Governance): Hash {
  const same = governance.state.epoch === parent.governance.state.epoch;
  return same ? parent.block.header.mixHash : membershipHash(governance.state.members);
}

export function transactionsRoot(transactions: readonly Transaction[]): Hash {
  return orderedRoot(transactions.map((transaction): Bytes => transaction.raw));
}
