/**
 * The simulated write-ahead log, with the manners of the node's: one write under way at a time, what is queued meanwhile
 * shares the next, records that nobody waits for go with the next write or after a while. What was appended is in the
 * tail until its fsync completes, then in the durable prefix. A crash keeps the prefix and a drawn part of the tail:
 * whole records, the last of them perhaps torn. The log also knows which of its owner's signatures are durable: none may
 * leave before (consensus.md section 10).
 */
import type { DiskOptions } from './options.ts';
import type { Rng } from './rng.ts';

export type WalState = 'clean' | 'torn';

/** One record, or a snapshot that takes the place of everything before it. */
type Pending = { readonly sequence: number; readonly records: readonly Uint8Array[]; readonly isSnapshot: boolean };

export type WalHooks = {
  /** Runs a callback of the process that owns this log after a delay, unless it has died by then. */
  readonly after: (delayMs: number, run: () => void) => void;
  readonly onAppend: (records: readonly Uint8Array[]) => void;
  /** The process died earlier in this very step: what it does now did not happen. */
  readonly isDead: () => boolean;
};

/** What the log of a liar does. */
export type WalDefect = 'forgets-last' | 'restores-backup';

/** Longest time a record that nobody waits for stays queued. */
const LAZY_MS = 20;

export class SimDisk {
  readonly #options: DiskOptions;
  readonly #rng: Rng;
  readonly #defect: WalDefect | undefined;
  #durable: Uint8Array[] = [];
  #tail: Pending[] = [];
  #sequence = 0;
  /** Told how long each write takes. */
  onWrite: ((delayMs: number) => void) | undefined;
  #slowFactor = 1;
  #calm = false;
  #backup: readonly Uint8Array[] = [];
  /** Signatures made and not yet durable, by their bytes as text. */
  readonly #unsynced = new Map<string, Buffer>();
  readonly #synced = new Set<string>();

  constructor(options: DiskOptions, rng: Rng, defect?: WalDefect) {
    this.#options = options;
    this.#rng = rng;
    this.#defect = defect;
  }

