/**
 * The end of the segment in use: where the next records go, and space made ready for them. A write that makes a file
 * longer has the file system record where the new bytes are, and each sync waits for that too (ext4: a commit of its
 * journal); one into bytes that are there already costs the data alone. So a segment is born longer than its contents, and
 * is made longer again when nothing waits. Space that is short costs time, never correctness: records that do not fit
 * make the file longer themselves.
 *
 * Reserved bytes hold the segment's salt, over and over, not zeros. Zeros are what a lost sector or an unfinished write
 * reads as; this is what only our own reservation writes, so an end of just this is a clean end, and anything else is
 * something that was written, or should have been (reliability.md section 3).
 */
import type { Bytes } from '../../primitives/ids.ts';
import type { WalFile } from './disk.ts';

/** Segments are as long as a multiple of this, with at least so much ahead of their records when they are made longer. */
export const RESERVE_BYTES = 1024 * 1024;

/** What reserved bytes hold between two offsets of a segment. */
export function filler(salt: Bytes, from: number, to: number): Bytes {
  const shift = from % salt.length;
  const pattern = Buffer.concat([salt.subarray(shift), salt.subarray(0, shift)]);
  return Buffer.alloc(to - from, pattern);
}

/** Where reserved bytes begin that go on to the end of a segment; its length when the last byte is none. */
export function fillerStart(bytes: Bytes, salt: Bytes): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === salt[(at - 1) % salt.length]) at -= 1;
  return at;
}

/** How long a segment is made that holds `end` bytes of header and records. */
export function reservedLength(end: number, reserveBytes: number): number {
  return (Math.ceil(end / reserveBytes) + 1) * reserveBytes;
}

export class SegmentFile {
  readonly #file: WalFile;
  readonly #salt: Bytes;
  readonly #reserveBytes: number;
  /** Offset behind the last record. */
  #end: number;
  /** Length of the file. */
  #length: number;

  constructor(file: WalFile, made: { salt: Bytes; reserveBytes: number; end: number; length: number }) {
    this.#file = file;
    this.#salt = made.salt;
    this.#reserveBytes = made.reserveBytes;
    this.#end = made.end;
    this.#length = made.length;
  }

  /** Writes records behind the last one; durable when called back. Neither this nor `reserve` while one of them runs. */
  append(data: Bytes, done: (error?: Error) => void): void {
    const at = this.#end;
    this.#end += data.length;
    this.#length = Math.max(this.#length, this.#end);
    this.#file.write(at, data, done);
  }

  /** Less than half a reservation is left. */
  get isShort(): boolean {
    return this.#length - this.#end < this.#reserveBytes / 2;
  }

  /** Makes space ready; durable when called back. */
  reserve(done: (error?: Error) => void): void {
    const from = this.#length;
    this.#length = reservedLength(this.#end, this.#reserveBytes);
    this.#file.write(from, filler(this.#salt, from, this.#length), done);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
