/**
 * The tests bite: every broken rule is found by the seed, scenario or test recorded for it (reliability.md section 6.3).
 * `npm run mutants` looks for them anew.
 */
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './catalogue.ts';
import { huntBySeeds, huntByTests, jobOf } from './hunt.ts';
import { type Mutant, mutatedTexts } from './mutation.ts';
import { IMPOSSIBLE } from './zoo-storage.ts';

/** A recorded seed may mean another run after a change of the program: then one of these must do. */
const SPARE_SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);
/** Processes at once. */
const PLACES = 2;

let busy = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  if (busy >= PLACES) await new Promise<void>((resolve) => waiting.push(resolve));
  busy++;
  try {
    return await run();
  } finally {
    busy--;
    waiting.shift()?.();
  }
}

async function kill(mutant: Mutant): Promise<void> {
  const { killer } = mutant;
  if ('test' in killer) {
    expect(await huntByTests(mutant, killer), `no test fails: ${killer.title}`).not.toEqual([]);
    return;
  }
  const seeds = [killer.seed, ...SPARE_SEEDS];
  const found = await huntBySeeds(mutant, { seeds, ...jobOf(killer) });
  expect(found, `nothing broke in ${seeds.length} seeds`).toBeDefined();
  expect(killer.caughtBy, `seed ${found!.seed}: ${found!.message}`).toContain(found!.property);
}

describe('mutants', () => {
  it('are all there: Z1 to Z34, each once, as a mutant or as one that cannot be', () => {
    const ids = [...MUTANTS, ...IMPOSSIBLE].map(({ id }) => id).filter((id) => id.startsWith('Z'));
    expect(ids.sort()).toEqual(Array.from({ length: 34 }, (_, index) => `Z${index + 1}`).sort());
  });

  it('change the sources as they are now', () => {
    for (const mutant of MUTANTS) expect(Object.keys(mutatedTexts(mutant))).not.toEqual([]);
  });

  it('cannot be made where the place is gone', () => {
    const edits = [{ file: 'consensus/verify.ts', from: 'no such place', to: '' }];
    expect(() => mutatedTexts({ id: 'X', edits })).toThrow('0 places');
  });

  it.concurrent.each(MUTANTS.map((mutant) => [mutant.id, mutant.name, mutant] as const))(
    '%s is found: %s',
    { timeout: 600_000 },
    (_id, _name, mutant) => inTurn(() => kill(mutant)),
  );
});
