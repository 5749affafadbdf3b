/** Many runs at once: worker processes take one seed after the other until there are no more or time is up. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Overrides } from './options.ts';
import type { RunResult } from './run.ts';
import { Summary } from './summary.ts';

export type SwarmRequest = {
  readonly seeds: Iterable<number>;
  readonly workers: number;
  /** No seed is begun after this many milliseconds of real time. */
  readonly budgetMs: number;
  readonly overrides: Overrides;
  readonly failuresMax: number;
  readonly onResult?: (result: RunResult) => void;
};

export type Job = { readonly seed: number; readonly overrides: Overrides };

export async function runSwarm(request: SwarmRequest): Promise<Summary> {
  const summary = new Summary();
  const seeds = request.seeds[Symbol.iterator]();
  const ends = performance.now() + request.budgetMs;
  const nextJob = (): Job | undefined => {
    if (performance.now() >= ends || summary.failures.length >= request.failuresMax) return undefined;
    const next = seeds.next();
    return next.done === true ? undefined : { seed: next.value, overrides: request.overrides };
  };
  const onResult = (result: RunResult): void => {
    summary.add(result);
    request.onResult?.(result);
  };
  await Promise.all(Array.from({ length: request.workers }, () => runWorker(nextJob, onResult)));
  return summary;
}

function runWorker(nextJob: () => Job | undefined, onResult: (result: RunResult) => void): Promise<void> {
  const path = fileURLToPath(new URL('./worker.ts', import.meta.url));
  const child = fork(path, { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let seed: number | undefined;
    const advance = (): void => {
      const job = nextJob();
      seed = job?.seed;
      if (job === undefined) child.disconnect();
      else child.send(job);
    };
    child.on('message', (result) => {
      onResult(result as RunResult);
      advance();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (seed === undefined) resolve();
      else reject(new Error(`worker ended with code ${code} in seed ${seed}`));
    });
    advance();
  });
}
