/**
 * A disk in memory that can lose its power. Every operation passes numbered points; at the chosen one the machine
 * stops and nothing calls back any more. What a reboot finds then is drawn: unsynced data gone, kept, cut at any byte or
 * with holes (sectors reach a disk in any order), unsynced directory entries gone or kept. A killed process, unlike a
 * lost machine, leaves everything in the page cache, readable and not yet durable.
 */
import { basename, dirname } from 'node:path';
import type { WalFile, WalFs } from '../../../node/wal/disk.ts';
import { assert } from '../../../primitives/errors.ts';

/** An integer from 0 up to, not including, `below`. */
export type Draw = (below: number) => number;

export type Crash = {
  /** `kill`: the process alone; the page cache stays. `power`: the machine. */
  readonly kind: 'kill' | 'power';
  /** What of the unsynced is found after power loss. */
  readonly unsynced?: 'lost' | 'kept' | 'drawn';
};

type Inode = { durable: Buffer; pending: Buffer };
type Names = Map<string, Inode>;
/** `synced`: its own name in its parent is durable. */
type Directory = { synced: boolean; durable: Names; pending: ((names: Names) => void)[] };

const SECTOR_BYTES = 16;

export class MemoryDisk implements WalFs {
  private readonly directories = new Map<string, Directory>();
  private points = 0;
  private readonly crashAt: number;
  private stopped = false;
  private stop: () => void = () => undefined;
  /** Resolves when the machine stops. */
  readonly crashed: Promise<void>;
  /** Operation name to the error it fails with, instead of doing anything. */
  readonly failures = new Map<'append' | 'create' | 'rename' | 'remove' | 'syncDirectory' | 'read', Error>();
  appends = 0;

  constructor(options: { crashAt?: number } = {}) {
    this.crashAt = options.crashAt ?? Number.POSITIVE_INFINITY;
    this.crashed = new Promise((resolve) => {
      this.stop = resolve;
    });
    this.directories.set('/', { synced: true, durable: new Map(), pending: [] });
  }

  /** How many points were passed: the places where a sweep can stop the machine. */
  get pointsPassed(): number {
    return this.points;
  }

  /** The disk the next start finds. */
  reboot(crash: Crash, draw: Draw, crashAt?: number): MemoryDisk {
    const next = new MemoryDisk(crashAt === undefined ? {} : { crashAt });
    next.directories.clear();
    const survivors = new Map<Inode, Inode>();
    const survive = (inode: Inode): Inode => {
      const known = survivors.get(inode);
      if (known) return known;
      const copy = { durable: survivingData(inode, crash, draw), pending: Buffer.alloc(0) };
      survivors.set(inode, copy);
      return copy;
    };
    for (const [path, directory] of this.directories) {
      if (crash.kind === 'kill') {
        next.directories.set(path, directory);
        continue;
      }
      if (!directory.synced && (crash.unsynced === 'lost' || (crash.unsynced === 'drawn' && draw(2) === 0))) continue;
      const names: Names = new Map(directory.durable);
      for (const change of directory.pending) {
        if (crash.unsynced === 'kept' || (crash.unsynced === 'drawn' && draw(2) === 0)) change(names);
      }
      const durable: Names = new Map([...names].map(([name, inode]) => [name, survive(inode)]));
      next.directories.set(path, { synced: true, durable, pending: [] });
    }
    return next;
  }

  list(directory: string): Promise<string[] | undefined> {
    return this.operation('list', () =>
      this.directories.has(directory) ? [...this.view(directory).keys()] : undefined,
    );
  }

