/**
 * What the ledger asks of a key-value store: synchronous reads, atomic batches applied in the order given, a callback
 * when a batch is applied (and on disk, when `sync`). The ledger trusts none of the values: each is checked against a
 * hash or a checksum when read.
 */
import type { Bytes } from '../primitives/ids.ts';

/** Applied as one: all of it or none. Keys are distinct. */
export type WriteBatch = {
  readonly put: readonly (readonly [key: Bytes, value: Bytes])[];
  readonly del: readonly Bytes[];
};

export type RangeOptions = { readonly reverse?: boolean; readonly limit?: number };

/** The store as it was at one moment, whatever is written later. What it needs of the disk is not freed before `close`. */
export type StoreSnapshot = { get(key: Bytes): Bytes | undefined; close(): Promise<void> };

export interface KeyValueStore {
  /** Synchronous. Sees a batch at the latest when its `done` has been called, maybe earlier. */
  get(key: Bytes): Bytes | undefined;
  /**
   * Applies a batch after all batches given before. `done` is called once, later, never within this call. With `sync`
   * everything written so far survives a power cut once `done` has been called without an error. After an error
   * nothing more may be written: the process ends.
   */
  write(batch: WriteBatch, options: { readonly sync: boolean }, done: (error?: Error) => void): void;
  /** Entries with from <= key < to, in key order. Asynchronous in every store; never on the way of a block. */
  range(from: Bytes, to: Bytes, options?: RangeOptions): AsyncIterable<readonly [key: Bytes, value: Bytes]>;
  /** Sees every batch whose `done` has been called, and maybe later ones, each whole. */
  snapshot(): StoreSnapshot;
  /**
   * A height kept outside the database that it may never fall below: what shows that a database came back empty or
   * cut. `raiseFloor` is durable when `done` is called.
   */
  readonly floor: number;
  raiseFloor(height: number, done: (error?: Error) => void): void;
  close(): Promise<void>;
}
