/** A validator that stands still for 30 s (SIGSTOP) and goes on: no harm, whatever it believed meanwhile (issue 2). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Devnet } from './devnet.ts';
import { report, seconds } from './report.ts';
import { beginLoad, endLoad, type UnderLoad, untilBack, untilMoreBlocks } from './under-load.ts';

let devnet: Devnet;
let run: UnderLoad;

beforeAll(async () => {
  devnet = await Devnet.start();
  run = await beginLoad(devnet);
});

afterAll(async () => {
  await run?.load.stop();
  await run?.watch.stop();
  await devnet?.stop();
});

const PAUSE_MS = 30_000;
const SERVICE_BACK_MS = 10_000;

test('the primary stands still for 30 s under load: service goes on, and it catches up', async () => {
  const { watch } = run;
  const victim = await devnet.withRole('primary');
  const others = devnet.indices.filter((index) => index !== victim);
  const stoppedAt = performance.now();
  devnet.signal(victim, 'SIGSTOP');
  try {
    await untilMoreBlocks(watch, 10);
    const gap = watch.longestGapMs(stoppedAt);
    report(`primary stopped: longest time without a final block ${seconds(gap)}`);
    expect(gap).toBeLessThan(SERVICE_BACK_MS);
    await sleep(Math.max(0, PAUSE_MS - (performance.now() - stoppedAt)));
  } finally {
    devnet.signal(victim, 'SIGCONT');
  }
  const continuedAt = performance.now();
  const viewBefore = (await devnet.status(others[0]!)).view;
  await untilBack(devnet, victim);
  report(`continued: caught up after ${seconds(performance.now() - continuedAt)}`);
  await untilMoreBlocks(watch, 10);
  expect(watch.longestGapMs(continuedAt)).toBeLessThan(SERVICE_BACK_MS);
  // It wakes up as a passive that was late, not as one that accuses the others.
  expect((await devnet.status(others[0]!)).view).toBe(viewBefore);
});

test('a follower stands still for a moment shorter than the time-out: nobody is accused', async () => {
  const { watch } = run;
  const victim = await devnet.withRole('follower');
  const witness = await devnet.withRole('primary');
  const { view } = await devnet.status(witness);
  devnet.signal(victim, 'SIGSTOP');
  await sleep(200);
  devnet.signal(victim, 'SIGCONT');
  await untilMoreBlocks(watch, 10);
  expect((await devnet.status(witness)).view).toBe(view);
});

test('all three stand still for a while and go on together', async () => {
  const { watch } = run;
  for (const index of devnet.indices) devnet.signal(index, 'SIGSTOP');
  await sleep(3000);
  for (const index of devnet.indices) devnet.signal(index, 'SIGCONT');
  const continuedAt = performance.now();
  await untilMoreBlocks(watch, 5);
  report(`all continued: first block after ${seconds(watch.resumedAfterMs(continuedAt) ?? 0)}`);
  expect(watch.longestGapMs(continuedAt)).toBeLessThan(SERVICE_BACK_MS);
});

test('nothing acknowledged is lost and all three agree', async () => {
  await endLoad(devnet, run);
  expect(run.load.sent).toBeGreaterThan(500);
});
