/** A Backend in memory: real blocks, transactions and receipts, no consensus. The test says what becomes final. */
import { Wallet } from 'ethers';
import {
  type Block,
  EMPTY_UNCLES,
  encodeExtraData,
  encodeHeader,
  type Header,
  headerHash,
  ZERO_NONCE,
} from '../../../ledger/block.ts';
import { bloomOf, bloomOfReceipts, type Log, type Receipt } from '../../../ledger/receipt.ts';
import { decodeTransaction, type Transaction } from '../../../ledger/transaction.ts';
import type {
  AccountView,
  Backend,
  CallRequest,
  CallResult,
  FinalBlock,
  FinalityProofView,
  LocatedTransaction,
  NodeStatus,
  StateAt,
  SubmitResult,
  ViewChangeView,
} from '../../../node/rpc/backend.ts';
import { effectiveGasPrice } from '../../../node/rpc/format.ts';
import { EMPTY, fromHex, toHex } from '../../../primitives/bytes.ts';
import { type Address, type Bytes, type Hash, ZERO_ADDRESS, ZERO_HASH } from '../../../primitives/ids.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';

const CHAIN_ID = 1337;
export const GOVERNANCE = '0x0000000000000000000000000000000000000100';
const KEY = '0x' + '11'.repeat(32);
export const wallet = new Wallet(KEY);
export const SENDER = wallet.address.toLowerCase();
export const RECIPIENT = '0x' + 'b0'.repeat(20);

/** Listeners that can be called. */
class Signal<T> {
  readonly listeners = new Set<(value: T) => void>();
  readonly on = (listener: (value: T) => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };
  emit(value: T): void {
    for (const listener of [...this.listeners]) listener(value);
  }
}

export async function signed(fields: Record<string, unknown> = {}): Promise<string> {
  return wallet.signTransaction({
    chainId: CHAIN_ID,
    type: 2,
    nonce: 0,
    to: RECIPIENT,
    value: 1n,
    gasLimit: 21_000,
    maxFeePerGas: 0n,
    maxPriorityFeePerGas: 0n,
    ...fields,
  });
}

export function decoded(raw: string): Transaction {
  const result = decodeTransaction(fromHex(raw)!, { chainId: CHAIN_ID });
  if (!result.ok) throw new Error(result.message);
  return result.transaction;
}

export type FakeOptions = { readonly baseFee?: bigint };

export class FakeChain implements Backend {
  readonly chainId = CHAIN_ID;
  readonly clientVersion = 'quorate/v0.0.0-test';
  readonly gasLimit = 100_000_000;
  readonly baseFee: bigint;
  readonly coinbase = '0x' + 'c0'.repeat(20);
  readonly blocks: Block[] = [];
  readonly pool = new Map<Hash, Transaction>();
  readonly accounts = new Map<Address, AccountView>([[SENDER, { nonce: 0, balance: 10n ** 21n }]]);
  readonly extensions = new Map<string, (params: readonly unknown[]) => unknown>();
  readonly finalSignal = new Signal<FinalBlock>();
  readonly pooledSignal = new Signal<Transaction>();
  readonly finalitySignal = new Signal<FinalityProofView>();
  readonly viewSignal = new Signal<ViewChangeView>();
  readonly onFinal = this.finalSignal.on;
  readonly onPooled = this.pooledSignal.on;
  readonly onFinality = this.finalitySignal.on;
  readonly onView = this.viewSignal.on;
  readonly #receipts = new Map<Hash, readonly Receipt[]>();
  certifiedBlocks: Block[] = [];
  /** State below this height is gone. */
  oldestState = 0;
  isSyncing = false;
  /** Answers submissions instead of the pool. */
  onSubmit: ((raw: Bytes) => SubmitResult | Promise<SubmitResult>) | undefined;

  constructor({ baseFee = 0n }: FakeOptions = {}) {
    this.baseFee = baseFee;
    this.finalize([]);
  }

  /** Makes a block of the transactions; each may come with logs. */
  make(
    transactions: readonly Transaction[],
    logs: readonly (readonly Log[])[] = [],
    above: readonly Block[] = this.blocks,
  ) {
    const parent = above.at(-1);
    let cumulativeGasUsed = 0;
    const receipts = transactions.map((tx, i): Receipt => {
      cumulativeGasUsed += tx.intrinsicGas;
      const own = logs[i] ?? [];
      return {
        type: tx.type,
        status: 1,
        cumulativeGasUsed,
        gasUsed: tx.intrinsicGas,
        effectiveGasPrice: effectiveGasPrice(tx, this.baseFee),
        logsBloom: bloomOf(own),
        logs: own,
      };
    });
    const number = above.length;
    const header: Header = {
      parentHash: parent?.hash ?? ZERO_HASH,
      sha3Uncles: EMPTY_UNCLES,
      miner: this.coinbase,
      stateRoot: '0x' + '01'.repeat(32),
      transactionsRoot: '0x' + '02'.repeat(32),
      receiptsRoot: '0x' + '03'.repeat(32),
      logsBloom: bloomOfReceipts(receipts),
      difficulty: 0,
      number,
      gasLimit: this.gasLimit,
      gasUsed: cumulativeGasUsed,
      timestamp: 1_700_000_000 + number,
      extraData: encodeExtraData((1_700_000_000 + number) * 1000 + 5, 0),
      mixHash: '0x' + '04'.repeat(32),
      nonce: ZERO_NONCE,
      baseFeePerGas: this.baseFee,
    };
    const bytes = rlpEncode([encodeHeader(header), transactions.map((tx) => tx.raw)]);
    const block: Block = { header, hash: headerHash(header), transactions, bytes };
    return { block, receipts };
  }

