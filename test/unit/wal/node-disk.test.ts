/** The log on the real disk, synced in either way: files only their owner can read, and the same contract. */
import fs from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { nodeDisk, realDisk, type WalFile } from '../../../node/wal/disk.ts';
import { openWal } from '../../../node/wal/open.ts';
import { RESERVE_BYTES } from '../../../node/wal/segment-file.ts';
import type { Wal } from '../../../node/wal/wal.ts';
import { IDENTITY, text, texts } from './fixtures.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'quorate-wal-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dataDir, { recursive: true });
});

async function openAt(mayBegin: boolean, writeThrough: boolean) {
  const failures: unknown[] = [];
  const onFailure = (error: unknown): void => void failures.push(error);
  const disk = realDisk({ writeThrough });
  const opened = await openWal({
    directory: join(dataDir, 'guard'),
    identity: IDENTITY,
    mayBegin,
    onFailure,
    fs: disk,
  });
  if (!opened) throw new TypeError('no log');
  return { ...opened, failures };
}

function untilDurable(wal: Wal, sequence: number): Promise<void> {
  return new Promise((resolve) => wal.onDurable((durable) => durable >= sequence && resolve()));
}

describe.each([{ writeThrough: true }, { writeThrough: false }])('write-through: $writeThrough', ({ writeThrough }) => {
  test('folder 0700, files 0600, one segment after restarts and rotations', async () => {
    for (const mayBegin of [true, false, false]) {
      const { wal } = await openAt(mayBegin, writeThrough);
      await untilDurable(wal, wal.rotate([text('snapshot')]));
      await wal.close();
    }
    const directory = join(dataDir, 'guard');
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const names = await readdir(directory);
    expect(names).toHaveLength(1);
    expect((await stat(join(directory, names[0]!))).mode & 0o777).toBe(0o600);
  });

  test('a thousand records of many sizes come back as they were', async () => {
    const first = await openAt(true, writeThrough);
    expect(first.state).toBe('empty');
    const written = Array.from({ length: 1000 }, (_, i) => `${i} `.padEnd((i * 37) % 4000, '.'));
    let last = 0;
    for (const record of written) last = first.wal.append([text(record)], { sync: last % 3 === 0 });
    first.wal.append([new Uint8Array(3_000_000).fill(7)], { sync: false });
    await untilDurable(first.wal, first.wal.append([text('end')], { sync: true }));
    await first.wal.close();
    const second = await openAt(false, writeThrough);
    expect(second.state).toBe('clean');
    expect(texts(second.records.slice(0, 1000))).toEqual(written);
    expect(Buffer.alloc(3_000_000, 7).equals(second.records[1000]!)).toBe(true);
    expect(texts(second.records.slice(1001))).toEqual(['end']);
    expect(first.failures).toEqual([]);
    await second.wal.close();
  });

  test('records without sync are written soon, without anything else to wake them', async () => {
    const { wal } = await openAt(true, writeThrough);
    await untilDurable(wal, wal.append([text('lazy')], { sync: false }));
    await wal.close();
    const again = await openAt(false, writeThrough);
    expect(texts(again.records)).toEqual(['lazy']);
    await again.wal.close();
  });
});

test('a segment holds its reserved space, whatever was written last', async () => {
  const { wal } = await openAt(true, true);
  await untilDurable(wal, wal.append([text('a')], { sync: true }));
  await wal.close();
  const directory = join(dataDir, 'guard');
  const [name] = await readdir(directory);
  expect((await readFile(join(directory, name!))).length).toBe(2 * RESERVE_BYTES);
});

test.each([true, false])(
  'O_DSYNC is asked for just when a write is to be its own sync [write-through: %s]',
  async (writeThrough) => {
    const opening = vi.spyOn(fs, 'open');
    const file = await realDisk({ writeThrough }).create(join(dataDir, 'file'));
    const flags = opening.mock.calls[0]![1] as unknown as number;
    expect((flags & fs.constants.O_DSYNC) === fs.constants.O_DSYNC).toBe(writeThrough);
    await file.close();
  },
);

/** What a write calls back with. */
function written(file: WalFile, at: number, data: Uint8Array): Promise<Error | undefined> {
  return new Promise((resolve) => file.write(at, data, resolve));
}

test('not write-through: what was written is synced before it is called back, and a failed sync is a failed write', async () => {
  const file = await realDisk({ writeThrough: false }).create(join(dataDir, 'file'));
  const sync = vi.spyOn(fs, 'fdatasync');
  expect(await written(file, 0, text('a'))).toBeUndefined();
  expect(sync).toHaveBeenCalledTimes(1);
  const failure = new RangeError('input/output error');
  sync.mockImplementation((_descriptor, done) => done(failure));
  expect(await written(file, 1, text('b'))).toBe(failure);
  await file.close();
});

test.each([true, false])(
  'a write the system takes in pieces is all there [write-through: %s]',
  async (writeThrough) => {
    const path = join(dataDir, 'file');
    const file = await realDisk({ writeThrough }).create(path);
    const real = fs.write.bind(fs) as (
      fd: number,
      data: Uint8Array,
      from: number,
      to: number,
      at: number,
      done: unknown,
    ) => void;
    const pieces = vi
      .spyOn(fs, 'write')
      .mockImplementation(((fd: number, data: Uint8Array, from: number, length: number, at: number, done: unknown) =>
        real(fd, data, from, Math.min(length, 3), at, done)) as typeof fs.write);
    expect(await written(file, 0, text('0123456789'))).toBeUndefined();
    expect(await written(file, 5, text('abcdefgh'))).toBeUndefined();
    expect(pieces).toHaveBeenCalledTimes(4 + 3);
    expect(await readFile(path, 'utf8')).toBe('01234abcdefgh');
    await file.close();
  },
);

test('a name that is taken is not opened again', async () => {
  const file = await nodeDisk.create(join(dataDir, 'file'));
  await expect(nodeDisk.create(join(dataDir, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  await file.close();
});
