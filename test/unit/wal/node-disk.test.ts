/** The log on the real disk: files only their owner can read, and the same contract. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openWal } from '../../../node/wal/open.ts';
import type { Wal } from '../../../node/wal/wal.ts';
import { IDENTITY, text, texts } from './fixtures.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'quorate-wal-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

async function openAt(mayBegin: boolean) {
  const failures: unknown[] = [];
  const onFailure = (error: unknown): void => void failures.push(error);
  const opened = await openWal({ directory: join(dataDir, 'guard'), identity: IDENTITY, mayBegin, onFailure });
  if (!opened) throw new TypeError('no log');
  return { ...opened, failures };
}

function untilDurable(wal: Wal, sequence: number): Promise<void> {
  return new Promise((resolve) => wal.onDurable((durable) => durable >= sequence && resolve()));
}

test('folder 0700, files 0600, one segment after restarts and rotations', async () => {
  for (const mayBegin of [true, false, false]) {
    const { wal } = await openAt(mayBegin);
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
  const first = await openAt(true);
  expect(first.state).toBe('empty');
  const written = Array.from({ length: 1000 }, (_, i) => `${i} `.padEnd((i * 37) % 4000, '.'));
  let last = 0;
  for (const record of written) last = first.wal.append([text(record)], { sync: last % 3 === 0 });
  first.wal.append([new Uint8Array(3_000_000).fill(7)], { sync: false });
  await untilDurable(first.wal, first.wal.append([text('end')], { sync: true }));
  await first.wal.close();
  const second = await openAt(false);
  expect(second.state).toBe('clean');
  expect(texts(second.records.slice(0, 1000))).toEqual(written);
  expect(Buffer.alloc(3_000_000, 7).equals(second.records[1000]!)).toBe(true);
  expect(texts(second.records.slice(1001))).toEqual(['end']);
  expect(first.failures).toEqual([]);
  await second.wal.close();
});

test('records without sync are written soon, without anything else to wake them', async () => {
  const { wal } = await openAt(true);
  await untilDurable(wal, wal.append([text('lazy')], { sync: false }));
  await wal.close();
  const again = await openAt(false);
  expect(texts(again.records)).toEqual(['lazy']);
  await again.wal.close();
});
