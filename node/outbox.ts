/**
 * The durability contract in one place (consensus.md section 10): what the replica asked to send after a synced write
 * waits until that write is durable, and everything stays in order. Writes themselves go to the log at once, so that all
 * steps taken during one fsync share the next (group commit).
 */

type Held = { readonly after: number; readonly release: () => void; shut?: boolean };

export class Outbox {
  #durable = -1;
  /** Sequence number of the newest record that what follows must wait for. */
  #barrier = -1;
  readonly #held: Held[] = [];

  /** A synced record was appended: what is queued from now on waits for it. */
  raise(sequence: number): void {
    this.#barrier = Math.max(this.#barrier, sequence);
  }

  /** Runs `release` now if nothing before it waits, or as soon as its turn comes. */
  push(release: () => void): void {
    if (this.#held.length === 0 && this.#barrier <= this.#durable) release();
    else this.#held.push({ after: this.#barrier, release });
  }

  /** What is queued from now on waits for something besides: until the function that this gives back is called. */
  shut(): () => void {
    const gate: Held = { after: this.#barrier, release: () => undefined, shut: true };
    this.#held.push(gate);
    return () => {
      gate.shut = false;
      this.#flush();
    };
  }

  onDurable(sequence: number): void {
    this.#durable = Math.max(this.#durable, sequence);
    this.#flush();
  }

  #flush(): void {
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      if (next.after > this.#durable || next.shut) return;
      this.#held.shift();
      next.release();
    }
  }
}
