/**
 * What the write-ahead log asks of a file system, and node:fs behind it. The seam exists so that tests can cut the power
 * between any two operations: an append is durable when it is called back, a created, renamed or removed name only after
 * `syncDirectory` (fsync(2): syncing a file says nothing about the directory entry that leads to it).
 */
import fs from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import type { Bytes } from '../../primitives/ids.ts';

/** A segment open for writing at its end. */
export interface WalFile {
  /** Writes all of `data` at the end and makes it durable, then calls back. One append at a time. */
  append(data: Bytes, done: (error?: Error) => void): void;
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

/** The real disk. */
export const nodeDisk: WalFs = {
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
      fs.open(path, 'wx', 0o600, (error, descriptor) => (error ? reject(error) : resolve(nodeFile(descriptor))));
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

function nodeFile(descriptor: number): WalFile {
  return {
    append(data, done) {
      writeAll(descriptor, data, (error) => {
        if (error) done(error);
        else fs.fdatasync(descriptor, (failed) => done(failed ?? undefined));
      });
    },
    close: () =>
      new Promise((resolve, reject) => {
        fs.close(descriptor, (error) => (error ? reject(error) : resolve()));
      }),
  };
}

/** Below this a write to the page cache is over sooner than a turn of the thread pool; above, it must not hold the loop. */
const INLINE_BYTES_MAX = 64 * 1024;

/** write(2) may take less than it was given (a signal, a full disk): the rest follows, or the error comes then. */
function writeAll(descriptor: number, data: Bytes, done: (error?: Error) => void): void {
  if (data.length <= INLINE_BYTES_MAX) {
    let failure: Error | undefined;
    try {
      for (let at = 0; at < data.length; ) at += fs.writeSync(descriptor, data, at);
    } catch (error) {
      failure = error as Error;
    }
    done(failure);
    return;
  }
  fs.write(descriptor, data, 0, data.length, null, (error, written) => {
    if (error) done(error);
    else if (written < data.length) writeAll(descriptor, data.subarray(written), done);
    else done();
  });
}
