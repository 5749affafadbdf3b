/**
 * What the write-ahead log asks of a file system, and node:fs behind it. The seam exists so that tests can cut the power
 * between any two operations: a write is durable when it is called back, a created, renamed or removed name only after
 * `syncDirectory` (fsync(2): syncing a file says nothing about the directory entry that leads to it).
 */
import fs from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import type { Bytes } from '../../primitives/ids.ts';

/** A segment open for writing. */
export interface WalFile {
  /**
   * Writes all of `data` at an offset in bytes and makes it durable, then calls back. What lies behind the end of the
   * file makes it longer. One write at a time.
   */
  write(at: number, data: Bytes, done: (error?: Error) => void): void;
  close(): Promise<void>;
}

/** The operations the log is built from; paths are absolute or relative as the caller gave them. */
export interface WalFs {
  /** Names in a directory, in any order; undefined when there is no such directory. */
  list(directory: string): Promise<string[] | undefined>;
  read(path: string): Promise<Bytes>;
  /** Readable by the owner only (0700); the parent exists. */
  makeDirectory(path: string): Promise<void>;
  /** A new empty file, readable by the owner only (0600); fails when the name is taken. */
  create(path: string): Promise<WalFile>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

const { O_CREAT, O_DSYNC, O_EXCL, O_WRONLY } = fs.constants;

/**
 * The real disk. With `writeThrough` a write and its sync are one system call and one turn of the thread pool (O_DSYNC:
 * write(2) returns when fdatasync(2) would), without it they are two. Linux keeps both promises alike; elsewhere only the
 * separate sync is known to reach behind the drive's cache (macOS: F_FULLFSYNC, which libuv's fdatasync is).
 */
export function realDisk(options: { readonly writeThrough: boolean }): WalFs {
  const flags = O_WRONLY | O_CREAT | O_EXCL | (options.writeThrough ? O_DSYNC : 0);
  const fileOf = options.writeThrough ? writeThroughFile : syncedFile;
  return {
    async list(directory) {
      try {
        return await readdir(directory);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    read: (path) => readFile(path),
    makeDirectory: async (path) => {
      await mkdir(path, { mode: 0o700 });
    },
    create: (path) =>
      new Promise((resolve, reject) => {
        fs.open(path, flags, 0o600, (error, descriptor) => (error ? reject(error) : resolve(fileOf(descriptor))));
      }),
    rename,
    remove: (path) => rm(path),
    async syncDirectory(path) {
      const directory = await open(path, 'r');
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
    },
  };
}

export const nodeDisk: WalFs = realDisk({ writeThrough: process.platform === 'linux' });

function writeThroughFile(descriptor: number): WalFile {
  return {
    write: (at, data, done) => writeAll(descriptor, at, data, done),
    close: () => closed(descriptor),
  };
}

function syncedFile(descriptor: number): WalFile {
  return {
    write(at, data, done) {
      writeAll(descriptor, at, data, (error) => {
        if (error) done(error);
        else fs.fdatasync(descriptor, (failed) => done(failed ?? undefined));
      });
    },
    close: () => closed(descriptor),
  };
}

/** write(2) may take less than it was given (a signal, a full disk): the rest follows, or the error comes then. */
function writeAll(descriptor: number, at: number, data: Bytes, done: (error?: Error) => void): void {
  fs.write(descriptor, data, 0, data.length, at, (error, written) => {
    if (error) done(error);
    else if (written < data.length) writeAll(descriptor, at + written, data.subarray(written), done);
    else done();
  });
}

function closed(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(descriptor, (error) => (error ? reject(error) : resolve()));
  });
}
