/** Many runs at once: worker processes take one seed after the other until there are no more or time is up. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Overrides } from './options.ts';
import type { RunResult } from './run.ts';
import { Summary } from './summary.ts';

/** A run to be made; `kind`: what the mix calls it; `twice`: both times alike, or it has failed. */
export type Job = {
  readonly seed: number;
  readonly overrides: Overrides;
  readonly kind?: string | undefined;
  readonly twice?: boolean | undefined;
};

export type SwarmRequest = {
  readonly jobs: Iterable<Job>;
  readonly workers: number;
  /** No run is begun after this many milliseconds of real time. */
  readonly budgetMs: number;
  /** Runs that last so much longer are given up and told as unfinished; not given: they are waited for. */
  readonly graceMs?: number | undefined;
  readonly failuresMax: number;
  readonly onResult?: (result: RunResult, job: Job) => void;
};

export async function runSwarm(request: SwarmRequest): Promise<Summary> {
  const summary = new Summary();
  const jobs = request.jobs[Symbol.iterator]();
  const ends = performance.now() + request.budgetMs;
  const nextJob = (): Job | undefined => {
    if (performance.now() >= ends || summary.failures.length >= request.failuresMax) return undefined;
    const next = jobs.next();
    return next.done === true ? undefined : next.value;
  };
  const onResult = (result: RunResult, job: Job): void => {
    summary.add(result, job);
    request.onResult?.(result, job);
  };
  const giveUpMs = request.graceMs === undefined ? undefined : request.budgetMs + request.graceMs;
  const onGivenUp = ({ seed }: Job): void => void summary.unfinished.push(seed);
  const hooks = { nextJob, onResult, onGivenUp, giveUpMs };
  await Promise.all(Array.from({ length: request.workers }, () => runWorker(hooks)));
  return summary;
}

/** The young generation is large, because a run makes many short-lived objects and is over before they add up. */
const NODE_OPTIONS = ['--max-semi-space-size=64', '--import', 'tsx'];

type WorkerHooks = {
  readonly nextJob: () => Job | undefined;
  readonly onResult: (result: RunResult, job: Job) => void;
  readonly onGivenUp: (job: Job) => void;
  /** From now on; undefined: never. */
  readonly giveUpMs: number | undefined;
};

function runWorker({ nextJob, onResult, onGivenUp, giveUpMs }: WorkerHooks): Promise<void> {
  const path = fileURLToPath(new URL('./worker.ts', import.meta.url));
  const child = fork(path, { execArgv: NODE_OPTIONS, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let job: Job | undefined;
    const advance = (): void => {
      job = nextJob();
      if (job === undefined) child.disconnect();
      else child.send(job);
    };
    const giveUp = (): void => {
      if (job === undefined) return;
      onGivenUp(job);
      job = undefined;
      child.kill('SIGKILL');
    };
    const alarm = giveUpMs === undefined ? undefined : setTimeout(giveUp, giveUpMs);
    child.on('message', (result) => {
      if (job === undefined) return;
      onResult(result as RunResult, job);
      advance();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(alarm);
      if (job === undefined) resolve();
      else reject(new Error(`worker ended with code ${code} in seed ${job.seed}`));
    });
    advance();
  });
}
