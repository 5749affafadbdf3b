/**
 * Every validator on a host of its own, as far as a kernel can pretend: packets are dropped by the kernel's filter, links
 * are taken down, and TCP finds out for itself. Skipped, with the reason printed, where namespaces cannot be made.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { primaryOf } from '../e2e/changes.ts';
import { RelayMesh } from '../e2e/mesh.ts';
import { Network } from '../e2e/network.ts';
import { serviceComesBack, serviceGoesOn } from '../e2e/partition-steps.ts';
import { report, seconds } from '../e2e/report.ts';
import { oneStory } from '../e2e/story.ts';
import { beginLoad, endLoad, type UnderLoad, untilMoreBlocks } from '../e2e/under-load.ts';
import { Hosts, whyNot } from './namespaces.ts';

const reason = whyNot();
if (reason !== undefined) report(`skipped: ${reason}`);

const FLAPPING_MS = 20_000;
const LOSSY_MS = 60_000;

async function leaderOf(network: Network, seenBy = 0): Promise<number> {
  return network.members.indexOf(await primaryOf(network.members, network.members[seenBy]!));
}

describe.skipIf(reason !== undefined)('five validators on hosts of their own', () => {
  oneStory();
  const nodes = [0, 1, 2, 3, 4] as const;
  let hosts: Hosts;
  let network: Network;
  let run: UnderLoad;

  beforeAll(async () => {
    hosts = Hosts.create(nodes.length);
    const places = hosts.places();
    network = await Network.create({ validators: nodes.length, places, seen: (_, to) => places[to]!.p2p });
    await network.start(...nodes);
    run = await beginLoad(network, { count: 8, everyMs: 100 });
  });

  afterAll(async () => {
    await run?.load.stop();
    await run?.watch.stop();
    await network?.stop();
    hosts?.destroy();
  });

  const heals = (what: string): Promise<void> =>
    serviceComesBack({ what, watch: run.watch, members: network.members, heal: () => hosts.clear() });

  test('a minority with the primary in it is cut off', async () => {
    const leader = await leaderOf(network);
    const others = nodes.filter((node) => node !== leader);
    const cut = (): void => hosts.partition([leader, others[0]!], others.slice(1));
    await serviceGoesOn({ what: 'minority cut off', watch: run.watch, cut });
    await heals('minority cut off');
  });

  test('no majority is left, then everybody is alone', async () => {
    for (const groups of [[[0, 1], [2, 3], [4]], nodes.map((node) => [node])]) {
      hosts.partition(...groups);
      await sleep(3000);
      const { height } = run.watch;
      await sleep(10_000);
      expect(run.watch.height).toBe(height);
      await heals(`${groups.length} groups without a majority`);
    }
  });

  test('a follower gets no packet of the primary any more, which gets all of its', async () => {
    const leader = await leaderOf(network);
    const { group } = await network.members[leader]!.status();
    const deaf = network.members.findIndex(({ seat }, node) => node !== leader && group.includes(seat.validator));
    await serviceGoesOn({ what: 'one way cut', watch: run.watch, cut: () => hosts.drop(leader, deaf) });
    await heals('one way cut');
  });

  test("the primary's link goes down", async () => {
    const leader = await leaderOf(network);
    const { watch } = run;
    await serviceGoesOn({ what: 'link down', watch, cut: () => hosts.setLink(leader, 'down') });
    const heal = (): void => hosts.setLink(leader, 'up');
    await serviceComesBack({ what: 'link down', watch, members: network.members, heal });
  });

  test('links go down and up again for 20 s: service is back when they stay', async () => {
    const { height } = run.watch;
    for (const end = performance.now() + FLAPPING_MS; performance.now() < end; ) {
      for (const node of nodes) hosts.setLink(node, Math.random() < 0.25 ? 'down' : 'up');
      await sleep(100 + Math.random() * 1500);
    }
    report(`flapping links: ${run.watch.height - height} blocks in ${FLAPPING_MS / 1000} s`);
    const heal = (): void => {
      for (const node of nodes) hosts.setLink(node, 'up');
    };
    await serviceComesBack({ what: 'flapping links', watch: run.watch, members: network.members, heal });
  });

  test('nothing acknowledged is lost, and all agree', async () => {
    const chain = await endLoad(network, run);
    report(`${run.load.sent} transfers in ${chain.length} blocks`);
    expect(run.load.refusals).toEqual([]);
  });
});

describe.skipIf(reason !== undefined)('three validators, 30 % of the packets lost, 300 ms away', () => {
  oneStory();
  const line = { delayMs: 300, jitterMs: 50 };
  let hosts: Hosts;
  let mesh: RelayMesh | undefined;
  let network: Network;
  let run: UnderLoad;

  beforeAll(async () => {
    hosts = Hosts.create(3);
    const places = hosts.places();
    const hasNetem = hosts.tryNetem(line.delayMs, line.jitterMs);
    report(hasNetem ? 'delay by netem' : 'this kernel has no netem: delay by relays, loss on both sides of them');
    if (!hasNetem)
      mesh = await RelayMesh.create(
        places.map(({ p2p }) => p2p),
        hosts.own,
      );
    mesh?.shape(line);
    const seen = (from: number, to: number) => mesh?.endpoint(from, to) ?? places[to]!.p2p;
    network = await Network.create({ validators: 3, places, seen, deltaMs: 2500 });
    await network.start(0, 1, 2);
    run = await beginLoad(network, { count: 6, everyMs: 200 });
  });

  afterAll(async () => {
    await run?.load.stop();
    await run?.watch.stop();
    await network?.stop();
    await mesh?.close();
    hosts?.destroy();
  });

  test('the chain goes on, slowly', async () => {
    const { watch, load } = run;
    const [height, sent, at] = [watch.height, load.sent, performance.now()];
    hosts.lose(30);
    await sleep(LOSSY_MS);
    const { view } = await network.members[0]!.status();
    report(
      `lossy: ${watch.height - height} blocks, ${load.sent - sent} transfers taken in ${LOSSY_MS / 1000} s, ` +
        `longest time without a final block ${seconds(watch.longestGapMs(at))}, view ${view}`,
    );
    await untilMoreBlocks(watch, 1, 120_000);
    await serviceComesBack({ what: 'loss', watch, members: network.members, heal: () => hosts.clear() });
  });

  test('nothing acknowledged is lost, and all agree', async () => {
    const chain = await endLoad(network, run);
    report(`${run.load.sent} transfers in ${chain.length} blocks`);
    expect(run.load.refusals).toEqual([]);
  });
});
