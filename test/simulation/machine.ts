/**
 * One simulated machine: what outlives its process (disks, clocks, keys) and the process itself, which it starts,
 * pauses, kills and starts again. Every callback into the process goes through `run`, so that a dead process hears
 * nothing, a paused one hears it later all at once, and one that is doomed in the middle of a step dies right after it.
 */
import type { Bytes } from '../../primitives/ids.ts';
import type { SimClock } from './clock.ts';
import type { SimDisk, WalState } from './disk.ts';
import type { Options } from './options.ts';
import type { OpenProcess, ProcessEnvironment, SimProcess } from './process.ts';
import type { Rng } from './rng.ts';
import type { SimStoreDisk } from './store.ts';
import type { Timeline } from './timeline.ts';

export type Status = 'down' | 'starting' | 'running' | 'paused';

/** What may kill the process in the middle of a step. */
export type Trap = {
  readonly at: 'write' | 'send';
  left: number;
  readonly restartMs: number;
  /** The power is cut; drawn when not given. */
  readonly cut?: boolean;
};

/** What the machine itself gives its process. */
export type MachinePart =
  | 'wal'
  | 'store'
  | 'records'
  | 'walState'
  | 'incarnation'
  | 'afterLoss'
  | 'defer'
  | 'after'
  | 'isDead';

export type MachineHooks = {
  readonly environment: (machine: Machine) => Omit<ProcessEnvironment, MachinePart>;
  readonly onStarted: (machine: Machine, floor: number) => void;
  readonly onStopped: (machine: Machine) => void;
  readonly onPaused: (machine: Machine) => void;
  readonly onAppend: (machine: Machine, records: readonly Bytes[]) => void;
  /** The process did something, and is done with it. */
  readonly onRan: (machine: Machine) => void;
  readonly onThrown: (machine: Machine, error: unknown) => void;
  /** Something asynchronous is under way: the world lets it settle between events. */
  readonly onOpening: (change: 1 | -1) => void;
};

export type MachineParts = {
  readonly index: number;
  readonly options: Options;
  readonly timeline: Timeline;
  readonly rng: Rng;
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly makeStore: () => SimStoreDisk;
  readonly open: OpenProcess;
  readonly hooks: MachineHooks;
};

function incarnationOf(index: number, losses: number): string {
  return '0x' + (1 + index + 1000 * losses).toString(16).padStart(32, '0');
}

