/** A scope, to its end or to the first thing that breaks; and walks, as many as there is time for. */
import { Rng } from '../simulation/rng.ts';
import { Automata } from './automata.ts';
import type { Mutant } from './mutants.ts';
import { SCOPES, type Scope, type ScopeName, WALKS } from './scopes.ts';
import { explore, type Found, World } from './search.ts';
import { type Bounds, Setting } from './setting.ts';
import { goesOn, walk } from './walk.ts';

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
    const found = explore(new World(automata), scope);
    const { steps, seen, places, parcels } = automata;
    const deadEnd = found.broken === undefined && found.samples.some((state) => !goesOn(automata, state));
    const broken = deadEnd ? 'a state from which no block becomes final any more' : found.broken;
    return { ...found, broken, places: places.map(({ length }) => length), parcels: parcels.length, steps, seen };
  } finally {
    undo?.();
  }
}

export type Walks = {
  readonly walks: number;
  readonly moves: number;
  /** Walks in which somebody delivered, and in which a view was installed. */
  readonly final: number;
  readonly installed: number;
  /** What broke, and the seed and the way that led there. */
  readonly broken: string | undefined;
  readonly path: readonly string[];
};

/** Steps are remembered from walk to walk, up to so many walks. */
const REMEMBERED_WALKS = 100;

/** Walks with the seeds from `first` on, each in the next of the settings, for as long as `goOn` says so. */
export function runWalks(first: number, goOn: (walks: number) => boolean): Walks {
  const total = { walks: 0, moves: 0, final: 0, installed: 0 };
  const settings: readonly Bounds[] = WALKS;
  let worlds: World[] = [];
  for (; goOn(total.walks); total.walks++) {
    if (total.walks % REMEMBERED_WALKS === 0)
      worlds = settings.map((bounds) => new World(new Automata(new Setting(bounds))));
    const seed = first + total.walks;
    const world = worlds[seed % worlds.length]!;
    const { automata } = world;
    const { steps, broken, path, state } = walk(world, new Rng(seed, 'model'));
    total.moves += steps;
    const locals = automata.setting.correct.map((machine) => automata.place(machine, state[machine]!).local);
    if (locals.some(({ finals }) => finals.length > 0)) total.final++;
    if (locals.some(({ core }) => core.view > 0 && core.installed)) total.installed++;
    const wrong = broken ?? (goesOn(automata, state) ? undefined : 'no block becomes final any more');
    if (wrong !== undefined) return { ...total, broken: `seed ${seed}: ${wrong}`, path };
  }
  return { ...total, broken: undefined, path: [] };
}
