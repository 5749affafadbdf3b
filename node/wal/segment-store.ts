/**
 * The folder that holds the log's segments: names, and the one way a segment comes to exist. It is written in full under
 * a temporary name, synced, renamed, the folder synced, and only then are older ones removed; so at every instant the
 * highest-numbered name is a complete log, and nothing is appended to it while an older one could still come back.
 */
import { join } from 'node:path';
import { concat } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';
import type { WalFs } from './disk.ts';
import { chainHash, encodeRecord, encodeSegmentHeader, type SegmentHeader, saltChecksum } from './segment.ts';
import { filler, reservedLength, SegmentFile } from './segment-file.ts';

export type SegmentStore = {
  readonly fs: WalFs;
  readonly directory: string;
  /** Fresh unpredictable bytes. */
  readonly random: (length: number) => Bytes;
  /** RESERVE_BYTES, or less in a test. */
  readonly reserveBytes: number;
};

const SEGMENT_NAME = /^(\d{16})\.wal$/;
const UNFINISHED = '.new';

function segmentName(segment: number): string {
  return `${String(segment).padStart(16, '0')}.wal`;
}

/** The newest segment's number and path among the names in the folder; undefined when there is none. */
export function newestSegment(
  store: SegmentStore,
  names: readonly string[],
): { path: string; segment: number } | undefined {
  let newest = -1;
  for (const name of names) newest = Math.max(newest, Number(SEGMENT_NAME.exec(name)?.[1] ?? -1));
  return newest < 0 ? undefined : { path: join(store.directory, segmentName(newest)), segment: newest };
}

/** Creates a segment that begins with `payloads`, durable with its reserved space when this resolves, and removes every other one. */
export async function writeSegment(
  store: SegmentStore,
  header: SegmentHeader,
  payloads: readonly Bytes[],
): Promise<{ file: SegmentFile; previous: Bytes }> {
  const { fs, directory, reserveBytes } = store;
  const name = segmentName(header.segment);
  const others = (await fs.list(directory)) ?? [];
  // Left by a crash in the middle of this function: never complete, never read.
  for (const other of others) if (other.endsWith(UNFINISHED)) await fs.remove(join(directory, other));
  const { data, previous } = encodeSegment(header, payloads);
  const end = data.length;
  const length = reservedLength(end, reserveBytes);
  const file = await fs.create(join(directory, name + UNFINISHED));
  await new Promise<void>((resolve, reject) => {
    file.write(0, concat(data, filler(header.salt, end, length)), (error) => (error ? reject(error) : resolve()));
  });
  await fs.rename(join(directory, name + UNFINISHED), join(directory, name));
  await fs.syncDirectory(directory);
  const older = others.filter((other) => SEGMENT_NAME.test(other));
  for (const other of older) await fs.remove(join(directory, other));
  if (older.length > 0) await fs.syncDirectory(directory);
  return { file: new SegmentFile(file, { salt: header.salt, reserveBytes, end, length }), previous };
}

function encodeSegment(header: SegmentHeader, payloads: readonly Bytes[]): { data: Bytes; previous: Bytes } {
  const salt = saltChecksum(header.salt);
  const parts = [encodeSegmentHeader(header)];
  let previous = chainHash(parts[0]!);
  const durable = header.firstSequence + payloads.length - 1;
  payloads.forEach((payload, index) => {
    const sequence = header.firstSequence + index;
    const record = encodeRecord({ type: 'snapshot', sequence, durable, previous, payload }, salt);
    previous = chainHash(record);
    parts.push(record);
  });
  return { data: concat(...parts), previous };
}
