/** A log with two groups behind its snapshot and a last one, as bytes to be damaged, and what a start says to them. */
import { RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../../node/wal/segment.ts';
import { DIRECTORY, type Harness, openOn, reopen, text, texts } from './fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';

export const RECORDS = ['s1', 's2', 'one', 'two', 'three', 'last a', 'last b'];
const GROUPS = [['one'], ['two', 'three'], ['last a', 'last b']];

/** Reserved space of at least so much, small enough to try every byte of. */
export const RESERVE = { reserveBytes: 128 };

type Sample = {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Offset of the last group, and the one behind it, where the reserved space begins. */
  readonly lastGroupAt: number;
  readonly end: number;
};

const lengthOf = (records: readonly string[]): number =>
  records.reduce((sum, record) => sum + RECORD_HEADER_BYTES + Buffer.byteLength(record), 0);

/** A log of a snapshot and three groups. */
export async function sample(): Promise<Sample> {
  const disk = new MemoryDisk();
  const log = (await openOn(disk, { mayBegin: true, ...RESERVE })) as Harness;
  await log.untilDurable(log.wal.rotate([text('s1'), text('s2')]));
  const path = `${DIRECTORY}/${(await disk.list(DIRECTORY))?.[0]}`;
  for (const group of GROUPS) await log.untilDurable(log.wal.append(group.map(text), { sync: true }));
  await log.wal.close();
  const end = SEGMENT_HEADER_BYTES + lengthOf(RECORDS);
  return { path, bytes: await disk.read(path), lastGroupAt: end - lengthOf(GROUPS.at(-1)!), end };
}

/** Opens a log with these bytes: its records and state, or the code of the refusal. */
export async function outcome(path: string, bytes: Uint8Array): Promise<{ records: string[]; state: string } | string> {
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIRECTORY);
  await disk.create(path);
  disk.tamper(path, bytes);
  try {
    const { records, state } = await reopen(disk, RESERVE);
    return { records: texts(records), state };
  } catch (error) {
    return (error as { code: string }).code;
  }
}
