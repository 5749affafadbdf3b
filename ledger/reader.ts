/**
 * Final blocks read from the store, each value checked before it is believed: a block by its header's hash and
 * transactionsRoot, receipts by receiptsRoot, index entries by looking at the block they name. Blocks read or written
 * lately stay decoded.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { type RlpItem, rlpBytes, rlpList, rlpNumber } from '../primitives/rlp.ts';
import { type Block, type Header, type RawBlock, readBlockHeader, splitBlock } from './block.ts';
import { effectiveGasPrice } from './execute.ts';
import { orderedRoot } from './ordered-root.ts';
import { bloomOf, encodeReceipt, type Log, type Receipt } from './receipt.ts';
import {
  blockKey,
  damaged,
  decodeNumber,
  decodePlace,
  decodeRecord,
  numberKey,
  openRecord,
  proofKey,
  receiptsKey,
  splitReceiptsRecord,
  type TransactionPlace,
  transactionKey,
} from './records.ts';
import type { KeyValueStore } from './store.ts';
import { decodeFinalTransaction, type Transaction } from './transaction.ts';

export type BlockWithReceipts = { readonly block: Block; readonly receipts: readonly Receipt[] };
export type HeaderWithHash = { readonly header: Header; readonly hash: Hash };

/** Transactions (and one per block) kept decoded. */
const CACHE_WEIGHT_MAX = 16_384;

export class ChainReader {
  readonly #store: KeyValueStore;
  readonly #chainId: number;
  /** By height, least recently used first. */
  readonly #cache = new Map<Height, BlockWithReceipts>();
  #weight = 0;

  constructor(store: KeyValueStore, chainId: number) {
    this.#store = store;
    this.#chainId = chainId;
  }

  /** Remembers a block just written. */
  remember(height: Height, entry: BlockWithReceipts): void {
    this.#cache.set(height, entry);
    this.#weight += weightOf(entry);
    for (const [oldest, old] of this.#cache) {
      if (this.#weight <= CACHE_WEIGHT_MAX || oldest === height) break;
      this.#cache.delete(oldest);
      this.#weight -= weightOf(old);
    }
  }

  /** A final block with its receipts; undefined above the head. Throws STORE_DAMAGED. */
  at(height: Height): BlockWithReceipts | undefined {
    const known = this.#cache.get(height);
    if (known !== undefined) {
      this.#cache.delete(height);
      this.#cache.set(height, known);
      return known;
    }
    const raw = this.rawBlock(height);
    if (raw === undefined) return undefined;
    const block = this.#decode(raw);
    const entry = { block, receipts: this.#receipts(block) };
    this.remember(height, entry);
    return entry;
  }

  header(height: Height): HeaderWithHash | undefined {
    const known = this.#cache.get(height)?.block;
    if (known !== undefined) return known;
    const bytes = this.#store.get(blockKey(height));
    if (bytes === undefined) return undefined;
    const read = readBlockHeader(bytes);
    this.#checkHeader(height, read);
    return read;
  }

  /** The block at a height, checked and split, its transactions not decoded. */
  rawBlock(height: Height): RawBlock | undefined {
    const bytes = this.#store.get(blockKey(height));
    if (bytes === undefined) return undefined;
    const raw = splitBlock(bytes);
    if (typeof raw === 'string') throw damaged(`block ${height}: ${raw}`);
    this.#checkHeader(height, raw);
    if (orderedRoot(raw.raws) !== raw.header.transactionsRoot)
      throw damaged(`block ${height}: body does not match header`);
    return raw;
  }

  /** The header hashes to what the index entry of its hash says, so neither was changed alone. */
  #checkHeader(height: Height, read: HeaderWithHash | undefined): asserts read is HeaderWithHash {
    if (read === undefined || read.header.number !== height || this.heightOf(read.hash) !== height) {
      throw damaged(`header of block ${height}`);
    }
  }

  #decode(raw: RawBlock): Block {
    const transactions = raw.raws.map((bytes): Transaction => {
      const result = decodeFinalTransaction(bytes, this.#chainId);
      if (!result.ok) throw damaged(`block ${raw.header.number}: ${result.message}`);
      return result.transaction;
    });
    return { header: raw.header, hash: raw.hash, transactions, bytes: raw.bytes };
  }

  #receipts(block: Block): Receipt[] {
    const { number } = block.header;
    const record = this.#store.get(receiptsKey(number));
    if (record === undefined) throw damaged(`receipts of block ${number} are missing`);
    const what = `receipts of block ${number}`;
    const receipts = decodeRecord(what, () => readReceipts(splitReceiptsRecord(record), block));
    if (orderedRoot(receipts.map(encodeReceipt)) !== block.header.receiptsRoot) throw damaged(what);
    return receipts;
  }

  /** The record of a block's receipts; whoever uses it checks it against the header. */
  rawReceipts(height: Height): Bytes | undefined {
    return this.#store.get(receiptsKey(height));
  }

  /** What the index says; the caller compares with the block. */
  heightOf(hash: Hash): Height | undefined {
    const record = this.#store.get(numberKey(hash));
    if (record === undefined) return undefined;
    const height = decodeNumber(record);
    if (height === undefined) throw damaged('block index');
    return height;
  }

  place(hash: Hash): TransactionPlace | undefined {
    const record = this.#store.get(transactionKey(hash));
    return record && decodePlace(record);
  }

  proof(height: Height): Bytes | undefined {
    return openRecord(this.#store.get(proofKey(height)), `proof of block ${height}`);
  }
}

function weightOf(entry: BlockWithReceipts): number {
  return 1 + entry.block.transactions.length;
}

function readReceipts(items: RlpItem[], block: Block): Receipt[] {
  let before = 0;
  return rlpList(items, 'receipts', block.transactions.length).map((item, i): Receipt => {
    const [status, cumulative, logItems] = rlpList(item, 'receipt', 3);
    const transaction = block.transactions[i]!;
    const cumulativeGasUsed = rlpNumber(cumulative, 'cumulative gas');
    const gasUsed = cumulativeGasUsed - before;
    before = cumulativeGasUsed;
    const logs = rlpList(logItems, 'logs').map(readLog);
    return {
      type: transaction.type,
      status: rlpNumber(status, 'status') === 1 ? 1 : 0,
      cumulativeGasUsed,
      gasUsed,
      effectiveGasPrice: effectiveGasPrice(transaction, block.header.baseFeePerGas),
      logsBloom: bloomOf(logs),
      logs,
    };
  });
}

export function readLog(item: RlpItem): Log {
  const [address, topics, data] = rlpList(item, 'log', 3);
  return {
    address: toHex(rlpBytes(address, 'log address', 20)),
    topics: rlpList(topics, 'log topics').map((topic) => toHex(rlpBytes(topic, 'log topic', 32))),
    data: rlpBytes(data, 'log data'),
  };
}
