/**
 * The validators of a running chain changed by its operators with the commands alone: a fourth is made, proposed, voted in
 * and serves; the first leaves; keys are replaced; a member moves and times change; and who only holds the genesis verifies it all.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EpochView } from '../../node/epoch-view.ts';
import type { ProposalView } from '../../node/governance-proposals.ts';
import { agreedChain, untilLevel } from './agreement.ts';
import { Devnet, Node, temporaryFolder } from './devnet.ts';
import { Governance } from './governance.ts';
import { freeBasePort, METRICS_OFFSET, P2P_OFFSET } from './ports.ts';
import { type Finished, run, runJson } from './processes.ts';
import type { Rpc } from './rpc.ts';
import { until } from './until.ts';

const RECEIVER = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
/** Of the devnet's key files, and of those made here. */
const PASSWORD = { QUORATE_PASSWORD: 'devnet' };

type Descriptor = Record<'validator' | 'publicKey' | 'nodeKey' | 'operator' | 'multiaddr', string>;
type Acted = {
  readonly proposal: number;
  readonly status: string;
  readonly epoch: {
    readonly epoch: number;
    readonly firstBlock: number;
    readonly validators: readonly string[];
  } | null;
  readonly missing: readonly string[];
  readonly warnings: readonly string[];
};
type Verified = {
  readonly epochs: readonly {
    readonly epoch: number;
    readonly firstBlock: number;
    readonly validators: readonly string[];
  }[];
  readonly block: { readonly number: number; readonly hash: string; readonly epoch: number };
};

let devnet: Devnet;
let folder: string;
const nodes: Node[] = [];

beforeAll(async () => {
  devnet = await Devnet.start();
  folder = await temporaryFolder();
});

afterAll(async () => {
  await Promise.all(nodes.map(({ program }) => program.ended ?? program.stop()));
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string): string => join(folder, name);
const genesis = (): string => join(devnet.dir, 'genesis.json');
const at = (index: number): string[] => ['--rpc', devnet.rpc(index).url];
const operatorFile = (index: number): string[] => ['--key', join(devnet.dir, 'operators', `operator-${index}.json`)];
const founder = (index: number): string => devnet.line.validators[index]!.address;
const everyone = (): Rpc[] => [...devnet.rpcs, ...nodes.map(({ rpc }) => rpc)];

function validator(...args: string[]): Promise<Finished> {
  return run(['validator', ...args], { env: PASSWORD });
}

function act(...args: string[]): Promise<Acted> {
  return runJson<Acted>(['validator', ...args, '--json'], { env: PASSWORD });
}

/** A folder made by the command, with ports of its own. */
async function makeValidator(name: string): Promise<Descriptor & { readonly file: string; readonly dir: string }> {
  const port = await freeBasePort(1);
  const ports = { '--rpc-port': port, '--p2p-port': port + P2P_OFFSET, '--metrics-port': port + METRICS_OFFSET };
  const args = Object.entries(ports).flatMap(([flag, value]) => [flag, String(value)]);
  return runJson(['validator', 'create', '--genesis', genesis(), '--out', file(name), '--light', ...args, '--json'], {
    env: PASSWORD,
  });
}

/** `quorate node --data-dir`, as the folder was made. */
async function startNode(dir: string): Promise<Node> {
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as {
    readonly rpc: { readonly port: number };
  };
  const node = new Node(dir, `http://127.0.0.1:${config.rpc.port}`, [], { env: PASSWORD });
  nodes.push(node);
  await node.serving();
  return node;
}

async function untilReady(id: number, candidate: string): Promise<void> {
  await until('the candidate says that it is ready', async () => {
    const proposals = await runJson<ProposalView[]>(['validator', 'proposals', '--json', ...at(1)]);
    const { candidates } = proposals.find((proposal) => proposal.id === id)!;
    return candidates.find(({ validator: address }) => address === candidate)!.ready;
  });
}

/** A transaction, which is what gives a new epoch its first block; every node says then that its set is at work. */
async function untilAtWork(epoch: number, through: Rpc): Promise<void> {
  const env = { QUORATE_PRIVATE_KEY: devnet.line.accounts[0]!.privateKey };
  await runJson(['tx', 'send', '--to', RECEIVER, '--value', '1', '--json', '--rpc', through.url], { env });
  for (const rpc of everyone()) {
    expect(await rpc.call<EpochView>('xft_checkEpoch', [epoch, 30_000], 60_000)).toMatchObject({ epoch });
  }
}

let fourth: Awaited<ReturnType<typeof makeValidator>>;

test('validator create makes a folder that describes itself', async () => {
  fourth = await makeValidator('fourth');
  const shown = await runJson<Descriptor>(['key', 'show', '--descriptor', '--data-dir', fourth.dir, '--json']);
  const { validator: address, publicKey, nodeKey, operator, multiaddr } = fourth;
  expect(shown).toEqual({ validator: address, publicKey, nodeKey, operator, multiaddr });
});

test('a dry run tells what is unwise, and changes nothing', async () => {
  const before = await devnet.rpc(0).blockNumber();
  const { code, stdout, stderr } = await validator('propose', '--add', fourth.file, '--dry-run', ...at(0));
  expect(code).toBe(0);
  expect(stdout).toContain('nothing was sent');
  expect(stderr).toContain(`candidate ${fourth.validator} is not reachable now`);
  expect(stderr).toContain('after this change 3 of 4 must be up');
  expect(await devnet.rpc(0).blockNumber()).toBe(before);
  const refused = await validator('propose', '--remove', fourth.validator, ...operatorFile(0), ...at(0));
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/^error: the governance contract refuses this: .*\n$/);
});

