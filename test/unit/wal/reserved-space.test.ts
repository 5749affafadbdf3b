/** Space made ready ahead of the records: a write into it that was stopped, and when and how the log makes more. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RESERVE_BYTES } from '../../../node/wal/segment-file.ts';
import { DIRECTORY, drawFrom, type Harness, openOn, reopen, text, texts } from './fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';
import { outcome, RECORDS, sample } from './sample.ts';

const SYNC = { sync: true } as const;
const REPORTED = RECORDS.slice(0, 5);

/** Until what the log does by itself is done. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** The sample with its last group taken back: what was on the disk when the write of that group began. */
async function beforeLastGroup() {
  const { path, bytes, lastGroupAt, end } = await sample();
  const other = await sample();
  const before = Uint8Array.from(bytes);
  // Reserved bytes repeat every 16 bytes of the file.
  for (let at = lastGroupAt; at < end; at++) before[at] = bytes[end + ((at - end) & 15)]!;
  return { path, before, after: bytes, from: lastGroupAt, to: end, other };
}

/** What a start may say to a file on which the last group was under way, never reported. */
async function expectTornOrWhole(path: string, image: Uint8Array, ends: { before: Uint8Array; after: Uint8Array }) {
  const result = await outcome(path, image);
  if (typeof result === 'string') throw new TypeError(`a write that was never reported is not ${result}`);
  expect(result.records).toEqual(RECORDS.slice(0, result.records.length));
  expect(result.records.length).toBeGreaterThanOrEqual(REPORTED.length);
  if (Buffer.compare(image, ends.before) === 0) expect(result).toEqual({ records: REPORTED, state: 'clean' });
  else if (Buffer.compare(image, ends.after) === 0) expect(result).toEqual({ records: RECORDS, state: 'clean' });
  else if (result.state === 'clean') expect(result.records).toEqual(RECORDS.slice(0, 6));
  return result;
}

test('a write stopped at any byte is a torn tail: its beginning on the disk, its end, or all but a piece', async () => {
  const { path, before, after, from, to } = await beforeLastGroup();
  expect(await outcome(path, before)).toEqual({ records: REPORTED, state: 'clean' });
  let tried = 0;
  let torn = 0;
  const attempt = async (start: number, stop: number): Promise<void> => {
    const hole = Uint8Array.from(after);
    hole.set(before.subarray(start, stop), start);
    const piece = Uint8Array.from(before);
    piece.set(after.subarray(start, stop), start);
    for (const image of [hole, piece]) {
      tried += 1;
      if ((await expectTornOrWhole(path, image, { before, after })).state === 'torn') torn += 1;
    }
  };
  for (let at = from; at < to; at++) {
    await attempt(from, at);
    for (const length of [1, 2, 4, 8, 16, 32, 64, to - at]) await attempt(at, Math.min(at + length, to));
  }
  // Clean are nothing, everything, and the first record of the two alone.
  expect(torn).toBeGreaterThan(tried * 0.9);
});

test('a write of which any set of sectors reached the disk is a torn tail, over reserved bytes and over zeros', async () => {
  const { path, before, after, from, to } = await beforeLastGroup();
  const zeros = Uint8Array.from(before).fill(0, from);
  const sectorBytes = 16;
  const first = Math.floor(from / sectorBytes);
  const count = Math.ceil(to / sectorBytes) - first;
  expect(count).toBeLessThan(10);
  for (const under of [before, zeros]) {
    for (let set = 0; set < 2 ** count; set++) {
      const image = Uint8Array.from(under);
      for (let sector = 0; sector < count; sector++) {
        if ((set & (1 << sector)) === 0) continue;
        const start = Math.max((first + sector) * sectorBytes, from);
        const stop = Math.min((first + sector + 1) * sectorBytes, to);
        image.set(after.subarray(start, stop), start);
      }
      await expectTornOrWhole(path, image, { before, after });
    }
  }
});

