/**
 * The end of every run: faults that come and go always heal, so they can never show that the protocol hangs under one
 * that stays. A core of at least n-t replicas is healed, what ails the others becomes permanent, and the core must make
 * progress and agree within a bound that follows from the parameters (reliability.md sections 1.1, 1.6; P28, P29).
 */

import { Violation } from './violation.ts';
import type { World } from './world.ts';

const OUTSIDERS = ['dead', 'isolated', 'mute', 'deaf', 'half', 'paused', 'unhealed', 'wrong clock'] as const;

function combinations(n: number, size: number): number {
  let count = 1;
  for (let i = 1; i <= size; i++) count = (count * (n - size + i)) / i;
  return Math.round(count);
}

/** Every group in turn, each with its time-outs at the cap, and twice that for what was under way. */
export function livenessBoundMs(world: World): number {
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = world.options.parameters;
  const timeout = Math.max(suspicionTimeoutMaxMs, suspicionTimeoutMs, 6 * deltaMs) + 10 * deltaMs;
  return 2 * (combinations(world.options.validators, world.t + 1) + 2) * timeout + 30_000;
}

function condemn(world: World, index: number, core: ReadonlySet<number>): void {
  const { rng, network, options } = world;
  const machine = world.machines[index]!;
  const fate = rng.pick(OUTSIDERS);
  world.note(`r${index} is left ${fate} for good`);
  const toAll = (cut: (peer: number) => void): void => {
    for (let peer = 0; peer < options.validators; peer++) if (peer !== index) cut(peer);
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
    machine.disk.calm();
    machine.clock.setOffset(0);
    machine.resume();
    if (machine.status === 'down') world.timeline.after(world.rng.between(0, 1000), () => machine.start());
  }
  world.network.calm(core, world.options.parameters.deltaMs * 0.3);
}

function isConverged(world: World, core: ReadonlySet<number>): boolean {
  if (world.clients.open > 0) return false;
  for (const index of core) {
    const machine = world.machines[index]!;
    if (machine.process?.head().height !== world.chain.height) return false;
  }
  return true;
}

/** Runs the phase. What goes wrong is in `world.failure` afterwards. */
export async function runLiveness(world: World): Promise<void> {
  const { rng, options, clients } = world;
  const n = options.validators;
  world.faults.stop();
  const honest = world.machines.map(({ index }) => index).filter((index) => !world.liars.has(index));
  const size = Math.min(honest.length, n - rng.int(world.t + 1));
  // Liars are never part of it, and those that must not be hit beside them always.
  const order = rng.shuffle(honest).sort((a, b) => Number(world.isSpared(b)) - Number(world.isSpared(a)));
  const core = new Set(order.slice(0, Math.max(size, honest.filter((index) => world.isSpared(index)).length)));
  world.note(`from here on the core ${[...core].sort()} is healthy`);
  heal(world, core);
  for (const machine of world.machines)
    if (!core.has(machine.index) && !world.liars.has(machine.index)) condemn(world, machine.index, core);
  clients.drain([...core]);
  clients.probe();
  for (let round = 0; round < 2; round++) {
    const before = world.chain.height;
    await settle(world, core, before);
    if (world.failure !== undefined) return;
    clients.probe();
  }
  if (core.size === n) await rest(world);
}

/** With everybody healthy nobody has a reason to leave the view any more. */
async function rest(world: World): Promise<void> {
  const { suspicionTimeoutMaxMs, deltaMs } = world.options.parameters;
  const suspects = (): number => world.traces.get('suspect') ?? 0;
  await world.runUntil(world.timeline.now + 20 * deltaMs);
  const before = suspects();
  await world.runUntil(world.timeline.now + 2 * suspicionTimeoutMaxMs + 20 * deltaMs);
  if (world.failure === undefined && suspects() > before) {
    world.fail(new Violation('liveness', 'a view was left although everybody is healthy and nothing is late'));
  }
}

async function settle(world: World, core: ReadonlySet<number>, before: number): Promise<void> {
  const started = world.timeline.now;
  const bound = livenessBoundMs(world);
  // With blocks cut for their own sake heads keep moving: it is enough that all stand together at some moment.
  const met = await world.runUntil(started + bound, () => isConverged(world, core));
  if (world.failure !== undefined) return;
  if (!met) {
    const heads = [...core].map((index) => `r${index} ${world.machines[index]!.process?.head().height ?? 'down'}`);
    const open = world.clients.open;
    const text = `after ${Math.round(bound)} ms: ${heads.join(', ')}; final anywhere ${world.chain.height}`;
    world.fail(
      open > 0 || world.chain.height === before
        ? new Violation('liveness', `${open} transactions are not final ${text}`)
        : new Violation('convergence', text),
    );
    return;
  }
  for (const index of core) {
    world.chain.checkState(index, (address) => world.machines[index]!.process!.account(address));
  }
}
