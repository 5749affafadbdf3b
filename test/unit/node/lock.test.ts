/** The data folder's lock, between real processes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { acquireLock } from '../../../node/lock.ts';

/** What happens between a starter's look at the folder and its link, once each. */
const beforeLink: (() => Promise<void>)[] = [];
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const link = async (from: string, to: string): Promise<void> => {
    await beforeLink.shift()?.();
    await real.link(from, to);
  };
  return { ...real, link };
});

const HOLDER = fileURLToPath(new URL('lock-holder.ts', import.meta.url));

let dataDir: string;
const children: ChildProcessWithoutNullStreams[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'quorate-lock-'));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  await rm(dataDir, { recursive: true, force: true });
});

async function kill(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

type Holder = { child: ChildProcessWithoutNullStreams; pid: number; lock: () => Promise<string> };

/** A process that is ready to take the lock. */
async function holder(): Promise<Holder> {
  const child = spawn(process.execPath, ['--import', 'tsx', HOLDER, dataDir]);
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  const lock = async (): Promise<string> => {
    child.stdin.write('go\n');
    return String((await lines.next()).value);
  };
  return { child, pid: child.pid!, lock };
}

const lockFiles = async (): Promise<string[]> => (await readdir(dataDir)).filter((name) => name.startsWith('lock'));

/** An owner that is surely gone: the pid is ours, the start time nobody's. */
async function leaveStaleLock(number = 1): Promise<void> {
  const own = (await acquiredText()).split(' ');
  await writeFile(join(dataDir, `lock.${number}`), `${own[0]} 1 ${own[2]}`);
}

async function acquiredText(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-lock-'));
  const lock = await acquireLock(folder);
  const text = await readFile(join(folder, 'lock.1'), 'utf8');
  await lock.release();
  await rm(folder, { recursive: true });
  return text;
}

test('the second process is refused and told the pid of the first; after SIGKILL it gets the folder', async () => {
  const [first, second] = await Promise.all([holder(), holder()]);
  expect(await first.lock()).toBe('locked');
  expect(await second.lock()).toBe(`DATA_DIR_LOCKED ${first.pid}`);
  await expect(acquireLock(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED', data: { pid: first.pid } });
  await kill(first.child);
  const lock = await acquireLock(dataDir);
  await lock.release();
});

test('a paused owner still owns the folder', async () => {
  const first = await holder();
  expect(await first.lock()).toBe('locked');
  first.child.kill('SIGSTOP');
  await expect(acquireLock(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
});

test("of processes that start at once on a dead owner's folder exactly one gets it", async () => {
  const holders = await Promise.all(Array.from({ length: 5 }, () => holder()));
  await leaveStaleLock();
  const answers = await Promise.all(holders.map(({ lock }) => lock()));
  const winners = holders.filter((_, index) => answers[index] === 'locked');
  expect(answers.filter((answer) => answer === 'locked')).toHaveLength(1);
  const refused = answers.filter((answer) => answer !== 'locked');
  expect(new Set(refused)).toEqual(new Set([`DATA_DIR_LOCKED ${winners[0]!.pid}`]));
});

test("of many claims at once on a dead owner's folder exactly one succeeds, every time, and little is left behind", async () => {
  for (let round = 0; round < 30; round++) {
    await leaveStaleLock(round * 100 + 50);
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => acquireLock(dataDir)));
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'DATA_DIR_LOCKED' });
    }
    for (const { value } of won) await value.release();
  }
  const lock = await acquireLock(dataDir);
  expect(await lockFiles()).toHaveLength(1);
  await lock.release();
});

test('a released folder is free, and its lock numbers go on', async () => {
  for (const number of [1, 2, 3]) {
    const lock = await acquireLock(dataDir);
    expect(await lockFiles()).toEqual([`lock.${number}`]);
    await expect(acquireLock(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED', data: { pid: process.pid } });
    await lock.release();
  }
});

test('a starter that was slow does not take the folder from one that overtook it', async () => {
  await leaveStaleLock(1);
  const text = await acquiredText();
  // It saw lock.1 dead. Before its link of lock.2, somebody was 2 and died, and a third is 3 and has swept both.
  beforeLink.push(async () => {
    await rm(join(dataDir, 'lock.1'));
    await writeFile(join(dataDir, 'lock.3'), text);
  });
  await expect(acquireLock(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED', data: { pid: process.pid } });
  expect(beforeLink).toEqual([]);
  expect(await lockFiles()).toEqual(['lock.3']);
});

test('a starter that was slow comes to nothing when the one that overtook it has given the folder back, too', async () => {
  await leaveStaleLock(1);
  beforeLink.push(async () => {
    const lock = await acquireLock(dataDir);
    await lock.release();
    // A third has it now.
    await acquireLock(dataDir);
  });
  await expect(acquireLock(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  expect((await lockFiles()).filter((name) => !name.startsWith('lock.draft'))).toEqual(['lock.3']);
});

test("a pid that was used again, another boot's pid, and an unreadable lock are all taken over", async () => {
  const [pid, started] = (await acquiredText()).split(' ');
  const stale = [`${pid} 1 \n`, `${pid} ${started} 00000000-0000-0000-0000-000000000000\n`, '', 'garbage\n'];
  for (const [index, text] of stale.entries()) {
    await writeFile(join(dataDir, `lock.${10 * (index + 1)}`), text);
    const lock = await acquireLock(dataDir);
    await lock.release();
  }
  expect(stale).toHaveLength(4);
});

test.runIf(process.platform === 'linux')('a killed owner that its parent has not buried yet is dead', async () => {
  const parent = spawn('sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 300']);
  children.push(parent);
  const [pid] = String((await once(parent.stdout, 'data'))[0])
    .trim()
    .split('\n');
  const stat = await vi.waitFor(async () => {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    expect(text).toContain(') Z ');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  }, 30_000);
  const boot = (await acquiredText()).split(' ')[2];
  await writeFile(join(dataDir, 'lock.1'), `${pid} ${stat[19]} ${boot}`);
  await (await acquireLock(dataDir)).release();
});

test('a folder that cannot be used is DATA_DIR_INVALID', async () => {
  const file = join(dataDir, 'file');
  await writeFile(file, '');
  await expect(acquireLock(file)).rejects.toMatchObject({ code: 'DATA_DIR_INVALID' });
});
