/** The smaller scopes of the model checker, to their end, and what it must find in validators that break a rule. */
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { runScope, runWalks } from './run.ts';
import { SCOPES } from './scopes.ts';

describe('every state of three validators', () => {
  /** What must have happened somewhere, or the scope explores nothing. */
  const scopes = {
    'common-case': ['proposed', 'certified', 'final'],
    'patient-primary': ['suspect', 'view-entered', 'view-installed', 'certified', 'final'],
    epochs: ['final', 'epoch-ended'],
  } as const;
  for (const name of Object.keys(scopes) as (keyof typeof scopes)[]) {
    it(`${name}: ${SCOPES[name].about}`, () => {
      const { broken, path, complete, seen } = runScope(name);
      expect({ broken, path, complete }).toEqual({ broken: undefined, path: [], complete: true });
      expect([...seen.keys()]).toEqual(expect.arrayContaining([...scopes[name]]));
    });
  }
});

describe('a validator that breaks a rule is found', () => {
  /** The others take longer: `npm run model -- --mutants`. */
  const quick = MUTANTS.filter(({ scope }) => !scope.startsWith('liar'));
  for (const mutant of quick) {
    it(mutant.name, () => {
      const { broken, path } = runScope(mutant.scope, mutant);
      expect(broken, path.join('\n')).toMatch(mutant.says);
    });
  }
});

it('random walks of five validators, two of them faulty', { timeout: 120_000 }, () => {
  const { broken, path, final, installed } = runWalks(1, (walks) => walks < 5);
  expect(broken, path.join('\n')).toBeUndefined();
  expect(final).toBeGreaterThan(0);
  expect(installed).toBeGreaterThan(0);
});
