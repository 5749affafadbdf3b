/**
 * Where all states are too many: random walks (five validators). And what a search for broken states does not see, a dead
 * end: from a state on, everything that correct validators said comes in, waits end, time-outs run out when nothing else
 * moves, and a new block must become final with all of them.
 */
import type { Rng } from '../simulation/rng.ts';
import type { Automata, OwnAction } from './automata.ts';
import type { Snapshot } from './inside.ts';
import type { World } from './search.ts';

const STEPS_MAX = 160;
/** So many of the crashes, time-outs and SUSPECTs that are drawn are let happen. */
const RASH = 0.03;

export type Walked = { readonly steps: number; readonly broken: string | undefined; readonly path: readonly string[] };

/** One walk from the beginning, until something breaks, nothing moves, or it has been long enough. */
export function walk(world: World, rng: Rng): Walked & { readonly state: readonly number[] } {
  let state = world.initial();
  const path: string[] = [];
  while (path.length < STEPS_MAX) {
    const found = world.random(state, rng, RASH);
    if (found === undefined) break;
    path.push(world.describe(state, found.move));
    state = found.next;
    const broken = world.wrong(state, found.move.machine);
    if (broken !== undefined) return { steps: path.length, broken, path, state };
  }
  return { steps: path.length, broken: undefined, path, state };
}

const ROUNDS_MAX = 120;
/** Numbers for actions of the continuation. */
const CODES = { propose: 10, expire: 11, wait: 12, sync: 13 } as const;

/** Whether a new block becomes final with all correct validators from here on. */
export function goesOn(automata: Automata, from: readonly number[]): boolean {
  const { setting } = automata;
  const state = [...from];
  const height = (machine: number): number => automata.place(machine, state[machine]!).local.finals.at(-1)?.height ?? 0;
  const goal = 1 + Math.max(...setting.correct.map(height));
  const heard = new Set<number>();
  setting.isOpen = true;
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (setting.correct.every((machine) => height(machine) >= goal)) return true;
      const moved =
        deliverAll(automata, state, heard) || everybody(automata, state, 'sync') || everybody(automata, state, 'wait');
      if (moved || everybody(automata, state, 'propose')) continue;
      everybody(automata, state, 'expire');
      // What was said is said again, but for what was only true then.
      for (const parcel of heard) if (automata.parcels[parcel]!.message.kind !== 'HEARTBEAT') heard.delete(parcel);
    }
    return false;
  } finally {
    setting.isOpen = false;
  }
}

/** Every message between correct validators comes in. */
function deliverAll(automata: Automata, state: number[], heard: Set<number>): boolean {
  const { correct } = automata.setting;
  let moved = false;
  for (const to of correct) {
    for (const from of correct) {
      for (const parcel of from === to ? [] : automata.place(from, state[from]!).sentTo[to]!) {
        if (heard.has(parcel)) continue;
        heard.add(parcel);
        const next = automata.deliver(to, state[to]!, parcel);
        if (next === state[to]) continue;
        state[to] = next;
        moved = true;
      }
    }
  }
  return moved;
}

function everybody(automata: Automata, state: number[], kind: keyof typeof CODES): boolean {
  let moved = false;
  for (const machine of automata.setting.correct) {
    const { local } = automata.place(machine, state[machine]!);
    if (!applies(kind, local)) continue;
    const action: OwnAction = { kind };
    const next = automata.act(machine, state[machine]!, action, CODES[kind]);
    moved ||= next !== state[machine];
    state[machine] = next;
  }
  return moved;
}

function applies(kind: keyof typeof CODES, { core, held }: { core: Snapshot; held: readonly unknown[] }): boolean {
  if (kind === 'sync') return held.length > 0;
  if (kind === 'wait') return core.vc.waitFrom !== undefined;
  return (
    kind === 'expire' || (core.phase === 'running' && core.installed && core.signedTip.height === core.delivered.height)
  );
}