  /** What a start reads back. */
  get records(): Uint8Array[] {
    return [...this.#durable];
  }

  setSlow(factor: number): void {
    this.#slowFactor = factor;
  }

  /** From now on fast: the machine is healthy. */
  calm(): void {
    this.#calm = true;
    this.#slowFactor = 1;
  }

  syncDelayMs(): number {
    const { syncMinMs, syncMeanMs, slowChance, slowMeanMs } = this.#options;
    if (this.#calm) return Math.min(syncMinMs + this.#rng.exponential(syncMeanMs), 5);
    const slow = this.#rng.chance(slowChance) ? this.#rng.exponential(slowMeanMs) : 0;
    return (syncMinMs + this.#rng.exponential(syncMeanMs)) * this.#slowFactor + slow;
  }

  /** The log as a process sees it during one life. */
  open(hooks: WalHooks): SimWal {
    return new SimWal(this, hooks);
  }

  append(records: readonly Uint8Array[]): number {
    for (const record of records) this.#add([record], false);
    return this.#sequence;
  }

  rotate(snapshot: readonly Uint8Array[]): number {
    return this.#add(snapshot, true);
  }

  #add(records: readonly Uint8Array[], isSnapshot: boolean): number {
    this.#sequence++;
    this.#tail.push({ sequence: this.#sequence, records, isSnapshot });
    return this.#sequence;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Everything up to `sequence` is on disk. */
  complete(sequence: number): void {
    let kept = 0;
    while (kept < this.#tail.length && this.#tail[kept]!.sequence <= sequence) this.#keep(this.#tail[kept++]!);
    this.#tail.splice(0, kept);
  }

  #keep(pending: Pending): void {
    if (pending.isSnapshot) this.#durable = [];
    for (const record of pending.records) {
      this.#durable.push(record);
      this.#noteSynced(record);
    }
  }

  /** The process or (with `power`) the machine stops here. Returns how the log will read at the next start. */
  crash(power: boolean): WalState {
    const keep = this.#rng.int(this.#tail.length + 1);
    const torn = power && keep < this.#tail.length && this.#rng.chance(this.#options.tornChance);
    for (const pending of this.#tail.slice(0, keep)) this.#keep(pending);
    this.#tail = [];
    this.#unsynced.clear();
    if (this.#defect === 'forgets-last') this.#durable.splice(-1 - this.#rng.int(3));
    if (this.#defect === 'restores-backup') this.#restore();
    return torn ? 'torn' : 'clean';
  }

  /** The log may come back as it was at an earlier crash. */
  #restore(): void {
    const latest = this.#durable;
    if (this.#rng.chance(0.5)) this.#durable = [...this.#backup];
    if (this.#rng.chance(0.5)) this.#backup = [...latest];
  }

  /** Nothing of the log is left; what is appended from now on is another one's. */
  lose(): void {
    this.#durable = [];
    this.#backup = [];
    this.#tail = [];
    this.#unsynced.clear();
  }

  /** The owner made a signature: from now on it may not be sent before it is in the durable log. */
  noteSignature(signature: Uint8Array): void {
    const bytes = Buffer.from(signature);
    const key = bytes.toString('latin1');
    if (!this.#synced.has(key)) this.#unsynced.set(key, bytes);
  }

  #noteSynced(record: Uint8Array): void {
    if (this.#unsynced.size === 0) return;
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
    for (const [key, signature] of this.#unsynced) {
      if (!bytes.includes(signature)) continue;
      this.#unsynced.delete(key);
      this.#synced.add(key);
    }
  }

  /** Whether there is a signature of the owner in these bytes that is not durable. */
  unsyncedIn(payload: Uint8Array): boolean {
    if (this.#unsynced.size === 0) return false;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    for (const signature of this.#unsynced.values()) if (bytes.includes(signature)) return true;
    return false;
  }
}

/** One life's handle on the log: the interface the node's own log has. */
export class SimWal {
  readonly #disk: SimDisk;
  readonly #hooks: WalHooks;
  readonly #listeners: ((sequence: number) => void)[] = [];
  #busy = false;
  #urgent = false;
  /** Sequence number the last write begun covers. */
  #covered: number;
  #sinceSnapshot = 0;

  constructor(disk: SimDisk, hooks: WalHooks) {
    this.#disk = disk;
    this.#hooks = hooks;
    this.#covered = disk.sequence;
  }

  get bytesSinceSnapshot(): number {
    return this.#sinceSnapshot;
  }

  append(records: readonly Uint8Array[], options: { readonly sync: boolean }): number {
    if (this.#hooks.isDead()) return this.#disk.sequence;
    const sequence = this.#disk.append(records);
    for (const record of records) this.#sinceSnapshot += record.length;
    this.#hooks.onAppend(records);
    this.#schedule(options.sync);
    return sequence;
  }

  rotate(snapshot: readonly Uint8Array[]): number {
    if (this.#hooks.isDead()) return this.#disk.sequence;
    const sequence = this.#disk.rotate(snapshot);
    this.#sinceSnapshot = 0;
    this.#hooks.onAppend([]);
    this.#schedule(true);
    return sequence;
  }

  flush(): void {
    // Every synced write begins at once here.
  }

  onDurable(listener: (sequence: number) => void): void {
    this.#listeners.push(listener);
  }

  #tell(sequence: number): void {
    for (const listener of this.#listeners) listener(sequence);
  }

  #schedule(urgent: boolean): void {
    if (!urgent) {
      if (!this.#urgent && !this.#busy) this.#hooks.after(LAZY_MS, () => this.#write());
      return;
    }
    this.#urgent = true;
    this.#write();
  }

  #write(): void {
    if (this.#busy || this.#covered === this.#disk.sequence) return;
    this.#busy = true;
    this.#urgent = false;
    const covered = this.#disk.sequence;
    this.#covered = covered;
    const delayMs = this.#disk.syncDelayMs();
    this.#disk.onWrite?.(delayMs);
    this.#hooks.after(delayMs, () => {
      this.#busy = false;
      this.#disk.complete(covered);
      this.#tell(covered);
      if (this.#urgent) this.#write();
      else if (this.#covered < this.#disk.sequence) this.#schedule(false);
    });
  }
}
