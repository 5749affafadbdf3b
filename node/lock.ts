/**
 * One process per data folder: two that share a validator key would contradict each other, and neither would be lying.
 *
 * Lock files are numbered, and the highest number is the lock. Whoever finds its owner gone creates the next number, and
 * owns the folder if that is then the highest; a lower one is withdrawn. A number is removed only by the owner of a
 * higher one, and a lock given back stays as a file that says so; so the highest number never falls, and of starters
 * that saw the same dead owner one alone goes on, however they are delayed. (With one file that is removed when it is
 * stale, a slow starter removes the lock of a fast one.)
 *
 * An owner is a pid, its start time and the boot it belongs to, so that a number that was used again does not pass for
 * the process that died. Across containers that share a folder pids mean nothing: there the file lock that LevelDB
 * takes on the store, which is opened before the log, is what refuses.
 */
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, QuorateError } from '../primitives/errors.ts';

export type Lock = {
  /** Gives the folder back; a process that dies without it is noticed by the next one. */
  readonly release: () => Promise<void>;
};

/** `started` and `boot` are empty where there is no /proc. */
type Owner = { readonly pid: number; readonly started: string; readonly boot: string };

const LOCK_NAME = /^lock\.(\d{1,15})$/;
const DRAFT_NAME = /^lock\.draft\.(\d+)\./;
const RELEASED = 'released\n';
/** Every failed attempt means that another process made progress. */
const ATTEMPTS_MAX = 1000;

/** Takes the folder, creating it if need be, or throws DATA_DIR_LOCKED that names who has it, or DATA_DIR_INVALID. */
export async function acquireLock(dataDir: string): Promise<Lock> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const draft = join(dataDir, `lock.draft.${process.pid}.${process.hrtime.bigint()}`);
    // Linked into place later: a lock appears with its content or not at all.
    await writeFile(draft, await describeSelf(), { mode: 0o600, flag: 'wx' });
    try {
      const number = await claim(dataDir, draft);
      await sweep(dataDir, number);
      return { release: () => release(dataDir, number) };
    } finally {
      await rm(draft, { force: true });
    }
  } catch (cause) {
    if (cause instanceof QuorateError) throw cause;
    const message = `cannot lock the data directory ${dataDir} (${errorMessage(cause)}); check that it is a folder this user may write to`;
    throw new QuorateError('DATA_DIR_INVALID', message, { cause });
  }
}

function lockPath(dataDir: string, number: number): string {
  return join(dataDir, `lock.${number}`);
}

async function highest(dataDir: string): Promise<number> {
  let number = 0;
  for (const name of await readdir(dataDir)) number = Math.max(number, Number(LOCK_NAME.exec(name)?.[1] ?? 0));
  return number;
}

/** The number under which this process owns the folder. */
async function claim(dataDir: string, draft: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const last = await highest(dataDir);
    if (last > 0) await refuseIfAlive(dataDir, last);
    const number = last + 1;
    try {
      await link(draft, lockPath(dataDir, number));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    if ((await highest(dataDir)) === number) return number;
    // Somebody was here and gone between the look and the link, and a third has a higher number.
    await rm(lockPath(dataDir, number), { force: true });
  }
  throw new QuorateError('DATA_DIR_LOCKED', `other processes are starting on ${dataDir}; start one node per folder`);
}

async function refuseIfAlive(dataDir: string, number: number): Promise<void> {
  // Gone when its successor has swept it: the next look finds that one.
  const text = await readFile(lockPath(dataDir, number), 'utf8').catch(() => '');
  const owner = parseOwner(text);
  if (owner === undefined || !(await isAlive(owner))) return;
  const message = `process ${owner.pid} is running on ${dataDir}; stop it first, two nodes must not share a folder`;
  throw new QuorateError('DATA_DIR_LOCKED', message, { data: { pid: owner.pid } });
}

/** Removes what earlier owners, and starters that died half-way, have left. */
async function sweep(dataDir: string, own: number): Promise<void> {
  for (const name of await readdir(dataDir)) {
    const number = LOCK_NAME.exec(name)?.[1];
    const drafter = DRAFT_NAME.exec(name)?.[1];
    const isStale =
      (number !== undefined && Number(number) < own) ||
      (drafter !== undefined && !(await isAlive({ pid: Number(drafter), started: '', boot: '' })));
    if (isStale) await rm(join(dataDir, name), { force: true });
  }
}

async function release(dataDir: string, number: number): Promise<void> {
  const path = lockPath(dataDir, number);
  const note = join(dataDir, `lock.draft.${process.pid}.${process.hrtime.bigint()}`);
  try {
    await writeFile(note, RELEASED, { mode: 0o600, flag: 'wx' });
    await rename(note, path);
  } catch (cause) {
    throw new QuorateError('DISK_FAILED', `cannot release the lock ${path} (${errorMessage(cause)})`, { cause });
  }
}

async function describeSelf(): Promise<string> {
  const { started } = await statOf(process.pid);
  return `${process.pid} ${started} ${await bootId()}\n`;
}

function parseOwner(text: string): Owner | undefined {
  const [, pid, started = '', boot = ''] = /^(\d+) (\d*) ([0-9a-f-]*)\n$/.exec(text) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), started, boot };
}

async function isAlive(owner: Owner): Promise<boolean> {
  const boot = await bootId();
  if (owner.boot !== boot && owner.boot !== '' && boot !== '') return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const { state, started } = await statOf(owner.pid);
  // A killed process whose parent has not asked for its end still has its number, and nothing else.
  if (state === 'Z' || state === 'X') return false;
  return owner.started === '' || started === '' || owner.started === started;
}

/** State letter, and start time in clock ticks since boot; empty where there is no /proc. */
async function statOf(pid: number): Promise<{ state: string; started: string }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the command in brackets and may hold spaces; the start time is the 20th after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', started: fields[19] ?? '' };
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