test('any log whose last write was stopped: all that was reported comes back, then a beginning of the rest', async () => {
  const payloads = fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 4 });
  const cases = fc.record({
    groups: fc.array(payloads, { maxLength: 4 }),
    last: payloads,
    reserveBytes: fc.constantFrom(64, 256, 4096),
    // Of the last write: which runs of bytes did not reach the disk, and whether its file got longer without them.
    holes: fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 64 })), { maxLength: 5 }),
    longer: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ groups, last, reserveBytes, holes, longer }) => {
      const disk = new MemoryDisk();
      const log = (await openOn(disk, { mayBegin: true, reserveBytes })) as Harness;
      for (const group of groups) await log.untilDurable(log.wal.append(group.map(text), SYNC));
      await settle();
      const path = `${DIRECTORY}/${(await disk.list(DIRECTORY))?.[0]}`;
      const before = await disk.read(path);
      const sequence = log.wal.append(last.map(text), SYNC);
      let after = before;
      log.wal.onDurable((durable) => {
        if (durable === sequence) after = disk.peek(path);
      });
      await log.untilDurable(sequence);
      const image = Uint8Array.from(after);
      const changed = image.findIndex((byte, at) => byte !== before[at]);
      for (const [offset, length] of holes) {
        for (let at = changed + offset; at < Math.min(changed + offset + length, image.length); at++) {
          image[at] = before[at] ?? 0;
        }
      }
      const found = longer ? image : image.subarray(0, before.length);
      const result = await outcome(path, found);
      if (typeof result === 'string') throw new TypeError(`a write that was never reported is not ${result}`);
      const reported = groups.flat();
      const all = [...reported, ...last];
      expect(result.records).toEqual(all.slice(0, result.records.length));
      expect(result.records.length).toBeGreaterThanOrEqual(reported.length);
      if (Buffer.compare(found, after) === 0) expect(result.records).toEqual(all);
      if (Buffer.compare(found, before) === 0)
        expect(result).toEqual({ records: reported, state: reported.length ? 'clean' : 'empty' });
    }),
    { numRuns: 400 },
  );
});

test('zeros, or the reserved bytes of another segment, where ours should be are a torn tail', async () => {
  const { path, after, to, other } = await beforeLastGroup();
  const zeroed = Uint8Array.from(after).fill(0, to);
  expect(await outcome(path, zeroed)).toEqual({ records: RECORDS, state: 'torn' });
  const foreign = Uint8Array.from(after);
  foreign.set(other.bytes.subarray(to), to);
  expect(await outcome(path, foreign)).toEqual({ records: RECORDS, state: 'torn' });
});

test('reserved bytes in the place of what was reported durable are damage as soon as a later record proves it', async () => {
  const { path, after, from } = await beforeLastGroup();
  const pattern = (at: number): number => after[after.length - 16 + (at & 15)]!;
  for (let start = 0; start < from; start += 3) {
    for (const length of [1, 16, 50, 200]) {
      const image = Uint8Array.from(after);
      for (let at = start; at < Math.min(start + length, from); at++) image[at] = pattern(at);
      const intact = Buffer.compare(image, after) === 0;
      expect(await outcome(path, image)).toEqual(intact ? { records: RECORDS, state: 'clean' } : 'LOG_DAMAGED');
    }
  }
});

test('a tail torn in reserved space is cut, and the log goes on and reads clean', async () => {
  const { path, before, after, from, to } = await beforeLastGroup();
  const draw = drawFrom(3);
  for (let run = 0; run < 200; run++) {
    const image = Uint8Array.from(before);
    const start = from + draw(to - from);
    image.set(after.subarray(start, to), start);
    const disk = new MemoryDisk();
    await disk.makeDirectory(DIRECTORY);
    await disk.create(path);
    disk.tamper(path, image);
    const log = await reopen(disk);
    if (log.state === 'torn') await log.wal.cutTornTail();
    await log.untilDurable(log.wal.append([text('on')], SYNC));
    await log.wal.close();
    const again = await reopen(disk);
    expect([again.state, ...texts(again.records)]).toEqual(['clean', ...texts(log.records), 'on']);
  }
});

// --- how much, and when

