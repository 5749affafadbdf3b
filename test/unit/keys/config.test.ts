import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DEFAULT_CONFIG,
  environmentOverrides,
  loadConfig,
  loadGenesis,
  parseConfig,
  variableOf,
} from '../../../node/config.ts';
import { QuorateError } from '../../../primitives/errors.ts';
import { rawGenesis } from '../genesis/fixture.ts';

const NODE_KEY = rawGenesis(1).validators[0]!.nodeKey;

function problemsOf(value: unknown, overrides: Record<string, string>[] = []): readonly string[] {
  try {
    parseConfig(value, overrides);
  } catch (error) {
    if (error instanceof QuorateError && error.code === 'CONFIG_INVALID') return error.data['problems'] as string[];
    throw error;
  }
  return [];
}

describe('configuration: parsing', () => {
  it('is the defaults when it says nothing', () => {
    expect(parseConfig({})).toEqual(DEFAULT_CONFIG);
    expect(DEFAULT_CONFIG.rpc).toMatchObject({ host: '127.0.0.1', port: 8545, cors: [] });
  });

  it('takes every field', () => {
    const value = {
      rpc: { host: '0.0.0.0', port: 1, cors: ['https://a.example'], allowedHosts: ['node.example'] },
      p2p: { host: '::', port: 2, announce: ['/dns/node.example/tcp/30300'] },
      metrics: { host: 'localhost', port: 3 },
      peers: { [NODE_KEY]: ['/ip4/10.0.0.1/tcp/30300'] },
      allowedPeers: ['*', NODE_KEY],
      pool: { ...DEFAULT_CONFIG.pool, transactionsMax: 5 },
      logLevel: 'debug',
      rebuildStore: true,
      snapshotAfter: 0,
      passwordFile: 'password',
    };
    expect(parseConfig(value)).toEqual(value);
  });

  it.each([
    ['an unknown field', { rpcs: {} }, 'rpcs: unknown field'],
    ['an unknown field inside', { rpc: { ports: 1 } }, 'rpc.ports: unknown field'],
    ['a port out of range', { p2p: { port: 65_536 } }, 'p2p.port: expected an integer from 0 to 65535'],
    ['a port that is text', { p2p: { port: '1' } }, 'p2p.port'],
    ['a host name to listen on', { rpc: { host: 'node.example' } }, 'rpc.host: expected an IP address or localhost'],
    ['a peer that is no node key', { peers: { x: [] } }, 'peers.x: expected a node key'],
    ['an address that is none', { peers: { [NODE_KEY]: ['x'] } }, '[0]: expected a multiaddr'],
    ['an address to announce that is none', { p2p: { announce: ['x'] } }, 'p2p.announce[0]: expected a multiaddr'],
    ['announced addresses that are no list', { p2p: { announce: 'x' } }, 'p2p.announce: expected an array'],
    ['a guest that is no node key', { allowedPeers: ['x'] }, 'allowedPeers[0]'],
    ['an empty pool', { pool: { transactionsMax: 0 } }, 'pool.transactionsMax'],
    ['an unknown level', { logLevel: 'loud' }, 'logLevel: expected one of'],
    ['a switch that is neither', { rebuildStore: 'yes' }, 'rebuildStore: expected true or false'],
    ['one port for two', { rpc: { port: 9545 } }, 'metrics.port: 9545 is already used by rpc.port'],
    ['a section that is no object', { rpc: 7 }, 'rpc: expected an object'],
    ['no object at all', [], ': expected an object'],
  ])('names %s', (_, value, expected) => {
    expect(problemsOf(value).join('\n')).toContain(expected);
  });

  it('does not mind port 0 three times: the system chooses', () => {
    const zero = { port: 0 };
    expect(problemsOf({ rpc: zero, p2p: zero, metrics: zero })).toEqual([]);
  });
});

describe('configuration: precedence', () => {
  const file = { rpc: { port: 1, cors: ['a'] }, logLevel: 'warn' };

  it('lets variables win over the file, and flags over variables', () => {
    const env = environmentOverrides({ QUORATE_RPC_PORT: '2', QUORATE_METRICS_PORT: '5', QUORATE_RPC_CORS: 'b, c' });
    const config = parseConfig(file, [env, { 'rpc.port': '3' }]);
    expect(config.rpc).toMatchObject({ port: 3, cors: ['b', 'c'], host: '127.0.0.1' });
    expect(config.metrics.port).toBe(5);
    expect(config.logLevel).toBe('warn');
    expect(config.rebuildStore).toBe(false);
    const rebuild = environmentOverrides({ QUORATE_REBUILD_STORE: 'true' });
    expect(parseConfig(file, [rebuild]).rebuildStore).toBe(true);
  });

  it('names a wrong variable by the setting it sets', () => {
    expect(problemsOf(file, [environmentOverrides({ QUORATE_P2P_PORT: 'x' }) as Record<string, string>])).toEqual([
      'p2p.port: expected an integer from 0 to 65535, found "x"',
    ]);
  });

  it('spells variables after settings', () => {
    expect(variableOf('rpc.allowedHosts')).toBe('QUORATE_RPC_ALLOWED_HOSTS');
    expect(variableOf('logLevel')).toBe('QUORATE_LOG_LEVEL');
    expect(variableOf('p2p.port')).toBe('QUORATE_P2P_PORT');
  });
});

describe('configuration: files', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'quorate-config-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('are optional in a data folder, not when they are named', async () => {
    expect(await loadConfig({ dataDir: dir })).toEqual(DEFAULT_CONFIG);
    await expect(loadConfig({ dataDir: dir, file: join(dir, 'x.json') })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it('hold a password file beside them; a variable names one from the working folder', async () => {
    await writeFile(join(dir, 'config.json'), '{"passwordFile":"password"}');
    expect((await loadConfig({ dataDir: dir })).passwordFile).toBe(join(dir, 'password'));
    const env = { QUORATE_PASSWORD_FILE: 'other' };
    expect((await loadConfig({ dataDir: dir, env })).passwordFile).toBe(resolve('other'));
  });

  it('that are not JSON are named', async () => {
    await writeFile(join(dir, 'config.json'), '{');
    await expect(loadConfig({ dataDir: dir })).rejects.toThrow(/config\.json is not JSON/);
  });

  it('the genesis is the one of the data folder, or the one named', async () => {
    await expect(loadGenesis(dir)).rejects.toMatchObject({ code: 'GENESIS_INVALID' });
    await writeFile(join(dir, 'genesis.json'), JSON.stringify(rawGenesis(3)));
    expect((await loadGenesis(dir)).validators).toHaveLength(3);
    await writeFile(join(dir, 'other.json'), JSON.stringify(rawGenesis(1)));
    expect((await loadGenesis(dir, join(dir, 'other.json'))).validators).toHaveLength(1);
  });
});
