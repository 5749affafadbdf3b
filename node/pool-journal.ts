/**
 * Transactions accepted from clients, kept in a file so that a kill does not lose what was acknowledged and is not final
 * yet. Not consensus state: not synced, read leniently, written anew at every start and whenever it has grown. Records
 * are a 4-byte big-endian length and the raw transaction.
 */
import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
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

export class PoolJournal {
  readonly #path: string;
  #file: number;
  #size = 0;

  /** What the journal held; `keep` begins the new one. */
  static open(dataDir: string): { readonly journal: PoolJournal; readonly raws: readonly Bytes[] } {
    const path = join(dataDir, FILE);
    return { raws: readFrames(path), journal: new PoolJournal(path) };
  }

  private constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'a', 0o600);
  }

  append(raws: Iterable<Bytes>): void {
    const bytes = frame(raws);
    if (bytes.length === 0) return;
    writeSync(this.#file, bytes);
    this.#size += bytes.length;
  }

  get wantsRewrite(): boolean {
    return this.#size > REWRITE_BYTES;
  }

  /** Replaces the file by one that holds just these. */
  rewrite(raws: Iterable<Bytes>): void {
    const next = `${this.#path}.next`;
    const file = openSync(next, 'w', 0o600);
    const bytes = frame(raws);
    writeSync(file, bytes);
    renameSync(next, this.#path);
    closeSync(this.#file);
    this.#file = file;
    this.#size = bytes.length;
  }

  close(): void {
    closeSync(this.#file);
  }
}