test('proposed, started, ready, voted in: the fourth validator serves', async () => {
  const proposed = await act('propose', '--add', fourth.file, ...operatorFile(0), ...at(0));
  expect(proposed).toMatchObject({ proposal: 1, status: 'open', epoch: null });
  expect(proposed.missing).toEqual(['1 of 3 has approved; 1 more starts epoch 1']);
  const node = await startNode(fourth.dir);
  await untilReady(1, fourth.validator);
  const voted = await act('vote', '1', ...operatorFile(1), ...at(2));
  const members = [founder(0), founder(1), founder(2), fourth.validator];
  expect(voted).toMatchObject({ proposal: 1, status: 'passed', epoch: { epoch: 1, validators: members } });
  await untilAtWork(1, node.rpc);
  const { stdout } = await validator('list', '--rpc', node.rpc.url);
  expect(stdout).toContain(`epoch 1 since block ${voted.epoch!.firstBlock}: 4 validators, of which 3 must be up`);
  await until('the fourth is an ordinary member', async () => {
    const status = await node.rpc.call<{ role: string; margin: number }>('xft_status');
    return status.role !== 'observer' && status.margin === 1;
  });
});

test('a validator leaves by the vote of the others and goes on as an observer', async () => {
  const { privateKey } = devnet.line.accounts.find(({ address }) => address === devnet.line.validators[1]!.operator)!;
  const remove = ['validator', 'propose', '--remove', founder(0), '--json', ...at(1)];
  const proposed = await runJson<Acted>(remove, { env: { QUORATE_PRIVATE_KEY: privateKey } });
  expect(proposed).toMatchObject({ proposal: 2, missing: ['1 of 4 has approved; 2 more start epoch 2'] });
  await act('vote', '2', ...operatorFile(2), ...at(0));
  const own = ['--key', join(fourth.dir, 'operator-key.json'), '--rpc', nodes[0]!.rpc.url];
  expect(await act('vote', '2', ...own)).toMatchObject({ status: 'passed', epoch: { epoch: 2 } });
  await untilAtWork(2, devnet.rpc(0));
  await until('the first is an observer', async () => (await devnet.status(0)).role === 'observer');
  const late = await validator('vote', '2', ...operatorFile(2), ...at(1));
  expect(late.code).toBe(1);
  expect(late.stderr).toContain('proposal 2 is not open any more');
});

