/**
 * What a node must refuse: a shared folder, wrong keys, another chain, a lost or damaged disk. It says what is wrong in
 * one sentence, signs nothing it must not sign, and never serves a wrong answer; the network goes on without it.
 */
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transfer, untilFinal } from './accounts.ts';
import { agreedChain, untilLevel } from './agreement.ts';
import { flipBit, keepCopy, newestSegment, writtenBytes } from './damage.ts';
import { Devnet, Node, type Status, temporaryFolder } from './devnet.ts';
import { run } from './processes.ts';
import { until } from './until.ts';

let devnet: Devnet;
let folder: string;
let nonce = 0;

/** The validator that is damaged; passive in view 0, so that the others need no view change. */
const VICTIM = 2;
const OTHER_PORTS = ['--rpc-port', '0', '--p2p-port', '0', '--metrics-port', '0'];

beforeAll(async () => {
  devnet = await Devnet.start();
  folder = await temporaryFolder();
  await sendSome(20);
});

afterAll(async () => {
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Transfers through validator 0, final there. */
async function sendSome(count: number): Promise<void> {
  const [from, to] = devnet.line.accounts;
  for (let i = 0; i < count; i++) {
    const { raw } = transfer(from!, { chainId: 1337, nonce: nonce++, to: to!.address, value: 1n });
    const hash = await devnet.rpc(0).call<string>('eth_sendRawTransaction', [raw]);
    if (i % 5 === 4 || i === count - 1) await untilFinal(devnet.rpc(0), [hash]);
  }
}

/** Ends with 1 after one sentence on its way out. */
async function expectRefusal(
  args: readonly string[],
  message: RegExp,
  env: Record<string, string> = {},
): Promise<void> {
  const { code, stderr, stdout } = await run(['node', ...args], { env });
  const errors = (stdout + stderr).split('\n').filter((line) => line.startsWith('error: '));
  expect(errors, stdout + stderr).toHaveLength(1);
  expect(errors[0]).toMatch(message);
  expect(stdout + stderr).not.toMatch(/\n\s+at .*:\d+:\d+/);
  expect(code).toBe(1);
}

/** The victim follows the chain again, as a validator. */
async function expectGoodAgain(): Promise<void> {
  await sendSome(2);
  await until('it takes part', async () => (await devnet.status(VICTIM)).phase === 'running');
  await agreedChain(devnet.rpcs);
}

test('a second process on a data folder in use refuses, and the first goes on', async () => {
  await expectRefusal(['--data-dir', devnet.dataDir(0), ...OTHER_PORTS], /process \d+ is running on .*stop it first/);
  await sendSome(1);
});

test('wrong password: refused, and the folder stays usable', async () => {
  await devnet.kill(VICTIM);
  const wrong = join(folder, 'wrong-password');
  writeFileSync(wrong, 'wrong\n', { mode: 0o600 });
  await expectRefusal(['--data-dir', devnet.dataDir(VICTIM), '--password-file', wrong], /password/);
  await devnet.restart(VICTIM);
  await expectGoodAgain();
});

test('keys of another validator: refused, be it one of them or both', async () => {
  await devnet.kill(VICTIM);
  const data = join(folder, 'mixed');
  cpSync(devnet.dataDir(VICTIM), data, { recursive: true });
  const other = devnet.dataDir(0);
  copyFileSync(join(other, 'validator-key.json'), join(data, 'validator-key.json'));
  await expectRefusal(['--data-dir', data, ...OTHER_PORTS], /node key/);
  copyFileSync(join(other, 'node-key.json'), join(data, 'node-key.json'));
  await expectRefusal(['--data-dir', data, ...OTHER_PORTS], /belongs to validator 0x[0-9a-f]{40}/);
  rmSync(data, { recursive: true });
  await devnet.restart(VICTIM);
  await expectGoodAgain();
});

type GenesisFile = { consensus: Record<string, unknown> };

/** The genesis of the devnet with one parameter changed: another chain. */
function changedGenesis(): string {
  const genesis = JSON.parse(readFileSync(join(devnet.dir, 'genesis.json'), 'utf8')) as GenesisFile;
  const parameter = 'batchTransactionsMax';
  expect(genesis.consensus).toHaveProperty(parameter);
  genesis.consensus[parameter] = 1234;
  const path = join(folder, 'genesis.json');
  writeFileSync(path, JSON.stringify(genesis));
  return path;
}

test('a genesis with a changed parameter: refused on existing data', async () => {
  await devnet.kill(VICTIM);
  const data = devnet.dataDir(VICTIM);
  await expectRefusal(['--data-dir', data, '--genesis', changedGenesis()], /genesis/);
});

test('nodes of different genesis do not talk, and both say why', async () => {
  const { rpc, metrics } = devnet.line.validators[VICTIM]!;
  const data = join(folder, 'other-chain');
  mkdirSync(data);
  for (const file of ['validator-key.json', 'node-key.json', 'config.json', 'password']) {
    copyFileSync(join(devnet.dataDir(VICTIM), file), join(data, file));
  }
  const marker = { validator: devnet.line.validators[VICTIM]!.address, created: new Date().toISOString() };
  writeFileSync(join(data, 'guard-empty'), JSON.stringify(marker), { mode: 0o600 });
  expect(metrics).toMatch(/^http/);
  const stranger = new Node(data, rpc, ['--genesis', changedGenesis()]);
  try {
    await stranger.serving();
    await until('it says why', () => /genesis/.test(stranger.log.replace(/^.*starting.*$/m, '')));
    await until('the others say why', () =>
      [0, 1].every((index) => /different genesis|another genesis|genesis hash|other chain/i.test(devnet.log(index))),
    );
    await sendSome(5);
    expect(await stranger.rpc.blockNumber()).toBe(0);
    const { validators } = await stranger.rpc.call<Status>('xft_status');
    expect(validators.filter(({ reachable }) => reachable)).toHaveLength(1);
  } finally {
    await stranger.program.stop();
    await devnet.restart(VICTIM);
  }
  await expectGoodAgain();
});

test('the guard folder is gone: it follows, says so, and signs again only in a new epoch that takes it in', async () => {
  const { epoch } = await devnet.status(0);
  const other = 1;
  await devnet.kill(VICTIM, other);
  rmSync(join(devnet.dataDir(VICTIM), 'guard'), { recursive: true });
  const node = await devnet.restart(VICTIM);
  expect(node.log).toMatch(/ERROR .*log .* is gone.*signs again in an epoch that takes it in anew/);
  // Alone with it no other validator can make anything final: it must not lend its name.
  const before = await devnet.rpc(0).blockNumber();
  const [from, to] = devnet.line.accounts;
  const { raw, hash } = transfer(from!, { chainId: 1337, nonce: nonce++, to: to!.address, value: 1n });
  await devnet.rpc(0).call('eth_sendRawTransaction', [raw]);
  await sleep(6000);
  expect(await devnet.rpc(0).blockNumber()).toBe(before);
  expect(await devnet.rpc(VICTIM).blockNumber()).toBe(before);
  expect(await devnet.status(VICTIM)).toMatchObject({ phase: 'learner', role: 'observer', epoch });
  await devnet.restart(other);
  await untilFinal(devnet.rpc(VICTIM), [hash]);
  await until('it signs again', async () => (await devnet.status(VICTIM)).phase === 'running');
  expect(await devnet.status(VICTIM)).toMatchObject({ epoch: epoch + 1 });
  await devnet.kill(other);
  await sendSome(2);
  const newest = await devnet.rpc(0).call('xft_getFinalityProof', [await devnet.rpc(0).call('eth_blockNumber')]);
  expect(newest).toMatchObject({
    epoch: epoch + 1,
    signatures: expect.arrayContaining([
      expect.objectContaining({ validator: devnet.line.validators[VICTIM]!.address }),
    ]) as unknown,
  });
  await devnet.restart(other);
  await expectGoodAgain();
});

test('the store is gone: the node fetches the chain anew', async () => {
  const height = await untilLevel([devnet.rpc(0), devnet.rpc(1)]);
  await devnet.kill(VICTIM);
  rmSync(join(devnet.dataDir(VICTIM), 'store'), { recursive: true });
  await devnet.restart(VICTIM);
  await until('it has caught up', async () => (await devnet.rpc(VICTIM).blockNumber()) >= height);
  await expectGoodAgain();
});

test('a flipped bit in the log: before the end it refuses to start, at the end it asks its peers first', async () => {
  await sendSome(10);
  await devnet.kill(VICTIM);
  const copy = keepCopy(join(devnet.dataDir(VICTIM), 'guard'));
  const segment = newestSegment(devnet.dataDir(VICTIM));
  const size = writtenBytes(segment);
  flipBit(segment, Math.floor(size / 2));
  await expectRefusal(['--data-dir', devnet.dataDir(VICTIM)], /log .* is damaged .*must not sign/);
  copy.restore();
  flipBit(newestSegment(devnet.dataDir(VICTIM)), size - 5);
  const node = await devnet.restart(VICTIM);
  await until('it has asked', () => /(no peer knows a signature|a peer holds a signature)/.test(node.log));
  await sendSome(2);
  await agreedChain(devnet.rpcs);
  await devnet.kill(VICTIM);
  copy.restore();
  copy.discard();
  await devnet.restart(VICTIM);
  await expectGoodAgain();
});

test('an old backup of the whole folder: it follows, and is taken in anew once its log is moved away', async () => {
  const follower = await devnet.withRole('follower');
  const data = devnet.dataDir(follower);
  await devnet.stopNode(follower);
  const backup = keepCopy(data);
  await devnet.restart(follower);
  await until('it takes part', async () => (await devnet.status(follower)).phase === 'running');
  // One of the others only sees what it signs from now on.
  const third = devnet.indices.find((index) => index !== 0 && index !== follower)!;
  await devnet.kill(third);
  await sendSome(5);
  await devnet.restart(third);
  await devnet.kill(follower);
  backup.restore();
  backup.discard();
  const node = await devnet.restart(follower);
  await until('it knows', async () => (await devnet.status(follower)).phase === 'learner');
  expect(node.log).toMatch(/ERROR .*holds a signature of this key that the log does not know/);
  await sendSome(3);
  await agreedChain(devnet.rpcs);
  const { epoch } = await devnet.status(follower);
  await devnet.kill(follower);
  rmSync(join(data, 'guard'), { recursive: true });
  await devnet.restart(follower);
  await until('it signs again', async () => (await devnet.status(follower)).phase === 'running', { timeoutMs: 90_000 });
  expect((await devnet.status(follower)).epoch).toBe(epoch + 1);
  await sendSome(2);
  await agreedChain(devnet.rpcs);
});

test('an old copy of the log: its peers know better, so it follows and signs nothing', async () => {
  const follower = await devnet.withRole('follower');
  const guard = join(devnet.dataDir(follower), 'guard');
  // As a backup does it, while the node runs.
  const old = keepCopy(guard, 'old');
  await sendSome(5);
  await devnet.kill(follower);
  const newest = keepCopy(guard, 'newest');
  old.restore();
  const node = await devnet.restart(follower);
  await until('it knows', async () => (await devnet.status(follower)).phase === 'learner');
  expect(node.log).toMatch(/ERROR .*holds a signature of this key that the log does not know/);
  await sendSome(3);
  await agreedChain(devnet.rpcs);
  // It has not forgotten by its next start that it forgot.
  await devnet.kill(follower);
  await devnet.restart(follower);
  await sendSome(1);
  expect((await devnet.status(follower)).phase).toBe('learner');
  await devnet.kill(follower);
  newest.restore();
  await devnet.restart(follower);
  await until('it takes part', async () => (await devnet.status(follower)).phase === 'running');
  await sendSome(1);
});
