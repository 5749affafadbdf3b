/** The reading and sending commands against a running devnet: what they print parses, and all nodes say the same. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encryptKeystoreJson } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { untilLevel } from './agreement.ts';
import { Devnet, type Status } from './devnet.ts';
import { freeBasePort } from './ports.ts';
import { run, runJson } from './processes.ts';

let devnet: Devnet;
let folder: string;
const RECEIVER = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

type Sent = { hash: string; blockNumber: number; blockHash: string; status: number; gasUsed: number; fee: string };
let sent: Sent;

beforeAll(async () => {
  devnet = await Devnet.start();
  folder = mkdtempSync(join(tmpdir(), 'quorate-e2e-'));
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await devnet?.stop();
});

const rpcOf = (index: number): string[] => ['--rpc', devnet.line.validators[index]!.rpc];
const key = (index: number): string => devnet.line.accounts[index]!.privateKey;

test('tx send signs, waits for finality and prints one line of JSON, the hash first', async () => {
  const args = ['tx', 'send', '--to', RECEIVER, '--value', '1.5', '--json', ...rpcOf(0)];
  const { code, stdout } = await run(args, { env: { QUORATE_PRIVATE_KEY: key(0) } });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\{"hash":"0x[0-9a-f]{64}",.*\}\n$/);
  sent = JSON.parse(stdout) as Sent;
  expect(Object.keys(sent)).toEqual(['hash', 'blockNumber', 'blockHash', 'status', 'gasUsed', 'fee']);
  expect(sent).toMatchObject({ status: 1, gasUsed: 21_000, fee: '0' });
});

test('tx send takes amounts in wei, data, a key file with its password, and --no-wait', async () => {
  const keyFile = join(folder, 'key.json');
  const account = { address: devnet.line.accounts[2]!.address, privateKey: key(2) };
  const options = { scrypt: { N: 4096, r: 8, p: 1 }, progressCallback: () => undefined };
  writeFileSync(keyFile, await encryptKeystoreJson(account, 'secret', options), { mode: 0o600 });
  const args = ['tx', 'send', '--to', RECEIVER, '--value', '7wei', '--data', '0x1234', '--key', keyFile, ...rpcOf(1)];
  const waited = await runJson<Sent>([...args, '--json'], { env: { QUORATE_PASSWORD: 'secret' } });
  expect(waited.gasUsed).toBe(21_000 + 2 * 16);
  const quick = await run([...args, '--no-wait'], { env: { QUORATE_PASSWORD: 'secret' } });
  expect(quick.code).toBe(0);
  expect(quick.stdout).toMatch(/^0x[0-9a-f]{64}\n$/);
  const wrong = await run(args, { env: { QUORATE_PASSWORD: 'wrong' } });
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/password/);
});

test('block show, tx show and account show say the same on all three nodes', async () => {
  await untilLevel(devnet.rpcs);
  for (const args of [
    ['block', 'show'],
    ['block', 'show', '0'],
    ['block', 'show', sent.blockHash],
    ['tx', 'show', sent.hash],
    ['account', 'show', RECEIVER],
  ]) {
    const plain = await run([...args, ...rpcOf(0)]);
    expect([args, plain.code, plain.stderr]).toEqual([args, 0, '']);
    expect(plain.stdout).toContain(args[2] ?? 'hash');
    const json = await Promise.all(devnet.indices.map((index) => runJson([...args, '--json', ...rpcOf(index)])));
    for (const index of devnet.indices) expect(json[index]).toEqual(json[0]);
  }
  const block = await runJson<Record<string, unknown>>([
    'block',
    'show',
    String(sent.blockNumber),
    '--json',
    ...rpcOf(2),
  ]);
  expect(block).toMatchObject({ hash: sent.blockHash, transactions: [sent.hash] });
  const account = await runJson<Record<string, unknown>>(['account', 'show', RECEIVER, '--json', ...rpcOf(2)]);
  expect(BigInt(account['balance'] as string)).toBe(1001n * 10n ** 18n + 10n ** 18n / 2n + 14n);
  expect(account).toMatchObject({ address: RECEIVER.toLowerCase(), contract: false });
});

test('status shows all validators with their roles, alike on all three nodes', async () => {
  const all = await Promise.all(devnet.indices.map((index) => runJson<Status>(['status', '--json', ...rpcOf(index)])));
  for (const [index, status] of all.entries()) {
    expect(status.primary).toBe(all[0]!.primary);
    expect(status.group).toEqual(all[0]!.group);
    expect(status).toMatchObject({ view: all[0]!.view, final: all[0]!.final, t: 1, margin: 1 });
    expect(status.role).toBe(status.validators[index]!.role);
    expect(status.validators.map(({ address }) => address)).toEqual(
      devnet.line.validators.map(({ address }) => address),
    );
  }
  expect(all.map(({ role }) => role).sort()).toEqual(['follower', 'passive', 'primary']);
  const { code, stdout } = await run(['status', ...rpcOf(0)]);
  expect(code).toBe(0);
  for (const { address } of devnet.line.validators) expect(stdout).toContain(address);
});

test('QUORATE_RPC names the node to ask', async () => {
  const env = { QUORATE_RPC: devnet.line.validators[2]!.rpc };
  const block = await runJson<{ number: string }>(['block', 'show', '--json'], { env });
  expect(Number(block.number)).toBeGreaterThan(0);
});

/** One line, no stack. */
function expectOneSentence(stderr: string): void {
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(/^error: \S.*[^.\s]\n$/);
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
}

