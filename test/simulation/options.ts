/**
 * Everything that is drawn for a run before it starts, from the seed alone (swarm testing, Groce et al., ISSTA 2012):
 * each knob over a wide range, and each class of fault left out altogether in many runs, because faults that are always
 * on hide each other's bugs.
 */
import { faultThreshold, type Parameters } from '../../consensus/config.ts';
import type { HostSettings } from '../../node/host-options.ts';
import { type AnarchyOptions, drawAnarchy } from './anarchy-options.ts';
import { drawEpochs, type EpochOptions } from './epoch-options.ts';
import { Rng } from './rng.ts';
import { AIMED_HABITS, type AimedHabit, drawScheme, type SchemeOptions } from './scheme-options.ts';

const FAULTS_OF_ANY_RUN = [
  'partition',
  'clog',
  'reset',
  'crash',
  'crash-at-write',
  'crash-at-send',
  'storm',
  'kill-all',
  'pause',
  'clock',
  'slow-disk',
  'ambush',
] as const;
/** Faults of runs with epochs: one that strikes at a point of a hand-over, and a disk that is gone for good. */
const FAULTS_OF_EPOCHS = ['hand-over', 'lose-disk'] as const;
export const FAULT_KINDS = [...FAULTS_OF_ANY_RUN, ...FAULTS_OF_EPOCHS] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** How often a fault of one kind comes, and how long it stays. */
export type FaultRate = { readonly everyMs: number; readonly lastsMs: number };

export type NetworkOptions = {
  /** As TCP: in order, nothing lost while the link stands. As datagrams: lost, doubled and overtaken. */
  readonly mode: 'stream' | 'datagram';
  readonly delayMinMs: number;
  readonly delayMeanMs: number;
  readonly tailChance: number;
  readonly tailFactor: number;
  readonly lossChance: number;
  readonly duplicateChance: number;
  /** How long a link takes to come up. */
  readonly connectMeanMs: number;
};

export type DiskOptions = {
  readonly syncMinMs: number;
  readonly syncMeanMs: number;
  readonly slowChance: number;
  readonly slowMeanMs: number;
  /** A crash keeps everything handed to the system (the process died) or may lose what was not synced (power). */
  readonly powerCutChance: number;
  readonly tornChance: number;
};

export type LoadOptions = {
  readonly accounts: number;
  readonly perSecond: number;
  /** Transactions an account has under way at most. */
  readonly window: number;
  readonly retryMs: number;
  /** Phases of silence between phases of load; 0 is never silent. */
  readonly silenceMs: number;
  readonly oddChance: number;
};

/**
 * What liars do each for itself: `twins` run twice under one key; `withholds` from some what others get; `hides` certificates in view
 * changes; `swaps` the hash in votes; `accuses` without a reason; `repeats` old messages; `forgets` the end of its log in
 * a crash; `boasts` in heartbeats; `forges` certificates; `restores` an old backup of its log after a crash.
 */
const PLAIN_HABITS = [
  'twins',
  'withholds',
  'hides',
  'swaps',
  'accuses',
  'repeats',
  'forgets',
  'boasts',
  'forges',
  'restores',
] as const;
export const HABITS = [...PLAIN_HABITS, ...AIMED_HABITS] as const;
export type Habit = (typeof HABITS)[number];

export type LiarOptions = {
  readonly members: readonly number[];
  /** Honest replicas that are crashed and cut off beside the liars; everybody else is healthy all the time. */
  readonly victims: readonly number[];
  readonly habits: readonly Habit[];
  /** They have a plan in common; undefined: each lies by itself, all the time. */
  readonly scheme: SchemeOptions | undefined;
};

export type Options = {
  readonly seed: number;
  /** Of epoch 0. */
  readonly validators: number;
  readonly parameters: Parameters;
  readonly network: NetworkOptions;
  readonly disk: DiskOptions;
  readonly clock: { readonly driftPpm: number; readonly offsetMs: number };
  readonly faults: Readonly<Partial<Record<FaultKind, FaultRate>>>;
  readonly load: LoadOptions;
  readonly host: HostSettings;
  /** Replicas that lie. But for runs in anarchy they are never more than t together with the victims. */
  readonly liars: LiarOptions | undefined;
  /** More is wrong than is tolerated. */
  readonly anarchy: AnarchyOptions | undefined;
  /** Undefined: the validators never change. */
  readonly epochs: EpochOptions | undefined;
  readonly tickMs: number;
  readonly safetyMs: number;
  readonly realCrypto: boolean;
  /** The only faults that happen, when some are to be left out. */
  readonly only?: readonly string[] | undefined;
};

