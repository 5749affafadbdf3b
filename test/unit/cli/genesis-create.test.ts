import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseGenesisText } from '../../../genesis/parse.ts';
import { peerIdOf } from '../../../genesis/peer-address.ts';
import { loadConfig, loadGenesis } from '../../../node/config.ts';
import { openKeyFile } from '../../../node/keystore.ts';
import { hasEmptyGuard, loadNodeKeys } from '../../../node/node-keys.ts';
import { privateKeyAddress } from '../../../primitives/secp256k1.ts';
import { run } from './run.ts';

let dir: string;
let out: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quorate-cli-'));
  out = join(dir, 'network');
});
afterEach(() => rm(dir, { recursive: true }));

function create(...args: string[]) {
  return run(['genesis', 'create', '--light', '--out', out, ...args], { QUORATE_PASSWORD: 'sesame' });
}

describe('genesis create: the folder', () => {
  it('holds genesis, operators, and per validator all that `node --data-dir` needs', async () => {
    const outcome = await create('--validators', '3', '--chain-id', '42', '--alloc', `0x${'ab'.repeat(20)}=1.5`);
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.err).not.toContain('warning');
    expect((await readdir(out)).sort()).toEqual([
      'genesis.json',
      'operators',
      'validator-0',
      'validator-1',
      'validator-2',
    ]);
    const text = await readFile(join(out, 'genesis.json'), 'utf8');
    const genesis = parseGenesisText(text);
    expect(genesis.chainId).toBe(42);
    expect(genesis.alloc.get(`0x${'ab'.repeat(20)}`)).toBe(1_500_000_000_000_000_000n);
    for (const [index, validator] of genesis.validators.entries()) {
      const folder = join(out, `validator-${index}`);
      expect((await stat(folder)).mode & 0o777).toBe(0o700);
      expect((await readdir(folder)).sort()).toEqual([
        'config.json',
        'genesis.json',
        'guard-empty',
        'node-key.json',
        'validator-key.json',
      ]);
      expect(await readFile(join(folder, 'genesis.json'), 'utf8')).toBe(text);
      const keys = await loadNodeKeys(folder, () => Promise.resolve('sesame'));
      expect(keys).toMatchObject({ nodeKey: validator.nodeKey, validator: { address: validator.validator } });
      expect(await hasEmptyGuard(folder, validator.validator)).toBe(true);
      const operator = await openKeyFile(join(out, 'operators', `operator-${index}.json`), 'sesame');
      expect(privateKeyAddress(operator)).toBe(validator.operator);
    }
  });

  it('without --host: loopback, ports counted up from the defaults', async () => {
    await create('--validators', '2');
    const genesis = await loadGenesis(out);
    for (const index of [0, 1]) {
      const config = await loadConfig({ dataDir: join(out, `validator-${index}`) });
      expect(config.rpc).toMatchObject({ host: '127.0.0.1', port: 8545 + index, cors: [] });
      expect(config.p2p).toEqual({ host: '127.0.0.1', port: 30_300 + index });
      expect(config.metrics).toEqual({ host: '127.0.0.1', port: 9545 + index });
      expect(config.allowedPeers).toEqual([]);
      const { nodeKey, addresses } = genesis.validators[index]!;
      expect(addresses).toEqual([`/ip4/127.0.0.1/tcp/${30_300 + index}/p2p/${peerIdOf(nodeKey)}`]);
    }
  });

  it('with --host: found there, listening on all interfaces at that port or 30300, RPC still on loopback', async () => {
    await create('--validators', '3', '--host', '10.0.0.1', '--host', 'node.example:30400', '--host', '[::1]:5000');
    const genesis = await loadGenesis(out);
    const places = genesis.validators.map((validator) => validator.addresses?.[0]?.split('/p2p/')[0]);
    expect(places).toEqual(['/ip4/10.0.0.1/tcp/30300', '/dns/node.example/tcp/30400', '/ip6/::1/tcp/5000']);
    const configs = await Promise.all([0, 1, 2].map((k) => loadConfig({ dataDir: join(out, `validator-${k}`) })));
    expect(configs.map((config) => config.p2p)).toEqual([
      { host: '0.0.0.0', port: 30_300 },
      { host: '0.0.0.0', port: 30_400 },
      { host: '::', port: 5000 },
    ]);
    expect(configs.map((config) => config.rpc.host)).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1']);
  });

  it('may be there already, when it is empty', async () => {
    await mkdir(out);
    expect((await create('--validators', '1')).code).toBe(0);
    const again = await create('--validators', '1');
    expect(again.code).toBe(2);
    expect(again.err).toContain('is not empty');
  });
});

describe('genesis create: the terms', () => {
  it('follow from --delta, --gas-price-floor and the rest', async () => {
    await create('--validators', '1', '--delta', '1250', '--gas-price-floor', '7wei', '--empty-block-period', '5000');
    const { consensus, gasPriceFloor } = await loadGenesis(out);
    expect(consensus).toMatchObject({
      deltaMs: 1250,
      suspicionTimeoutMs: 5000,
      requestTimeoutMs: 10_000,
      emptyBlockPeriodMs: 5000,
    });
    expect(gasPriceFloor).toBe(7n);
  });

  it('warns when no fault is tolerated', async () => {
    expect((await create('--validators', '2')).err).toContain('2 validators tolerate no fault');
  });

  it('prints one line of JSON for scripts', async () => {
    const outcome = await create('--validators', '1', '--json');
    const printed = JSON.parse(outcome.out) as { validators: { dataDir: string; peerId: string }[] };
    expect(outcome.out.trim().split('\n')).toHaveLength(1);
    expect(printed.validators[0]!.dataDir).toBe(join(out, 'validator-0'));
    expect(printed.validators[0]!.peerId).toMatch(/^16Uiu2/);
  });
});

describe('genesis create: wrong use', () => {
  it.each([
    ['no number of validators', [], '--validators'],
    ['no validators', ['--validators', '0'], 'whole number from 1 to 100'],
    ['too few hosts', ['--validators', '3', '--host', 'a'], 'give --host once per validator: 3 times, not 1'],
    ['one place for two', ['--validators', '2', '--host', 'a', '--host', 'A:30300'], 'the same --host and port'],
    ['an account without amount', ['--validators', '1', '--alloc', `0x${'ab'.repeat(20)}`], 'ADDRESS=AMOUNT'],
    ['an account that is none', ['--validators', '1', '--alloc', '0x12=1'], 'expected an address'],
    [
      'an account twice',
      ['--validators', '1', ...['--alloc', '--alloc'].flatMap((flag) => [flag, `0x${'ab'.repeat(20)}=1`])],
      'twice',
    ],
    ['an unknown option', ['--validators', '1', '--hosts', 'a'], "unknown option '--hosts'"],
  ])('with %s ends with 2, one sentence, and nothing written', async (_, args, expected) => {
    const outcome = await create(...args);
    expect(outcome.code).toBe(2);
    expect(outcome.err).toContain(expected);
    expect(outcome.err.trim().split('\n')).toHaveLength(1);
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  });
});
