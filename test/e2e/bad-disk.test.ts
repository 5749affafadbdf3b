/**
 * A disk that takes no more under a running validator (P26): it stops at once with one clear line, what it had not written was not
 * sent, the others go on without it, and it comes back by the same command when the disk does.
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agreedChain } from './agreement.ts';
import { SmallDisk, whyNoMounts } from './bad-disk.ts';
import { Devnet, type Node, temporaryFolder } from './devnet.ts';
import { report, seconds } from './report.ts';
import { beginLoad, endLoad, untilBack, untilMoreBlocks } from './under-load.ts';
import { until } from './until.ts';

const DISK_MIB = 48;
const LATE = { timeoutMs: 90_000 };

let devnet: Devnet;
let folder: string;
let reason: string | undefined;
let disk: SmallDisk | undefined;

beforeAll(async () => {
  folder = await temporaryFolder();
  reason = whyNoMounts(folder);
  if (reason === undefined) devnet = await Devnet.start();
});

afterAll(async () => {
  await devnet?.launcher.stop();
  disk?.remove();
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** When the first line about the disk was written, and that nothing came after it but the end. */
function expectLastWords(node: Node): void {
  expect(node.program.ended).toBe(1);
  const lines = node.log.trimEnd().split('\n');
  const words = lines.filter((line) => /ERROR (the disk failed; stopping at once|stopping: the disk under)/.test(line));
  expect(words, node.log.slice(-2000)).toHaveLength(1);
  expect(lines.at(-1)).toBe(words[0]);
  expect(node.log).not.toMatch(/this is a bug|\n\s+at .*:\d+:\d+/);
}

test('a disk that is full: it stops in a sentence, and comes back when there is room', async ({ skip }) => {
  skip(reason !== undefined, reason);
  const index = await devnet.withRole('follower');
  const third = await devnet.withRole('passive');
  await devnet.stopNode(index);
  disk = new SmallDisk(devnet.dataDir(index), DISK_MIB);
  const node = await devnet.restart(index);
  await until('it takes part', async () => (await devnet.status(index)).phase === 'running');
  const work = await beginLoad(devnet);
  // Now every block needs its signature, and so its disk.
  await devnet.kill(third);
  await untilMoreBlocks(work.watch, 5);
  disk.fill();
  const from = performance.now();
  await until('it has stopped', () => node.program.ended !== undefined, LATE);
  report(`stopped ${seconds(performance.now() - from)} after the disk was full`);
  expectLastWords(node);
  await devnet.restart(third);
  await untilMoreBlocks(work.watch, 5);
  // Still no room: it refuses, in a sentence, as often as it is tried.
  const again = devnet.launchNode(index);
  await until('it has ended again', () => again.program.ended !== undefined, LATE);
  expect(again.program.ended).toBe(1);
  expect(again.log).toMatch(/^error: .*(no space|ENOSPC)/im);
  expect(again.log).not.toMatch(/this is a bug|\n\s+at .*:\d+:\d+/);
  disk.relieve();
  await devnet.restart(index);
  await untilBack(devnet, index);
  await endLoad(devnet, work);
  for (const other of devnet.indices) expect(devnet.log(other)).not.toMatch(/conflicting signatures/);
  await devnet.stopNode(index);
  disk.remove();
  await devnet.restart(index);
});

test('a read-only disk: the node and every command that needs to write say so, and nothing is lost', async ({
  skip,
}) => {
  skip(reason !== undefined, reason);
  const index = 2;
  await devnet.stopNode(index);
  disk = new SmallDisk(devnet.dataDir(index), DISK_MIB);
  disk.readOnly(true);
  const node = devnet.launchNode(index);
  expect(await node.program.exit).toBe(1);
  expect(node.log).toMatch(/^error: .*(read-only|EROFS).*$/im);
  disk.readOnly(false);
  disk.remove();
  await devnet.restart(index);
  await agreedChain(devnet.rpcs);
});
