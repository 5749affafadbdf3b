/** A scope, to its end or to the first thing that breaks. */
import { Automata } from './automata.ts';
import type { Mutant } from './mutants.ts';
import { SCOPES, type Scope, type ScopeName } from './scopes.ts';
import { explore, type Found, World } from './search.ts';
import { Setting } from './setting.ts';

export type Result = Found & {
  /** Local states, by machine, messages, and steps that replicas were asked to take. */
  readonly places: readonly number[];
  readonly parcels: number;
  readonly steps: number;
  /** Events that occurred in some step, and how often. */
  readonly seen: ReadonlyMap<string, number>;
};

export function runScope(name: ScopeName, mutant?: Mutant): Result {
  const scope: Scope = SCOPES[name];
  const undo = mutant?.patch?.();
  try {
    const automata = new Automata(new Setting(scope, mutant));
    const found = explore(new World(automata), scope.statesMax);
    const { steps, seen, places, parcels } = automata;
    return { ...found, places: places.map(({ length }) => length), parcels: parcels.length, steps, seen };
  } finally {
    undo?.();
  }
}
