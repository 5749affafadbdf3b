/** One process per validator, as `quorate node` would be run by hand. A dead one is left dead: somebody may want that. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { QuorateError } from '../../primitives/errors.ts';
import { fetchStatus } from '../node-status.ts';
import { RpcClient } from '../rpc-client.ts';
import type { DevnetValidator } from './network.ts';

const LOG_FILE = 'node.log';
const STOP_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 90_000;
const MESH_TIMEOUT_MS = 15_000;
const POLL_MS = 50;

export type NodeProcess = {
  readonly validator: DevnetValidator;
  readonly pid: number;
  /** Resolves with how it ended; `ended` then says the same. */
  readonly exit: Promise<string>;
  ended: string | undefined;
  readonly child: ChildProcess;
};

/** The program that runs: this one, so that a devnet tests what was built. */
function programPath(): string {
  return process.argv[1] ?? fileURLToPath(new URL('../../../bin/quorate', import.meta.url));
}

/** The shell's variables without those that would move every validator to one port. */
function childEnvironment(): NodeJS.ProcessEnv {
  const moving = /^QUORATE_(RPC|P2P|METRICS)_(HOST|PORT)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !moving.test(name)));
}

export function startProcess(validator: DevnetValidator): NodeProcess {
  const log = openSync(join(validator.dataDir, LOG_FILE), 'a', 0o600);
  const args = [...process.execArgv, programPath(), 'node', '--data-dir', validator.dataDir];
  const child = spawn(process.execPath, args, { stdio: ['ignore', log, log], env: childEnvironment() });
  closeSync(log);
  if (child.pid === undefined)
    throw new QuorateError('DATA_DIR_INVALID', `cannot start ${process.execPath}; see --verbose`);
  const started: NodeProcess = {
    validator,
    pid: child.pid,
    child,
    ended: undefined,
    exit: new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        started.ended = signal ?? `exit code ${code}`;
        resolve(started.ended);
      });
    }),
  };
  return started;
}

/** The last lines of a node's log, for a node that did not start. */
async function logTail(validator: DevnetValidator): Promise<string> {
  const text = await readFile(join(validator.dataDir, LOG_FILE), 'utf8');
  return text.trimEnd().split('\n').slice(-3).join('\n');
}

async function serves(node: NodeProcess): Promise<boolean> {
  try {
    await new RpcClient(node.validator.rpc).call('eth_blockNumber', [], 2000);
    return true;
  } catch (error) {
    if (error instanceof QuorateError) return false;
    throw error;
  }
}

async function sees(node: NodeProcess): Promise<boolean> {
  try {
    const status = await fetchStatus(new RpcClient(node.validator.rpc), 2000);
    return status.validators.every((validator) => validator.reachable);
  } catch (error) {
    if (error instanceof QuorateError) return false;
    throw error;
  }
}

/** Polls until `test` holds for every node; false when time runs out first. */
async function untilAll(
  nodes: readonly NodeProcess[],
  test: (node: NodeProcess) => Promise<boolean>,
  timeoutMs: number,
  onCount: (count: number) => void,
): Promise<boolean> {
  const waiting = new Set(nodes);
  for (const end = Date.now() + timeoutMs; ; ) {
    for (const node of waiting) {
      if (node.ended !== undefined) {
        const tail = await logTail(node.validator);
        throw new QuorateError(
          'TIMEOUT',
          `validator ${node.validator.index} stopped while starting (${node.ended}): ${tail}`,
        );
      }
      if (await test(node)) waiting.delete(node);
    }
    onCount(nodes.length - waiting.size);
    if (waiting.size === 0) return true;
    if (Date.now() > end) return false;
    await sleep(POLL_MS);
  }
}

/** Waits until every node answers, and has met the others. */
export async function untilServing(nodes: readonly NodeProcess[], onProgress: (text: string) => void): Promise<void> {
  const all = nodes.length;
  const serving = await untilAll(nodes, serves, START_TIMEOUT_MS, (n) => onProgress(`${n} of ${all} validators serve`));
  if (!serving) {
    throw new QuorateError(
      'TIMEOUT',
      `not all validators serve after ${START_TIMEOUT_MS / 1000} s; see ${LOG_FILE} in their folders`,
    );
  }
  // One that was left out by a fault still makes a network that serves: no reason to give up.
  await untilAll(nodes, sees, MESH_TIMEOUT_MS, (n) => onProgress(`${n} of ${all} validators have met all others`));
}

/** Stops those that this process started, by their pids; one that does not stop in time is killed. */
export async function stopProcesses(nodes: readonly NodeProcess[]): Promise<void> {
  const running = nodes.filter((node) => node.ended === undefined);
  for (const node of running) node.child.kill('SIGTERM');
  const allGone = Promise.all(running.map((node) => node.exit));
  const timeout = new AbortController();
  await Promise.race([allGone, sleep(STOP_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => undefined)]);
  timeout.abort();
  for (const node of running) if (node.ended === undefined) node.child.kill('SIGKILL');
  await allGone;
}
