/** A worker process of the swarm: runs the seeds it is sent and sends back what came of them. */
import { type RunResult, runSeed } from './run.ts';
import type { Job } from './swarm.ts';

async function run({ seed, overrides, twice }: Job): Promise<RunResult> {
  const result = await runSeed(seed, overrides);
  if (twice !== true || result.failure !== undefined) return result;
  const { hash } = await runSeed(seed, overrides);
  if (hash === result.hash) return result;
  const message = `the hash over the run is ${result.hash}, and ${hash} when it is run again`;
  return { ...result, failure: { property: 'determinism', message } };
}

process.on('message', (job: Job) => {
  void run(job).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
