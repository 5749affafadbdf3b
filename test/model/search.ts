/**
 * All states a model can get into, breadth first, so that what breaks is shown by a shortest path. A state is where each
 * validator is, plus, while somebody lies, what is due before the clock may move.
 *
 * The network keeps every message ever sent, and any of them may come in at any time, again, late or never: loss,
 * doubling, reordering and partitions need no actions of their own, and a crash without a return is a validator that is
 * not moved any more.
 *
 * With nobody lying no clock is trusted: the 2Δ wait may be over at once. With liars it counts (consensus.md section 1):
 * correct validators in touch hear each other within Δ. Times are whole multiples of Δ, which loses nothing as long as
 * bounds are multiples of it and not strict: `advance` moves all clocks by Δ, once everything is in that was under way
 * when they moved last; of the 2Δ a wait has the second half behind it when they have moved twice, and ends when what is
 * due to its validator at that moment is in.
 */
import type { Rng } from '../simulation/rng.ts';
import type { Automata, OwnAction } from './automata.ts';
import { contradiction } from './properties.ts';

/** A move of a state: `machine` takes its own action `code`, or gets parcel `code - PARCELS`; -1: the clocks move. */
export type Move = { readonly machine: number; readonly code: number };

const PARCELS = 16;
const HALF = 14;
const END = 15;

export class World {
  readonly automata: Automata;
  readonly #machines: number;
  readonly #dues: (readonly number[])[] = [[]];
  readonly #dueIds = new Map<string, number>([['', 0]]);
  readonly #fits = new Map<number, string | undefined>();

  constructor(automata: Automata) {
    this.automata = automata;
    this.#machines = automata.setting.machines.length;
  }

  /** Numbers of places, and of what is due. */
  initial(): number[] {
    return [...this.automata.initial(), 0];
  }

  /** Every move that changes something, and where it leads. */
  successors(state: ArrayLike<number>, visit: (next: number[], move: Move) => void): void {
    for (let machine = 0; machine < this.#machines; machine++) {
      if (this.automata.place(machine, state[machine]!).beyond) return;
    }
    for (let machine = 0; machine < this.#machines; machine++) {
      const at = state[machine]!;
      const place = this.automata.place(machine, at);
      if (place.broken !== undefined) continue;
      for (const [code, action] of place.own.entries()) {
        this.#go(state, machine, this.automata.act(machine, at, action, code), code, visit);
      }
      for (let from = 0; from < this.#machines; from++) {
        if (from === machine) continue;
        for (const parcel of this.automata.place(from, state[from]!).sentTo[machine]!) {
          this.#go(state, machine, this.automata.deliver(machine, at, parcel), PARCELS + parcel, visit);
        }
      }
    }
    if (this.automata.setting.isTimed) this.#time(state, visit);
  }

