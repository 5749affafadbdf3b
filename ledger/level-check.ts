/**
 * Reads every byte of a LevelDB database that nobody has open and checks it against LevelDB's own checksums. LevelDB by
 * itself verifies none when it reads a table: a flipped bit is served as good, and a zeroed page ends the whole process
 * by an assertion in native code, without an error that could be caught (reliability.md section 3.3). In its log it skips
 * what is damaged and goes on behind it. So damage must be found before LevelDB is let at the files.
 *
 * Formats: doc/table_format.md and doc/log_format.md of LevelDB. A table is blocks, each followed by a type byte and a
 * checksum, then a footer that leads to the index of them; together they cover the whole file. A log is a sequence of
 * 32 KiB blocks of records, none of which crosses a block.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createCRC32 } from 'hash-wasm';
import type { Bytes } from '../primitives/ids.ts';

/** What is wrong with one file of a database. */
export type DamagedFile = { readonly file: string; readonly problem: string };
export type DatabaseSize = { readonly files: number; readonly bytes: number };

const CHECKED_NAME = /^(?:\d+\.(?:ldb|sst|log)|MANIFEST-\d+)$/;
const IS_TABLE = /\.(?:ldb|sst)$/;
const CASTAGNOLI = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

const FOOTER_BYTES = 48;
const MAGIC = Buffer.from('57fb808b247547db', 'hex');
const BLOCK_TRAILER_BYTES = 5;

const LOG_BLOCK_BYTES = 32_768;
const LOG_HEADER_BYTES = 7;

type Handle = { readonly offset: number; readonly size: number };
type Checksum = (bytes: Bytes) => number;

/** Files of a database that carry checksums, and what they come to. */
export async function databaseSize(path: string): Promise<DatabaseSize> {
  let files = 0;
  let bytes = 0;
  for (const name of await checkedFiles(path)) {
    files++;
    bytes += (await stat(join(path, name))).size;
  }
  return { files, bytes };
}

/** Empty when every checksum holds and nothing is missing between the first byte and the last of any file. */
export async function checkDatabase(path: string): Promise<DamagedFile[]> {
  const hasher = await createCRC32(CASTAGNOLI);
  const checksum: Checksum = (bytes) => masked(hasher.init().update(bytes).digest('binary'));
  const damaged: DamagedFile[] = [];
  const files = await checkedFiles(path);
  const inUse = await tablesInUse(path);
  for (const number of inUse ?? []) {
    const names = ['ldb', 'sst'].map((ending) => `${String(number).padStart(6, '0')}.${ending}`);
    if (!names.some((name) => files.includes(name))) damaged.push({ file: names[0]!, problem: 'it is gone' });
  }
  for (const file of files) {
    // One that is not in use is what a compaction left that was broken off, and LevelDB removes it.
    if (inUse !== undefined && IS_TABLE.test(file) && !inUse.has(Number.parseInt(file, 10))) continue;
    // A table is a few MiB, a log hardly more than the write buffer.
    const bytes = await readFile(join(path, file));
    const problem = IS_TABLE.test(file) ? tableProblem(bytes, checksum) : logProblem(bytes, checksum);
    if (problem !== undefined) damaged.push({ file, problem });
  }
  return damaged;
}

async function checkedFiles(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => CHECKED_NAME.test(name)).sort();
}

