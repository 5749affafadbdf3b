/**
 * LevelDB through `level`. LevelDB hides damage (reliability.md section 3.3): a lost CURRENT gives a new empty database, a
 * flipped byte in its log drops records in silence, some damage to a table aborts the process. So a database is created
 * only when there has never been one, which a file beside it remembers together with the height it must not fall below;
 * its files are read once before it is opened (level-check.ts); and the ledger checks every value.
 *
 * Another file beside it is there while a process has the database open. Found at a start, it says that the last process
 * was killed, lost power, or met damage that LevelDB aborts on.
 */
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { checkDatabase, type DamagedFile, type DatabaseSize, databaseSize } from './level-check.ts';
import { REMEDY } from './records.ts';
import type { KeyValueStore, RangeOptions, StoreSnapshot, WriteBatch } from './store.ts';

export type LevelOptions = {
  /** Reads all files whatever their size: for who reads the whole chain anyway. */
  readonly checkAll?: boolean;
  /** Told before the files are read. `closed`: the last process gave the database back in good order. */
  readonly onCheck?: (about: DatabaseSize & { readonly closed: boolean }) => void;
};

type Database = Level<Bytes, Bytes>;
type Job = { readonly batch: WriteBatch; readonly sync: boolean; readonly done: (error?: Error) => void };

/** Beside the database: written after the first batch, raised at every sync. */
const MARKER = 'INITIALIZED';
/** Beside the database: a process has it open, or had it when it ended. */
const IN_USE = 'IN-USE';
const DATABASE = 'db';
/** Files of a database that was closed in good order are read before it is opened up to this size: a second or two. */
const CHECKED_BYTES_MAX = 1024 * 1024 * 1024;
/** Damaged files named in a message. */
const DAMAGED_SHOWN_MAX = 3;
const WRITE_BUFFER_BYTES = 8 * 1024 * 1024;
const CACHE_BYTES = 16 * 1024 * 1024;

export class LevelStore implements KeyValueStore {
  readonly #folder: string;
  readonly #database: Database;
  readonly #queue: Job[] = [];
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  #floor: number;

  private constructor(folder: string, database: Database, floor: number) {
    this.#folder = folder;
    this.#database = database;
    this.#floor = floor;
  }

  /** Opens the store in `folder`, which is made if need be. Throws STORE_DAMAGED, DISK_FAILED or DATA_DIR_LOCKED. */
  static async open(folder: string, options: LevelOptions = {}): Promise<LevelStore> {
    const path = join(folder, DATABASE);
    try {
      await mkdir(path, { recursive: true });
      const floor = await readMarker(folder);
      const exists = await databaseExists(folder, floor);
      if (exists) await checkFiles(folder, options);
      await writeFile(join(folder, IN_USE), '', { mode: 0o600 });
      await syncFolder(folder);
      const database: Database = new Level(path, {
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
        writeBufferSize: WRITE_BUFFER_BYTES,
        cacheSize: CACHE_BYTES,
        compression: false, // hashes and signatures do not compress, and it would cost more than the writes
      } as object);
      await database.open({ createIfMissing: !exists } as object);
      if (!exists) await syncFolder(folder);
      return new LevelStore(folder, database, floor);
    } catch (error) {
      throw openError(folder, error);
    }
  }

  get(key: Bytes): Bytes | undefined {
    try {
      return this.#database.getSync(key);
    } catch (error) {
      throw readError(this.#folder, error);
    }
  }

  snapshot(): StoreSnapshot {
    const snapshot = this.#database.snapshot();
    const get = (key: Bytes): Bytes | undefined => {
      try {
        return this.#database.getSync(key, { snapshot });
      } catch (error) {
        throw damaged(this.#folder, errorMessage(error), error);
      }
    };
    return { get, close: () => snapshot.close() };
  }

  write(batch: WriteBatch, options: { readonly sync: boolean }, done: (error?: Error) => void): void {
    this.#queue.push({ batch, sync: options.sync, done });
    this.#running ??= this.#run();
  }

  /** Writes what is queued, in order. Never rejects: errors go to the callbacks. */
  async #run(): Promise<void> {
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#apply(job);
      } catch (error) {
        this.#failure ??= diskFailed(this.#folder, errorMessage(error), error);
      }
      job.done(this.#failure);
    }
    this.#running = undefined;
  }

