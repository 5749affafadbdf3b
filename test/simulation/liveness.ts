/**
 * The end of every run: faults that come and go always heal, so they can never show that the protocol hangs under one
 * that stays. A core with at least n-t of the newest epoch's validators is healed, what ails the others becomes permanent,
 * and the core must make progress and agree within a bound that follows from the parameters (reliability.md sections 1.1,
 * 1.6; P28, P29). Where validators come and go an epoch may still close meanwhile; should the new one need somebody who
 * was given up, that one is healed, too. In the end who lost its disk must sign again, and with everybody healthy the
 * operators must be able to change the set once more (P41).
 */
import type { EpochConfig } from '../../consensus/config.ts';
import { progressBoundMs } from './liveness-bound.ts';
import type { Machine } from './machine.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

const OUTSIDERS = ['dead', 'isolated', 'mute', 'deaf', 'half', 'paused', 'unhealed', 'wrong clock'] as const;
/** What a node waits before it says again that it is ready, and some for the way there. */
const READY_AGAIN_MS = 30_000;

/** What the protocol may take, and some for what has a time of its own. */
function livenessBoundMs({ options, book }: World, core: ReadonlySet<number>): number {
  const { machines, config } = book.newest;
  const faulty = machines.filter((machine) => !core.has(machine)).length;
  const rejoining = options.epochs === undefined ? 0 : 3 * READY_AGAIN_MS;
  return progressBoundMs(config.parameters, machines.length, faulty) + 30_000 + rejoining;
}

function condemn(world: World, index: number, core: ReadonlySet<number>): void {
  const { rng, network, machines } = world;
  const machine = machines[index]!;
  const fate = rng.pick(OUTSIDERS);
  world.note(`r${index} is left ${fate} for good`);
  const toAll = (cut: (peer: number) => void): void => {
    for (let peer = 0; peer < machines.length; peer++) if (peer !== index) cut(peer);
  };
  switch (fate) {
    case 'dead':
      machine.crash(undefined);
      machine.condemned = true;
      return;
    case 'isolated':
      toAll((peer) => {
        network.cut(index, peer);
        network.cut(peer, index);
      });
      return;
    case 'mute':
      toAll((peer) => network.cut(index, peer));
      return;
    case 'deaf':
      toAll((peer) => network.cut(peer, index));
      return;
    case 'half':
      toAll((peer) => {
        if (core.has(peer) && rng.chance(0.5)) return;
        network.cut(index, peer);
        network.cut(peer, index);
      });
      return;
    case 'paused':
      machine.pause();
      return;
    case 'unhealed':
      return;
    case 'wrong clock':
      machine.clock.setOffset(-3_600_000);
      return;
  }
}

function heal(world: World, core: ReadonlySet<number>): void {
  for (const index of core) {
    const machine = world.machines[index]!;
    machine.condemned = false;
    machine.disk.calm();
    machine.clock.setOffset(0);
    machine.resume();
    if (machine.status === 'down') world.timeline.after(world.rng.between(0, 1000), () => machine.start());
  }
  // Beside liars a link that is cut off needlessly is a fault too many.
  const kept = (a: number, b: number): boolean => world.liars.size > 0 && world.isSpared(a) && world.isSpared(b);
  world.network.calm(core, world.options.parameters.deltaMs * 0.3, kept);
}

/** Where blocks are cut for their own sake one that is told once a second is a few of them behind. */
function lagMax({ options: { parameters } }: World): number {
  const { emptyBlockPeriodMs } = parameters;
  return emptyBlockPeriodMs === 0 ? 0 : 2 + Math.ceil(3000 / emptyBlockPeriodMs);
}

/** Is where the chain is; as a validator of the newest epoch it also takes part in it. */
function isUp(world: World, { process, index }: Machine): boolean {
  if (process === undefined) return false;
  const { book, chain, operators } = world;
  const isMember = book.newest.machines.includes(index);
  const lag = chain.height - process.head().height;
  if (lag > (isMember ? 0 : lagMax(world))) return false;
  if (operators === undefined) return true;
  const { config, phase } = process.standing();
  return config.epoch === book.newest.config.epoch && (!isMember || phase === 'running');
}

