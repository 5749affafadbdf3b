/**
 * How hard the property tests try, from the environment. `npm test` sets neither variable, so that it draws the same
 * cases every time and fails for what changed, never by luck; `npm run fuzz` sets both.
 */

/** A whole number of at least `least` out of a variable's text, or `otherwise` when it is not set. */
export function wholeOr(otherwise: number, name: string, text: string | undefined, least: number): number {
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value < 2 ** 31) return value;
  throw new Error(`${name}: expected a whole number from ${least} to ${2 ** 31 - 1}, found ${text}`);
}

/** What every property draws its cases from. */
export const FUZZ_SEED = wholeOr(1, 'QUORATE_FUZZ_SEED', process.env['QUORATE_FUZZ_SEED'], 0);

/** Multiplies the number of cases that each test asks for. */
export const FUZZ_RUNS = wholeOr(1, 'QUORATE_FUZZ_RUNS', process.env['QUORATE_FUZZ_RUNS'], 1);
