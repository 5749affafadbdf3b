/** `quorate devnet` as interface.md has it: its one line, its signals, its folder, and a validator started from outside. */
import { existsSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Devnet, Node, temporaryFolder } from './devnet.ts';
import { freeBasePort } from './ports.ts';
import { exists, Program, run } from './processes.ts';
import { until } from './until.ts';

/** The accounts every devnet has: the mnemonic of Hardhat and Foundry. */
const FIRST_ACCOUNT = {
  address: '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
  privateKey: '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  balance: '1000000000000000000000',
};

let devnet: Devnet;
let dir: string;

beforeAll(async () => {
  dir = await temporaryFolder();
  devnet = await Devnet.start({ dir });
});

afterAll(async () => {
  await devnet?.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('--json prints exactly one line, with every field of the contract', async () => {
  const { stdout } = devnet.launcher;
  expect(stdout.endsWith('\n')).toBe(true);
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  const { line, basePort } = devnet;
  expect(Object.keys(line)).toEqual(['chainId', 'dir', 'validators', 'accounts']);
  expect(line.chainId).toBe(1337);
  expect(line.dir).toBe(dir);
  expect(line.validators).toHaveLength(3);
  for (const [k, validator] of line.validators.entries()) {
    expect(validator).toEqual({
      index: k,
      address: expect.stringMatching(/^0x[0-9a-f]{40}$/),
      peerId: expect.stringMatching(/^16Uiu2[1-9A-HJ-NP-Za-km-z]{47}$/),
      pid: expect.any(Number),
      rpc: `http://127.0.0.1:${basePort + k}`,
      ws: `ws://127.0.0.1:${basePort + k}`,
      p2p: `/ip4/127.0.0.1/tcp/${basePort + 21755 + k}/p2p/${validator.peerId}`,
      metrics: `http://127.0.0.1:${basePort + 1000 + k}/metrics`,
      dataDir: `${dir}/validator-${k}`,
      operator: line.accounts[line.accounts.length - 3 + k]!.address,
    });
    expect(exists(validator.pid)).toBe(true);
    expect(await devnet.rpc(k).call('eth_chainId')).toBe('0x539');
    const metrics = await fetch(validator.metrics);
    expect(metrics.status).toBe(200);
    expect(await metrics.text()).toMatch(/^quorate_/m);
  }
  expect(line.accounts.length).toBeGreaterThanOrEqual(10);
  expect(line.accounts[0]).toEqual(FIRST_ACCOUNT);
  for (const account of line.accounts) {
    expect(Object.keys(account)).toEqual(['address', 'privateKey', 'balance']);
    expect(BigInt(await devnet.rpc(0).call<string>('eth_getBalance', [account.address, 'latest']))).toBe(
      BigInt(account.balance),
    );
  }
});

test('a killed validator stays dead, and comes back by `quorate node` on its ports', async () => {
  await devnet.kill(1);
  await until('the devnet says so', () => /validator 1 .*SIGKILL/.test(devnet.launcher.stderr));
  expect(devnet.launcher.ended).toBeUndefined();
  await expect(devnet.rpc(1).blockNumber()).rejects.toThrow();
  await devnet.restart(1);
  await until('all see each other', async () => {
    const all = await Promise.all(devnet.indices.map((index) => devnet.status(index)));
    return all.every(({ margin }) => margin === 1);
  });
});

test('a second devnet on ports in use refuses, and leaves the first alone', async () => {
  const other = await temporaryFolder();
  const { code, stdout, stderr } = await run([
    'devnet',
    '--json',
    '--dir',
    other,
    '--base-port',
    String(devnet.basePort),
  ]);
  rmSync(other, { recursive: true, force: true });
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^error: ports? .* in use; /);
  expect(await devnet.rpc(0).call('eth_chainId')).toBe('0x539');
});

test('SIGTERM stops all it started, and leaves the validator started elsewhere alone', async () => {
  const { launcher, line } = devnet;
  launcher.signal('SIGTERM');
  expect(await launcher.exit).toBe(0);
  expect(line.validators.filter(({ pid }) => exists(pid))).toEqual([]);
  expect(await devnet.rpc(1).call('eth_chainId')).toBe('0x539');
  expect(launcher.stdout.trimEnd().split('\n')).toHaveLength(1);
  await devnet.stop();
});

test('--dir resumes the network: same keys, same genesis, same chain', async () => {
  const before = devnet.line;
  devnet = await Devnet.resume(dir, devnet.basePort);
  const withoutPids = ({ validators, ...rest }: typeof before) => ({
    ...rest,
    validators: validators.map((validator) => ({ ...validator, pid: 0 })),
  });
  expect(withoutPids(devnet.line)).toEqual(withoutPids(before));
  for (const validator of devnet.line.validators) expect(exists(validator.pid)).toBe(true);
});

test('SIGINT, as Ctrl-C, stops a devnet that is still starting', async () => {
  const other = await temporaryFolder();
  const program = new Program(['devnet', '--json', '--dir', other, '--base-port', String(await freeBasePort(3))]);
  await until('its nodes have begun', () => existsSync(`${other}/validator-2/node.log`));
  program.signal('SIGINT');
  expect(await program.exit).toBe(0);
  expect(program.stdout).toBe('');
  // Nobody holds the folders: each can be locked again.
  const node = new Node(`${other}/validator-0`, 'http://127.0.0.1:1', [
    '--rpc-port',
    '0',
    '--p2p-port',
    '0',
    '--metrics-port',
    '0',
  ]);
  await until('a node starts on the folder', () => /serving/.test(node.log) || node.program.ended !== undefined);
  expect(node.log).toMatch(/serving/);
  expect(await node.program.stop()).toBe(0);
  rmSync(other, { recursive: true, force: true });
});