test('a member gets new keys in one step', async () => {
  const renewed = await makeValidator('renewed');
  const change = ['--replace', `${founder(1)}=${renewed.file}`];
  await act('propose', ...change, ...operatorFile(1), ...at(1));
  const node = await startNode(renewed.dir);
  await untilReady(3, renewed.validator);
  const voted = await act('vote', '3', ...operatorFile(2), ...at(2));
  expect(voted.epoch).toMatchObject({ epoch: 3, validators: [renewed.validator, founder(2), fourth.validator] });
  await untilAtWork(3, node.rpc);
});

test('a member moves to another address, and all get longer times, in one step', async () => {
  const port = (await freeBasePort(1)) + P2P_OFFSET;
  const { validator: address, publicKey, nodeKey, operator } = fourth;
  const multiaddr = `/ip4/127.0.0.1/tcp/${port}`;
  const moved = file('moved.json');
  writeFileSync(moved, JSON.stringify({ validator: address, publicKey, nodeKey, operator, multiaddr }));
  const times = { deltaMs: 300, suspicionTimeoutMs: 1300, suspicionTimeoutMaxMs: 5000 };
  const policy = Object.entries(times).flatMap(([field, value]) => ['--policy', `${field}=${value}`]);
  const change = ['--replace', `${address}=${moved}`, ...policy];
  await act('propose', ...change, ...operatorFile(2), ...at(2));
  const voted = await act('vote', '4', '--key', join(fourth.dir, 'operator-key.json'), ...at(2));
  expect(voted).toMatchObject({ status: 'passed', epoch: { epoch: 4 } });
  const governance = new Governance(devnet.rpc(2).url);
  expect(await governance.multiaddr(address)).toBe(multiaddr);
  governance.close();

  const [before] = nodes.splice(0, 1);
  expect(await before!.program.stop()).toBe(0);
  const path = join(fourth.dir, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as { readonly p2p: object };
  writeFileSync(path, JSON.stringify({ ...config, p2p: { ...config.p2p, port } }));
  const after = await startNode(fourth.dir);
  await untilAtWork(4, after.rpc);
  expect(after.log).toContain('deltaMs=300 suspicionTimeoutMs=1300 suspicionTimeoutMaxMs=5000');
  await until('all three are in touch', async () => {
    const status = await devnet.status(2);
    return status.margin === 1 && status.validators.find((member) => member.address === address)!.reachable;
  });
});

test('a proposal is taken back by who made it', async () => {
  await act('propose', '--policy', 'expirySeconds=3600', ...operatorFile(2), ...at(2));
  expect(await act('withdraw', '5', ...operatorFile(2), ...at(2))).toMatchObject({ proposal: 5, status: 'withdrawn' });
});

test('who holds the genesis alone verifies every hand-over, at a node and without one', async () => {
  await untilLevel(everyone());
  const chain = await agreedChain(everyone());
  for (const rpc of everyone()) {
    const args = ['epoch', 'verify', '--genesis', genesis(), '--rpc', rpc.url, '--json'];
    const { epochs, block } = await runJson<Verified>(args);
    expect(epochs.map(({ epoch, validators }) => [epoch, validators.length])).toEqual([
      [0, 3],
      [1, 4],
      [2, 3],
      [3, 3],
      [4, 3],
    ]);
    expect(block).toMatchObject({ number: chain.length - 1, hash: chain.at(-1)!.hash, epoch: 4 });
  }
  const out = file('epochs.json');
  expect((await run(['epoch', 'export', '--out', out, ...at(0)])).code).toBe(0);
  const offline = await runJson<Verified>(['epoch', 'verify', '--genesis', genesis(), '--file', out, '--json']);
  expect(offline.block.hash).toBe(chain.at(-1)!.hash);
  const early = await runJson<Verified>(['epoch', 'verify', '1', '--genesis', genesis(), ...at(0), '--json']);
  expect(early.block).toMatchObject({ number: 1, epoch: 0, hash: chain[1]!.hash });
});
