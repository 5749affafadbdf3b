/** What does not read: a torn tail is told from damage, neither is ever mended unasked, no wrong record gets through. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  chainHash,
  decodeSegmentHeader,
  encodeRecord,
  RECORD_HEADER_BYTES,
  saltChecksum,
} from '../../../node/wal/segment.ts';
import { DIRECTORY, type Harness, openOn, reopen, text, texts } from './fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';
import { outcome, RECORDS, RESERVE, sample } from './sample.ts';

test('a flip of any bit: damage when a later record proves the promise, else a torn tail, never a wrong record', async () => {
  const { path, bytes, lastGroupAt, end } = await sample();
  expect(await outcome(path, bytes)).toEqual({ records: RECORDS, state: 'clean' });
  expect(bytes.length).toBeGreaterThanOrEqual(end + RESERVE.reserveBytes / 2);
  let damaged = 0;
  let torn = 0;
  for (let bit = 0; bit < end * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const result = await outcome(path, flipped);
    if (bit >> 3 < lastGroupAt) {
      expect(result, `bit ${bit}`).toBe('LOG_DAMAGED');
      damaged += 1;
    } else {
      expect(
        [
          { records: RECORDS.slice(0, 5), state: 'torn' },
          { records: RECORDS.slice(0, 6), state: 'torn' },
        ],
        `bit ${bit}`,
      ).toContainEqual(result);
      torn += 1;
    }
  }
  expect(damaged).toBe(lastGroupAt * 8);
  expect(torn).toBe((end - lastGroupAt) * 8);
});

test('a flip of any bit of the reserved space: something was written there, so the tail is torn', async () => {
  const { path, bytes, end } = await sample();
  for (let bit = end * 8; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(await outcome(path, flipped), `bit ${bit}`).toEqual({ records: RECORDS, state: 'torn' });
  }
});

test('flips of several bytes anywhere: whatever is read is a beginning of what was written', async () => {
  const { path, bytes, lastGroupAt } = await sample();
  const flips = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(flips, async (hits) => {
      const flipped = Uint8Array.from(bytes);
      for (const [at, by] of hits) flipped[at]! ^= by;
      const intact = Buffer.compare(flipped, bytes) === 0;
      const result = await outcome(path, flipped);
      if (typeof result === 'string') {
        expect(result).toBe('LOG_DAMAGED');
        return;
      }
      expect(result.state).toBe(intact ? 'clean' : 'torn');
      expect(result.records).toEqual(RECORDS.slice(0, result.records.length));
      expect(intact || hits.some(([at]) => at >= lastGroupAt)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('any run of up to 600 zeroed bytes: damage, a torn tail, or no change, never a wrong record', async () => {
  const { path, bytes, lastGroupAt } = await sample();
  for (const length of [2, 16, 64, 600]) {
    for (let at = 0; at < bytes.length; at += 7) {
      const zeroed = Uint8Array.from(bytes).fill(0, at, at + length);
      const result = await outcome(path, zeroed);
      const intact = Buffer.compare(zeroed, bytes) === 0;
      if (intact) expect(result).toEqual({ records: RECORDS, state: 'clean' });
      else if (typeof result === 'string') expect(result).toBe('LOG_DAMAGED');
      else {
        expect(result.state).toBe('torn');
        expect(result.records).toEqual(RECORDS.slice(0, result.records.length));
        // Torn before the last group only when nothing behind is left to prove it.
        expect(at >= lastGroupAt || at + length > lastGroupAt).toBe(true);
      }
    }
  }
});

test('cut at any byte: what is left in front is read, and a cut inside a record is torn', async () => {
  const { path, bytes, end } = await sample();
  let boundaries = 0;
  for (let length = 0; length < end; length++) {
    const result = await outcome(path, bytes.subarray(0, length));
    if (typeof result === 'string') expect(result).toBe('LOG_DAMAGED');
    else {
      expect(result.records).toEqual(RECORDS.slice(0, result.records.length));
      expect(result.records.length).toBeGreaterThanOrEqual(2);
      if (result.state === 'clean') boundaries += 1;
    }
  }
  expect(boundaries).toBe(RECORDS.length - 2);
  for (let length = end; length < bytes.length; length++) {
    expect(await outcome(path, bytes.subarray(0, length))).toEqual({ records: RECORDS, state: 'clean' });
  }
});

test('garbage or zeros behind the last record are a torn tail', async () => {
  const { path, bytes: whole, end } = await sample();
  const bytes = whole.subarray(0, end);
  for (const tail of [Buffer.alloc(1), Buffer.alloc(5000), Buffer.alloc(200, 0xff), Buffer.alloc(2000, 1)]) {
    expect(await outcome(path, Buffer.concat([bytes, tail]))).toEqual({ records: RECORDS, state: 'torn' });
  }
});

test('a record that appears twice, or out of order, is not accepted', async () => {
  const { path, bytes: whole, lastGroupAt, end } = await sample();
  const bytes = whole.subarray(0, end);
  const group = bytes.subarray(lastGroupAt);
  expect(await outcome(path, Buffer.concat([bytes, group]))).toEqual({ records: RECORDS, state: 'torn' });
  expect(await outcome(path, Buffer.concat([bytes.subarray(0, lastGroupAt - 50), group]))).toBe('LOG_DAMAGED');
});

test('a record with a true checksum is refused when its place in the chain or its number is wrong', async () => {
  const { path, bytes: whole, end } = await sample();
  const bytes = whole.subarray(0, end);
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') throw new TypeError(header);
  const salt = saltChecksum(header.salt);
  const last = bytes.subarray(bytes.length - RECORD_HEADER_BYTES - Buffer.byteLength('last b'));
  const fields = { type: 'record', durable: 5, payload: text('more') } as const;
  const next = encodeRecord({ ...fields, sequence: 8, previous: chainHash(last) }, salt);
  expect(await outcome(path, Buffer.concat([bytes, next]))).toEqual({ records: [...RECORDS, 'more'], state: 'clean' });
  const unchained = encodeRecord({ ...fields, sequence: 8, previous: chainHash(bytes) }, salt);
  expect(await outcome(path, Buffer.concat([bytes, unchained]))).toEqual({ records: RECORDS, state: 'torn' });
  const misnumbered = encodeRecord({ ...fields, sequence: 9, previous: chainHash(last) }, salt);
  expect(await outcome(path, Buffer.concat([bytes, misnumbered]))).toEqual({ records: RECORDS, state: 'torn' });
});

test('holes in a group that was never reported durable are a torn write, although its last record is intact', async () => {
  const { path, bytes, lastGroupAt } = await sample();
  const holed = Uint8Array.from(bytes).fill(0, lastGroupAt, lastGroupAt + 40);
  expect(await outcome(path, holed)).toEqual({ records: RECORDS.slice(0, 5), state: 'torn' });
});

test('bytes inside a payload that are shaped like a later record do not pass for one', async () => {
  const disk = new MemoryDisk();
  const log = (await openOn(disk, { mayBegin: true })) as Harness;
  const fields = {
    type: 'record',
    sequence: 9,
    durable: 8,
    previous: Buffer.alloc(16),
    payload: text('forged'),
  } as const;
  const forged = encodeRecord(fields, 0);
  await log.untilDurable(
    log.wal.append([Buffer.concat([text('a transaction '), forged, text(' ends')])], { sync: true }),
  );
  const path = `${DIRECTORY}/${(await disk.list(DIRECTORY))?.[0]}`;
  const bytes = Buffer.from(await disk.read(path));
  const lastByte = bytes.indexOf(' ends') + ' ends'.length - 1;
  expect(await outcome(path, bytes.subarray(0, lastByte))).toEqual({ records: [], state: 'torn' });
});

test('a torn log is left as it is until it is cut, refuses appends before, and goes on after', async () => {
  const { path, bytes: whole, end } = await sample();
  const bytes = whole.subarray(0, end);
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIRECTORY);
  await disk.create(path);
  disk.tamper(path, bytes.subarray(0, bytes.length - 3));
  const first = await reopen(disk);
  expect(() => first.wal.append([text('x')], { sync: true })).toThrow('torn');
  await first.wal.close();
  expect(await disk.read(path)).toEqual(Uint8Array.from(bytes.subarray(0, bytes.length - 3)));
  const log = await reopen(disk);
  const cut = log.wal.cutTornTail();
  const sequence = log.wal.append([text('while cutting')], { sync: true });
  await cut;
  await log.untilDurable(sequence);
  await log.wal.close();
  const again = await reopen(disk);
  expect(texts(again.records)).toEqual([...RECORDS.slice(0, 6), 'while cutting']);
  expect(again.state).toBe('clean');
  expect(again.incarnation).toBe(log.incarnation);
});

test('a cut that fails ends in onFailure', async () => {
  const { path, bytes: whole, end } = await sample();
  const bytes = whole.subarray(0, end);
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIRECTORY);
  await disk.create(path);
  disk.tamper(path, bytes.subarray(0, bytes.length - 3));
  const log = await reopen(disk);
  disk.failures.set('rename', new RangeError('input/output error'));
  await log.wal.cutTornTail();
  expect(log.failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
});

test('a damaged log is left as it is', async () => {
  const { path, bytes } = await sample();
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIRECTORY);
  await disk.create(path);
  const broken = Uint8Array.from(bytes);
  broken[200]! ^= 1;
  disk.tamper(path, broken);
  await expect(reopen(disk)).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
  expect(await disk.list(DIRECTORY)).toHaveLength(1);
  expect(await disk.read(path)).toEqual(broken);
});
