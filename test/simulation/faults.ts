/**
 * The fault injector: for each class of fault that the run has, faults come at random times and go again. All of them
 * together never make a replica lie: what they do to safety is asynchrony and crashes, under which XPaxos promises one
 * total order whatever happens (consensus.md section 1).
 */

import type { Machine } from './machine.ts';
import type { SimNetwork } from './network.ts';
import type { FaultKind, FaultRate, Options } from './options.ts';
import type { Rng } from './rng.ts';
import type { Timeline } from './timeline.ts';

type Cut = readonly [from: number, to: number];

export type FaultContext = {
  readonly options: Options;
  readonly timeline: Timeline;
  readonly rng: Rng;
  readonly machines: readonly Machine[];
  /** Those that faults may hit: with liars about, everybody else must be left alone. */
  readonly targets: readonly Machine[];
  readonly network: SimNetwork;
  readonly note: (text: string) => void;
};

/** Traces after which an ambush strikes: the moments at which little is settled. */
const AMBUSHED = new Set(['suspect', 'view-entered', 'view-installed', 'certified', 'proposed', 'started', 'fetching']);
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

export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  readonly #context: FaultContext;
  readonly #rngs = new Map<FaultKind, Rng>();
  readonly #runaways: ReadonlySet<number>;
  #stopped = false;
  #ambush: FaultRate | undefined;

  constructor(context: FaultContext) {
    this.#context = context;
    const t = Math.floor((context.options.validators - 1) / 2);
    this.#runaways = new Set(context.rng.shuffle(context.machines.map((machine) => machine.index)).slice(0, t));
  }

  start(): void {
    for (const [kind, rate] of Object.entries(this.#context.options.faults) as [FaultKind, FaultRate][]) {
      const rng = this.#context.rng.stream(`fault ${kind}`);
      this.#rngs.set(kind, rng);
      const next = (): void => {
        this.#context.timeline.after(rng.exponential(rate.everyMs), () => {
          if (this.#stopped) return;
          this.counts[kind] = (this.counts[kind] ?? 0) + 1;
          this.#inject(kind, rate, rng);
          next();
        });
      };
      next();
    }
  }

  /** No new faults; those that are on stay until somebody heals them. */
  stop(): void {
    this.#stopped = true;
    this.#ambush = undefined;
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

  #crash(machine: Machine, restartMs: number): void {
    if (machine.status !== 'down') this.#context.note(`r${machine.index} killed, back in ${Math.round(restartMs)} ms`);
    machine.crash(restartMs);
  }

  #storm(machine: Machine, rng: Rng, everyMs: number): void {
    let at = 0;
    for (let times = 3 + rng.int(8); times > 0; times--) {
      at += rng.exponential(everyMs);
      this.#later(at, () => machine.crash(rng.exponential(everyMs / 4)));
    }
  }

  #pause(machine: Machine, lastsMs: number): void {
    if (machine.status !== 'running') return;
    this.#context.note(`r${machine.index} paused for ${Math.round(lastsMs)} ms`);
    machine.pause();
    this.#later(lastsMs, () => machine.resume());
  }

  #clock(machine: Machine, rng: Rng, lastsMs: number): void {
    const ahead = this.#runaways.has(machine.index) ? CLOCK_BACK_MS : 900;
    const offset = rng.chance(0.5) ? rng.between(0, ahead) : -rng.scale(10, CLOCK_BACK_MS);
    this.#context.note(`r${machine.index} wall clock off by ${Math.round(offset)} ms`);
    machine.clock.setOffset(offset);
    this.#later(lastsMs, () => machine.clock.setOffset(0));
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