/** What a run may be made to do without. */
export const WITHOUT = [...FAULT_KINDS, 'epochs', 'schemes'] as const;
export type Without = (typeof WITHOUT)[number];

/** What a replay may change: fewer faults, another size, a shorter run. */
export type Overrides = {
  readonly validators?: number | undefined;
  readonly without?: readonly Without[] | undefined;
  readonly safetyMs?: number | undefined;
  readonly realCrypto?: boolean | undefined;
  /** Nobody lies. */
  readonly honest?: boolean | undefined;
  /** There are liars, with these habits. */
  readonly habits?: readonly Habit[] | undefined;
  /** Validators come and go, whatever was drawn. */
  readonly epochs?: boolean | undefined;
  /** There are liars, with the habits that were drawn. */
  readonly lying?: boolean | undefined;
  /** Everything but disks and links takes this many times as long: Δ, delays, faults, load, the run itself. */
  readonly pace?: number | undefined;
  /** Of the faults that come up only these happen, each named by its kind and its number among them (`crash:3`). */
  readonly only?: readonly string[] | undefined;
  /** More is wrong than is tolerated. */
  readonly anarchy?: boolean | undefined;
};

/** Slow motion ends here: a vote may make the time-outs half as long again, and none may pass the product's limits. */
const DELTA_MAX_MS = 40_000;

function drawParameters(rng: Rng, wanted: number): { readonly parameters: Parameters; readonly pace: number } {
  const unhurried = Math.round(rng.scale(50, 1250));
  const pace = Math.max(1, Math.min(wanted, Math.floor(DELTA_MAX_MS / unhurried)));
  const deltaMs = pace * unhurried;
  const parameters = {
    deltaMs,
    suspicionTimeoutMs: Math.round(deltaMs * rng.scale(2, 8)),
    suspicionTimeoutMaxMs: Math.round(deltaMs * rng.scale(16, 40)),
    pipelineWindow: rng.pick([1, 2, 4, 8, 16]),
    emptyBlockPeriodMs: rng.chance(0.7) ? 0 : pace * Math.round(rng.scale(500, 5000)),
  };
  return { parameters, pace };
}

function drawNetwork(rng: Rng, deltaMs: number): NetworkOptions {
  const mode = rng.chance(0.5) ? 'stream' : 'datagram';
  const delayMeanMs = rng.scale(0.2, deltaMs / 3);
  const lossy = mode === 'datagram' && rng.chance(0.6);
  return {
    mode,
    delayMinMs: delayMeanMs * rng.between(0, 1),
    delayMeanMs,
    tailChance: rng.chance(0.5) ? 0 : rng.scale(0.001, 0.1),
    tailFactor: rng.scale(3, 50),
    lossChance: lossy ? rng.scale(0.001, 0.3) : 0,
    duplicateChance: mode === 'datagram' && rng.chance(0.5) ? rng.scale(0.001, 0.5) : 0,
    connectMeanMs: rng.scale(5, 1000),
  };
}

function drawDisk(rng: Rng): DiskOptions {
  return {
    syncMinMs: rng.between(0, 2),
    syncMeanMs: rng.scale(0.1, 20),
    slowChance: rng.chance(0.7) ? 0 : rng.scale(0.001, 0.05),
    slowMeanMs: rng.scale(50, 2000),
    powerCutChance: rng.pick([0, 0.5, 1]),
    tornChance: rng.pick([0, 0.3, 0.8]),
  };
}

