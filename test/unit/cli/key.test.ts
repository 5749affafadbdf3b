import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wallet } from 'ethers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadNodeKeys } from '../../../node/node-keys.ts';
import { toHex } from '../../../primitives/bytes.ts';
import { publicKey } from '../../../primitives/secp256k1.ts';
import { run } from './run.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quorate-key-'));
});
afterEach(() => rm(dir, { recursive: true }));

const PASSWORD = { QUORATE_PASSWORD: 'sesame' };
const PRIVATE_KEY = '0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318';
const ADDRESS = '0x2c7536e3605d9c16a7a3d7b1898e529396a65c23';

describe('key create, import, show', () => {
  it('make an account that ethers opens', async () => {
    const file = join(dir, 'alice.json');
    const made = await run(['key', 'create', '--light', '--out', file, '--json'], PASSWORD);
    expect(made.code).toBe(0);
    const wallet = await Wallet.fromEncryptedJson(await readFile(file, 'utf8'), 'sesame');
    expect(JSON.parse(made.out)).toEqual({ address: wallet.address.toLowerCase(), file });
    const shown = await run(['key', 'show', file, '--private', '--json'], PASSWORD);
    expect(JSON.parse(shown.out)).toMatchObject({ privateKey: wallet.privateKey });
  });

  it('import a private key from the variable or a file, never from an argument', async () => {
    const first = join(dir, 'first.json');
    const env = { ...PASSWORD, QUORATE_PRIVATE_KEY: PRIVATE_KEY };
    expect((await run(['key', 'import', '--light', '--out', first], env)).code).toBe(0);
    await writeFile(join(dir, 'plain.txt'), `${PRIVATE_KEY.slice(2)}\n`);
    const second = join(dir, 'second.json');
    expect((await run(['key', 'import', join(dir, 'plain.txt'), '--light', '--out', second], PASSWORD)).code).toBe(0);
    for (const file of [first, second]) {
      expect(JSON.parse((await run(['key', 'show', file, '--json'])).out)).toEqual({ address: ADDRESS, file });
    }
    const refused = await run(['key', 'import', PRIVATE_KEY], PASSWORD);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(refused.err).not.toContain(PRIVATE_KEY);
  });

  it('take the password from a file when it is named, before the variable', async () => {
    const file = join(dir, 'alice.json');
    await writeFile(join(dir, 'password'), 'other\n');
    await run(['key', 'create', '--light', '--out', file, '--password-file', join(dir, 'password')], PASSWORD);
    const wrong = await run(['key', 'show', file, '--private'], PASSWORD);
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('the password does not open');
    expect((await run(['key', 'show', file, '--private'], { QUORATE_PASSWORD: 'other' })).code).toBe(0);
  });

  it('say what to do without a password', async () => {
    const outcome = await run(['key', 'create', '--out', join(dir, 'x.json')]);
    expect(outcome.code).toBe(1);
    expect(outcome.err).toBe('error: no password: set QUORATE_PASSWORD or give --password-file FILE\n');
  });
});

describe('validator folders', () => {
  it('get keys, a guard and an operator, and describe themselves to others', async () => {
    const node = join(dir, 'node');
    const made = await run(['key', 'create', '--validator', '--light', '--data-dir', node, '--json'], PASSWORD);
    expect((await readdir(node)).sort()).toEqual([
      'guard-empty',
      'node-key.json',
      'operator-key.json',
      'validator-key.json',
    ]);
    const { validator, nodeKey, operator } = JSON.parse(made.out) as Record<string, string>;
    const multiaddr = '/dns/node.example/tcp/30300';
    const file = join(dir, 'node.json');
    const args = ['key', 'show', '--descriptor', '--data-dir', node, '--address', multiaddr];
    const keys = await loadNodeKeys(node, () => Promise.resolve('sesame'));
    const key = toHex(publicKey(keys.validator!.privateKey));
    const expected = { validator, publicKey: key, nodeKey, operator, multiaddr };
    expect(JSON.parse((await run([...args, '--json'])).out)).toEqual(expected);
    expect((await run([...args, '--out', file])).code).toBe(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(expected);
    const elsewhere = await run([...args.slice(0, -1), '/dns/node.example', '--json']);
    expect(elsewhere).toMatchObject({ code: 2, out: '' });
    expect(elsewhere.err).toContain('--address: expected a multiaddr');
  });

  it('of founders are described from the genesis, without a password', async () => {
    const network = join(dir, 'network');
    await run(['genesis', 'create', '--validators', '1', '--light', '--out', network, '--host', '10.0.0.1'], PASSWORD);
    const genesis = JSON.parse(await readFile(join(network, 'genesis.json'), 'utf8'));
    const { validator, nodeKey, operator, addresses } = genesis.validators[0];
    const shown = await run(['key', 'show', '--descriptor', '--data-dir', join(network, 'validator-0'), '--json']);
    expect(JSON.parse(shown.out)).toMatchObject({ validator, nodeKey, operator, multiaddr: addresses[0] });
  });

  it('whose key files do not state their public keys are described with the password', async () => {
    const node = join(dir, 'node');
    await run(['key', 'create', '--validator', '--light', '--data-dir', node], PASSWORD);
    const args = ['key', 'show', '--descriptor', '--data-dir', node, '--address', '/ip4/10.0.0.1/tcp/30300'];
    const before = await run(args);
    for (const name of ['validator-key.json', 'node-key.json']) {
      const { publicKey: _, ...bare } = JSON.parse(await readFile(join(node, name), 'utf8'));
      await writeFile(join(node, name), JSON.stringify(bare));
    }
    expect((await run(args)).err).toContain('no password');
    expect((await run(args, PASSWORD)).out).toBe(before.out);
  });

  it('show the key of the validator, and of the node with its name on the network', async () => {
    const node = join(dir, 'node');
    await run(['key', 'create', '--validator', '--light', '--data-dir', node], PASSWORD);
    const shown = async (file: string) => JSON.parse((await run(['key', 'show', join(node, file), '--json'])).out);
    expect(Object.keys(await shown('validator-key.json'))).toEqual(['address', 'file', 'publicKey']);
    expect(Object.keys(await shown('node-key.json'))).toEqual(['address', 'file', 'nodeKey', 'peerId']);
  });

  it('with an imported key have no empty guard: that key may have signed before', async () => {
    const node = join(dir, 'node');
    const env = { ...PASSWORD, QUORATE_PRIVATE_KEY: PRIVATE_KEY };
    const args = ['key', 'import', '--validator', '--light', '--data-dir', node, '--operator', `0x${'ab'.repeat(20)}`];
    const outcome = await run(args, env);
    expect(outcome.code).toBe(0);
    expect(outcome.err).toContain('may have signed before');
    expect((await readdir(node)).sort()).toEqual(['node-key.json', 'validator-key.json']);
  });

  it('are not given a second key', async () => {
    const args = ['key', 'create', '--validator', '--light', '--data-dir', join(dir, 'node')];
    await run(args, PASSWORD);
    expect((await run(args, PASSWORD)).err).toContain('has a validator key already');
  });

  it.each([
    [['key', 'create', '--validator'], '--data-dir'],
    [['key', 'create', '--validator', '--out', 'x'], '--data-dir, not --out'],
    [['key', 'create', '--data-dir', 'x'], '--out'],
  ])('%j is wrong use', async (args, expected) => {
    const outcome = await run(args, PASSWORD);
    expect(outcome.code).toBe(2);
    expect(outcome.err).toContain(expected);
  });
});
