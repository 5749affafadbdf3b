/**
 * A node far behind takes a snapshot while the chain goes on: killed in the middle, with liars and a mute peer among its
 * sources. Then a validator whose disk was lost comes back the same way.
 */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDevnet } from '../../cli/devnet/network.ts';
import { COIN, fund, randomSenders } from './accounts.ts';
import { agreedChain, blocksOf } from './agreement.ts';
import { BadSource, HABITS } from './bad-sources.ts';
import { Devnet, Node, type Status, temporaryFolder } from './devnet.ts';
import { Load } from './load.ts';
import { freeBasePort, METRICS_OFFSET, P2P_OFFSET } from './ports.ts';
import { run, runJson } from './processes.ts';
import { oneStory } from './story.ts';
import { until } from './until.ts';

oneStory();

const ACCOUNTS = 25_000;
const AFTER = 20;

let devnet: Devnet;
let folder: string;
let observer: Node;
let load: Load;
const sources: BadSource[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  const dir = join(folder, 'network');
  const basePort = await freeBasePort(3);
  await openDevnet({ dir, basePort }, () => undefined);
  const files = [dir, ...[0, 1, 2].map((index) => join(dir, `validator-${index}`))].map((at) =>
    join(at, 'genesis.json'),
  );
  for (const file of files) addAccounts(file);
  devnet = await Devnet.resume(dir, basePort);
  const senders = randomSenders(4);
  const { chainId, accounts } = devnet.line;
  await fund(devnet.rpc(0), accounts, senders, { chainId, value: COIN });
  load = new Load({ rpcs: devnet.rpcs, chainId, senders, everyMs: 20 });
  await until('there are some blocks', async () => (await devnet.rpc(0).blockNumber(5000)) >= 3 * AFTER);
});

afterAll(async () => {
  await load?.stop();
  for (const source of sources) await source.stop();
  await observer?.program.stop();
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Accounts nobody uses, but a snapshot must bring. */
function addAccounts(file: string): void {
  const genesis = JSON.parse(readFileSync(file, 'utf8')) as { alloc: Record<string, string> };
  for (let i = 0; i < ACCOUNTS; i++) genesis.alloc['0x' + (2 ** 40 + i).toString(16).padStart(40, '0')] = String(i + 1);
  writeFileSync(file, JSON.stringify(genesis));
}

type Syncing = { readonly snapshotBlocks?: string; readonly snapshotStateNodes?: string } | false;

async function startObserver(base: number): Promise<Node> {
  const port = (offset: number): string => String(base + offset);
  const ports = ['--rpc-port', port(0), '--p2p-port', port(P2P_OFFSET), '--metrics-port', port(METRICS_OFFSET)];
  const settings = ['--snapshot-after', String(AFTER), '--allowed-peers', '*', ...ports];
  const genesis = ['--genesis', join(devnet.dir, 'genesis.json')];
  const node = new Node(join(folder, 'observer'), `http://127.0.0.1:${base}`, [...genesis, ...settings], {
    env: { QUORATE_PASSWORD: 'observer' },
  });
  await node.serving();
  return node;
}

const nodesTaken = (log: string): number => Number(/the snapshot is whole .*nodes=(\d+)/.exec(log)?.[1]);

test('liars and a mute peer come first; then the validators do, and the observer is killed in the middle', async () => {
  const base = await freeBasePort(1);
  for (const index of devnet.indices) devnet.signal(index, 'SIGSTOP');
  try {
    observer = await startObserver(base);
    const [, peer] = /starting .*peer=(\w+)/.exec(observer.log)!;
    const target = { peer: peer!, address: `/ip4/127.0.0.1/tcp/${base + P2P_OFFSET}/p2p/${peer}` };
    const { hash } = await observer.rpc.call<{ hash: string }>('eth_getBlockByNumber', ['0x0', false]);
    const chain = { chainId: devnet.line.chainId, genesisHash: hash };
    for (const habit of Object.values(HABITS)) sources.push(await BadSource.start(habit, chain, target));
    await until('the bad ones are linked', () => sources.every(({ isLinked }) => isLinked));
    await until('the forger is found out', () => /a peer sent something wrong for the snapshot/.test(observer.log));
  } finally {
    for (const index of devnet.indices) devnet.signal(index, 'SIGCONT');
  }
  await until(
    'a part of the state is there',
    async () => {
      const syncing = await observer.rpc.call<Syncing>('eth_syncing', [], 1000);
      return syncing !== false && Number(syncing.snapshotStateNodes ?? 0) > 0;
    },
    { everyMs: 5 },
  );
  await observer.program.kill();
  expect(observer.log).not.toMatch(/the snapshot is whole/);
  observer = await startObserver(base);
});

test('it goes on where it was, takes the snapshot over and follows, and the chain below verifies', async () => {
  await until('the snapshot is taken over', () => /the snapshot is taken over/.test(observer.log));
  const head = await devnet.rpc(0).blockNumber(5000);
  await until('it follows', async () => (await observer.rpc.blockNumber(1000)) > head);
  await load.stop();
  expect(load.refusals).toEqual([]);
  const chain = await agreedChain([...devnet.rpcs, observer.rpc]);
  expect(chain.length).toBeGreaterThan(3 * AFTER);
  for (const i of [0, 1, ACCOUNTS >> 1, ACCOUNTS - 1]) {
    const address = '0x' + (2 ** 40 + i).toString(16).padStart(40, '0');
    expect(await observer.rpc.number('eth_getBalance', [address, 'latest'])).toBe(i + 1);
  }
  expect(sources.map(({ asked }) => asked > 0)).toEqual([true, true, true]);
  // More than one node for five accounts; what the first life had taken was not taken again.
  const taken = nodesTaken(observer.log);
  expect(taken).toBeGreaterThan(0);
  await observer.program.stop();
  const dataDir = join(folder, 'observer');
  copyFileSync(join(devnet.dir, 'genesis.json'), join(dataDir, 'genesis.json'));
  const report = await runJson<{ head: number; hash: string }>(['chain', 'verify', '--data-dir', dataDir, '--json']);
  const [last] = await blocksOf(devnet.rpc(0), report.head, report.head);
  expect(report.head).toBeGreaterThanOrEqual(chain.length - 1);
  expect(report.hash).toBe(last!.hash);
});

test('a validator that lost its disk takes a snapshot, follows, and signs again when the chain has taken it in', async () => {
  await devnet.kill(2);
  for (const name of ['store', 'guard']) rmSync(join(devnet.dataDir(2), name), { recursive: true });
  const node = devnet.launchNode(2, ['--snapshot-after', String(AFTER)]);
  await node.serving();
  await until('the snapshot is taken over', () => /the snapshot is taken over/.test(node.log));
  await until('it is a validator again', async () => {
    const { role, epoch } = await node.rpc.call<Status>('xft_status', []);
    return epoch > 0 && role !== 'observer';
  });
  await agreedChain(devnet.rpcs);
  await devnet.stopNode(2);
  const { code, stderr } = await run(['chain', 'verify', '--data-dir', devnet.dataDir(2)]);
  expect([code, stderr]).toEqual([0, expect.any(String)]);
});