/** Mean time between faults of a kind when it is on, in seconds, and how long each lasts. */
const RATES: Readonly<Record<FaultKind, readonly [minS: number, maxS: number, minMs: number, maxMs: number]>> = {
  partition: [3, 30, 100, 20_000],
  clog: [2, 20, 50, 5_000],
  reset: [1, 20, 1, 2],
  crash: [5, 40, 50, 15_000],
  'crash-at-write': [5, 40, 50, 8_000],
  'crash-at-send': [5, 40, 50, 8_000],
  storm: [20, 60, 20, 500],
  'kill-all': [20, 60, 50, 4_000],
  pause: [5, 30, 50, 15_000],
  clock: [5, 30, 500, 10_000],
  'slow-disk': [10, 40, 500, 10_000],
  ambush: [2, 15, 100, 8_000],
  'hand-over': [1, 8, 50, 10_000],
  'lose-disk': [5, 40, 50, 10_000],
};

function drawRate(rng: Rng, kind: FaultKind, pace: number): FaultRate {
  const [minS, maxS, minMs, maxMs] = RATES[kind];
  return { everyMs: pace * 1000 * rng.scale(minS, maxS), lastsMs: pace * rng.scale(minMs, maxMs) };
}

function drawFaults(rng: Rng, pace: number): Partial<Record<FaultKind, FaultRate>> {
  const out: Partial<Record<FaultKind, FaultRate>> = {};
  const calm = rng.chance(0.1);
  const keep = rng.between(0.2, 0.8);
  for (const kind of FAULTS_OF_ANY_RUN) {
    const rate = drawRate(rng, kind, pace);
    if (rng.chance(keep) && !calm) out[kind] = rate;
  }
  return out;
}

/** Disks are lost only where the others can do without, and beside liars only those of their victims. */
function drawEpochFaults(
  rng: Rng,
  { lossesMax }: EpochOptions,
  { liars, pace }: { readonly liars: LiarOptions | undefined; readonly pace: number },
): Partial<Record<FaultKind, FaultRate>> {
  const out: Partial<Record<FaultKind, FaultRate>> = {};
  for (const kind of FAULTS_OF_EPOCHS) {
    const rate = drawRate(rng, kind, pace);
    if (rng.chance(0.6)) out[kind] = rate;
  }
  if (lossesMax === 0 || liars?.victims.length === 0) delete out['lose-disk'];
  return out;
}

function drawLoad(rng: Rng, pace: number): LoadOptions {
  return {
    accounts: 1 + rng.int(6),
    perSecond: rng.scale(0.2, 6) / pace,
    window: rng.pick([1, 2, 4]),
    retryMs: pace * rng.scale(500, 5000),
    silenceMs: rng.chance(0.6) ? 0 : pace * rng.scale(2000, 20_000),
    oddChance: rng.chance(0.5) ? 0 : 0.1,
  };
}

function drawHost(rng: Rng, deltaMs: number): HostSettings {
  return {
    batchBytesMax: rng.pick([1500, 4000, 1_000_000]),
    batchTransactionsMax: rng.pick([1, 2, 5, 1000]),
    maxDriftMs: 2000,
    requestTimeoutMs: Math.round(deltaMs * rng.scale(8, 40)),
    logBytesMax: Math.round(rng.scale(2000, 200_000)),
  };
}

function drawLiars(rng: Rng, validators: number, { lying, habits: forced }: Overrides): LiarOptions | undefined {
  const t = faultThreshold(validators);
  const wanted = rng.chance(0.3) || forced !== undefined || lying === true;
  const order = rng.shuffle(Array.from({ length: validators }, (_, index) => index));
  const count = 1 + rng.int(Math.max(1, t));
  const victims = rng.int(t - Math.min(count, t) + 1);
  const habits = forced ?? PLAIN_HABITS.filter((habit) => habit !== 'restores' && rng.chance(0.4));
  if (!wanted || t === 0) return undefined;
  return {
    members: order.slice(0, count),
    victims: order.slice(count, count + victims),
    habits,
    scheme: undefined,
  };
}

/** Some have a plan, and lies that they tell together. */
function withScheme(
  rng: Rng,
  liars: LiarOptions | undefined,
  run: { readonly deltaMs: number; readonly machines: number; readonly forced: readonly Habit[] | undefined },
): LiarOptions | undefined {
  const isAimed = (habit: Habit): habit is AimedHabit => (AIMED_HABITS as readonly Habit[]).includes(habit);
  const drawn = drawScheme(rng, { ...run, forced: run.forced?.filter(isAimed) });
  if (liars === undefined || drawn === undefined) return liars;
  const habits = new Set([...liars.habits, ...drawn.habits]);
  return { ...liars, habits: [...habits], scheme: drawn.scheme };
}

