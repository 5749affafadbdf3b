/**
 * Before every test file: all properties draw from the seed of this run, and try as many cases as it asks for. It takes
 * the place of `fc.assert` because fast-check lets a test's own `numRuns` win over the global one, and no test should
 * have to remember to multiply.
 */
import type * as FastCheck from 'fast-check';
import { vi } from 'vitest';
import { FUZZ_RUNS, FUZZ_SEED } from './effort.ts';

/** fast-check's own default. */
const RUNS_DEFAULT = 100;

vi.mock('fast-check', async (importOriginal) => {
  const original = await importOriginal<typeof FastCheck>();
  original.configureGlobal({ seed: FUZZ_SEED });
  const assert = <T>(property: FastCheck.IRawProperty<T>, options?: FastCheck.Parameters<T>): Promise<void> | void =>
    original.assert(property, { ...options, numRuns: (options?.numRuns ?? RUNS_DEFAULT) * FUZZ_RUNS });
  return { ...original, assert, default: { ...original.default, assert } };
});