export class Machine {
  readonly index: number;
  readonly clock: SimClock;
  readonly disk: SimDisk;
  #storeDisk: SimStoreDisk;
  readonly #parts: MachineParts;
  status: Status = 'down';
  process: SimProcess | undefined;
  trap: Trap | undefined;
  /** Never to run again: the liveness phase left it dead. */
  condemned = false;
  starts = 0;
  /** Logs that were lost. */
  losses = 0;
  #life = 0;
  #doomed = false;
  #deferred: (() => void)[] = [];
  #walState: WalState | 'empty' = 'empty';
  /** Height that must still be there at the next start. */
  #floor = 0;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.index = parts.index;
    this.clock = parts.clock;
    this.disk = parts.disk;
    this.#storeDisk = parts.makeStore();
  }

  /** Of the log: another one after each loss. */
  get incarnation(): string {
    return incarnationOf(this.index, this.losses);
  }

  static firstIncarnation(index: number): string {
    return incarnationOf(index, 0);
  }

  get isDoomed(): boolean {
    return this.#doomed;
  }

  start(): void {
    if (this.status !== 'down' || this.condemned) return;
    this.status = 'starting';
    this.starts++;
    const life = this.#life;
    const { hooks, open, timeline } = this.#parts;
    const isDead = (): boolean => this.#doomed || life !== this.#life;
    const after = (delayMs: number, run: () => void): void => this.#after(life, delayMs, run);
    const environment: ProcessEnvironment = {
      ...hooks.environment(this),
      wal: this.disk.open({ after, isDead, onAppend: (records) => this.#onAppend(records) }),
      records: this.disk.records,
      walState: this.#walState,
      incarnation: this.incarnation,
      afterLoss: this.losses > 0,
      after,
      isDead,
      defer: (callback) => after(0, callback),
      store: this.#storeDisk.open({ after, isDead, delayMs: () => this.disk.syncDelayMs() }),
    };
    hooks.onOpening(1);
    open(environment)
      .then((process) => {
        if (life === this.#life) timeline.after(0, () => this.#begin(life, process));
      })
      .catch((error: unknown) => hooks.onThrown(this, error))
      .finally(() => hooks.onOpening(-1));
  }

  #begin(life: number, process: SimProcess & { readonly start: () => void }): void {
    if (life !== this.#life || this.status !== 'starting') return;
    this.process = process;
    this.status = 'running';
    this.#parts.hooks.onStarted(this, this.#floor);
    this.run(() => process.start());
    if (this.status === 'running') this.#tick(life);
  }

  #tick(life: number): void {
    const { options, timeline } = this.#parts;
    timeline.after(options.tickMs, () => {
      if (life !== this.#life) return;
      // A process that is paused wakes up to one tick, not to one for each it missed.
      if (this.status === 'running') this.run(() => this.process?.tick());
      this.#tick(life);
    });
  }

  #after(life: number, delayMs: number, run: () => void): void {
    this.#parts.timeline.after(delayMs, () => {
      if (life === this.#life) this.run(run);
    });
  }

  /** Runs something in the process, now if it is able to. */
  run(step: () => void): void {
    if (this.status === 'paused') {
      this.#deferred.push(step);
      return;
    }
    if (this.status === 'down' || this.#doomed) return;
    try {
      step();
    } catch (error) {
      this.#parts.hooks.onThrown(this, error);
    }
    if (!this.#doomed) this.#parts.hooks.onRan(this);
    else {
      const { restartMs, cut } = this.trap!;
      this.trap = undefined;
      this.crash(restartMs, cut);
    }
  }

  #onAppend(records: readonly Bytes[]): void {
    this.spring('write');
    if (!this.#doomed) this.#parts.hooks.onAppend(this, records);
  }

  /** The process reached a point where a trap may be set: it dies after this point, what it does further has no effect. */
  spring(at: Trap['at']): void {
    if (this.trap?.at === at && --this.trap.left < 0) this.#doomed = true;
  }

  /** For a step of the process that runs right now: it is its last, and has no effect from here on. */
  doom(restartMs: number, cut: boolean): void {
    if (this.status !== 'running' || this.#doomed) return;
    this.trap = { at: 'write', left: 0, restartMs, cut };
    this.#doomed = true;
  }

  /** Its log is gone, and perhaps the store with it. */
  loseDisk(restartMs: number, keepsStore: boolean): void {
    this.crash(restartMs);
    this.losses++;
    this.disk.lose();
    this.#walState = 'empty';
    this.#floor = 0;
    if (!keepsStore) this.#storeDisk = this.#parts.makeStore();
  }

  writeBack(): void {
    this.#storeDisk.writeBack();
  }

  /** `cut`: whether the power is cut, and not only the process killed; drawn when not given. */
  crash(restartMs: number | undefined, cut?: boolean): void {
    const { rng, options, timeline, hooks } = this.#parts;
    if (restartMs !== undefined) timeline.after(restartMs, () => this.start());
    if (this.status === 'down') return;
    const power = cut ?? rng.chance(options.disk.powerCutChance);
    const head = this.process?.head().height ?? this.#floor;
    this.#floor = power ? 0 : head;
    this.#walState = this.disk.crash(power);
    this.#storeDisk.crash(rng, power);
    this.#life++;
    this.#doomed = false;
    this.#deferred = [];
    this.process = undefined;
    this.status = 'down';
    hooks.onStopped(this);
  }

  pause(): void {
    if (this.status !== 'running') return;
    this.status = 'paused';
    this.#parts.hooks.onPaused(this);
  }

  resume(): void {
    if (this.status !== 'paused') return;
    this.status = 'running';
    const deferred = this.#deferred;
    this.#deferred = [];
    // In the kernel's order: what waited in sockets and on the disk comes before anything new.
    const life = this.#life;
    for (const step of deferred) this.#after(life, 0, step);
  }
}
