/**
 * Real processes of the real program. Everything started here is remembered by its child handle and stopped through it,
 * at the latest when the test process ends; nothing is ever looked for by name. Output is kept, with a bound, for the
 * message of a failing test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The built program; QUORATE_PROGRAM names another build, an installed package for example. */
const PROGRAM = process.env['QUORATE_PROGRAM'] ?? fileURLToPath(new URL('../../bin/quorate', import.meta.url));
const OUTPUT_MAX = 1024 * 1024;
const STOP_TIMEOUT_MS = 15_000;

/** The variables of the shell that runs the tests must not reach the program. */
function cleanEnvironment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(QUORATE_|NODE_OPTIONS|VITEST)/.test(name));
  return { ...Object.fromEntries(own), ...extra };
}

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Network namespace to run in. */
  readonly namespace?: string;
};

export class Program {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  /** Exit code, or the signal's name. */
  readonly exit: Promise<number | string>;
  ended: number | string | undefined;

  constructor(args: readonly string[], options: RunOptions = {}) {
    const { namespace } = options;
    // `ip` becomes the program it starts: one process, with the pid that is known here.
    const [command, ...before] =
      namespace === undefined ? [process.execPath] : ['ip', 'netns', 'exec', namespace, process.execPath];
    this.child = spawn(command!, [...before, PROGRAM, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: cleanEnvironment(options.env ?? {}),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    this.child.stdin?.end(options.stdin ?? '');
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-OUTPUT_MAX);
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_MAX);
    });
    this.exit = once(this.child, 'close').then(([code, signal]) => {
      this.ended = (code ?? signal) as number | string;
      started.delete(this);
      return this.ended;
    });
    started.add(this);
  }

  get pid(): number {
    const { pid } = this.child;
    if (pid === undefined) throw new Error(`the program did not start: ${PROGRAM}`);
    return pid;
  }

  /** Sends a signal unless it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.ended === undefined) this.child.kill(signal);
  }

  /** SIGKILL, and gone when this resolves. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exit;
  }

  /** SIGTERM, and SIGKILL when that does not help in time. Resolves with how it ended. */
  async stop(): Promise<number | string> {
    // A stopped process (SIGSTOP) does not see SIGTERM before it goes on.
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const late = new AbortController();
    const timer = sleep(STOP_TIMEOUT_MS, undefined, { signal: late.signal }).then(
      () => this.signal('SIGKILL'),
      () => undefined,
    );
    const how = await this.exit;
    late.abort();
    await timer;
    return how;
  }
}

/** SIGTERM and not SIGKILL: a devnet that is killed cannot stop its nodes. */
const started = new Set<Program>();
process.on('exit', () => {
  for (const program of started) {
    program.signal('SIGCONT');
    program.signal('SIGTERM');
  }
});

export type Finished = { readonly code: number | string; readonly stdout: string; readonly stderr: string };

/** Runs one command to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const program = new Program(args, options);
  const code = await program.exit;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** Runs one command that must succeed and print one line of JSON. */
export async function runJson<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await run(args, options);
  if (code !== 0) throw new Error(`quorate ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
  const lines = stdout.trimEnd().split('\n');
  if (lines.length !== 1) throw new Error(`quorate ${args.join(' ')} printed ${lines.length} lines: ${stdout}`);
  return JSON.parse(lines[0]!) as T;
}

/** True while a process with this pid exists. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What a process holds in memory at the moment (Linux). */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`process ${pid} shows no resident memory`);
  return Number(line[1]) * 1024;
}
