/**
 * The wall clock of an active validator jumps by a day, ahead and back, while it runs: the chain goes on, times in blocks never go
 * back nor run ahead of the other clocks, and nothing contradicts itself. Time is moved by libfaketime (the Debian package
 * of that name), under this process alone.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Devnet, temporaryFolder } from './devnet.ts';
import { report, seconds } from './report.ts';
import { beginLoad, endLoad, untilBack, untilMoreBlocks } from './under-load.ts';
import { until } from './until.ts';

const LIBRARY = process.env['QUORATE_FAKETIME'] ?? '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const reason = existsSync(LIBRARY)
  ? undefined
  : 'no libfaketime: install that Debian package, or name it in QUORATE_FAKETIME';

let devnet: Devnet;
let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  if (reason !== undefined) return;
  devnet = await Devnet.start();
  for (const index of devnet.indices) {
    jump(index, 0);
    await devnet.stopNode(index);
    await devnet.launchNode(index, ['--log-level', 'debug'], { env: faked(index) }).serving();
  }
});

afterAll(async () => {
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const offsetFile = (index: number): string => join(folder, `offset-${index}`);

/** Moves a validator's clock to so many hours from the right time. */
function jump(index: number, hours: number): void {
  writeFileSync(offsetFile(index), `${hours < 0 ? '-' : '+'}${Math.abs(hours)}h\n`);
}

/** The monotonic clock stays as it is, as it does when an operator or NTP sets the time. */
function faked(index: number): Record<string, string> {
  return {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: offsetFile(index),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_RESET: '1',
  };
}

const JUMPS = [
  ['primary', 30],
  ['follower', 30],
  ['primary', -30],
  ['follower', -30],
] as const;

test('jumps of thirty hours in both directions: blocks go on, in time', async ({ skip }) => {
  skip(reason !== undefined, reason);
  const work = await beginLoad(devnet);
  for (const [role, hours] of JUMPS) {
    const index = await devnet.withRole(role, 1);
    jump(index, hours);
    const from = performance.now();
    await untilMoreBlocks(work.watch, 15);
    report(`the ${role}'s clock off by ${hours} h: 15 more blocks in ${seconds(performance.now() - from)}`);
    const day = new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 10);
    await until('it has seen the jump', () => devnet.log(index).includes(`\n${day}T`));
    jump(index, 0);
    await untilBack(devnet, index);
  }
  const chain = await endLoad(devnet, work);
  const blocks = await devnet
    .rpc(1)
    .batch<{ timestamp: string }>(chain.map(({ number }) => ['eth_getBlockByNumber', [number, false]]));
  const times = blocks.map((block) => Number((block as { timestamp: string }).timestamp));
  for (const [i, time] of times.entries()) if (i > 0) expect(time).toBeGreaterThanOrEqual(times[i - 1]!);
  // maxDrift, and a second for what is being cut off the milliseconds.
  expect(times.at(-1)!).toBeLessThanOrEqual(Date.now() / 1000 + 3);
  for (const one of devnet.indices) expect(devnet.log(one)).not.toMatch(/conflicting signatures|this is a bug|halted/);
});
