/**
 * Transactions accepted from clients, kept in a file so that a kill does not lose what was acknowledged and is not final
 * yet. Not consensus state: not synced, read leniently, written anew at every start and whenever it has grown. Records
 * are a 4-byte big-endian length and the raw transaction. A failed write ends the node all the same: a disk that takes no
 * journal takes no promise either, and what is acknowledged then would be lost.
 */
import { closeSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';

const FILE = 'pool.journal';
/** Rewritten with what the pool still holds when it is larger than this. */
const REWRITE_BYTES = 16 * 1024 * 1024;
const RECORD_BYTES_MAX = 256 * 1024;

function frame(raws: Iterable<Bytes>): Bytes {
  const parts: Bytes[] = [];
  for (const raw of raws) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(raw.length);
    parts.push(length, raw);
  }
  return Buffer.concat(parts);
}

function readFrames(path: string): Bytes[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new QuorateError('DISK_FAILED', `cannot read ${path}: ${errorMessage(error)}`, { cause: error });
  }
  const raws: Bytes[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (length > RECORD_BYTES_MAX || at + 4 + length > bytes.length) break;
    raws.push(Uint8Array.from(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return raws;
}

function failed(path: string, cause: unknown): QuorateError {
  const message = `writing ${path} failed (${errorMessage(cause)}): make room, repair the disk or its rights, then start again`;
  return new QuorateError('DISK_FAILED', message, { cause });
}

export class PoolJournal {
  readonly #path: string;
  readonly #onFailure: (error: QuorateError) => void;
  #file: number;
  #size = 0;

  /** What the journal held; `keep` begins the new one. */
  static open(
    dataDir: string,
    onFailure: (error: QuorateError) => void,
  ): { readonly journal: PoolJournal; readonly raws: readonly Bytes[] } {
    const path = join(dataDir, FILE);
    const raws = readFrames(path);
    try {
      return { raws, journal: new PoolJournal(path, onFailure) };
    } catch (cause) {
      throw failed(path, cause);
    }
  }

  private constructor(path: string, onFailure: (error: QuorateError) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
    this.#file = openSync(path, 'a', 0o600);
  }

  append(raws: Iterable<Bytes>): void {
    const bytes = frame(raws);
    if (bytes.length === 0) return;
    this.#size += bytes.length;
    this.#write(() => writeFileSync(this.#file, bytes));
  }

  #write(run: () => void): void {
    try {
      run();
    } catch (cause) {
      this.#onFailure(failed(this.#path, cause));
    }
  }

  get wantsRewrite(): boolean {
    return this.#size > REWRITE_BYTES;
  }

  /** Replaces the file by one that holds just these. */
  rewrite(raws: Iterable<Bytes>): void {
    const next = `${this.#path}.next`;
    const bytes = frame(raws);
    this.#write(() => {
      const file = openSync(next, 'w', 0o600);
      writeFileSync(file, bytes);
      renameSync(next, this.#path);
      closeSync(this.#file);
      this.#file = file;
      this.#size = bytes.length;
    });
  }

  close(): void {
    closeSync(this.#file);
  }
}
