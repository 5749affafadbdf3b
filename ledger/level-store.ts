/**
 * LevelDB through `level`. LevelDB hides damage (reliability.md section 3.3): a lost CURRENT gives a new empty database, a
 * flipped byte in its log drops records in silence. So a database is created only when there has never been one, which a
 * file beside it remembers together with the height it must not fall below, and the ledger checks every value.
 */
import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import type { KeyValueStore, RangeOptions, WriteBatch } from './store.ts';

type Database = Level<Bytes, Bytes>;
type Job = { readonly batch: WriteBatch; readonly sync: boolean; readonly done: (error?: Error) => void };

/** Beside the database: written after the first batch, raised at every sync. */
const MARKER = 'INITIALIZED';
const DATABASE = 'db';
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

  /** Opens the store in `folder`, which is made if need be. Throws STORE_DAMAGED or DATA_DIR_LOCKED. */
  static async open(folder: string): Promise<LevelStore> {
    const path = join(folder, DATABASE);
    await mkdir(path, { recursive: true });
    const floor = await readMarker(folder);
    const files = await readdir(path);
    const exists = files.includes('CURRENT');
    if (!exists && (floor >= 0 || files.some((file) => file.endsWith('.ldb') || file.startsWith('MANIFEST')))) {
      throw damaged(folder, 'its file CURRENT is gone');
    }
    const database: Database = new Level(path, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      writeBufferSize: WRITE_BUFFER_BYTES,
      cacheSize: CACHE_BYTES,
      compression: false, // hashes and signatures do not compress, and it would cost more than the writes
    } as object);
    try {
      await database.open({ createIfMissing: !exists } as object);
    } catch (error) {
      throw openError(folder, error);
    }
    if (!exists) await syncFolder(folder);
    return new LevelStore(folder, database, floor);
  }

  get(key: Bytes): Bytes | undefined {
    try {
      return this.#database.getSync(key);
    } catch (error) {
      throw damaged(this.#folder, errorMessage(error), error);
    }
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
        this.#failure ??= new QuorateError('DISK_FAILED', `writing to ${this.#folder} failed: ${errorMessage(error)}`, {
          cause: error,
        });
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
      throw damaged(this.#folder, errorMessage(error), error);
    }
  }

  get floor(): number {
    return this.#floor;
  }

  raiseFloor(height: number, done: (error?: Error) => void): void {
    this.#raiseFloor(height).then(
      () => done(),
      (error) => {
        this.#failure ??= new QuorateError('DISK_FAILED', `writing to ${this.#folder} failed: ${errorMessage(error)}`, {
          cause: error,
        });
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
  }
}

function damaged(folder: string, detail: string, cause?: unknown): QuorateError {
  return new QuorateError(
    'STORE_DAMAGED',
    `the ledger's store in ${folder} is damaged (${detail}): move that folder away and start again, the node fetches the chain anew`,
    { data: { folder }, cause },
  );
}

/** What a failed open means for the user. */
function openError(folder: string, error: unknown): QuorateError {
  const cause = (error as { cause?: unknown }).cause ?? error;
  if ((cause as { code?: unknown }).code === 'LEVEL_LOCKED') {
    return new QuorateError('DATA_DIR_LOCKED', `the ledger in ${folder} is in use by another process: stop it first`, {
      data: { folder },
      cause: error,
    });
  }
  return damaged(folder, errorMessage(cause), error);
}

/** The height in the marker; -1 when there is none. */
async function readMarker(folder: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(join(folder, MARKER), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return -1;
    throw damaged(folder, errorMessage(error), error);
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
