/**
 * Five validators, 20 to 30 ms apart, under constant load: partitions in which no majority is left, lines that work in one
 * direction, lines that come and go or break, and a node that reads too slowly. No rights needed: every line is a relay.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { primaryOf } from '../e2e/changes.ts';
import { type RelayedNetwork, relayedNetwork } from '../e2e/network.ts';
import { serviceComesBack, serviceGoesOn } from '../e2e/partition-steps.ts';
import { residentBytes } from '../e2e/processes.ts';
import { CLEAR } from '../e2e/relay.ts';
import { report } from '../e2e/report.ts';
import { oneStory } from '../e2e/story.ts';
import { beginLoad, endLoad, type UnderLoad, untilMoreBlocks } from '../e2e/under-load.ts';

oneStory();

const NODES = [0, 1, 2, 3, 4] as const;
const LINE = { delayMs: 20, jitterMs: 10 };
const FLAPPING_MS = 20_000;
const SLOW_READING_MS = 30_000;
const MIB = 1024 * 1024;

let relayed: RelayedNetwork;
let run: UnderLoad;

beforeAll(async () => {
  relayed = await relayedNetwork({ validators: NODES.length });
  relayed.mesh.shape(LINE);
  await relayed.network.start(...NODES);
  run = await beginLoad(relayed.network, { count: 8, everyMs: 100 });
});

afterAll(async () => {
  await run?.load.stop();
  await run?.watch.stop();
  await relayed?.stop();
});

async function primary(): Promise<number> {
  const { members } = relayed.network;
  return members.indexOf(await primaryOf(members, members[0]!));
}

async function heals(what: string): Promise<void> {
  const { network, mesh } = relayed;
  await serviceComesBack({ what, watch: run.watch, members: network.members, heal: () => mesh.heal() });
}

/** Cuts, and holds it for a while: nothing may become final once what was on its way is through. */
async function standsStill(cut: () => void): Promise<void> {
  cut();
  await sleep(3000);
  const { height } = run.watch;
  await sleep(5000);
  expect(run.watch.height).toBe(height);
}

test('a minority with the primary in it is cut off', async () => {
  const leader = await primary();
  const others = NODES.filter((node) => node !== leader);
  const minority = [leader, others[0]!];
  const cut = (): void => relayed.mesh.partition(minority, others.slice(1));
  await serviceGoesOn({ what: 'minority cut off', watch: run.watch, cut });
  await heals('minority cut off');
});

test('no majority is left: nothing becomes final until the lines are back', async () => {
  await standsStill(() => relayed.mesh.partition([0, 1], [2, 3], [4]));
  await heals('two, two and one');
});

test('everybody is alone: nothing becomes final until the lines are back', async () => {
  await standsStill(() => relayed.mesh.partition([0], [1], [2], [3], [4]));
  await heals('everybody alone');
});

test('the primary is heard and hears nobody, then hears and is not heard', async () => {
  for (const isDeaf of [true, false]) {
    const leader = await primary();
    const what = isDeaf ? 'primary is deaf' : 'primary is mute';
    const cut = (): void => {
      for (const node of NODES) {
        if (node === leader) continue;
        if (isDeaf) relayed.mesh.cutOneWay(node, leader);
        else relayed.mesh.cutOneWay(leader, node);
      }
    };
    await serviceGoesOn({ what, watch: run.watch, cut });
    await heals(what);
  }
});

test('lines come and go for 20 s, and some break: service is back when they stay', async () => {
  const { mesh } = relayed;
  const { height } = run.watch;
  for (const end = performance.now() + FLAPPING_MS; performance.now() < end; ) {
    for (const a of NODES) for (let b = 0; b < a; b++) mesh.setCut(a, b, Math.random() < 0.3);
    const broken = Math.floor(Math.random() * (NODES.length - 1));
    mesh.reset(broken, broken + 1);
    await sleep(100 + Math.random() * 900);
  }
  report(`flapping: ${run.watch.height - height} blocks in ${FLAPPING_MS / 1000} s`);
  await heals('flapping');
});

test('one node reads 2 KB a second: the others serve, and hold no more than their queues', async () => {
  const { network, mesh } = relayed;
  const { watch, load } = run;
  const slow = (await primary()) === 4 ? 3 : 4;
  const others = network.members.filter((_, node) => node !== slow);
  const resident = (): number => Math.max(...others.map(({ pid }) => residentBytes(pid)));
  const before = resident();
  const [height, sent] = [watch.height, load.sent];
  await serviceGoesOn({
    what: 'a slow reader',
    watch,
    cut: () => mesh.shapeTowards(slow, { bytesPerSecond: 2000, heldBytesMax: 64 * 1024 }),
  });
  await sleep(SLOW_READING_MS);
  const after = resident();
  report(
    `slow reader: ${watch.height - height} blocks and ${load.sent - sent} transfers meanwhile, largest of the others ` +
      `${(before / MIB).toFixed(0)} MiB before and ${(after / MIB).toFixed(0)} MiB after`,
  );
  expect(after - before).toBeLessThan(150 * MIB);
  mesh.shapeTowards(slow, { ...CLEAR, ...LINE });
  await heals('slow reader');
  await untilMoreBlocks(watch, 5);
});

test('nothing acknowledged is lost, and all agree', async () => {
  const chain = await endLoad(relayed.network, run);
  report(`${run.load.sent} transfers in ${chain.length} blocks`);
  expect(run.load.refusals).toEqual([]);
});
