/** One run of one client's script on a devnet: what it reports (see checks.mjs), read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { DevnetLine } from '../e2e/devnet.ts';

const ABI = new URL('../../docs/governance.abi.json', import.meta.url);
/** All checks of a client together; a check that hangs ends by itself long before. */
const CLIENT_TIMEOUT_MS = 600_000;

type Start = { readonly version: string; readonly untried: readonly string[] };
type Check = { readonly check: string; readonly ok: boolean; readonly error?: string };

export type Outcome = {
  readonly version: string;
  readonly passed: readonly string[];
  /** Checks and what was wrong. */
  readonly failed: ReadonlyMap<string, string>;
  /** Checks that its script has nothing for. */
  readonly untried: readonly string[];
  /** Why it did not come to its end, or could not be tried. */
  readonly problem?: string;
};

/** Runs a program to its end; what it prints goes to `onLine`, line by line. */
export async function toEnd(
  program: ChildProcess,
  onLine: (line: string) => void = () => undefined,
): Promise<{ readonly code: unknown; readonly errors: string }> {
  let errors = '';
  let rest = '';
  program.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  program.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  const [code, signal] = await once(program, 'close');
  return { code: code ?? signal, errors };
}

/** What the shell has set must not reach a client, except where to find programs; the ABI is the published one. */
function environment(line: DevnetLine): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(QUORATE_|NODE_OPTIONS|VITEST)/.test(name));
  return { ...Object.fromEntries(own), QUORATE_DEVNET: JSON.stringify(line), QUORATE_ABI: readFileSync(ABI, 'utf8') };
}

/** Runs `client.mjs` of a folder, in which its packages are found, against a devnet. */
export async function runClient(folder: string, line: DevnetLine): Promise<Outcome> {
  let start: Start = { version: '', untried: [] };
  const passed: string[] = [];
  const failed = new Map<string, string>();
  const report = (text: string): void => {
    // Some clients print things of their own.
    if (!text.startsWith('{"')) return;
    const told = JSON.parse(text) as Start | Check;
    if ('version' in told) start = told;
    else if (told.ok) passed.push(told.check);
    else failed.set(told.check, told.error ?? '');
  };
  const options = { cwd: folder, env: environment(line), timeout: CLIENT_TIMEOUT_MS, stdio: 'pipe' } as const;
  const { code, errors } = await toEnd(spawn(process.execPath, ['client.mjs'], options), report);
  return { ...start, passed, failed, ...(code !== 0 && { problem: `ended with ${code}:\n${errors}` }) };
}
