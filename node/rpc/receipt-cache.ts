/**
 * Receipts of the blocks asked for last. Explorers fetch a block's receipts one by one: without this each of them would
 * decode the whole block's list again. Final blocks never change, so nothing is ever stale.
 */
import type { Receipt } from '../../ledger/receipt.ts';
import type { Hash } from '../../primitives/ids.ts';
import type { Backend } from './backend.ts';

export type BlockReceipts = {
  readonly receipts: readonly Receipt[];
  /** Number of logs in the block before each transaction. */
  readonly firstLog: readonly number[];
};

const BLOCKS_MAX = 32;

export class ReceiptCache {
  readonly #backend: Backend;
  /** Least recently used first. */
  readonly #blocks = new Map<Hash, BlockReceipts>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  of(hash: Hash): BlockReceipts | undefined {
    const known = this.#blocks.get(hash);
    if (known !== undefined) {
      this.#blocks.delete(hash);
      this.#blocks.set(hash, known);
      return known;
    }
    const receipts = this.#backend.receipts(hash);
    if (receipts === undefined) return undefined;
    const entry = { receipts, firstLog: firstLogs(receipts) };
    this.#blocks.set(hash, entry);
    if (this.#blocks.size > BLOCKS_MAX) this.#blocks.delete(this.#blocks.keys().next().value!);
    return entry;
  }
}

export function firstLogs(receipts: readonly Receipt[]): number[] {
  let count = 0;
  return receipts.map((receipt) => {
    const first = count;
    count += receipt.logs.length;
    return first;
  });
}
