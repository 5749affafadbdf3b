/**
 * A real disk that is full or read-only: a small file system in memory. It needs the right to mount; without it there is
 * nothing to try.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const MIB = 1024 * 1024;

function command(name: string, ...args: readonly string[]): void {
  execFileSync(name, args, { stdio: 'pipe' });
}

/** Undefined when file systems can be mounted here, else why not. */
export function whyNoMounts(folder: string): string | undefined {
  const probe = join(folder, 'probe');
  mkdirSync(probe);
  try {
    command('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe);
    command('umount', probe);
    return undefined;
  } catch {
    return 'no right to mount file systems: root on Linux is needed';
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/** False when there is no room for so many bytes more. */
function takes(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes, 1)) === bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}

/** A folder moved to a small disk of its own, in the same place. */
export class SmallDisk {
  readonly #folder: string;
  #isMounted = true;

  constructor(folder: string, mib: number) {
    this.#folder = folder;
    const aside = `${folder}.aside`;
    renameSync(folder, aside);
    mkdirSync(folder);
    command('mount', '-t', 'tmpfs', '-o', `size=${mib}m,mode=700`, 'tmpfs', folder);
    cpSync(aside, folder, { recursive: true });
    rmSync(aside, { recursive: true });
  }

  /** Takes all space there is. */
  fill(): void {
    const ballast = openSync(join(this.#folder, 'ballast'), 'w');
    try {
      for (const piece of [MIB, 4096]) while (takes(ballast, piece));
    } finally {
      closeSync(ballast);
    }
  }

  /** Gives the space back. */
  relieve(): void {
    rmSync(join(this.#folder, 'ballast'), { force: true });
  }

  readOnly(on: boolean): void {
    command('mount', '-o', on ? 'remount,ro' : 'remount,rw', this.#folder);
  }

  /** Back to an ordinary folder with the same files; again: nothing. */
  remove(): void {
    if (!this.#isMounted) return;
    const aside = `${this.#folder}.aside`;
    cpSync(this.#folder, aside, { recursive: true });
    command('umount', this.#folder);
    this.#isMounted = false;
    rmSync(this.#folder, { recursive: true });
    renameSync(aside, this.#folder);
  }
}
