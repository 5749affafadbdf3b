/**
 * Shares the event loop. Request work runs in slices of a few milliseconds, in turn; between slices the loop serves
 * timers, sockets and consensus. So a batch of 1,000 calls, or many batches, never hold the loop for long.
 */
import { performance } from 'node:perf_hooks';

type Task = {
  readonly run: () => void /** What it wakes runs after it returns, so nothing more fits into its slice. */;
  readonly wakes: boolean;
};

export class Scheduler {
  readonly #sliceMs: number;
  #queue: Task[] = [];
  #next = 0;
  #scheduled = false;
  #sliceEnds = 0;

  constructor(sliceMs: number) {
    this.#sliceMs = sliceMs;
  }

  /** Runs a short task in one of the next slices. */
  run(task: () => void): void {
    this.#add({ run: task, wakes: false });
  }

  /** Resolves at the beginning of a slice of one's own. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#add({ run: resolve, wakes: true }));
  }

  /** To be called between pieces of long work: undefined while the slice lasts, else what to await. */
  breathe(): Promise<void> | undefined {
    return performance.now() < this.#sliceEnds ? undefined : this.turn();
  }

  /** Array.map that breathes: the result itself while the slice lasts, a promise of it when it takes longer. */
  map<T, U>(items: readonly T[], make: (item: T, index: number) => U): readonly U[] | Promise<readonly U[]> {
    const out: U[] = [];
    for (const [index, item] of items.entries()) {
      if (index % 16 === 15 && performance.now() >= this.#sliceEnds) return this.#mapRest(items, make, out);
      out.push(make(item, index));
    }
    return out;
  }

  async #mapRest<T, U>(items: readonly T[], make: (item: T, index: number) => U, out: U[]): Promise<readonly U[]> {
    for (let index = out.length; index < items.length; index++) {
      const pause = index % 16 === 15 ? this.breathe() : undefined;
      if (pause !== undefined) await pause;
      out.push(make(items[index]!, index));
    }
    return out;
  }

  #add(task: Task): void {
    this.#queue.push(task);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#slice);
  }

  readonly #slice = (): void => {
    this.#sliceEnds = performance.now() + this.#sliceMs;
    let more = true;
    while (more && this.#next < this.#queue.length) {
      const task = this.#queue[this.#next++]!;
      task.run();
      more = !task.wakes && performance.now() < this.#sliceEnds;
    }
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
      this.#scheduled = false;
      return;
    }
    if (this.#next > 1024) {
      this.#queue.splice(0, this.#next);
      this.#next = 0;
    }
    setImmediate(this.#slice);
  };
}
