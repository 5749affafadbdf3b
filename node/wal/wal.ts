/**
 * The write-ahead log of promises and blocks (consensus.md section 10): what this validator signs is in here, durably,
 * before the signature leaves. Group commit: everything queued while a write was under way goes out in the next one, so
 * the cost is one synced write per group, however many records it holds.
 *
 * A failed write or sync is final. After it the kernel may show content the disk does not have and a second fsync
 * reports success (ATC'20, "Can Applications Recover from fsync Failures?"), so nothing is retried and nothing more is
 * reported durable; `onFailure` ends the process, and the next start writes everything it read to a new file.
 */
import { assert, QuorateError } from '../../primitives/errors.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { chainHash, encodeRecord, type RecordType, type SegmentHeader, saltChecksum } from './segment.ts';
import type { SegmentFile } from './segment-file.ts';
import { type SegmentStore, writeSegment } from './segment-store.ts';

/** The log as its owner sees it. */
export interface Wal {
  /**
   * Queues records and returns the sequence number of the last one. With `sync` they are written at the end of this turn; without, with
   * the next that are, or after LAZY_MS. Durable only when `onDurable` has named the number. Payloads are not copied:
   * leave them unchanged until then.
   */
  append(records: readonly Bytes[], options: { readonly sync: boolean }): number;
  /**
   * Begins the write of what somebody waits for. Without this it begins when the caller's turn of the event loop ends;
   * called when a step is done it takes all of the step's records, and the disk works while the turn goes on.
   */
  flush(): void;
  /** Called with ever greater sequence numbers: every record up to it survives any crash. */
  onDurable(listener: (sequence: number) => void): void;
  /**
   * Begins a new segment with `snapshot`, which must stand for every record appended so far, queued ones included;
   * older segments are removed once it is durable. Returns the sequence number of the snapshot's last record.
   */
  rotate(snapshot: readonly Bytes[]): number;
  /** Bytes written since the last snapshot: what a restart has to read back, and when to rotate. */
  readonly bytesSinceSnapshot: number;
  /** After `torn`, and after peers were asked: drops the unreadable tail. Nothing may be appended before this is called. */
  cutTornTail(): Promise<void>;
  /** Writes what is queued and closes the file. */
  close(): Promise<void>;
}

/** Longest time a record appended without `sync` waits for another to ride with. */
const LAZY_MS = 20;

type QueueItem =
  | { readonly kind: 'records'; readonly payloads: readonly Bytes[] }
  | { readonly kind: 'rotate'; readonly payloads: readonly Bytes[]; readonly firstSequence: number };

/** Calls back after a delay; the result takes the call back. */
export type WalTimer = (callback: () => void, delayMs: number) => () => void;

export type WriteAheadLogState = {
  readonly store: SegmentStore;
  /** What the records read back make, with the segment number and salt of the file they came from. */
  readonly header: SegmentHeader;
  readonly records: readonly Bytes[];
  readonly torn: boolean;
  readonly timer: WalTimer;
  readonly onFailure: (error: QuorateError) => void;
};

/** Made by `openWal`, which says what `begin` is first called with. */
export class WriteAheadLog implements Wal {
  private readonly store: SegmentStore;
  private readonly timer: WalTimer;
  private readonly onFailure: (error: QuorateError) => void;
  private readonly listeners: ((sequence: number) => void)[] = [];

  /** Per segment, written by `begin`. */
  private header: SegmentHeader;
  private file: SegmentFile | undefined;
  private salt = 0;

  /** Per record: assigned at append, written, and durable sequence numbers; the hash the next record names. */
  private nextSequence: number;
  private written: number;
  private durable: number;
  private previous: Bytes = new Uint8Array(0);
  private sinceSnapshot = 0;

  /** Work in progress. `busy`: one operation on the disk; `urgent`: somebody waits for what is queued. */
  private queue: QueueItem[] = [];
  private busy = false;
  private urgent = false;
  private cancelTimer: (() => void) | undefined;
  private readonly torn: readonly Bytes[] | undefined;
  private status: 'torn' | 'open' | 'failed' | 'closed';
  private onIdle: (() => void) | undefined;

  constructor(state: WriteAheadLogState) {
    this.store = state.store;
    this.timer = state.timer;
    this.onFailure = state.onFailure;
    this.header = state.header;
    this.nextSequence = state.header.firstSequence + state.records.length;
    this.written = this.nextSequence - 1;
    this.durable = this.written;
    this.torn = state.torn ? state.records : undefined;
    this.status = state.torn ? 'torn' : 'open';
  }

  get bytesSinceSnapshot(): number {
    return this.sinceSnapshot;
  }

  append(records: readonly Bytes[], options: { readonly sync: boolean }): number {
    this.assertWritable();
    if (records.length > 0) {
      this.queue.push({ kind: 'records', payloads: records });
      this.nextSequence += records.length;
    }
    this.schedule(options.sync);
    return this.nextSequence - 1;
  }

  flush(): void {
    if (this.urgent) this.write();
  }

