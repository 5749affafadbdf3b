/** The write-ahead log's contract on a disk that behaves: order, groups, rotation, identity, failure. */
import { expect, test } from 'vitest';
import { DIRECTORY, IDENTITY, openOn, reopen, text, texts } from './fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';

async function begun(disk = new MemoryDisk()) {
  const log = await openOn(disk, { mayBegin: true });
  if (!log) throw new TypeError('no log was begun');
  return { disk, log };
}

const SYNC = { sync: true } as const;

test('records come back in order, with the same incarnation, and the log is clean', async () => {
  const { disk, log } = await begun();
  expect(log.state).toBe('empty');
  await log.untilDurable(log.wal.append([text('a'), text(''), text('c')], SYNC));
  await log.wal.close();
  const again = await reopen(disk);
  expect(texts(again.records)).toEqual(['a', '', 'c']);
  expect(again.state).toBe('clean');
  expect(again.incarnation).toBe(log.incarnation);
  expect(again.incarnation).toMatch(/^0x[0-9a-f]{32}$/);
});

test('sequence numbers go on over restarts and rotations', async () => {
  const { disk, log } = await begun();
  expect(log.wal.append([text('a'), text('b')], SYNC)).toBe(2);
  expect(log.wal.rotate([text('s')])).toBe(3);
  expect(log.wal.append([text('c')], SYNC)).toBe(4);
  await log.wal.close();
  const again = await reopen(disk);
  expect(texts(again.records)).toEqual(['s', 'c']);
  expect(again.wal.append([text('d')], SYNC)).toBe(5);
});

test('group commit: what is queued during a write shares the next one', async () => {
  const { disk, log } = await begun();
  const before = disk.writes;
  log.wal.append([text('first')], SYNC);
  await Promise.resolve();
  let last = 0;
  for (let i = 0; i < 100; i++) last = log.wal.append([text(`later ${i}`)], SYNC);
  await log.untilDurable(last);
  expect(disk.writes - before).toBe(2);
});

test('group commit: appends of one step of the caller share one write', async () => {
  const { disk, log } = await begun();
  const before = disk.writes;
  log.wal.append([text('a')], SYNC);
  log.wal.append([text('b')], { sync: false });
  await log.untilDurable(log.wal.append([text('c')], SYNC));
  expect(disk.writes - before).toBe(1);
});

test('flush: the write begins at once, with all that was appended before, and no other follows', async () => {
  const { disk, log } = await begun();
  const before = disk.writes;
  log.wal.append([text('lazy')], { sync: false });
  log.wal.append([text('a')], SYNC);
  const last = log.wal.append([text('b')], SYNC);
  expect(disk.writes - before).toBe(0);
  log.wal.flush();
  expect(disk.writes - before).toBe(1);
  log.wal.flush();
  await log.untilDurable(last);
  expect(disk.writes - before).toBe(1);
  await log.wal.close();
  expect(texts((await reopen(disk)).records)).toEqual(['lazy', 'a', 'b']);
});

test('flush during a write: what was appended meanwhile goes out when that is over', async () => {
  const { disk, log } = await begun();
  const before = disk.writes;
  log.wal.append([text('a')], SYNC);
  log.wal.flush();
  const last = log.wal.append([text('b')], SYNC);
  log.wal.flush();
  expect(disk.writes - before).toBe(1);
  await log.untilDurable(last);
  expect(disk.writes - before).toBe(2);
});

test('flush writes nothing that nobody waits for, and nothing after a failure', async () => {
  const { disk, log } = await begun();
  const before = disk.writes;
  log.wal.append([text('lazy')], { sync: false });
  log.wal.flush();
  for (let i = 0; i < 50; i++) await Promise.resolve();
  expect(disk.writes - before).toBe(0);
  disk.failures.set('write', new RangeError('no space'));
  log.wal.append([text('bad')], SYNC);
  log.wal.flush();
  for (let i = 0; i < 50; i++) await Promise.resolve();
  log.wal.append([text('after')], SYNC);
  log.wal.flush();
  expect(disk.writes - before).toBe(1);
  expect(log.failures).toHaveLength(1);
});

