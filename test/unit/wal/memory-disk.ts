/**
 * A disk in memory that can lose its power. Every operation passes numbered points; at the chosen one the machine
 * stops and nothing calls back any more. What a reboot finds then is drawn: unsynced data gone, kept, cut at any byte or
 * with holes (sectors reach a disk in any order, and where one did not the old bytes are still there, or zeros where the
 * file was shorter), unsynced directory entries gone or kept. A killed process, unlike a lost machine, leaves everything
 * in the page cache, readable and not yet durable.
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

type Write = { readonly at: number; readonly data: Buffer };
type Inode = { durable: Buffer; pending: Write[]; writing: boolean };
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
  readonly failures = new Map<'write' | 'create' | 'rename' | 'remove' | 'syncDirectory' | 'read', Error>();
  writes = 0;

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
      const copy: Inode = { durable: survivingData(inode, crash, draw), pending: [], writing: false };
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
    return this.operation('read', () => this.peek(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.operation('makeDirectory', () => {
      this.directories.set(path, { synced: false, durable: new Map(), pending: [] });
    });
  }

  create(path: string): Promise<WalFile> {
    return this.operation('create', () => {
      assert(!this.view(dirname(path)).has(basename(path)), `create: ${path} exists`);
      const inode: Inode = { durable: Buffer.alloc(0), pending: [], writing: false };
      this.change(dirname(path), (names) => names.set(basename(path), inode));
      return {
        write: (at, data, done) => this.write(inode, { at, data: Buffer.from(data) }, done),
        close: () => this.operation('close', () => assert(!inode.writing, 'close during a write')),
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
    inode.pending = [];
  }

  /** A file's bytes as its owner sees them now, without passing a point. */
  peek(path: string): Uint8Array {
    const { durable, pending } = this.inode(path);
    return Uint8Array.from(pending.reduce(overlaid, durable));
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

  private write(inode: Inode, { at, data }: Write, done: (error?: Error) => void): void {
    this.writes += 1;
    const failure = this.failures.get('write');
    if (failure) {
      queueMicrotask(() => done(failure));
      return;
    }
    assert(!inode.writing, 'two writes at a time');
    inode.writing = true;
    if (!this.pass()) return;
    // Handed to the kernel in two pieces, then synced, then reported: each a moment to stop at.
    const half = data.length >> 1;
    const steps = [
      () => inode.pending.push({ at, data: data.subarray(0, half) }),
      () => inode.pending.push({ at: at + half, data: data.subarray(half) }),
      () => {
        inode.durable = inode.pending.splice(0).reduce(overlaid, inode.durable);
      },
    ];
    const next = (): void => {
      const step = steps.shift();
      if (!step) {
        inode.writing = false;
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

/** The bytes of a file after a write; a gap before it reads as zeros. */
function overlaid(image: Buffer, { at, data }: Write): Buffer {
  const out = Buffer.alloc(Math.max(image.length, at + data.length));
  image.copy(out);
  data.copy(out, at);
  return out;
}

function survivingData(inode: Inode, crash: Crash, draw: Draw): Buffer {
  const { durable, pending } = inode;
  if (crash.unsynced === 'lost' || pending.length === 0) return durable;
  const whole = pending.reduce(overlaid, durable);
  if (crash.unsynced === 'kept') return whole;
  const sectors = pending.flatMap(sectorsOf);
  const inOrder = draw(2) === 0;
  const reached = inOrder ? sectors.slice(0, draw(sectors.length + 1)) : sectors.filter(() => draw(3) > 0);
  const last = reached.pop();
  const cut = last && { at: last.at, data: last.data.subarray(0, draw(last.data.length + 1)) };
  const image = [...reached, ...(cut ? [cut] : [])].reduce(overlaid, durable);
  // The file system may know of the new length before the data is there.
  return draw(2) === 0 ? overlaid(image, { at: whole.length, data: Buffer.alloc(0) }) : image;
}

function sectorsOf({ at, data }: Write): Write[] {
  const sectors: Write[] = [];
  for (let from = 0; from < data.length; ) {
    const to = Math.min(from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES), data.length);
    sectors.push({ at: at + from, data: data.subarray(from, to) });
    from = to;
  }
  return sectors;
}