function isConverged(world: World, core: ReadonlySet<number>): boolean {
  if (world.clients.open > 0 || (world.operators?.open ?? 0) > 0) return false;
  return [...core].every((index) => isUp(world, world.machines[index]!));
}

/** Somebody among them is in the newest epoch: the hand-over is not done as long as only those who left have its root. */
function isComplete({ machines, book }: World, core: ReadonlySet<number>): boolean {
  const { height } = book.newest.config.root;
  return [...core].some((index) => (machines[index]!.process?.head().height ?? -1) >= height);
}

/** Machines that are healthy from now on. Liars are never among them, and who must not be hit beside them always. */
function drawCore(world: World): Set<number> {
  const { rng, book, machines, liars, operators } = world;
  const given = rng.int(book.t + 1);
  const honest = machines.map(({ index }) => index).filter((index) => !liars.has(index));
  const order = rng.shuffle(honest).sort((a, b) => Number(world.isSpared(b)) - Number(world.isSpared(a)));
  const core = new Set(order);
  const isMember = (index: number): boolean => book.newest.machines.includes(index);
  const unfit = new Set([...liars, ...world.lost()].filter(isMember));
  let left = given - unfit.size;
  for (const index of order.toReversed()) {
    if (world.isSpared(index)) continue;
    const isGiven = isMember(index) ? !unfit.has(index) && left-- > 0 : rng.chance(0.2);
    if (isGiven) core.delete(index);
  }
  return operators === undefined || isComplete(world, core) ? core : new Set(order);
}

/** The healthy part of the world, and how it may grow. */
class Core {
  readonly #world: World;
  #members: ReadonlySet<number>;
  #epoch: number;