async function begun(reserveBytes: number) {
  const disk = new MemoryDisk();
  const log = (await openOn(disk, { mayBegin: true, reserveBytes })) as Harness;
  const path = `${DIRECTORY}/${(await disk.list(DIRECTORY))?.[0]}`;
  return { disk, log, length: () => disk.peek(path).length };
}

test('records go into space made ready before: the file gets longer between writes, never by one', async () => {
  const { disk, log, length } = await begun(1024);
  const born = length();
  expect(born).toBe(2048);
  const grown: number[] = [];
  let before = born;
  log.wal.onDurable(() => grown.push(length() - before));
  for (let i = 0; i < 100; i++) {
    before = length();
    await log.untilDurable(log.wal.append([text('x'.repeat(150))], SYNC));
    await settle();
  }
  expect(grown).toEqual(Array.from({ length: 100 }, () => 0));
  expect(length() % 1024).toBe(0);
  expect(length()).toBeGreaterThan(born + 100 * 150);
  await log.wal.close();
  expect((await reopen(disk)).records).toHaveLength(100);
});

test('a group longer than what is ready makes the file longer itself, and the space behind it is made ready after', async () => {
  const { disk, log, length } = await begun(1024);
  await log.untilDurable(log.wal.append([text('x'.repeat(10_000))], SYNC));
  await settle();
  expect(length()).toBe(11 * 1024);
  await log.untilDurable(log.wal.append([text('y')], SYNC));
  expect(length()).toBe(11 * 1024);
  await log.wal.close();
  const again = await reopen(disk);
  expect(again.state).toBe('clean');
  expect(again.records.map(({ length }) => length)).toEqual([10_000, 1]);
});

test('appends that come while space is made ready wait for it and share one write', async () => {
  const { disk, log, length } = await begun(1024);
  const before = length();
  await log.untilDurable(log.wal.append([text('x'.repeat(1500))], SYNC));
  const writes = disk.writes;
  log.wal.append([text('a')], SYNC);
  expect(length()).toBe(before);
  await log.untilDurable(log.wal.append([text('b')], SYNC));
  expect(length()).toBe(before + 1024);
  expect(disk.writes - writes).toBe(1);
});

test('a failure to make space ready ends in onFailure; nothing after it is reported durable', async () => {
  const { disk, log } = await begun(64);
  const reported = log.wal.append([text('x'.repeat(200))], SYNC);
  log.wal.onDurable(() => disk.failures.set('write', new RangeError('no space')));
  await log.untilDurable(reported);
  // Only that write failed: the next would succeed.
  disk.failures.clear();
  log.wal.append([text('after')], SYNC);
  await settle();
  expect(log.failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
  expect(log.durable()).toBe(reported);
  await log.wal.close();
});

test('close waits for space that is being made ready, and makes none itself', async () => {
  const { disk, log } = await begun(64);
  await log.untilDurable(log.wal.append([text('x'.repeat(200))], SYNC));
  await log.wal.close();
  const again = await reopen(disk, { reserveBytes: 64 });
  again.wal.append([text('y'.repeat(200))], SYNC);
  const writes = disk.writes;
  await again.wal.close();
  expect(disk.writes - writes).toBe(1);
  expect(texts((await reopen(disk)).records)).toEqual(['x'.repeat(200), 'y'.repeat(200)]);
});

test('a log that ends with its last record, without reserved space, reads clean', async () => {
  const { path, bytes, end } = await sample();
  expect(await outcome(path, bytes.subarray(0, end))).toEqual({ records: RECORDS, state: 'clean' });
});

test('without being told otherwise a segment is as long as a whole number of reservations', async () => {
  const disk = new MemoryDisk();
  const log = (await openOn(disk, { mayBegin: true, reserveBytes: RESERVE_BYTES })) as Harness;
  await log.wal.close();
  const bytes = await disk.read(`${DIRECTORY}/${(await disk.list(DIRECTORY))?.[0]}`);
  expect(bytes.length).toBe(2 * RESERVE_BYTES);
});
