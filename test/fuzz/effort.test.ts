import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FUZZ_RUNS, FUZZ_SEED, wholeOr } from './effort.ts';

function drawn(numRuns?: number): number[] {
  const seen: number[] = [];
  const property = fc.property(fc.nat(), (n) => void seen.push(n));
  if (numRuns === undefined) fc.assert(property);
  else fc.assert(property, { numRuns });
  return seen;
}

test('a property draws the same cases in every run of one seed', () => {
  expect(drawn(50)).toEqual(drawn(50));
  expect(new Set(drawn(50)).size).toBeGreaterThan(10);
  expect(fc.readConfigureGlobal().seed).toBe(FUZZ_SEED);
});

test('a property tries as many cases as its test and the run ask for', () => {
  expect(drawn(7)).toHaveLength(7 * FUZZ_RUNS);
  expect(drawn()).toHaveLength(100 * FUZZ_RUNS);
});

test('a failing property names its seed', () => {
  const failing = fc.property(fc.nat(), () => false);
  expect(() => fc.assert(failing)).toThrow(`seed: ${FUZZ_SEED}`);
});

test('numbers of the environment are read strictly', () => {
  const read = (text: string | undefined): number => wholeOr(5, 'SEED', text, 1);
  expect([read(undefined), read(''), read('1'), read('2147483647')]).toEqual([5, 5, 1, 2147483647]);
  for (const wrong of ['0', '-1', '1.5', '1e3', '0x10', ' 1', '2147483648', 'abc']) {
    expect(() => read(wrong), wrong).toThrow(`SEED: expected a whole number from 1 to 2147483647, found ${wrong}`);
  }
});