  constructor(world: World) {
    this.#world = world;
    this.#members = drawCore(world);
    this.#epoch = world.book.newest.config.epoch;
    world.note(`from here on the core ${[...this.#members].sort((a, b) => a - b)} is healthy`);
    heal(world, this.#members);
    for (const { index } of world.machines)
      if (!this.#members.has(index) && !world.liars.has(index)) condemn(world, index, this.#members);
    this.#drain();
  }

  get members(): ReadonlySet<number> {
    return this.#members;
  }

  get isEverybody(): boolean {
    return this.#members.size === this.#world.machines.length;
  }

  #drain(): void {
    this.#world.clients.drain([...this.#members]);
    this.#world.operators?.drain([...this.#members]);
  }

  get isOutdated(): boolean {
    return this.#epoch !== this.#world.book.newest.config.epoch;
  }

  /** Another epoch has begun: if it cannot do without somebody who was given up, everybody is healed. */
  renew(): void {
    const world = this.#world;
    const { book, machines, liars } = world;
    this.#epoch = book.newest.config.epoch;
    const unfit = new Set([...machines.map(({ index }) => index).filter((index) => !this.#members.has(index))]);
    for (const index of world.lost()) unfit.add(index);
    const missing = book.newest.machines.filter((machine) => unfit.has(machine)).length;
    if (missing <= book.t) return;
    this.#members = new Set(machines.map(({ index }) => index).filter((index) => !liars.has(index)));
    world.note(`epoch ${this.#epoch} needs everybody: ${[...this.#members]} are healthy`);
    heal(world, this.#members);
    this.#drain();
  }
}

/** After anarchy nothing more is promised than that everybody hears of what was signed: that is all that is seen to. */
async function restore(world: World): Promise<void> {
  const honest = world.machines.map(({ index }) => index).filter((index) => !world.liars.has(index));
  world.note('everybody honest is healthy and in touch again');
  heal(world, new Set(honest));
  const { deltaMs, suspicionTimeoutMaxMs } = world.options.parameters;
  await world.runUntil(world.timeline.now + 4 * suspicionTimeoutMaxMs + 20 * deltaMs);
}

/** Runs the phase. What goes wrong is in `world.failure` afterwards. */
export async function runLiveness(world: World): Promise<void> {
  const { clients } = world;
  world.faults.stop();
  if (!world.oracle.isSafe) {
    await restore(world);
    return;
  }
  const core = new Core(world);
  clients.probe();
  for (let round = 0; round < 2; round++) {
    const before = world.chain.height;
    await settle(world, core, before);
    if (world.failure !== undefined) return;
    clients.probe();
  }
  if (!core.isEverybody) return;
  await rest(world);
  if (world.failure === undefined) await changeOnceMore(world, core);
}

/** With everybody healthy nobody has a reason to leave the view any more. */
async function rest(world: World): Promise<void> {
  const { suspicionTimeoutMaxMs, deltaMs } = world.book.newest.config.parameters;
  const suspects = (): number => world.traces.get('suspect') ?? 0;
  await world.runUntil(world.timeline.now + 20 * deltaMs);
  const before = suspects();
  await world.runUntil(world.timeline.now + 2 * suspicionTimeoutMaxMs + 20 * deltaMs);
  if (world.failure === undefined && suspects() > before) {
    world.fail(new Violation('liveness', 'a view was left although everybody is healthy and nothing is late'));
  }
}

/** The operators agree, so the epoch must close and the next one get to work. */
async function changeOnceMore(world: World, core: Core): Promise<void> {
  const { operators, book, timeline } = world;
  if (operators === undefined) return;
  const { epoch } = book.newest.config;
  operators.agree();
  const bound = livenessBoundMs(world, core.members);
  const isClosed = await world.runUntil(timeline.now + bound, () => book.newest.config.epoch > epoch);
  if (world.failure !== undefined) return;
  if (!isClosed) {
    world.fail(new Violation('liveness', `no epoch ended within ${Math.round(bound)} ms though all operators agree`));
    return;
  }
  operators.drain([...core.members]);
  world.clients.probe();
  await settle(world, core, world.chain.height);
}

async function settle(world: World, core: Core, before: number): Promise<void> {
  let met = false;
  let bound = 0;
  do {
    if (core.isOutdated) core.renew();
    bound = livenessBoundMs(world, core.members);
    // With blocks cut for their own sake heads keep moving: it is enough that all stand together at some moment.
    await world.runUntil(world.timeline.now + bound, () => {
      met = isConverged(world, core.members);
      return met || core.isOutdated;
    });
  } while (world.failure === undefined && !met && core.isOutdated);
  if (world.failure !== undefined) return;
  if (!met) {
    world.fail(unsettled(world, core.members, { before, bound }));
    return;
  }
  for (const index of core.members) {
    const process = world.machines[index]!.process!;
    if (process.head().height === world.chain.height) world.chain.checkState(index, process);
    checkTiming(world, index, process.standing().config);
  }
}

function unsettled(
  world: World,
  core: ReadonlySet<number>,
  { before, bound }: { readonly before: number; readonly bound: number },
): Violation {
  const { clients, operators, chain, machines, book } = world;
  const heads = [...core].map((index) => {
    const { process } = machines[index]!;
    if (process === undefined) return `r${index} down`;
    const { config, self, phase } = process.standing();
    const where = operators === undefined ? '' : ` (epoch ${config.epoch}, ${self < 0 ? 'no validator' : phase})`;
    return `r${index} ${process.head().height}${where}`;
  });
  const open = clients.open + (operators?.open ?? 0);
  const epoch = operators === undefined ? '' : ` in epoch ${book.newest.config.epoch} of ${book.newest.machines}`;
  const text = `after ${Math.round(bound)} ms: ${heads.join(', ')}; final anywhere ${chain.height}${epoch}`;
  return open > 0 || chain.height === before
    ? new Violation('liveness', `${open} transactions are not final ${text}`)
    : new Violation('convergence', text);
}

/** Validators that go by different times would judge each other by them. */
function checkTiming(world: World, index: number, { epoch, parameters }: EpochConfig): void {
  const expected = JSON.stringify(world.book.at(epoch)?.config.parameters);
  const found = JSON.stringify(parameters);
  if (found === expected) return;
  world.fail(new Violation('agreement', `r${index} runs epoch ${epoch} by ${found}, not ${expected}`));
}