  rotate(snapshot: readonly Bytes[]): number {
    this.assertWritable();
    this.queue.push({ kind: 'rotate', payloads: snapshot, firstSequence: this.nextSequence });
    this.nextSequence += snapshot.length;
    this.schedule(true);
    return this.nextSequence - 1;
  }

  onDurable(listener: (sequence: number) => void): void {
    this.listeners.push(listener);
  }

  async cutTornTail(): Promise<void> {
    assert(this.torn !== undefined && this.status === 'torn', 'wal: there is no torn tail to cut');
    // Open for appends at once: they wait in the queue until the new segment is there.
    this.status = 'open';
    this.busy = true;
    try {
      await this.begin(this.header.firstSequence, this.torn);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.finish();
  }

  async close(): Promise<void> {
    if (this.status === 'closed') return;
    if (this.status === 'open' && (this.busy || this.queue.length > 0)) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
        this.schedule(true);
      });
    }
    this.status = 'closed';
    this.cancelTimer?.();
    await this.file?.close();
  }

  /**
   * Writes `payloads` as the snapshot of a new segment and makes it the one in use. What was read at start goes through
   * here as well: the page cache may show records that never reached the disk, and a new file does.
   */
  async begin(firstSequence: number, payloads: readonly Bytes[]): Promise<void> {
    const header: SegmentHeader = {
      ...this.header,
      segment: this.header.segment + 1,
      firstSequence,
      snapshotRecords: payloads.length,
      salt: this.store.random(16),
    };
    const old = this.file;
    const { file, previous } = await writeSegment(this.store, header, payloads);
    this.header = header;
    this.file = file;
    this.previous = previous;
    this.salt = saltChecksum(header.salt);
    this.written = firstSequence + payloads.length - 1;
    this.sinceSnapshot = 0;
    await old?.close();
  }

  private assertWritable(): void {
    // After a failure the process is ending: what is appended then is dropped, and never reported durable.
    assert(this.status === 'open' || this.status === 'failed', `wal: append to a log that is ${this.status}`);
    assert(this.onIdle === undefined, 'wal: append to a log that is closing');
  }

  private schedule(sync: boolean): void {
    if (this.status !== 'open' || this.queue.length === 0) return;
    if (!sync) {
      this.cancelTimer ??= this.timer(() => {
        this.cancelTimer = undefined;
        this.schedule(true);
      }, LAZY_MS);
      return;
    }
    if (this.urgent) return;
    this.urgent = true;
    // A microtask later: whatever the same step of the caller appends goes into the same write.
    if (!this.busy) queueMicrotask(() => this.write());
  }

  private write(): void {
    const first = this.queue[0];
    if (this.busy || this.status !== 'open' || first === undefined) return;
    this.busy = true;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    if (first.kind === 'rotate') {
      this.queue.shift();
      this.urgent = this.queue.length > 0;
      this.begin(first.firstSequence, first.payloads).then(
        () => this.finish(),
        (error: unknown) => this.fail(error),
      );
      return;
    }
    const rotation = this.queue.findIndex((item) => item.kind === 'rotate');
    const group = this.queue.splice(0, rotation < 0 ? this.queue.length : rotation);
    this.urgent = this.queue.length > 0;
    const data = Buffer.concat(this.encode(group, 'record'));
    this.sinceSnapshot += data.length;
    assert(this.file !== undefined, 'wal: no segment is open');
    this.file.append(data, (error) => (error ? this.fail(error) : this.finish()));
  }

  private encode(group: readonly QueueItem[], type: RecordType): Bytes[] {
    const out: Bytes[] = [];
    for (const { payloads } of group) {
      for (const payload of payloads) {
        this.written += 1;
        const fields = { type, sequence: this.written, durable: this.durable, previous: this.previous, payload };
        const record = encodeRecord(fields, this.salt);
        this.previous = chainHash(record);
        out.push(record);
      }
    }
    return out;
  }

  private finish(): void {
    this.busy = false;
    assert(this.written >= this.durable, 'wal: durable numbers never go back');
    if (this.written > this.durable) {
      this.durable = this.written;
      for (const listener of this.listeners) listener(this.durable);
    }
    if (this.urgent) this.write();
    else this.reserve();
    if (!this.busy && this.queue.length === 0) this.onIdle?.();
  }

  /**
   * Makes room for records to come, while nobody waits. Never beside another write: of two on one file the first to fail
   * takes the error, and the other would be reported durable.
   */
  private reserve(): void {
    if (this.busy || this.onIdle !== undefined || this.file?.isShort !== true) return;
    this.busy = true;
    this.file.reserve((error) => (error ? this.fail(error) : this.finish()));
  }

  private fail(cause: unknown): void {
    this.status = 'failed';
    this.queue = [];
    this.cancelTimer?.();
    const message = `writing the write-ahead log in ${this.store.directory} failed; check the disk, then start again`;
    this.onFailure(new QuorateError('DISK_FAILED', message, { cause, data: { directory: this.store.directory } }));
    this.onIdle?.();
  }
}
