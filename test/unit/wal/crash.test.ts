/**
 * Power cut at every point of every operation, also during the start after it: what was reported durable is there, in
 * order, and what is there was appended.
 */
import { expect, test } from 'vitest';
import { DIRECTORY, drawFrom, type Harness, openOn, reopen, text, texts } from './fixtures.ts';
import { type Crash, type Draw, MemoryDisk } from './memory-disk.ts';

/** Small, so that the log makes its segments longer time and again. */
const RESERVE = { reserveBytes: 128 };

/** What the log may hold once the record with a sequence number is its last; the key 0 is the log before any. */
type Contents = Map<number, readonly string[]>;
type Life = {
  contents: Contents;
  /** Last sequence number appended, reported durable, and the content it stands on. */
  appended: number;
  durable: number;
  opened: boolean;
};

function note(life: Life, sequence: number, added: readonly string[], isSnapshot = false): void {
  let content: readonly string[] = isSnapshot ? [] : (life.contents.get(life.appended) ?? []);
  if (isSnapshot) {
    life.contents.set(sequence, added);
  } else {
    added.forEach((record, index) => {
      content = [...content, record];
      life.contents.set(sequence - added.length + 1 + index, content);
    });
  }
  life.appended = sequence;
}

/** Groups, lazy records, two rotations: every way into the log. */
async function workload(disk: MemoryDisk, life: Life): Promise<void> {
  const log = (await openOn(disk, { mayBegin: true, ...RESERVE })) as Harness;
  life.opened = true;
  log.wal.onDurable((sequence) => {
    life.durable = sequence;
  });
  const append = (records: string[], sync = true): number => {
    const sequence = log.wal.append(records.map(text), { sync });
    note(life, sequence, records);
    return sequence;
  };
  const rotate = (records: string[]): number => {
    const sequence = log.wal.rotate(records.map(text));
    note(life, sequence, records, true);
    return sequence;
  };
  await log.untilDurable(append(['first']));
  const names = await disk.list(DIRECTORY);
  const born = disk.peek(`${DIRECTORY}/${names?.[0]}`).length;
  append(['lazy'], false);
  append(['a '.repeat(40), 'b']);
  await log.untilDurable(append(['c', 'd']));
  // The sweep stops in the middle of making space ready, too.
  expect(disk.peek(`${DIRECTORY}/${names?.[0]}`).length).toBeGreaterThan(born);
  append(['before rotation'], false);
  rotate(['snapshot one', 'with two records']);
  append(['behind rotation']);
  await log.untilDurable(append(['e'.repeat(100)]));
  await log.untilDurable(rotate(['snapshot two']));
  append(['f'], false);
  await log.wal.close();
}

function expectHonest(records: readonly string[], life: Life, label: string): void {
  const allowed: (readonly string[])[] = [];
  for (const [sequence, content] of life.contents) {
    if (sequence >= life.durable && sequence <= life.appended) allowed.push(content);
  }
  expect(allowed, label).toContainEqual(records);
}

/** Starts after a crash, checks what is found, cuts a torn tail, goes on, and checks again after a clean stop. */
async function recover(disk: MemoryDisk, life: Life, label: string): Promise<void> {
  const log = await openOn(disk, { mayBegin: !life.opened, ...RESERVE });
  expect(log, label).toBeDefined();
  if (!log) return;
  expectHonest(texts(log.records), life, label);
  // What a start has read and reported is a promise from here on.
  const found = texts(log.records);
  if (log.state === 'torn') await log.wal.cutTornTail();
  await log.untilDurable(log.wal.append([text('after the crash')], { sync: true }));
  await log.wal.close();
  expect(texts((await reopen(disk, RESERVE)).records), label).toEqual([...found, 'after the crash']);
}

const CRASHES: readonly Crash[] = [
  { kind: 'kill' },
  { kind: 'power', unsynced: 'lost' },
  { kind: 'power', unsynced: 'kept' },
  { kind: 'power', unsynced: 'drawn' },
  { kind: 'power', unsynced: 'drawn' },
  { kind: 'power', unsynced: 'drawn' },
];

async function pointsOf(run: (disk: MemoryDisk) => Promise<unknown>, disk = new MemoryDisk()): Promise<number> {
  await run(disk);
  return disk.pointsPassed;
}

const newLife = (): Life => ({ contents: new Map([[0, []]]), appended: 0, durable: 0, opened: false });

test("a stop at every point of the log's life loses nothing reported durable and invents nothing", async () => {
  const points = await pointsOf((disk) => workload(disk, newLife()));
  expect(points).toBeGreaterThan(60);
  for (let crashAt = 1; crashAt <= points; crashAt++) {
    for (const [index, crash] of CRASHES.entries()) {
      const life = newLife();
      const disk = new MemoryDisk({ crashAt });
      await Promise.race([workload(disk, life), disk.crashed]);
      await disk.crashed;
      const label = `point ${crashAt}, crash ${index}`;
      await recover(disk.reboot(crash, drawFrom(crashAt * 100 + index)), life, label);
    }
  }
});

test('when a rotation is reported durable, no older segment can come back', async () => {
  const disk = new MemoryDisk();
  const log = (await openOn(disk, { mayBegin: true, ...RESERVE })) as Harness;
  await log.untilDurable(log.wal.rotate([text('snapshot')]));
  const rebooted = disk.reboot({ kind: 'power', unsynced: 'lost' }, drawFrom(1));
  expect(await rebooted.list(DIRECTORY)).toHaveLength(1);
});

/** Opens, remembers what was read as promised, cuts. */
async function start(disk: MemoryDisk, life: Life): Promise<void> {
  const log = await openOn(disk, { mayBegin: !life.opened, ...RESERVE });
  if (!log) return;
  life.opened = true;
  const records = texts(log.records);
  if (log.state === 'torn') {
    await log.wal.cutTornTail();
  }
  // From here on the owner acts on what it read: no later crash may take any of it back.
  life.contents = new Map([[0, records]]);
  life.appended = 0;
  life.durable = 0;
}

test('a second stop, at every point of the start after the first, takes nothing back', async () => {
  const points = await pointsOf((disk) => workload(disk, newLife()));
  const draw: Draw = drawFrom(7);
  let runs = 0;
  for (let crashAt = 1; crashAt <= points; crashAt++) {
    const first = CRASHES[crashAt % CRASHES.length]!;
    for (let again = 1; again <= 40; again++) {
      const life = newLife();
      const disk = new MemoryDisk({ crashAt });
      await Promise.race([workload(disk, life), disk.crashed]);
      await disk.crashed;
      const second = disk.reboot(first, draw, again);
      const started = await Promise.race([start(second, life).then(() => true), second.crashed.then(() => false)]);
      const label = `points ${crashAt} and ${again}`;
      await recover(second.reboot(CRASHES[1 + draw(CRASHES.length - 1)]!, draw), life, label);
      runs += 1;
      // Past the end of the start: this was power loss right after it.
      if (started) break;
    }
  }
  expect(runs).toBeGreaterThan(points * 5);
});