  finalize(transactions: readonly Transaction[], logs: readonly (readonly Log[])[] = []): Block {
    const { block, receipts } = this.make(transactions, logs);
    this.blocks.push(block);
    this.#receipts.set(block.hash, receipts);
    for (const tx of transactions) {
      this.pool.delete(tx.hash);
      const account = this.accountNow(tx.from);
      this.accounts.set(tx.from, { nonce: tx.nonce + 1, balance: account.balance - tx.value });
      const to = this.accountNow(tx.to!);
      this.accounts.set(tx.to!, { ...to, balance: to.balance + tx.value });
    }
    this.certifiedBlocks = [];
    this.finalSignal.emit({ block, receipts });
    return block;
  }

  certify(transactions: readonly Transaction[]): Block {
    const { block } = this.make(transactions, [], [...this.blocks, ...this.certifiedBlocks]);
    this.certifiedBlocks.push(block);
    return block;
  }

  head() {
    const block = this.blocks.at(-1)!;
    return { height: block.header.number, hash: block.hash };
  }
  blockByHeight(height: number) {
    return this.blocks[height];
  }
  blockByHash(hash: Hash) {
    return this.blocks.find((block) => block.hash === hash);
  }
  headerByHeight(height: number) {
    return this.blocks[height];
  }
  receipts(hash: Hash) {
    return this.#receipts.get(hash);
  }
  certified() {
    return this.certifiedBlocks;
  }
  transaction(hash: Hash): LocatedTransaction | undefined {
    for (const block of this.blocks) {
      const index = block.transactions.findIndex((tx) => tx.hash === hash);
      if (index >= 0) return { transaction: block.transactions[index]!, place: { block, index } };
    }
    const transaction =
      this.certifiedBlocks.flatMap((block) => block.transactions).find((tx) => tx.hash === hash) ?? this.pool.get(hash);
    return transaction === undefined ? undefined : { transaction, place: undefined };
  }
  accountNow(address: Address): AccountView {
    return this.accounts.get(address) ?? { nonce: 0, balance: 0n };
  }
  account(address: Address, at: StateAt): AccountView | 'pruned' {
    return at !== 'tip' && at < this.oldestState ? 'pruned' : this.accountNow(address);
  }
  code(address: Address, at: StateAt): Bytes | 'pruned' {
    if (at !== 'tip' && at < this.oldestState) return 'pruned';
    return address === GOVERNANCE ? Uint8Array.of(0xfe) : EMPTY;
  }
  storage(_address: Address, slot: Hash, at: StateAt): Hash | 'pruned' {
    return at !== 'tip' && at < this.oldestState ? 'pruned' : slot;
  }
  call(request: CallRequest): CallResult | undefined {
    if (request.to !== GOVERNANCE) return undefined;
    if (request.data.length === 0) return { ok: false, message: 'no such function', data: Uint8Array.of(1, 2) };
    return { ok: true, data: request.data, gasUsed: 54_321 };
  }
  pendingNonce(address: Address): number {
    const waiting = [...this.pool.values()].filter((tx) => tx.from === address).length;
    return this.accountNow(address).nonce + waiting;
  }
  pooled(): Iterable<Transaction> {
    return this.pool.values();
  }
  poolStatus() {
    return { executable: this.pool.size, gapped: 2 };
  }
  submit(raw: Bytes): SubmitResult | Promise<SubmitResult> {
    if (this.onSubmit !== undefined) return this.onSubmit(raw);
    const result = decodeTransaction(raw, { chainId: CHAIN_ID });
    if (!result.ok) return { code: result.code, message: result.message };
    const { transaction } = result;
    if (this.pool.has(transaction.hash)) return { code: -32000, message: 'already known' };
    this.pool.set(transaction.hash, transaction);
    this.pooledSignal.emit(transaction);
    return { hash: transaction.hash };
  }
  peerCount(): number {
    return 3;
  }
  syncing() {
    return this.isSyncing ? { startingBlock: 1, currentBlock: 2, highestBlock: 16 } : undefined;
  }
  status(): NodeStatus {
    return {
      role: 'observer',
      epoch: 0,
      view: 1,
      primary: ZERO_ADDRESS,
      group: [ZERO_ADDRESS],
      final: this.head().height,
      head: this.head().height,
      t: 1,
      validators: [],
      margin: 1,
    };
  }
  validators(height: number): readonly Address[] | undefined {
    return height < this.blocks.length ? [SENDER] : undefined;
  }
  finalityProof(height: number): FinalityProofView | undefined {
    const block = this.blocks[height];
    if (block === undefined) return undefined;
    return {
      header: toHex(encodeHeader(block.header)),
      hash: block.hash,
      epoch: 0,
      view: 0,
      signatures: [],
      ancestry: [],
    };
  }
}