  read(path: string): Promise<Uint8Array> {
    return this.operation('read', () => {
      const inode = this.inode(path);
      return Uint8Array.from(Buffer.concat([inode.durable, inode.pending]));
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.operation('makeDirectory', () => {
      this.directories.set(path, { synced: false, durable: new Map(), pending: [] });
    });
  }

  create(path: string): Promise<WalFile> {
    return this.operation('create', () => {
      assert(!this.view(dirname(path)).has(basename(path)), `create: ${path} exists`);
      const inode: Inode = { durable: Buffer.alloc(0), pending: Buffer.alloc(0) };
      this.change(dirname(path), (names) => names.set(basename(path), inode));
      return {
        append: (data, done) => this.append(inode, Buffer.from(data), done),
        close: () => this.operation('close', () => undefined),
      };
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.operation('rename', () => {
      const inode = this.inode(from);
      this.change(dirname(to), (names) => {
        // Whichever of the two names the disk knows: a rename survives whole or not at all.
        if (names.get(basename(from)) === inode) names.delete(basename(from));
        names.set(basename(to), inode);
      });
    });
  }

  remove(path: string): Promise<void> {
    return this.operation('remove', () => {
      this.inode(path);
      this.change(dirname(path), (names) => names.delete(basename(path)));
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.operation('syncDirectory', () => {
      const directory = this.directories.get(path);
      assert(directory, `syncDirectory: no directory ${path}`);
      for (const change of directory.pending.splice(0)) change(directory.durable);
      for (const [child, entry] of this.directories) if (dirname(child) === path) entry.synced = true;
    });
  }

  /** Overwrites a file's bytes behind everybody's back. */
  tamper(path: string, bytes: Uint8Array): void {
    const inode = this.inode(path);
    inode.durable = Buffer.from(bytes);
    inode.pending = Buffer.alloc(0);
  }

  private view(path: string): Names {
    const directory = this.directories.get(path);
    assert(directory, `no directory ${path}`);
    const names: Names = new Map(directory.durable);
    for (const change of directory.pending) change(names);
    return names;
  }

  private inode(path: string): Inode {
    const inode = this.view(dirname(path)).get(basename(path));
    assert(inode, `no file ${path}`);
    return inode;
  }

  private change(path: string, change: (names: Names) => void): void {
    const directory = this.directories.get(path);
    assert(directory, `no directory ${path}`);
    directory.pending.push(change);
  }

  private append(inode: Inode, data: Buffer, done: (error?: Error) => void): void {
    this.appends += 1;
    const failure = this.failures.get('append');
    if (failure) {
      queueMicrotask(() => done(failure));
      return;
    }
    if (!this.pass()) return;
    // Handed to the kernel in two pieces, then synced, then reported: each a moment to stop at.
    const half = data.length >> 1;
    const steps = [
      () => (inode.pending = Buffer.concat([inode.pending, data.subarray(0, half)])),
      () => (inode.pending = Buffer.concat([inode.pending, data.subarray(half)])),
      () => {
        inode.durable = Buffer.concat([inode.durable, inode.pending]);
        inode.pending = Buffer.alloc(0);
      },
    ];
    const next = (): void => {
      const step = steps.shift();
      if (!step) {
        done();
        return;
      }
      step();
      if (this.pass()) queueMicrotask(next);
    };
    queueMicrotask(next);
  }

  private async operation<T>(name: string, run: () => T): Promise<T> {
    const failure = (this.failures as Map<string, Error>).get(name);
    if (failure) throw failure;
    const never = new Promise<never>(() => undefined);
    if (!this.pass()) return await never;
    const result = run();
    if (!this.pass()) return await never;
    return result;
  }

  /** False once the machine has stopped. */
  private pass(): boolean {
    if (this.stopped) return false;
    this.points += 1;
    if (this.points < this.crashAt) return true;
    this.stopped = true;
    this.stop();
    return false;
  }
}

function survivingData(inode: Inode, crash: Crash, draw: Draw): Buffer {
  const { durable, pending } = inode;
  if (crash.unsynced === 'lost') return durable;
  if (crash.unsynced === 'kept' || pending.length === 0) return Buffer.concat([durable, pending]);
  const kept = Buffer.from(pending.subarray(0, draw(pending.length + 1)));
  if (draw(2) === 0) {
    for (let at = 0; at < kept.length; at += SECTOR_BYTES)
      if (draw(3) === 0) kept.subarray(at, at + SECTOR_BYTES).fill(0);
  }
  return Buffer.concat([durable, kept]);
}
