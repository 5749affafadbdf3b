/** Runs mutants, each in processes of its own: seeds of the simulator until one finds it, or a test. */
import { fork, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Overrides } from '../simulation/options.ts';
import type { RunResult } from '../simulation/run.ts';
import type { Property } from '../simulation/violation.ts';
import { type BySeed, type Mutant, mutatedTexts, ROOT } from './mutation.ts';

/** `seeds`: how many were run, the last one included. */
export type Catch = {
  readonly seed: number;
  readonly seeds: number;
  readonly property: Property;
  readonly message: string;
};

async function inFolder<T>(
  mutant: Pick<Mutant, 'id' | 'edits'>,
  run: (folder: string, env: NodeJS.ProcessEnv) => Promise<T>,
) {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-mutant-'));
  try {
    const path = join(folder, 'mutation.json');
    writeFileSync(path, JSON.stringify(mutatedTexts(mutant)));
    return await run(folder, { ...process.env, QUORATE_MUTATION: path });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is run of a mutant that the simulator finds. */
export function jobOf({ overrides, caughtBy }: BySeed): { readonly overrides: Overrides; readonly twice: boolean } {
  return { overrides, twice: caughtBy.includes('determinism') };
}

/** Runs one seed after the other until a property breaks; undefined: none did. */
export function huntBySeeds(
  mutant: Pick<Mutant, 'id' | 'edits'>,
  { seeds, ...job }: { readonly seeds: Iterable<number>; readonly overrides: Overrides; readonly twice: boolean },
): Promise<Catch | undefined> {
  return inFolder(mutant, (_, env) => {
    const execArgv = ['--import', `${ROOT}test/mutants/register.mjs`, '--import', 'tsx'];
    const child = fork(`${ROOT}test/simulation/worker.ts`, {
      cwd: ROOT,
      env,
      execArgv,
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    const queue = seeds[Symbol.iterator]();
    let run = 0;
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    return new Promise<Catch | undefined>((resolve, reject) => {
      let found: Catch | undefined;
      const advance = (): void => {
        const next = queue.next();
        if (next.done === true || found !== undefined) {
          child.disconnect();
          return;
        }
        run++;
        child.send({ seed: next.value, ...job });
      };
      child.on('message', (message) => {
        const { seed, failure } = message as RunResult;
        if (failure !== undefined) found = { seed, seeds: run, property: failure.property, message: failure.message };
        advance();
      });
      child.on('error', reject);
      child.on('exit', (code) => {
        if (code === 0) resolve(found);
        else reject(new Error(`${mutant.id}: the process ended with code ${code}: ${said.slice(-1000)}`));
      });
      advance();
    });
  });
}

type VitestReport = {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
};

/** Titles of the tests in a file that fail under the mutation; all are run that have these words in their title. */
export function huntByTests(
  mutant: Pick<Mutant, 'id' | 'edits'>,
  { test, title }: { readonly test: string; readonly title?: string | undefined },
): Promise<string[]> {
  return inFolder(mutant, async (folder, env) => {
    const report = join(folder, 'report.json');
    const pattern = title === undefined ? [] : ['-t', title.replace(/[^\w ]/g, '.')];
    const parameters = ['run', '--config', 'test/vitest.mutants.config.ts', test, ...pattern];
    const child = spawn(
      process.execPath,
      [`${ROOT}node_modules/vitest/vitest.mjs`, ...parameters, '--reporter=json', `--outputFile=${report}`],
      { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (!results.some(({ status }) => status === 'passed' || status === 'failed'))
      throw new Error(`${mutant.id}: no test of ${test} was run: ${said.slice(-1000)}`);
    return results.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
  });
}