const WRONG_USE: readonly (readonly string[])[] = [
  ['frobnicate'],
  ['tx', 'send', '--value', '1'],
  ['tx', 'send', '--to', 'nobody', '--value', '1'],
  ['tx', 'send', '--to', RECEIVER, '--value', 'much'],
  ['tx', 'send', '--to', RECEIVER, '--value', '-1'],
  ['tx', 'send', '--to', RECEIVER, '--value', '1'],
  ['tx', 'show', '0x12'],
  ['tx', 'show'],
  ['block', 'show', 'yesterday'],
  ['account', 'show', '0x70997970C51812dc3A010C7d01b50e0d17dc79C9'],
  ['account', 'show', RECEIVER, '--rpc', 'localhost'],
  ['status', '--no-such-option'],
  ['devnet', '--validators', 'zero'],
  ['node'],
];

test('wrong use ends with 2 and one sentence', async () => {
  const results = await Promise.all(WRONG_USE.map((args) => run(args)));
  for (const [i, { code, stdout, stderr }] of results.entries()) {
    expect([WRONG_USE[i], code, stdout]).toEqual([WRONG_USE[i], 2, '']);
    expectOneSentence(stderr);
  }
});

test('a node that does not answer, and what does not exist, end with 1 and one sentence', async () => {
  const nobody = `http://127.0.0.1:${await freeBasePort(1)}`;
  const failing: readonly (readonly string[])[] = [
    ['status', '--rpc', nobody],
    ['block', 'show', '--rpc', nobody],
    ['tx', 'show', sent.hash, '--rpc', nobody],
    ['account', 'show', RECEIVER, '--rpc', nobody],
    ['tx', 'show', '0x' + '00'.repeat(32), ...rpcOf(0)],
    ['block', 'show', '999999', ...rpcOf(0)],
  ];
  const results = await Promise.all(failing.map((args) => run(args)));
  for (const [i, { code, stdout, stderr }] of results.entries()) {
    expect([failing[i], code, stdout]).toEqual([failing[i], 1, '']);
    expectOneSentence(stderr);
  }
  const poor = ['tx', 'send', '--to', RECEIVER, '--value', '1000000', ...rpcOf(0)];
  const { code, stderr } = await run(poor, { env: { QUORATE_PRIVATE_KEY: key(3) } });
  expect(code).toBe(1);
  expectOneSentence(stderr);
  expect(stderr).toMatch(/insufficient funds/);
});