/** LevelDB stores checksums rotated and shifted, so that a checksum over checksums is no trivial one. */
function masked(digest: Bytes): number {
  const crc = Buffer.from(digest.buffer, digest.byteOffset, 4).readUInt32BE();
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

// --- tables

class Malformed extends Error {}

function tableProblem(bytes: Buffer, checksum: Checksum): string | undefined {
  const end = bytes.length - FOOTER_BYTES;
  if (end < 0 || !bytes.subarray(-MAGIC.length).equals(MAGIC)) return 'it has no footer';
  try {
    const footer = new Cursor(bytes.subarray(end, -MAGIC.length));
    const meta = footer.handle();
    const index = footer.handle();
    const handles = [meta, index];
    for (const block of [meta, index]) handles.push(...handlesIn(checkedBlock(bytes, block, end, checksum)));
    handles.sort((a, b) => a.offset - b.offset);
    let at = 0;
    for (const handle of handles) {
      if (handle.offset !== at) return `nothing leads to its bytes from ${at}`;
      checkedBlock(bytes, handle, end, checksum);
      at += handle.size + BLOCK_TRAILER_BYTES;
    }
    return at === end ? undefined : `nothing leads to its bytes from ${at}`;
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

function checkedBlock(bytes: Buffer, { offset, size }: Handle, end: number, checksum: Checksum): Buffer {
  if (offset + size + BLOCK_TRAILER_BYTES > end) throw new Malformed(`its block at ${offset} is cut off`);
  const stored = bytes.readUInt32LE(offset + size + 1);
  if (checksum(bytes.subarray(offset, offset + size + 1)) !== stored) {
    throw new Malformed(`its block at ${offset} does not match its checksum`);
  }
  return bytes.subarray(offset, offset + size);
}

/** The values of an index: where other blocks are. */
function handlesIn(block: Buffer): Handle[] {
  if (block.length < 4) throw new Malformed('an index in it is too short');
  const restarts = 4 * (block.readUInt32LE(block.length - 4) + 1);
  if (restarts > block.length) throw new Malformed('an index in it is malformed');
  const cursor = new Cursor(block.subarray(0, block.length - restarts));
  const handles: Handle[] = [];
  while (!cursor.isAtEnd) {
    cursor.number(); // bytes shared with the key before
    const key = cursor.number();
    const value = cursor.number();
    cursor.bytes(key);
    handles.push(new Cursor(cursor.bytes(value)).handle());
  }
  return handles;
}

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A varint; nothing here is near 2^53. */
  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Malformed('an index in it is malformed');
  }

  bytes(length: number): Buffer {
    const out = this.#bytes.subarray(this.#at, this.#at + length);
    if (out.length < length) throw new Malformed('an index in it is malformed');
    this.#at += length;
    return out;
  }

  handle(): Handle {
    return { offset: this.number(), size: this.number() };
  }
}

// --- logs

/**
 * An unreadable end is the write that was under way when the process or the machine stopped. Anything unreadable with an
 * intact record behind it is damage. Where the next record is, is known from the length of the unreadable one, or it is
 * the first of the next block.
 */
function logProblem(bytes: Buffer, checksum: Checksum): string | undefined {
  let bad: number | undefined;
  for (let at = 0; at + LOG_HEADER_BYTES <= bytes.length; ) {
    const blockEnd = at + LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES);
    const end = at + LOG_HEADER_BYTES + bytes.readUInt16LE(at + 4);
    const fits = end <= Math.min(blockEnd, bytes.length);
    if (fits && isLogRecord(bytes, { at, end }, checksum)) {
      if (bad !== undefined) return `its record at ${bad} is not readable, the one at ${at} behind it is`;
    } else {
      bad ??= at;
    }
    at = fits && end + LOG_HEADER_BYTES <= blockEnd ? end : blockEnd;
  }
  return undefined;
}

function isLogRecord(bytes: Buffer, { at, end }: { at: number; end: number }, checksum: Checksum): boolean {
  const type = bytes[at + 6]!;
  return type >= 1 && type <= 4 && checksum(bytes.subarray(at + 6, end)) === bytes.readUInt32LE(at);
}

// --- the manifest

/** Fields of a version edit (doc/impl.md, db/version_edit.cc), by their tags; what is not here is one number. */
const COMPARATOR = 1;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;

/** Numbers of the tables that the present manifest names; undefined when that cannot be told. */
async function tablesInUse(path: string): Promise<Set<number> | undefined> {
  const current = (await readFile(join(path, 'CURRENT'), 'utf8').catch(() => '')).trim();
  if (!/^MANIFEST-\d+$/.test(current)) return undefined;
  const bytes = await readFile(join(path, current)).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const tables = new Set<number>();
  try {
    for (const edit of logRecords(bytes)) applyEdit(new Cursor(edit), tables);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
  return tables;
}

/** The records of a log, put together from their parts, up to an end that was under way. */
function* logRecords(bytes: Buffer): Generator<Buffer> {
  let parts: Buffer[] = [];
  for (let at = 0; at + LOG_HEADER_BYTES <= bytes.length; ) {
    const left = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES);
    if (left < LOG_HEADER_BYTES) {
      at += left;
      continue;
    }
    const end = at + LOG_HEADER_BYTES + bytes.readUInt16LE(at + 4);
    const type = bytes[at + 6]!;
    if (type < 1 || type > 4 || end > bytes.length) return;
    // 1 whole, 2 first, 3 middle, 4 last part.
    if (type <= 2) parts = [];
    parts.push(bytes.subarray(at + LOG_HEADER_BYTES, end));
    if (type === 1 || type === 4) yield Buffer.concat(parts);
    at = end;
  }
}

function applyEdit(edit: Cursor, tables: Set<number>): void {
  while (!edit.isAtEnd) {
    const tag = edit.number();
    if (tag === COMPARATOR) edit.bytes(edit.number());
    else if (tag === COMPACT_POINTER) {
      edit.number(); // level
      edit.bytes(edit.number());
    } else if (tag === DELETED_FILE) {
      edit.number();
      tables.delete(edit.number());
    } else if (tag === NEW_FILE) {
      edit.number();
      tables.add(edit.number());
      edit.number(); // size
      for (let key = 0; key < 2; key++) edit.bytes(edit.number());
    } else if ([2, 3, 4, 9].includes(tag)) edit.number();
    else throw new Malformed('an edit in it is malformed');
  }
}
