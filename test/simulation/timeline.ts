/**
 * Virtual time: a binary heap of callbacks ordered by time, then by the order in which they were scheduled. Nothing in
 * a run happens but what was scheduled here, so the whole run is a function of its seed.
 */

type Entry = { readonly at: number; readonly order: number; readonly run: () => void };

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export class Timeline {
  readonly #heap: Entry[] = [];
  #now = 0;
  #scheduled = 0;

  /** Virtual milliseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  /** Runs `run` after `delayMs`, never before anything that is due already. */
  after(delayMs: number, run: () => void): void {
    const heap = this.#heap;
    const entry = { at: this.#now + Math.max(0, delayMs), order: this.#scheduled++, run };
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  /** Moves to the next entry and hands out its callback; undefined when nothing is due until `until`. */
  next(until: number): (() => void) | undefined {
    const heap = this.#heap;
    const top = heap[0];
    if (top === undefined || top.at > until) {
      this.#now = Math.max(this.#now, until);
      return undefined;
    }
    const last = heap.pop()!;
    if (heap.length > 0) this.#sink(last);
    this.#now = top.at;
    return top.run;
  }

  #sink(entry: Entry): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, entry)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}
