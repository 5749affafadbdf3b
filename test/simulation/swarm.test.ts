/**
 * The swarm in short: as many seeds as fit into the time, the first ones always the same. It prints what was exercised,
 * because a swarm that silently tests nothing passes as well. Longer: `npm run simulate -- --minutes 60`.
 */
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { replayCommand, runSeed } from './run.ts';
import { runSwarm } from './swarm.ts';

const BUDGET_MS = 60_000;

function* from(first: number): Generator<number> {
  for (let seed = first; ; seed++) yield seed;
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

  it('no seed breaks a property under drawn faults', { timeout: BUDGET_MS + 120_000 }, async () => {
    const started = performance.now();
    const summary = await runSwarm({
      seeds: from(100_000),
      workers: Math.min(2, availableParallelism()),
      budgetMs: BUDGET_MS,
      overrides: {},
      failuresMax: 3,
    });
    process.stdout.write(`${summary.text(performance.now() - started)}\n`);
    const failed = summary.failures.map(({ seed, failure, transcript }) =>
      [`${failure?.property}: ${failure?.message}`, replayCommand(seed, {}), ...transcript.slice(-25)].join('\n'),
    );
    expect(failed).toEqual([]);
    expect(summary.seeds).toBeGreaterThan(5);
    expect(summary.viewChanges).toBeGreaterThan(50);
    expect(summary.blocks).toBeGreaterThan(100);
    expect(summary.faults.size).toBeGreaterThan(8);
  });
});
