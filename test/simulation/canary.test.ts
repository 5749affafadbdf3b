/** The checkers bite: every known fault is found within a few seeds, by a checker that is there for it. */
import { afterEach, describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { runSeed } from './run.ts';

const SEEDS_MAX = 60;

describe('mutants', () => {
  let undo: (() => void) | undefined;
  afterEach(() => undo?.());

  for (const mutant of MUTANTS) {
    it(`is caught: ${mutant.name}`, { timeout: 120_000 }, async () => {
      undo = mutant.patch?.();
      const { platform, defect, epochs } = mutant;
      const seeds = [
        ...(epochs === undefined ? [] : [epochs.seed]),
        ...Array.from({ length: SEEDS_MAX }, (_, i) => i + 1),
      ];
      for (const seed of seeds) {
        const { failure } = await runSeed(seed, {
          platform,
          defect,
          validators: 3,
          safetyMs: 15_000,
          realCrypto: false,
          honest: mutant.habits === undefined,
          habits: mutant.habits,
          ...(epochs === undefined ? { without: ['epochs'] } : { epochs: true }),
        });
        if (failure === undefined) continue;
        expect(mutant.caughtBy, `seed ${seed}: ${failure.message}`).toContain(failure.property);
        return;
      }
      expect.unreachable(`not caught in ${SEEDS_MAX} seeds`);
    });
  }
});