test('flush from a listener: the next write begins there and then, and every number is reported once, in order', async () => {
  const { disk, log } = await begun();
  const reported: number[] = [];
  let last = 0;
  log.wal.onDurable((sequence) => {
    if (sequence < 5) last = log.wal.append([text(`after ${sequence}`)], SYNC);
    const writes = disk.writes;
    log.wal.flush();
    expect(disk.writes - writes).toBe(sequence < 5 ? 1 : 0);
  });
  log.wal.onDurable((sequence) => reported.push(sequence));
  log.wal.append([text('first')], SYNC);
  await log.untilDurable(5);
  expect(last).toBe(5);
  expect(reported).toEqual([1, 2, 3, 4, 5]);
});

test('flush begins a rotation too', async () => {
  const { disk, log } = await begun();
  const sequence = log.wal.rotate([text('s')]);
  log.wal.flush();
  await log.untilDurable(sequence);
  await log.wal.close();
  expect(texts((await reopen(disk)).records)).toEqual(['s']);
});

test('a record appended without sync waits for one with, and is written before it', async () => {
  const { disk, log } = await begun();
  const before = disk.writes;
  log.wal.append([text('lazy')], { sync: false });
  for (let i = 0; i < 50; i++) await Promise.resolve();
  expect(disk.writes - before).toBe(0);
  await log.untilDurable(log.wal.append([text('eager')], SYNC));
  expect(disk.writes - before).toBe(1);
  await log.wal.close();
  expect(texts((await reopen(disk)).records)).toEqual(['lazy', 'eager']);
});

test('a record appended without sync is written by the timer when nothing else comes', async () => {
  const { log } = await begun();
  const sequence = log.wal.append([text('lazy')], { sync: false });
  log.fireTimers();
  await log.untilDurable(sequence);
  expect(log.durable()).toBe(sequence);
});

test('close writes what is queued, lazy records too', async () => {
  const { disk, log } = await begun();
  log.wal.append([text('lazy')], { sync: false });
  await log.wal.close();
  expect(texts((await reopen(disk)).records)).toEqual(['lazy']);
});

test('rotation: the snapshot replaces everything before it, later records follow it, one segment is left', async () => {
  const { disk, log } = await begun();
  log.wal.append([text('a')], SYNC);
  log.wal.append([text('b')], { sync: false });
  log.wal.rotate([text('s1'), text('s2')]);
  await log.untilDurable(log.wal.append([text('c')], SYNC));
  expect(log.wal.bytesSinceSnapshot).toBeGreaterThan(0);
  await log.wal.close();
  expect((await disk.list(DIRECTORY))?.length).toBe(1);
  expect(texts((await reopen(disk)).records)).toEqual(['s1', 's2', 'c']);
});

test('rotation: with an empty snapshot the log reads as empty, and goes on', async () => {
  const { disk, log } = await begun();
  log.wal.append([text('a')], SYNC);
  log.wal.rotate([]);
  await log.wal.close();
  const again = await reopen(disk);
  expect(again.state).toBe('empty');
  await again.untilDurable(again.wal.append([text('b')], SYNC));
});

test('a log that nothing was ever appended to stays empty over restarts: peers must be asked each time', async () => {
  const { disk, log } = await begun();
  await log.wal.close();
  expect((await reopen(disk)).state).toBe('empty');
});

test('no log and no leave to begin one: a lost disk, and nothing is created', async () => {
  const disk = new MemoryDisk();
  expect(await openOn(disk)).toBeUndefined();
  expect(await disk.list(DIRECTORY)).toBeUndefined();
});

test('a folder whose segments are gone is a lost disk too', async () => {
  const { disk, log } = await begun();
  await log.wal.close();
  for (const name of (await disk.list(DIRECTORY)) ?? []) await disk.remove(`${DIRECTORY}/${name}`);
  expect(await openOn(disk)).toBeUndefined();
});

