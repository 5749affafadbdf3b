/**
 * A store in memory: for tests, the simulator and observers without a disk. Batches are applied at once and become
 * durable with the next synced one; `crash` drops what was not, so that a simulation can lose exactly what a power cut
 * would.
 */
import type { Bytes } from '../primitives/ids.ts';
import type { KeyValueStore, RangeOptions, StoreSnapshot, WriteBatch } from './store.ts';

export type MemoryStoreOptions = {
  /** Runs a write's callback later; the simulator gives its own queue. Default: a microtask. */
  readonly defer?: (run: () => void) => void;
};

type Undo = readonly (readonly [key: string, before: Bytes | undefined])[];

function keyOf(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export class MemoryStore implements KeyValueStore {
  readonly #defer: (run: () => void) => void;
  readonly #entries = new Map<string, Bytes>();
  /** What to put back to forget the batches since the last synced one, oldest first. */
  #unsynced: Undo[] = [];
  #floor = -1;

  constructor(options: MemoryStoreOptions = {}) {
    this.#defer = options.defer ?? queueMicrotask;
  }

  get(key: Bytes): Bytes | undefined {
    return this.#entries.get(keyOf(key));
  }

  snapshot(): StoreSnapshot {
    const entries = new Map(this.#entries);
    return { get: (key) => entries.get(keyOf(key)), close: () => Promise.resolve() };
  }

  write(batch: WriteBatch, options: { readonly sync: boolean }, done: (error?: Error) => void): void {
    const undo: [string, Bytes | undefined][] = [];
    for (const [key, value] of batch.put) this.#set(keyOf(key), Uint8Array.from(value), undo);
    for (const key of batch.del) this.#set(keyOf(key), undefined, undo);
    if (options.sync) this.#unsynced = [];
    else this.#unsynced.push(undo);
    this.#defer(() => done());
  }

  #set(key: string, value: Bytes | undefined, undo: [string, Bytes | undefined][]): void {
    undo.push([key, this.#entries.get(key)]);
    if (value === undefined) this.#entries.delete(key);
    else this.#entries.set(key, value);
  }

  async *range(from: Bytes, to: Bytes, options: RangeOptions = {}): AsyncIterable<readonly [Bytes, Bytes]> {
    const low = keyOf(from);
    const high = keyOf(to);
    const keys = [...this.#entries.keys()].filter((key) => key >= low && key < high).sort();
    if (options.reverse === true) keys.reverse();
    for (const key of keys.slice(0, options.limit ?? keys.length)) {
      const value = this.#entries.get(key);
      if (value !== undefined) yield [Buffer.from(key, 'latin1'), value];
    }
  }

  get floor(): number {
    return this.#floor;
  }

  raiseFloor(height: number, done: (error?: Error) => void): void {
    this.#floor = Math.max(this.#floor, height);
    this.#defer(() => done());
  }

  /** Batches a power cut may take. */
  get unsynced(): number {
    return this.#unsynced.length;
  }

  /** A power cut: forgets unsynced batches but the first `kept`. Callbacks still under way are the caller's to drop. */
  crash(kept = 0): void {
    while (this.#unsynced.length > kept) {
      const undo = this.#unsynced.pop()!;
      for (let i = undo.length - 1; i >= 0; i--) {
        const [key, before] = undo[i]!;
        if (before === undefined) this.#entries.delete(key);
        else this.#entries.set(key, before);
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
