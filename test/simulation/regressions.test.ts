/** Replays every recorded seed. */
import { describe, expect, it } from 'vitest';
import { REGRESSIONS } from './regressions.ts';
import { runSeed } from './run.ts';

describe('regressions', () => {
  for (const { seed, was, ...overrides } of REGRESSIONS) {
    it(`seed ${seed}: ${was}`, async () => {
      // What was found before there were epochs, or schemes, is run without them, as it was.
      const without = overrides.habits === undefined ? (['schemes'] as const) : [];
      const { failure, transcript } = await runSeed(seed, { epochs: false, without, ...overrides });
      expect(failure, transcript.slice(-20).join('\n')).toBeUndefined();
    });
  }
});
