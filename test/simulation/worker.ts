/** A worker process of the swarm: runs the seeds it is sent and sends back what came of them. */
import { runSeed } from './run.ts';
import type { Job } from './swarm.ts';

process.on('message', (job: Job) => {
  void runSeed(job.seed, job.overrides).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
