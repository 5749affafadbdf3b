/** A log on a disk in memory, and what its records may be after a crash. */
import { type OpenedWal, openWal } from '../../../node/wal/open.ts';
import type { QuorateError } from '../../../primitives/errors.ts';
import type { Draw, MemoryDisk } from './memory-disk.ts';

export const DIRECTORY = '/guard';
export const IDENTITY = { genesisHash: '0x' + 'ab'.repeat(32), validator: '0x' + 'cd'.repeat(20) };

/** Small deterministic generator (mulberry32). */
export function drawFrom(seed: number): Draw {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Random bytes that differ at every call, also from one start to the next. */
export function counterBytes(): (length: number) => Uint8Array {
  return (length) => {
    calls += 1;
    const draw = drawFrom(calls);
    return Uint8Array.from({ length }, () => draw(256));
  };
}
let calls = 0;

export type Harness = OpenedWal & {
  readonly failures: QuorateError[];
  /** Highest sequence number reported durable. */
  readonly durable: () => number;
  /** Waits until a sequence number is durable, or for ever. */
  readonly untilDurable: (sequence: number) => Promise<void>;
  /** Runs the timers that are set. */
  readonly fireTimers: () => void;
};

export async function openOn(
  disk: MemoryDisk,
  options: { mayBegin?: boolean; afterLoss?: boolean; identity?: typeof IDENTITY; reserveBytes?: number } = {},
): Promise<Harness | undefined> {
  const failures: QuorateError[] = [];
  const timers = new Set<() => void>();
  const opened = await openWal({
    directory: DIRECTORY,
    identity: options.identity ?? IDENTITY,
    mayBegin: options.mayBegin ?? false,
    ...(options.afterLoss !== undefined && { afterLoss: options.afterLoss }),
    onFailure: (error) => failures.push(error),
    fs: disk,
    reserveBytes: options.reserveBytes ?? 16_384,
    random: counterBytes(),
    timer: (callback) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  });
  if (!opened) return undefined;
  let durable = 0;
  const waiting: { sequence: number; resolve: () => void }[] = [];
  opened.wal.onDurable((sequence) => {
    durable = sequence;
    for (const { resolve } of waiting.filter((waiter) => waiter.sequence <= sequence)) resolve();
  });
  return {
    ...opened,
    failures,
    durable: () => durable,
    untilDurable: (sequence) =>
      new Promise((resolve) => {
        if (durable >= sequence) resolve();
        else waiting.push({ sequence, resolve });
      }),
    fireTimers: () => {
      for (const callback of [...timers]) {
        timers.delete(callback);
        callback();
      }
    },
  };
}

/** Opens a log that must be there. */
export async function reopen(disk: MemoryDisk, options: { reserveBytes?: number } = {}): Promise<Harness> {
  const opened = await openOn(disk, options);
  if (!opened) throw new TypeError('no log on the disk');
  return opened;
}

export const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');
export const texts = (records: readonly Uint8Array[]): string[] => records.map((r) => Buffer.from(r).toString('utf8'));
