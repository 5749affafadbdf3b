/**
 * The swarm in short: as many seeds of the gate as fit into the time. It prints what was exercised, because a swarm that
 * silently tests nothing passes as well. Longer: `npm run swarm -- --minutes 60`.
 */
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { planOf } from './mix.ts';
import { replayCommand, runSeed } from './run.ts';
import { type Job, runSwarm } from './swarm.ts';

/** Seeds of the gate; `npm run swarm -- --seeds 1..2000` runs them all. */
const GATE = 2000;
const BUDGET_MS = 150_000;
const GRACE_MS = 60_000;

function* gate(): Generator<Job> {
  for (let seed = 1; seed <= GATE; seed++) yield { seed, ...planOf(seed) };
}

describe('swarm', () => {
  it('a run is a function of its seed: twice the same digest, another for another seed', async () => {
    const digests = new Set<string>();
    for (const seed of [11, 12, 13, 14]) {
      const first = await runSeed(seed, { safetyMs: 10_000 });
      const second = await runSeed(seed, { safetyMs: 10_000 });
      expect(second.hash).toBe(first.hash);
      expect(second.stats).toEqual(first.stats);
      digests.add(first.hash);
    }
    expect(digests.size).toBe(4);
  });

  it('real signatures: the same protocol, and nothing rests on the cheap scheme', async () => {
    const { failure, stats } = await runSeed(21, { validators: 3, safetyMs: 6_000, realCrypto: true });
    expect(failure).toBeUndefined();
    expect(stats.blocks).toBeGreaterThan(0);
  });

  it('no seed breaks a property under drawn faults', { timeout: BUDGET_MS + 2 * GRACE_MS }, async () => {
    const started = performance.now();
    const summary = await runSwarm({
      jobs: gate(),
      workers: Math.min(2, availableParallelism()),
      budgetMs: BUDGET_MS,
      graceMs: GRACE_MS,
      failuresMax: 3,
    });
    const figures = summary.text(performance.now() - started);
    process.stdout.write(`swarm: ${summary.seeds} of the ${GATE} seeds of the gate\n${figures}\n`);
    const failed = summary.failures.map(({ seed, failure, transcript, overrides }) =>
      [`${failure?.property}: ${failure?.message}`, replayCommand(seed, overrides), ...transcript.slice(-25)].join(
        '\n',
      ),
    );
    expect(failed).toEqual([]);
    expect(summary.seeds).toBeGreaterThan(5);
    expect(summary.viewChanges).toBeGreaterThan(50);
    expect(summary.blocks).toBeGreaterThan(100);
    expect(summary.faults.size).toBeGreaterThan(8);
  });
});
