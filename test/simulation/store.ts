/**
 * The simulated key-value store under the real ledger: batches are applied in order after a delay, a batch without
 * `sync` may be taken back by a power cut, and always a whole suffix of them, as a log-structured store loses them.
 */
import type { KeyValueStore, RangeOptions, StoreSnapshot, WriteBatch } from '../../ledger/store.ts';
import type { Rng } from './rng.ts';

type Undo = readonly (readonly [key: string, before: Uint8Array | undefined])[];

export type StoreHooks = {
  readonly after: (delayMs: number, run: () => void) => void;
  readonly delayMs: () => number;
  /** The process died earlier in this very step: what it writes now did not happen. */
  readonly isDead: () => boolean;
};

function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

/** What outlives a process: hand `open` to each life. */
export class SimStoreDisk {
  readonly values = new Map<string, Uint8Array>();
  /** How to take back each batch that is applied and not yet synced, oldest first. */
  undo: Undo[] = [];
  floor = -1;
  /** Given and not yet applied. */
  queue: WriteBatch[] = [];

  apply(batch: WriteBatch): void {
    const undo: [string, Uint8Array | undefined][] = [];
    for (const [key, value] of batch.put) {
      const text = keyText(key);
      undo.push([text, this.values.get(text)]);
      this.values.set(text, value);
    }
    for (const key of batch.del) {
      const text = keyText(key);
      undo.push([text, this.values.get(text)]);
      this.values.delete(text);
    }
    this.undo.push(undo);
  }

  /** With `power`, a drawn number of the newest unsynced batches is lost; else a drawn part of the queue still arrives. */
  crash(rng: Rng, power: boolean): void {
    if (power) {
      for (let lose = rng.int(this.undo.length + 1); lose > 0; lose--) {
        for (const [key, before] of this.undo.pop()!.toReversed()) {
          if (before === undefined) this.values.delete(key);
          else this.values.set(key, before);
        }
      }
    } else {
      for (const batch of this.queue.slice(0, rng.int(this.queue.length + 1))) this.apply(batch);
    }
    this.queue = [];
    this.undo = [];
  }

  /** What the system holds in memory is written: a power cut takes none of it back any more. */
  writeBack(): void {
    this.undo = [];
  }

  open(hooks: StoreHooks): KeyValueStore {
    return new SimStore(this, hooks);
  }

  /** Another disk with the same content, as every machine has that made its block 0 from the same genesis. */
  clone(): SimStoreDisk {
    const copy = new SimStoreDisk();
    for (const [key, value] of this.values) copy.values.set(key, value);
    copy.floor = this.floor;
    return copy;
  }
}

class SimStore implements KeyValueStore {
  readonly #disk: SimStoreDisk;
  readonly #hooks: StoreHooks;
  #busy = false;
  readonly #jobs: { readonly batch: WriteBatch | undefined; readonly sync: boolean; readonly done: () => void }[] = [];

  constructor(disk: SimStoreDisk, hooks: StoreHooks) {
    this.#disk = disk;
    this.#hooks = hooks;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#disk.values.get(keyText(key));
  }

  snapshot(): StoreSnapshot {
    const values = new Map(this.#disk.values);
    return { get: (key) => values.get(keyText(key)), close: () => Promise.resolve() };
  }

  get floor(): number {
    return this.#disk.floor;
  }

  write(batch: WriteBatch, options: { readonly sync: boolean }, done: (error?: Error) => void): void {
    if (this.#hooks.isDead()) return;
    this.#disk.queue.push(batch);
    this.#jobs.push({ batch, sync: options.sync, done });
    this.#work();
  }

  raiseFloor(height: number, done: (error?: Error) => void): void {
    this.#hooks.after(this.#hooks.delayMs(), () => {
      this.#disk.floor = Math.max(this.#disk.floor, height);
      done();
    });
  }

  #work(): void {
    if (this.#busy) return;
    const job = this.#jobs.shift();
    if (job === undefined) return;
    this.#busy = true;
    const delay = job.sync ? this.#hooks.delayMs() : Math.min(1, this.#hooks.delayMs());
    this.#hooks.after(delay, () => {
      this.#busy = false;
      if (job.batch !== undefined) {
        this.#disk.queue.shift();
        this.#disk.apply(job.batch);
      }
      if (job.sync) this.#disk.undo = [];
      job.done();
      this.#work();
    });
  }

  async *range(
    from: Uint8Array,
    to: Uint8Array,
    options: RangeOptions = {},
  ): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    const keys = [...this.#disk.values.keys()].filter((key) => key >= keyText(from) && key < keyText(to)).sort();
    if (options.reverse) keys.reverse();
    for (const key of keys.slice(0, options.limit)) yield [Buffer.from(key, 'latin1'), this.#disk.values.get(key)!];
  }

  async close(): Promise<void> {
    // Nothing is held: the disk outlives every handle.
  }
}
