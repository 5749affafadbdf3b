/** Makes a failing run smaller: leaves out classes of faults and the end of the run, as long as it still fails alike. */
import { FAULT_KINDS, type Overrides } from './options.ts';
import { runSeed } from './run.ts';

export async function shrink(seed: number, overrides: Overrides): Promise<Overrides> {
  const first = await runSeed(seed, overrides);
  const property = first.failure?.property;
  if (property === undefined) return overrides;
  let best = overrides;
  const tryOut = async (smaller: Overrides): Promise<void> => {
    const result = await runSeed(seed, smaller);
    if (result.failure?.property === property) best = smaller;
  };
  for (const kind of FAULT_KINDS) {
    if (first.options.faults[kind] === undefined) continue;
    await tryOut({ ...best, without: [...(best.without ?? []), kind] });
  }
  if (first.options.epochs !== undefined) await tryOut({ ...best, without: [...(best.without ?? []), 'epochs'] });
  for (const part of [0.1, 0.25, 0.5]) {
    if (best.safetyMs !== undefined) break;
    await tryOut({ ...best, safetyMs: Math.round(first.options.safetyMs * part) });
  }
  return best;
}