  #go(
    state: ArrayLike<number>,
    machine: number,
    to: number,
    code: number,
    visit: (next: number[], move: Move) => void,
  ): void {
    if (to === state[machine]) return;
    const next = Array.from(state);
    next[machine] = to;
    this.#settleDue(next);
    visit(next, { machine, code });
  }

  /** What has come in is due no more; while nobody waits nothing is. */
  #settleDue(state: number[]): void {
    const due = this.#dues[state[this.#machines]!]!;
    if (due.length === 0) return;
    const waits = this.#waiting(state).length > 0;
    const left = waits ? due.filter((parcel) => !this.#isIn(state, parcel)) : [];
    if (left.length < due.length) state[this.#machines] = this.#dueId(left);
  }

  #isIn(state: ArrayLike<number>, parcel: number): boolean {
    const { to } = this.automata.parcels[parcel]!;
    return this.automata.place(to, state[to]!).got.has(parcel);
  }

  #waiting(state: ArrayLike<number>): number[] {
    const { inTouch } = this.automata.setting;
    return inTouch.filter((machine) => this.automata.place(machine, state[machine]!).waited !== undefined);
  }

  #dueId(due: readonly number[]): number {
    const name = due.join();
    const known = this.#dueIds.get(name);
    if (known !== undefined) return known;
    this.#dueIds.set(name, this.#dues.length);
    this.#dues.push(due);
    return this.#dues.length - 1;
  }

  #time(state: ArrayLike<number>, visit: (next: number[], move: Move) => void): void {
    const { automata } = this;
    const { inTouch } = automata.setting;
    const waiting = this.#waiting(state);
    const due = this.#dues[state[this.#machines]!]!;
    let ending = false;
    for (const machine of waiting) {
      if (automata.place(machine, state[machine]!).waited !== 2) continue;
      ending = true;
      if (due.some((parcel) => automata.parcels[parcel]!.to === machine)) continue;
      this.#go(state, machine, automata.act(machine, state[machine]!, { kind: 'end' }, END), END, visit);
    }
    if (ending || waiting.length === 0 || due.length > 0) return;
    const next = Array.from(state);
    for (const machine of waiting) next[machine] = automata.act(machine, state[machine]!, { kind: 'half' }, HALF);
    const underWay: number[] = [];
    for (const from of inTouch) {
      for (const parcel of automata.place(from, state[from]!).sent) {
        const { to } = automata.parcels[parcel]!;
        if (automata.leading[parcel]! && inTouch.includes(to) && !this.#isIn(state, parcel)) underWay.push(parcel);
      }
    }
    next[this.#machines] = this.#dueId(underWay.sort((a, b) => a - b));
    visit(next, { machine: -1, code: HALF });
  }

  /** One move that changes something, drawn: a crash, a time-out or a SUSPECT seldom, or when nothing else is left. */
  random(state: ArrayLike<number>, rng: Rng, rash: number): { next: number[]; move: Move } | undefined {
    const { automata } = this;
    const moves: Move[] = automata.setting.isTimed ? [{ machine: -1, code: HALF }] : [];
    for (const machine of automata.setting.machines) {
      const place = automata.place(machine, state[machine]!);
      if (place.broken !== undefined || place.beyond) continue;
      for (const code of place.own.keys()) moves.push({ machine, code });
      for (const parcel of this.#inbox(state, machine)) moves.push({ machine, code: PARCELS + parcel });
    }
    const later: Move[] = [];
    let found: { next: number[]; move: Move } | undefined;
    const take = (next: number[], move: Move): void => {
      found ??= { next, move };
    };
    for (const move of rng.shuffle(moves)) {
      if (this.#isRash(state, move) && !rng.chance(rash)) later.push(move);
      else this.#try(state, move, take);
      if (found !== undefined) return found;
    }
    for (const move of later) {
      this.#try(state, move, take);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #try(state: ArrayLike<number>, { machine, code }: Move, take: (next: number[], move: Move) => void): void {
    const { automata } = this;
    if (machine < 0) this.#time(state, take);
    else {
      const at = state[machine]!;
      const action = automata.place(machine, at).own[code];
      const to = action ? automata.act(machine, at, action, code) : automata.deliver(machine, at, code - PARCELS);
      this.#go(state, machine, to, code, take);
    }
  }

  #isRash(state: ArrayLike<number>, { machine, code }: Move): boolean {
    if (machine < 0) return false;
    if (code >= PARCELS) return this.automata.parcels[code - PARCELS]!.message.kind === 'SUSPECT';
    const { kind } = this.automata.place(machine, state[machine]!).own[code]!;
    return kind === 'expire' || kind === 'crash';
  }

  #inbox(state: ArrayLike<number>, machine: number): number[] {
    const senders = this.automata.setting.machines.filter((from) => from !== machine);
    return senders.flatMap((from) => this.automata.place(from, state[from]!).sentTo[machine]!);
  }

  /** What is wrong in a state, if anything. `moved` is the machine that led here. */
  wrong(state: ArrayLike<number>, moved: number): string | undefined {
    const { correct, isTimed } = this.automata.setting;
    if (moved >= 0) {
      const { broken } = this.automata.place(moved, state[moved]!);
      if (broken !== undefined) return `validator ${moved} ${broken}`;
    }
    if (isTimed && correct.length !== 2) {
      return contradiction(
        this.automata.setting,
        correct.map((machine) => this.automata.place(machine, state[machine]!).facts),
      );
    }
    for (const a of correct) {
      for (const b of correct) {
        if (b <= a || (moved >= 0 && moved !== a && moved !== b)) continue;
        const wrong = this.#fit(a, state[a]!, b, state[b]!);
        if (wrong !== undefined) return wrong;
      }
    }
    return undefined;
  }

  /** What two validators know may be asked millions of times. */
  #fit(a: number, x: number, b: number, y: number): string | undefined {
    const key = ((a * this.#machines + b) * 0x400000 + x) * 0x400000 + y;
    if (this.#fits.has(key)) return this.#fits.get(key);
    const facts = [this.automata.place(a, x).facts, this.automata.place(b, y).facts];
    const wrong = contradiction(this.automata.setting, facts);
    this.#fits.set(key, wrong);
    return wrong;
  }

  /** A move in words. */
  describe(state: ArrayLike<number>, { machine, code }: Move): string {
    if (machine < 0) return 'the clocks move by Δ';
    if (code >= PARCELS) {
      const { from, message } = this.automata.parcels[code - PARCELS]!;
      return `${machine} gets ${titleOf(message)} of ${from}`;
    }
    if (code === END) return `${machine}: 2Δ are over`;
    const action = this.automata.place(machine, state[machine]!).own[code]! satisfies OwnAction;
    return `${machine}: ${action.kind}${action.kind === 'crash' ? ` keeping ${action.kept} records` : ''}`;
  }
}

function titleOf(message: { readonly kind: string }): string {
  const about = message as {
    view?: number;
    height?: number;
    head?: { view: number; height: number };
    prepare?: { view: number; height: number };
    suspects?: readonly unknown[];
    viewChanges?: readonly { signer: number }[];
  };
  const at = about.prepare ?? about;
  const head = 'head' in message ? ` head ${about.head ? `${about.head.view}/${about.head.height}` : 'none'}` : '';
  const senders = about.viewChanges ? ` of ${about.viewChanges.map(({ signer }) => signer).join()}` : '';
  const chain = about.suspects ? ` to ${about.suspects.length}` : '';
  const where = at.view === undefined ? '' : ` ${at.view}${at.height === undefined ? '' : `/${at.height}`}`;
  return `${message.kind}${where}${head}${senders}${chain}`;
}

export type Found = {
  readonly states: number;
  readonly depth: number;
  /** False: the limit on states ended the search. */
  readonly complete: boolean;
  readonly broken: string | undefined;
  /** The way to what is broken, in words. */
  readonly path: readonly string[];
  /** Some of the states, from the first to the last found. */
  readonly samples: readonly (readonly number[])[];
};

const SAMPLES = 20;

/** How far a search goes: so many states, after which it is cut off, and so many moves, if a bound is set on them. */
export type Limits = { readonly statesMax: number; readonly depthMax?: number };

/** Breadth first over everything within the limits. */
export function explore(world: World, { statesMax, depthMax = Number.POSITIVE_INFINITY }: Limits): Found {
  const store = new States(world.initial().length, statesMax + 1);
  store.add(world.initial(), -1, { machine: -1, code: 0 });
  const start = world.wrong(world.initial(), -1);
  if (start !== undefined) return { states: 1, depth: 0, complete: true, broken: start, path: [], samples: [] };
  let broken: string | undefined;
  let at = 0;
  let depth = 0;
  // The states found in so many moves end here.
  let end = 1;
  for (; at < store.size && broken === undefined && store.size <= statesMax; at++) {
    if (at === end) {
      depth++;
      end = store.size;
      if (depth >= depthMax) {
        at = store.size;
        break;
      }
    }
    const state = store.get(at);
    world.successors(state, (next, move) => {
      if (broken !== undefined || store.size > statesMax || !store.add(next, at, move)) return;
      broken = world.wrong(next, move.machine);
    });
  }
  const last = store.size - 1;
  const path = broken === undefined ? [] : store.path(last).map(([state, move]) => world.describe(state, move));
  const samples = Array.from({ length: Math.min(SAMPLES, store.size) }, (_, place) =>
    Array.from(store.get(Math.floor((place * last) / SAMPLES))),
  );
  return { states: store.size, depth: store.depth(last), complete: at === store.size, broken, path, samples };
}

/** States in the order in which they were found, in flat arrays, and a hash table over them. */
class States {
  readonly #width: number;
  #cells: Int32Array;
  #parents: Int32Array;
  #moves: Int32Array;
  #table: Int32Array;
  size = 0;

  constructor(width: number, most: number) {
    this.#width = width;
    const first = Math.min(most, 1 << 12);
    this.#cells = new Int32Array(first * width);
    this.#parents = new Int32Array(first);
    this.#moves = new Int32Array(first * 2);
    this.#table = new Int32Array(1 << 14);
  }

  get(index: number): Int32Array {
    return this.#cells.slice(index * this.#width, (index + 1) * this.#width);
  }

  /** False: it was there. */
  add(state: readonly number[], parent: number, { machine, code }: Move): boolean {
    const slot = this.#slot(state);
    if (this.#table[slot] !== 0) return false;
    if (this.size === this.#parents.length) this.#grow();
    this.#cells.set(state, this.size * this.#width);
    this.#parents[this.size] = parent;
    this.#moves.set([machine, code], this.size * 2);
    this.size++;
    this.#table[slot] = this.size;
    if (this.size * 2 > this.#table.length) this.#rehash();
    return true;
  }

  #slot(state: ArrayLike<number>): number {
    let hash = 0x9e3779b9;
    for (let i = 0; i < this.#width; i++) {
      hash = Math.imul(hash ^ state[i]!, 0x85ebca6b);
      hash ^= hash >>> 13;
    }
    const mask = this.#table.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#table[slot]!;
      if (entry === 0 || this.#equals(entry - 1, state)) return slot;
    }
  }

  #equals(index: number, state: ArrayLike<number>): boolean {
    const base = index * this.#width;
    for (let i = 0; i < this.#width; i++) if (this.#cells[base + i] !== state[i]) return false;
    return true;
  }

  #grow(): void {
    const grown = (from: Int32Array): Int32Array => {
      const to = new Int32Array(from.length * 2);
      to.set(from);
      return to;
    };
    this.#cells = grown(this.#cells);
    this.#parents = grown(this.#parents);
    this.#moves = grown(this.#moves);
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    for (let index = 0; index < this.size; index++) this.#table[this.#slot(this.get(index))] = index + 1;
  }

  depth(index: number): number {
    return this.path(index).length;
  }

  /** From the beginning: each state with the move that leads out of it. */
  path(index: number): [state: Int32Array, move: Move][] {
    const out: [Int32Array, Move][] = [];
    for (let at = index; at > 0; at = this.#parents[at]!) {
      const move = { machine: this.#moves[at * 2]!, code: this.#moves[at * 2 + 1]! };
      out.unshift([this.get(this.#parents[at]!), move]);
    }
    return out;
  }
}