  async #apply({ batch, sync }: Job): Promise<void> {
    const chained = this.#database.batch();
    for (const [key, value] of batch.put) chained.put(key, value);
    for (const key of batch.del) chained.del(key);
    await chained.write({ sync } as object);
    if (sync) await this.#syncLogs();
  }

  /**
   * A synced write makes only LevelDB's newest log durable. When an older one is still there, its contents are not yet in
   * a table, and a power cut could take them and leave what came after.
   */
  async #syncLogs(): Promise<void> {
    const path = join(this.#folder, DATABASE);
    const logs = (await readdir(path)).filter((file) => file.endsWith('.log'));
    if (logs.length < 2) return;
    for (const log of logs) {
      try {
        const file = await open(join(path, log), 'r+');
        await file.datasync().finally(() => file.close());
      } catch (error) {
        // Gone since it was listed: its contents are in a table, which LevelDB syncs.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  async *range(from: Bytes, to: Bytes, options: RangeOptions = {}): AsyncIterable<readonly [Bytes, Bytes]> {
    const { reverse = false, limit = -1 } = options;
    try {
      for await (const entry of this.#database.iterator({ gte: from, lt: to, reverse, limit })) yield entry;
    } catch (error) {
      throw readError(this.#folder, error);
    }
  }

  get floor(): number {
    return this.#floor;
  }

  raiseFloor(height: number, done: (error?: Error) => void): void {
    this.#raiseFloor(height).then(
      () => done(),
      (error) => {
        this.#failure ??= diskFailed(this.#folder, errorMessage(error), error);
        done(this.#failure);
      },
    );
  }

  async #raiseFloor(height: number): Promise<void> {
    if (height <= this.#floor) return;
    await writeMarker(this.#folder, height);
    this.#floor = height;
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#database.close();
    if (this.#failure === undefined) await rm(join(this.#folder, IN_USE), { force: true });
  }
}

/** Whether there is a database to open; false where there has never been one. */
async function databaseExists(folder: string, floor: number): Promise<boolean> {
  const files = await readdir(join(folder, DATABASE));
  if (files.includes('CURRENT')) return true;
  if (floor >= 0 || files.some((file) => file.endsWith('.ldb') || file.startsWith('MANIFEST'))) {
    throw damaged(folder, 'its file CURRENT is gone');
  }
  return false;
}

async function checkFiles(folder: string, { checkAll = false, onCheck }: LevelOptions): Promise<void> {
  const path = join(folder, DATABASE);
  const closed = !(await readdir(folder)).includes(IN_USE);
  const size = await databaseSize(path);
  if (closed && !checkAll && size.bytes > CHECKED_BYTES_MAX) return;
  onCheck?.({ ...size, closed });
  const found = await checkDatabase(path);
  if (found.length > 0) throw damaged(folder, namesOf(found));
}

function namesOf(found: readonly DamagedFile[]): string {
  const named = found.slice(0, DAMAGED_SHOWN_MAX).map(({ file, problem }) => `${DATABASE}/${file}: ${problem}`);
  const more = found.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more files`] : [])].join('; ');
}

function damaged(folder: string, detail: string, cause?: unknown): QuorateError {
  return new QuorateError('STORE_DAMAGED', `the ledger's store in ${folder} is damaged (${detail}): ${REMEDY}`, {
    data: { folder },
    cause,
  });
}

/** What a failed open means for the user. */
function openError(folder: string, error: unknown): QuorateError {
  if (error instanceof QuorateError) return error;
  const cause = (error as { cause?: unknown }).cause ?? error;
  if ((cause as { code?: unknown }).code === 'LEVEL_LOCKED') {
    return new QuorateError('DATA_DIR_LOCKED', `the ledger in ${folder} is in use by another process: stop it first`, {
      data: { folder },
      cause: error,
    });
  }
  return readError(folder, error);
}

/** Errors of the disk itself, as the system or LevelDB words them: what is in the files may be right. */
const DISK_ERROR =
  /\b(EACCES|EPERM|EROFS|ENOSPC|EDQUOT|EIO|EMFILE|ENFILE)\b|permission denied|not permitted|read-only file|no space left|quota exceeded|input\/output error|i\/o error|too many open/i;

/** A failed read: of the disk, or of what is on it. */
function readError(folder: string, error: unknown): QuorateError {
  const text = errorMessage((error as { cause?: unknown }).cause ?? error);
  return DISK_ERROR.test(text) ? diskFailed(folder, text, error) : damaged(folder, text, error);
}

function diskFailed(folder: string, detail: string, cause: unknown): QuorateError {
  const message = `the disk under ${folder} failed (${detail}): make room, repair the disk or its rights, then start again`;
  return new QuorateError('DISK_FAILED', message, { data: { folder }, cause });
}

/** The height in the marker; -1 when there is none. */
async function readMarker(folder: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(join(folder, MARKER), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return -1;
    throw readError(folder, error);
  }
  if (!/^[0-9]{1,15}\n$/.test(text)) throw damaged(folder, `its file ${MARKER} is damaged`);
  return Number(text);
}

/** Replaces the marker in one step. */
async function writeMarker(folder: string, height: number): Promise<void> {
  const temporary = join(folder, `${MARKER}.new`);
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(`${height}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(folder, MARKER));
  await syncFolder(folder);
}

/** Makes renames and new files in a folder durable; Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
