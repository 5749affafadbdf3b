/** Damage to files, as bad disks and careless hands do it, and the way back. */
import {
  closeSync,
  cpSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { decodeSegmentHeader } from '../../node/wal/segment.ts';
import { fillerStart } from '../../node/wal/segment-file.ts';

/** Inverts one bit of a file. */
export function flipBit(path: string, offset: number): void {
  const bytes = readFileSync(path);
  if (offset < 0 || offset >= bytes.length) throw new Error(`${path} has no byte ${offset}`);
  bytes[offset]! ^= 0x10;
  writeFileSync(path, bytes);
}

const PAGE = 4096;

/** Zeroes pages of a file in place, as a dying disk does it under a process that has the file open. */
export function zeroPages(path: string, pages: readonly number[]): void {
  const file = openSync(path, 'r+');
  try {
    const { size } = fstatSync(file);
    for (const page of pages) {
      const length = Math.min(PAGE, size - page * PAGE);
      if (length > 0) writeSync(file, Buffer.alloc(length), 0, length, page * PAGE);
    }
  } finally {
    closeSync(file);
  }
}

/** A copy of a folder beside it, and a function that puts it back as it was. */
export function keepCopy(
  folder: string,
  name = 'copy',
): { readonly restore: () => void; readonly discard: () => void } {
  const copy = `${folder}.${name}`;
  cpSync(folder, copy, { recursive: true });
  const discard = (): void => rmSync(copy, { recursive: true, force: true });
  return {
    discard,
    restore: () => {
      rmSync(folder, { recursive: true, force: true });
      cpSync(copy, folder, { recursive: true });
    },
  };
}

/** The newest segment of the write-ahead log in a data folder. */
export function newestSegment(dataDir: string): string {
  const folder = join(dataDir, 'guard');
  const names = readdirSync(folder).filter((name) => /\d/.test(name));
  const newest = names.sort().at(-1);
  if (newest === undefined) throw new Error(`${folder} holds no segment`);
  return join(folder, newest);
}

/** How much of a segment is written: space is reserved behind its records. */
export function writtenBytes(path: string): number {
  const bytes = readFileSync(path);
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') throw new Error(`${path} is no segment: ${header}`);
  return fillerStart(bytes, header.salt);
}