/** Some come back with an old log, in runs in which an epoch may take them in anew. */
function withBackups(rng: Rng, liars: LiarOptions | undefined): LiarOptions | undefined {
  return liars && rng.chance(0.3) ? { ...liars, habits: [...liars.habits, 'restores'] } : liars;
}

/** Liars beyond what is tolerated, or with faults that hit everybody beside them. */
function inAnarchy({ liars, split }: AnarchyOptions, validators: number, drawn: LiarOptions | undefined): LiarOptions {
  const honest = Array.from({ length: validators }, (_, index) => index).filter((index) => !liars.includes(index));
  // Whoever keeps both halves of a split going says nothing that could stop them.
  const habits: readonly Habit[] = split === undefined ? (drawn?.habits ?? ['withholds', 'hides']) : ['twins'];
  const scheme = drawn?.scheme ?? { moments: ['any'], strikeMs: 10_000, restMs: 0, marksMax: 1 };
  return { members: liars, victims: honest, habits, scheme };
}

/** Draws a run's options from its seed. */
export function drawOptions(seed: number, overrides: Overrides = {}): Options {
  const rng = new Rng(seed, 'options');
  const validators = rng.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 7]);
  const { parameters, pace } = drawParameters(rng, overrides.pace ?? 1);
  const network = drawNetwork(rng, parameters.deltaMs);
  const disk = drawDisk(rng);
  const clock = { driftPpm: rng.pick([0, 50, 500]), offsetMs: rng.pick([0, 100, 900]) };
  const faults = drawFaults(rng, pace);
  const load = drawLoad(rng, pace);
  const host = drawHost(rng, parameters.deltaMs);
  // A tick later than Δ/2 counts as a pause of the process (consensus.md section 5, step 2).
  const tickMs = Math.min(pace * rng.pick([10, 20, 20, 40]), Math.floor(parameters.deltaMs / 5));
  const safetyMs = pace * Math.round(rng.scale(8_000, 60_000));
  const realCrypto = rng.chance(0.01);
  const size = overrides.validators ?? validators;
  const drawnLiars = drawLiars(rng, size, overrides);
  const ofEpochs = rng.stream('epochs');
  const timeoutMaxMs = parameters.suspicionTimeoutMaxMs;
  const anarchy = overrides.anarchy
    ? drawAnarchy(rng.stream('anarchy'), { validators: size, timeoutMaxMs, pace })
    : undefined;
  const isStill = overrides.without?.includes('epochs') || anarchy?.split !== undefined;
  const forced = isStill ? false : overrides.epochs;
  const epochs = drawEpochs(ofEpochs, { founders: size, timing: parameters, pace, forced });
  const isFree = epochs !== undefined && overrides.habits === undefined;
  const planless = overrides.honest ? undefined : isFree ? withBackups(ofEpochs, drawnLiars) : drawnLiars;
  const machines = size + (epochs?.candidates ?? 0);
  const plan = { deltaMs: parameters.deltaMs, machines, forced: overrides.habits };
  const within = overrides.without?.includes('schemes') ? planless : withScheme(rng.stream('schemes'), planless, plan);
  const liars = anarchy === undefined ? within : inAnarchy(anarchy, size, within);
  if (epochs !== undefined) Object.assign(faults, drawEpochFaults(ofEpochs, epochs, { liars, pace }));
  for (const kind of FAULT_KINDS) if (overrides.without?.includes(kind)) delete faults[kind];
  return {
    seed,
    validators: size,
    parameters,
    network,
    disk,
    clock,
    faults,
    load,
    // A proposal must fit into a block.
    host: epochs === undefined ? host : { ...host, batchBytesMax: Math.max(host.batchBytesMax, 16_000) },
    liars,
    anarchy,
    epochs,
    tickMs,
    safetyMs: overrides.safetyMs ?? Math.max(safetyMs, (anarchy?.split?.untilMs ?? 0) + 2000),
    realCrypto: overrides.realCrypto ?? realCrypto,
    only: overrides.only,
  };
}

/** Machines in a run: the founders, then those that may join. */
export function machineCount({ validators, epochs }: Options): number {
  return validators + (epochs?.candidates ?? 0);
}
