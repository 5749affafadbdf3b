/**
 * The fault injector: for each class of fault that the run has, faults come at random times and go again. All of them
 * together never make a replica lie: what they do to safety is asynchrony and crashes, under which XPaxos promises one
 * total order whatever happens (consensus.md section 1). A validator that lost its disk counts as crashed until an epoch
 * takes it in anew; how many there may be is drawn so that no set that can come about needs them.
 */

import type { SimClock } from './clock.ts';
import type { SimDisk } from './disk.ts';
import { type Ambush, drawAmbush, type Moment } from './hand-over-faults.ts';
import type { Machine } from './machine.ts';
import type { SimNetwork } from './network.ts';
import type { FaultKind, FaultRate, Options } from './options.ts';
import type { Rng } from './rng.ts';
import type { Timeline } from './timeline.ts';

type Cut = readonly [from: number, to: number];

/** What faults do to a machine. */
export type Target = Pick<
  Machine,
  'index' | 'status' | 'trap' | 'crash' | 'pause' | 'resume' | 'doom' | 'loseDisk' | 'writeBack'
> & { readonly clock: Pick<SimClock, 'setOffset'>; readonly disk: Pick<SimDisk, 'setSlow'> };

export type FaultContext = {
  readonly options: Options;
  readonly timeline: Pick<Timeline, 'after'>;
  readonly rng: Rng;
  readonly machines: readonly Target[];
  /** Those that faults may hit: with liars about, everybody else must be left alone. */
  readonly targets: readonly Target[];
  readonly network: Pick<SimNetwork, 'cut' | 'heal' | 'clog' | 'reset'>;
  readonly note: (text: string) => void;
  /** Members that left with the newest epoch, and those that came with it. */
  readonly moved: () => { readonly leavers: readonly number[]; readonly newcomers: readonly number[] };
  /** Machines that lost their disk and may not sign again yet. */
  readonly lost: () => number;
};

/** Traces after which an ambush strikes: the moments at which little is settled. */
const AMBUSHED = new Set([
  'suspect',
  'view-entered',
  'view-installed',
  'certified',
  'proposed',
  'started',
  'fetching',
  'epoch-ended',
]);
/** Clocks this far ahead are refused by followers with a right one; more than `t` of them would freeze the chain. */
const CLOCK_BACK_MS = 3_600_000;

function drawPartition(rng: Rng, n: number): { readonly name: string; readonly cuts: Cut[] } {
  const all = Array.from({ length: n }, (_, index) => index);
  const one = rng.int(n);
  const others = all.filter((index) => index !== one);
  const outward = others.map((other): Cut => [one, other]);
  const inward = others.map((other): Cut => [other, one]);
  const order = rng.shuffle(all);
  const split = 1 + rng.int(Math.max(1, n - 1));
  const left = order.slice(0, split);
  const right = order.slice(split);
  const leftToRight = left.flatMap((a) => right.map((b): Cut => [a, b]));
  const rightToLeft = right.flatMap((a) => left.map((b): Cut => [a, b]));
  const kind = rng.pick(['isolate', 'isolate', 'mute', 'deaf', 'halves', 'one-way', 'bridge', 'random']);
  switch (kind) {
    case 'isolate':
      return { name: `r${one} cut off`, cuts: [...outward, ...inward] };
    case 'mute':
      return { name: `r${one} not heard`, cuts: outward };
    case 'deaf':
      return { name: `r${one} hears nothing`, cuts: inward };
    case 'halves':
      return { name: `${left} | ${right}`, cuts: [...leftToRight, ...rightToLeft] };
    case 'one-way':
      return { name: `${left} -x-> ${right}`, cuts: leftToRight };
    case 'bridge': {
      const isBridge = ([a, b]: Cut): boolean => a === one || b === one;
      const cuts = [...leftToRight, ...rightToLeft].filter((cut) => !isBridge(cut));
      return { name: `${left} | ${right}, bridge r${one}`, cuts };
    }
    default: {
      const chance = rng.between(0.1, 0.7);
      const cuts = all.flatMap((a) => all.filter((b) => b !== a && rng.chance(chance)).map((b): Cut => [a, b]));
      return { name: `cuts ${cuts.map(([a, b]) => `${a}>${b}`).join(' ')}`, cuts };
    }
  }
}

