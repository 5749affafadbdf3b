/**
 * Opening a validator's log: what is there decides what may be signed (consensus.md sections 7 and 10). Everything read is
 * written to a new segment before use, because the page cache may show records that never reached the disk.
 */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { toHex } from '../../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { nodeDisk, type WalFs } from './disk.ts';
import { readSegment } from './recovery.ts';
import type { SegmentHeader, WalIdentity } from './segment.ts';
import { RESERVE_BYTES } from './segment-file.ts';
import { newestSegment, type SegmentStore } from './segment-store.ts';
import { type Wal, type WalTimer, WriteAheadLog } from './wal.ts';

export type OpenedWal = {
  readonly wal: Wal;
  /** Payloads in order, from the last snapshot on. */
  readonly records: readonly Bytes[];
  /**
   * `empty`: nothing was ever appended, at the first start or at a later one: peers must be asked all the same, since
   * the folder may be an old backup. `torn`: the last write is not readable; it was under way when the process stopped.
   */
  readonly state: 'empty' | 'clean' | 'torn';
  /** Random 16 bytes made with the log, 0x hex. */
  readonly incarnation: string;
  /** Begun after an earlier log of this key was lost: sign only in an epoch whose opening block carries this incarnation. */
  readonly afterLoss: boolean;
};

export type OpenOptions = {
  readonly directory: string;
  readonly identity: WalIdentity;
  /** The marker of a key that has never signed is there: a log may be begun. */
  readonly mayBegin: boolean;
  /** With `mayBegin`: there was a log and it is lost. The new one says so for the rest of its life. */
  readonly afterLoss?: boolean;
  readonly onFailure: (error: QuorateError) => void;
  readonly fs?: WalFs;
  readonly random?: (length: number) => Bytes;
  readonly timer?: WalTimer;
  readonly reserveBytes?: number;
};

const realTimer: WalTimer = (callback, delayMs) => {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
};

/** Undefined when the log is gone: a lost disk. Throws LOG_DAMAGED, KEY_MISMATCH, GENESIS_MISMATCH or DISK_FAILED. */
export async function openWal(options: OpenOptions): Promise<OpenedWal | undefined> {
  const { directory, fs = nodeDisk, random = (length) => randomBytes(length), reserveBytes = RESERVE_BYTES } = options;
  const store: SegmentStore = { fs, directory, random, reserveBytes };
  try {
    const names = await fs.list(directory);
    const newest = newestSegment(store, names ?? []);
    if (newest === undefined) return options.mayBegin ? await begin(options, store, names !== undefined) : undefined;
    return await resume(options, store, newest);
  } catch (cause) {
    if (cause instanceof QuorateError) throw cause;
    const message = `the write-ahead log in ${directory} cannot be opened (${errorMessage(cause)}); check the disk and its rights`;
    throw new QuorateError('DISK_FAILED', message, { cause });
  }
}

async function begin(options: OpenOptions, store: SegmentStore, exists: boolean): Promise<OpenedWal> {
  if (!exists) await store.fs.makeDirectory(store.directory);
  // Also when the folder is there: a crash may have come between making it and this.
  await store.fs.syncDirectory(dirname(store.directory));
  const header: SegmentHeader = {
    segment: 0,
    firstSequence: 1,
    snapshotRecords: 0,
    afterLoss: options.afterLoss ?? false,
    incarnation: store.random(16),
    salt: store.random(16),
    identity: options.identity,
  };
  const wal = makeWal(options, store, { header, records: [], torn: false });
  await wal.begin(1, []);
  return opened(wal, header, [], 'empty');
}

function makeWal(
  options: OpenOptions,
  store: SegmentStore,
  from: { header: SegmentHeader; records: readonly Bytes[]; torn: boolean },
): WriteAheadLog {
  return new WriteAheadLog({ store, timer: options.timer ?? realTimer, onFailure: options.onFailure, ...from });
}

async function resume(
  options: OpenOptions,
  store: SegmentStore,
  newest: { readonly path: string; readonly segment: number },
): Promise<OpenedWal> {
  const { path, segment } = newest;
  const reading = readSegment(await store.fs.read(path));
  if (reading.verdict === 'damaged') throw damaged(path, reading.reason);
  const { header, records, verdict } = reading;
  if (header.segment !== segment) throw damaged(path, `by its header it is segment ${header.segment}`);
  checkIdentity(header.identity, options.identity, path);
  const torn = verdict === 'torn';
  const wal = makeWal(options, store, { header, records, torn });
  if (!torn) await wal.begin(header.firstSequence, records);
  return opened(wal, header, records, torn ? 'torn' : records.length === 0 ? 'empty' : 'clean');
}

function opened(wal: Wal, header: SegmentHeader, records: readonly Bytes[], state: OpenedWal['state']): OpenedWal {
  return { wal, records, state, incarnation: toHex(header.incarnation), afterLoss: header.afterLoss };
}

function damaged(path: string, reason: string): QuorateError {
  const message = `the write-ahead log ${path} is damaged (${reason}): this validator must not sign; move the folder aside and let it follow as an observer until the validators give it a new start`;
  return new QuorateError('LOG_DAMAGED', message, { data: { path, reason } });
}

function checkIdentity(found: WalIdentity, own: WalIdentity, path: string): void {
  const data = { path, found, expected: own };
  if (found.genesisHash !== own.genesisHash) {
    const message = `the write-ahead log ${path} belongs to the chain of genesis ${found.genesisHash}, not to the genesis in this folder`;
    throw new QuorateError('GENESIS_MISMATCH', message, { data });
  }
  if (found.validator !== own.validator) {
    const message = `the write-ahead log ${path} belongs to validator ${found.validator}, not to the key in this folder`;
    throw new QuorateError('KEY_MISMATCH', message, { data });
  }
}
