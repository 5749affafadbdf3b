/** Three validators on lines that can be cut: one cut off, wholly or in one direction, and a named and an unnamed guest. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { primaryOf } from './changes.ts';
import type { Member } from './members.ts';
import { type RelayedNetwork, relayedNetwork } from './network.ts';
import { serviceComesBack, serviceGoesOn } from './partition-steps.ts';
import { report } from './report.ts';
import { oneStory } from './story.ts';
import { beginLoad, endLoad, type UnderLoad } from './under-load.ts';
import { until } from './until.ts';

oneStory();

let relayed: RelayedNetwork;
let run: UnderLoad;
/** It serves only after it has looked for the others for a while. */
let strangerServes: Promise<void>;

/** Node 3 is admitted by name, node 4 by nobody. */
const NAMED = 3;
const STRANGER = 4;

beforeAll(async () => {
  relayed = await relayedNetwork({ validators: 3, spare: 2, allowed: [NAMED] });
  relayed.mesh.shape({ delayMs: 5, jitterMs: 5 });
  await relayed.network.start(0, 1, 2);
  strangerServes = relayed.network.start(STRANGER);
  run = await beginLoad(relayed.network, { count: 6, everyMs: 100 });
});

afterAll(async () => {
  await run?.load.stop();
  await run?.watch.stop();
  await relayed?.stop();
});

/** Whoever must come back: the stranger never has a block. */
function founders(): readonly Member[] {
  return relayed.network.members.slice(0, NAMED);
}

async function primary(): Promise<number> {
  return founders().indexOf(await primaryOf(founders(), founders()[0]!));
}

test('the primary is cut off: the two others go on, and it catches up when the lines are back', async () => {
  const { network, mesh } = relayed;
  const { watch } = run;
  const alone = await primary();
  const others = [0, 1, 2].filter((node) => node !== alone);
  await serviceGoesOn({ what: 'primary cut off', watch, cut: () => mesh.partition([alone], others) });
  const stuck = await network.members[alone]!.rpc.blockNumber();
  expect(watch.height).toBeGreaterThan(stuck);
  await serviceComesBack({ what: 'primary cut off', watch, members: founders(), heal: () => mesh.heal() });
});

test('one follower no longer hears the primary, which hears it: service goes on', async () => {
  const { network, mesh } = relayed;
  const { watch } = run;
  const leader = await primary();
  const { group } = await network.members[0]!.status();
  const deaf = network.members.findIndex(({ seat }, node) => node !== leader && group.includes(seat.validator));
  await serviceGoesOn({ what: 'one way cut', watch, cut: () => mesh.cutOneWay(leader, deaf) });
  await serviceComesBack({ what: 'one way cut', watch, members: founders(), heal: () => mesh.heal() });
});

test('everybody is cut off from everybody: nothing becomes final, and then all goes on', async () => {
  const { mesh } = relayed;
  const { watch } = run;
  mesh.partition([0], [1], [2]);
  // What was on its way may still become final on a node that had the votes already.
  await until('the blocks on their way are through', async () => (await settledFor(2000)) || undefined);
  await serviceComesBack({ what: 'full partition', watch, members: founders(), heal: () => mesh.heal() });
});

/** True when no block became final for so long. */
async function settledFor(ms: number): Promise<boolean> {
  const { watch } = run;
  const from = watch.height;
  await new Promise((resolve) => setTimeout(resolve, ms));
  return watch.height === from;
}

test('a guest named in allowedPeers is let in and follows; one that nobody names is refused, and says so', async () => {
  const { network } = relayed;
  const [named, stranger] = [network.members[NAMED]!, network.members[STRANGER]!];
  await Promise.all([network.start(NAMED), strangerServes]);
  run.watch.follow(named.rpc);
  await until('the named one follows', async () => (await named.rpc.blockNumber()) >= run.watch.height - 20);
  expect((await named.status()).role).toBe('observer');
  await until('the unnamed one is refused in words', () =>
    /neither a validator nor in allowedPeers/.test(network.members[0]!.log),
  );
  expect(await stranger.rpc.blockNumber()).toBe(0);
  expect(await stranger.rpc.call('net_peerCount')).toBe('0x0');
  expect(network.members[0]!.log).not.toContain(`refused peer ${named.peerId}`);
  expect(network.members[0]!.log).toContain(`refused peer ${stranger.peerId}`);
  await stranger.stop();
});

test('nothing acknowledged is lost, and all agree', async () => {
  const { network } = relayed;
  const chain = await endLoad(network, run);
  report(`${run.load.sent} transfers in ${chain.length} blocks`);
  expect(run.load.refusals).toEqual([]);
});