test('a log begun after a loss says so for ever, through restarts and rotations', async () => {
  const disk = new MemoryDisk();
  const log = await openOn(disk, { mayBegin: true, afterLoss: true });
  expect(log?.afterLoss).toBe(true);
  log?.wal.rotate([text('s')]);
  await log?.wal.close();
  const again = await reopen(disk);
  expect(again.afterLoss).toBe(true);
  expect(again.incarnation).toBe(log?.incarnation);
  expect((await begun()).log.afterLoss).toBe(false);
});

test('a log of another key or another chain is refused', async () => {
  const { disk, log } = await begun();
  await log.wal.close();
  const otherKey = { ...IDENTITY, validator: '0x' + '01'.repeat(20) };
  const otherChain = { ...IDENTITY, genesisHash: '0x' + '01'.repeat(32) };
  await expect(openOn(disk, { identity: otherKey })).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
  await expect(openOn(disk, { identity: otherChain })).rejects.toMatchObject({ code: 'GENESIS_MISMATCH' });
  expect((await reopen(disk)).state).toBe('empty');
});

test('a failed write ends in onFailure once; nothing more is written or reported durable', async () => {
  const { disk, log } = await begun();
  await log.untilDurable(log.wal.append([text('good')], SYNC));
  const before = disk.writes;
  disk.failures.set('write', new RangeError('no space'));
  log.wal.append([text('bad')], SYNC);
  for (let i = 0; i < 50; i++) await Promise.resolve();
  disk.failures.clear();
  log.wal.append([text('after')], SYNC);
  log.wal.rotate([text('s')]);
  log.fireTimers();
  for (let i = 0; i < 50; i++) await Promise.resolve();
  expect(log.failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
  expect(log.failures[0]?.cause).toBeInstanceOf(RangeError);
  expect(disk.writes - before).toBe(1);
  expect(log.durable()).toBe(1);
});

for (const operation of ['create', 'write', 'rename', 'syncDirectory', 'remove'] as const) {
  test(`a rotation whose ${operation} fails ends in onFailure, and its snapshot is not reported durable`, async () => {
    const { disk, log } = await begun();
    await log.untilDurable(log.wal.append([text('a')], SYNC));
    disk.failures.set(operation, new RangeError(operation));
    log.wal.rotate([text('s')]);
    log.wal.append([text('b')], SYNC);
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect(log.failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
    expect(log.durable()).toBe(1);
  });
}

test('opening on a disk that fails is DISK_FAILED', async () => {
  const { disk, log } = await begun();
  await log.wal.close();
  disk.failures.set('read', new RangeError('input/output error'));
  await expect(openOn(disk)).rejects.toMatchObject({ code: 'DISK_FAILED' });
});

test('two segments on the disk: the newest is read, the other and unfinished ones are removed', async () => {
  const { disk, log } = await begun();
  await log.untilDurable(log.wal.append([text('old')], SYNC));
  const [oldName] = (await disk.list(DIRECTORY)) ?? [];
  const oldBytes = await disk.read(`${DIRECTORY}/${oldName}`);
  log.wal.rotate([text('new')]);
  await log.wal.close();
  for (const name of [oldName, '0000000000000099.wal.new']) {
    const file = await disk.create(`${DIRECTORY}/${name}`);
    await new Promise<void>((resolve) => file.write(0, oldBytes, () => resolve()));
  }
  expect(texts((await reopen(disk)).records)).toEqual(['new']);
  expect((await disk.list(DIRECTORY))?.length).toBe(1);
});

test("a segment under another segment's name is damage", async () => {
  const { disk, log } = await begun();
  await log.wal.close();
  const [name] = (await disk.list(DIRECTORY)) ?? [];
  await disk.rename(`${DIRECTORY}/${name}`, `${DIRECTORY}/0000000000000042.wal`);
  await expect(reopen(disk)).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
});