function nothing(): void {
  // A fault that is left out.
}

/** A fault that is left out draws what it would have drawn, so that those after it stay the same, and does nothing. */
function muted(context: FaultContext): FaultContext {
  const idle = ({ index, status }: Target): Target => ({
    index,
    status,
    trap: undefined,
    crash: nothing,
    pause: nothing,
    resume: nothing,
    doom: nothing,
    loseDisk: nothing,
    writeBack: nothing,
    clock: { setOffset: nothing },
    disk: { setSlow: nothing },
  });
  return {
    ...context,
    machines: context.machines.map(idle),
    targets: context.targets.map(idle),
    timeline: { after: nothing },
    network: { cut: nothing, heal: nothing, clog: nothing, reset: nothing },
    note: nothing,
  };
}

export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  /** Faults that happened, each by its kind and its number among all of that kind that came up. */
  readonly happened: string[] = [];
  #context: FaultContext;
  readonly #drawn = new Map<FaultKind, number>();
  readonly #rngs = new Map<FaultKind, Rng>();
  readonly #runaways: ReadonlySet<number>;
  #stopped = false;
  #ambush: FaultRate | undefined;
  #handOver: Ambush | undefined;

  constructor(context: FaultContext) {
    this.#context = context;
    // Where the set may shrink to one or two nobody's clock may lead the chain into the future.
    const t = context.options.epochs === undefined ? Math.floor((context.options.validators - 1) / 2) : 0;
    this.#runaways = new Set(context.rng.shuffle(context.machines.map((machine) => machine.index)).slice(0, t));
  }

  start(): void {
    for (const [kind, rate] of Object.entries(this.#context.options.faults) as [FaultKind, FaultRate][]) {
      const rng = this.#context.rng.stream(`fault ${kind}`);
      this.#rngs.set(kind, rng);
      const next = (): void => {
        this.#context.timeline.after(rng.exponential(rate.everyMs), () => {
          if (this.#stopped) return;
          this.#comeUp(kind, rate, rng);
          next();
        });
      };
      next();
    }
  }

  #comeUp(kind: FaultKind, rate: FaultRate, rng: Rng): void {
    const number = (this.#drawn.get(kind) ?? 0) + 1;
    this.#drawn.set(kind, number);
    const name = `${kind}:${number}`;
    const context = this.#context;
    const { only } = context.options;
    if (only === undefined || only.includes(name)) {
      this.happened.push(name);
      if (kind !== 'hand-over' && kind !== 'lose-disk') this.#count(kind);
      this.#inject(kind, rate, rng);
      return;
    }
    const armed = [this.#ambush, this.#handOver] as const;
    this.#context = muted(context);
    this.#inject(kind, rate, rng);
    this.#context = context;
    [this.#ambush, this.#handOver] = armed;
  }

  #count(kind: FaultKind): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }

  /** No new faults; those that are on stay until somebody heals them. */
  stop(): void {
    this.#stopped = true;
    this.#ambush = undefined;
    this.#handOver = undefined;
    for (const machine of this.#context.machines) machine.trap = undefined;
  }

  #inject(kind: FaultKind, rate: FaultRate, rng: Rng): void {
    const { targets } = this.#context;
    const machine = rng.pick(targets);
    const lastsMs = rng.exponential(rate.lastsMs);
    switch (kind) {
      case 'partition':
        this.#partition(rng, lastsMs);
        return;
      case 'clog':
        this.#clog(rng, lastsMs);
        return;
      case 'reset':
        this.#reset(rng);
        return;
      case 'crash':
        this.#crash(machine, lastsMs);
        return;
      case 'crash-at-write':
        machine.trap = { at: 'write', left: rng.int(4), restartMs: lastsMs };
        return;
      case 'crash-at-send':
        machine.trap = { at: 'send', left: rng.int(8), restartMs: lastsMs };
        return;
      case 'storm':
        this.#storm(machine, rng, rate.lastsMs);
        return;
      case 'kill-all':
        this.#context.note('all killed');
        for (const each of targets) each.crash(rng.exponential(rate.lastsMs));
        return;
      case 'pause':
        this.#pause(machine, lastsMs);
        return;
      case 'clock':
        this.#clock(machine, rng, lastsMs);
        return;
      case 'slow-disk':
        machine.disk.setSlow(rng.scale(5, 100));
        this.#later(lastsMs, () => machine.disk.setSlow(1));
        return;
      case 'ambush':
        this.#ambush = rate;
        return;
      case 'hand-over':
        this.#handOver = drawAmbush(rng, rate.lastsMs, this.#context.options.parameters.deltaMs);
        return;
      case 'lose-disk':
        this.#loseDisk(machine, lastsMs, rng.chance(0.5));
        return;
    }
  }

  #isTarget(index: number): boolean {
    return this.#context.targets.some((machine) => machine.index === index);
  }

  #later(delayMs: number, run: () => void): void {
    this.#context.timeline.after(delayMs, () => {
      if (!this.#stopped) run();
    });
  }

  #partition(rng: Rng, lastsMs: number): void {
    const { network, machines, note } = this.#context;
    if (machines.length < 2) return;
    const drawn = drawPartition(rng, machines.length);
    const { name } = drawn;
    const cuts = drawn.cuts.filter(([from, to]) => this.#isTarget(from) || this.#isTarget(to));
    note(`partition for ${Math.round(lastsMs)} ms: ${name}`);
    for (const [from, to] of cuts) network.cut(from, to);
    this.#later(lastsMs, () => {
      note(`healed: ${name}`);
      for (const [from, to] of cuts) network.heal(from, to);
    });
  }

  /** The links of some replicas are held up one after the other, and let go in any order. */
  #clog(rng: Rng, lastsMs: number): void {
    const { network, machines } = this.#context;
    for (const { index } of rng.shuffle(machines).slice(0, 1 + rng.int(machines.length))) {
      for (let peer = 0; peer < machines.length; peer++) {
        if (peer === index || !rng.chance(0.7) || !(this.#isTarget(index) || this.#isTarget(peer))) continue;
        if (rng.chance(0.5)) network.clog(index, peer, rng.between(0, lastsMs));
        else network.clog(peer, index, rng.between(0, lastsMs));
      }
    }
  }

  #reset(rng: Rng): void {
    const { network, machines } = this.#context;
    if (machines.length < 2) return;
    const [a, b] = rng.shuffle(machines);
    if (this.#isTarget(a!.index) || this.#isTarget(b!.index)) network.reset(a!.index, b!.index);
  }

  #crash(machine: Target, restartMs: number): void {
    if (machine.status !== 'down') this.#context.note(`r${machine.index} killed, back in ${Math.round(restartMs)} ms`);
    machine.crash(restartMs);
  }

  #storm(machine: Target, rng: Rng, everyMs: number): void {
    let at = 0;
    for (let times = 3 + rng.int(8); times > 0; times--) {
      at += rng.exponential(everyMs);
      this.#later(at, () => machine.crash(rng.exponential(everyMs / 4)));
    }
  }

  #pause(machine: Target, lastsMs: number): void {
    if (machine.status !== 'running') return;
    this.#context.note(`r${machine.index} paused for ${Math.round(lastsMs)} ms`);
    machine.pause();
    this.#later(lastsMs, () => machine.resume());
  }

  #clock(machine: Target, rng: Rng, lastsMs: number): void {
    const ahead = this.#runaways.has(machine.index) ? CLOCK_BACK_MS : 900;
    const offset = rng.chance(0.5) ? rng.between(0, ahead) : -rng.scale(10, CLOCK_BACK_MS);
    this.#context.note(`r${machine.index} wall clock off by ${Math.round(offset)} ms`);
    machine.clock.setOffset(offset);
    this.#later(lastsMs, () => machine.clock.setOffset(0));
  }

  /** What the others hold of the chain has reached their disks by now: one loss follows another after a while only. */
  #loseDisk(machine: Target, restartMs: number, keepsStore: boolean): void {
    const { options, machines, lost, note } = this.#context;
    if (lost() >= (options.liars === undefined ? options.epochs!.lossesMax : machines.length)) return;
    this.#count('lose-disk');
    note(`r${machine.index} loses its log${keepsStore ? '' : ' and its store'}, back in ${Math.round(restartMs)} ms`);
    for (const other of machines) other.writeBack();
    machine.loseDisk(restartMs, keepsStore);
  }

  /** Whether an ambush waits for this. */
  awaits(moment: Moment): boolean {
    return this.#handOver?.moment === moment;
  }

  /** A machine gets to a point of a hand-over, in a step of its process. */
  onMoment(moment: Moment, machine: Target): void {
    const ambush = this.#handOver;
    if (ambush?.moment !== moment || --ambush.left >= 0) return;
    this.#handOver = undefined;
    const { note, timeline } = this.#context;
    const { strike, delayMs, lastsMs } = ambush;
    this.#count('hand-over');
    note(`at "${moment}" of r${machine.index}: ${strike} in ${Math.round(delayMs)} ms for ${Math.round(lastsMs)} ms`);
    const kills = strike === 'kill' || strike === 'kill all';
    const cuts = strike === 'cut power' || strike === 'cut power of all';
    if ((kills || cuts) && delayMs === 0 && this.#isTarget(machine.index)) machine.doom(lastsMs, cuts);
    timeline.after(delayMs, () => {
      if (!this.#stopped) this.#strike(ambush, machine);
    });
  }

  #strike({ strike, lastsMs }: Ambush, machine: Target): void {
    const { targets, moved } = this.#context;
    const rng = this.#rngs.get('hand-over')!;
    const own = targets.filter(({ index }) => index === machine.index);
    switch (strike) {
      case 'kill':
      case 'cut power':
        for (const each of own) each.crash(lastsMs, strike === 'cut power');
        return;
      case 'kill all':
      case 'cut power of all':
        for (const each of targets) each.crash(rng.exponential(lastsMs), strike === 'cut power of all');
        return;
      case 'pause':
        for (const each of own) this.#pause(each, lastsMs);
        return;
      case 'cut off':
        this.#cutOff([machine.index], lastsMs);
        return;
      case 'cut leavers':
        this.#cutOff(moved().leavers, lastsMs);
        return;
      case 'cut newcomers':
        this.#cutOff(moved().newcomers, lastsMs);
        return;
    }
  }

  /** Some machines hear none of the others, nor are they heard. */
  #cutOff(members: readonly number[], lastsMs: number): void {
    const { network, machines, note } = this.#context;
    const others = machines.map(({ index }) => index).filter((index) => !members.includes(index));
    const cuts = members.flatMap((member) =>
      others.flatMap((other): Cut[] => [
        [member, other],
        [other, member],
      ]),
    );
    const allowed = cuts.filter(([from, to]) => this.#isTarget(from) || this.#isTarget(to));
    if (allowed.length === 0) return;
    note(`${members} cut off for ${Math.round(lastsMs)} ms`);
    for (const [from, to] of allowed) network.cut(from, to);
    this.#later(lastsMs, () => {
      for (const [from, to] of allowed) network.heal(from, to);
    });
  }

  /** Called with every trace: an ambush that waits strikes somebody shortly after a telling one. */
  onTrace(name: string): void {
    const rate = this.#ambush;
    const rng = this.#rngs.get('ambush');
    if (rate === undefined || rng === undefined || !AMBUSHED.has(name) || rng.chance(0.5)) return;
    this.#ambush = undefined;
    const lastsMs = rng.exponential(rate.lastsMs);
    const victim = rng.pick(this.#context.targets);
    const strike = rng.pick(['crash', 'pause', 'partition']);
    this.#later(rng.between(0, 2 * this.#context.options.parameters.deltaMs), () => {
      if (strike === 'crash') this.#crash(victim, lastsMs);
      else if (strike === 'pause') this.#pause(victim, lastsMs);
      else this.#partition(rng, lastsMs);
    });
  }
}
