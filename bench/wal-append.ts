/**
 * What a synced append costs, and what each part of the log's way of doing it is worth: one process alone, and three that
 * append at the same moment on one disk, as validators on one machine do. The ways take turns append by append, because a
 * disk's mood changes by the second: trust the ratios. `tsx bench/wal-append.ts [folder on the disk to measure]`
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realDisk, type WalFile } from '../node/wal/disk.ts';
import { openWal } from '../node/wal/open.ts';
import { filler, RESERVE_BYTES } from '../node/wal/segment-file.ts';

const APPENDS = 250;
/** Between two appends: the disk is idle when a block comes, and the log has made its space ready. */
const PAUSE_MS = 4;
/** A block of one transfer with its vote; a block of some hundred transfers. */
const SIZES = [1_500, 100_000];
const TMPFS = 0x01021994;

const WAYS = ['write + fdatasync', 'O_DSYNC', 'reserved, write + fdatasync', 'reserved, O_DSYNC', 'the log'] as const;
type Way = (typeof WAYS)[number];
type Order = { readonly open: string; readonly bytes: number } | { readonly append: Way } | 'close';

type Appender = { readonly append: (done: (error?: Error) => void) => void; readonly close: () => Promise<void> };

/** One way of appending on a new file. */
async function open(way: Way, folder: string, bytes: number): Promise<Appender> {
  const data = Buffer.alloc(bytes, 7);
  if (way === 'the log') return openLog(folder, data);
  const file = await realDisk({ writeThrough: way.endsWith('O_DSYNC') }).create(join(folder, 'segment'));
  if (way.startsWith('reserved')) await reserve(file, (APPENDS + 1) * bytes);
  let at = 0;
  const append: Appender['append'] = (done) => {
    file.write(at, data, done);
    at += bytes;
  };
  return { append, close: () => file.close() };
}

function reserve(file: WalFile, bytes: number): Promise<void> {
  const length = Math.ceil(bytes / RESERVE_BYTES) * RESERVE_BYTES;
  const space = filler(Buffer.from('0123456789abcdef'), 0, length);
  return new Promise((resolve, reject) => {
    file.write(0, space, (error) => (error ? reject(error) : resolve()));
  });
}

async function openLog(folder: string, data: Uint8Array): Promise<Appender> {
  const opened = await openWal({
    directory: join(folder, 'guard'),
    identity: { genesisHash: '0x' + '11'.repeat(32), validator: '0x' + '22'.repeat(20) },
    mayBegin: true,
    onFailure: (error) => {
      throw error;
    },
  });
  const { wal } = opened!;
  let waiting: (() => void) | undefined;
  wal.onDurable(() => waiting?.());
  const append: Appender['append'] = (done) => {
    waiting = done;
    wal.append([data], { sync: true });
  };
  return { append, close: () => wal.close() };
}

/** A process that appends when it is told to and says how many milliseconds each took. */
function work(): void {
  const appenders = new Map<Way, Appender>();
  const obey = async (order: Order): Promise<number> => {
    if (order === 'close') {
      for (const appender of appenders.values()) await appender.close();
    } else if ('open' in order) {
      for (const [i, way] of WAYS.entries()) {
        const folder = join(order.open, String(i));
        mkdirSync(folder, { recursive: true });
        appenders.set(way, await open(way, folder, order.bytes));
      }
    } else {
      const startedAt = performance.now();
      await new Promise<void>((resolve, reject) => {
        appenders.get(order.append)!.append((error) => (error ? reject(error) : resolve()));
      });
      return performance.now() - startedAt;
    }
    return 0;
  };
  process.on('message', (order: Order) => void obey(order).then((ms) => process.send?.(ms)));
  process.on('disconnect', () => process.exit(0));
}

/** Gives all an order at once; what each answers. */
async function tell(workers: readonly ChildProcess[], orderOf: (worker: number) => Order): Promise<number[]> {
  const answers = workers.map(async (worker, i) => {
    const answer = once(worker, 'message');
    worker.send(orderOf(i));
    return ((await answer) as [number])[0];
  });
  return Promise.all(answers);
}

function percentile(times: readonly number[], share: number): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length * share)]!;
}

async function compare(workers: readonly ChildProcess[], bytes: number, root: string): Promise<void> {
  const times = new Map<Way, number[]>(WAYS.map((way) => [way, []]));
  const folder = mkdtempSync(join(root, 'case-'));
  await tell(workers, (worker) => ({ open: join(folder, String(worker)), bytes }));
  for (let i = 0; i < APPENDS; i++) {
    // In a new order each time: what one leaves behind must not always meet the same one.
    const order = WAYS.map((way) => ({ way, at: Math.random() })).sort((a, b) => a.at - b.at);
    for (const { way } of order) {
      times.get(way)!.push(...(await tell(workers, () => ({ append: way }))));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  await tell(workers, () => 'close');
  rmSync(folder, { recursive: true });
  console.log(`\n${bytes} bytes, ${workers.length === 1 ? 'one process' : `${workers.length} processes at once`}`);
  const base = percentile(times.get(WAYS[0])!, 0.5);
  for (const [way, all] of times) {
    const [p50, p90] = [percentile(all, 0.5), percentile(all, 0.9)];
    const figures = `p50 ${p50.toFixed(2)} ms  p90 ${p90.toFixed(2)} ms  x${(p50 / base).toFixed(2)}`;
    console.log(`  ${way.padEnd(28)} ${figures}`);
  }
}

async function main(): Promise<void> {
  const root = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'wal-append-'));
  if (statfsSync(root).type === TMPFS)
    console.log(`${root} is in memory: a sync costs nothing there; name another folder`);
  const workers = Array.from({ length: 3 }, () => fork(process.argv[1]!, ['work'], { stdio: 'inherit' }));
  try {
    for (const bytes of SIZES) {
      for (const count of [1, 3]) await compare(workers.slice(0, count), bytes, root);
    }
  } finally {
    for (const worker of workers) worker.disconnect();
    rmSync(root, { recursive: true });
  }
}

if (process.argv[2] === 'work') work();
else await main();
