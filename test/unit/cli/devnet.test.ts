import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { devnetAccounts } from '../../../cli/devnet/accounts.ts';
import { openDevnet } from '../../../cli/devnet/network.ts';
import { requireFreePorts } from '../../../cli/devnet/ports.ts';
import { loadConfig, loadGenesis } from '../../../node/config.ts';
import { loadNodeKeys } from '../../../node/node-keys.ts';
import { run } from './run.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quorate-devnet-'));
});
afterEach(() => rm(dir, { recursive: true }));

const silent = () => undefined;

describe('devnet: a new network', () => {
  it('has the ports, accounts and settings that scripts rely on', async () => {
    const devnet = await openDevnet({ dir, validators: 3, basePort: 9000 }, silent);
    expect(devnet).toMatchObject({ chainId: 1337, resumed: false });
    expect(devnet.validators.map((v) => [v.rpcPort, v.p2pPort, v.metricsPort])).toEqual([
      [9000, 30_755, 10_000],
      [9001, 30_756, 10_001],
      [9002, 30_757, 10_002],
    ]);
    const [first] = devnet.validators;
    expect(first).toMatchObject({
      rpc: 'http://127.0.0.1:9000',
      ws: 'ws://127.0.0.1:9000',
      p2p: `/ip4/127.0.0.1/tcp/30755/p2p/${first!.peerId}`,
      metrics: 'http://127.0.0.1:10000/metrics',
      dataDir: join(dir, 'validator-0'),
    });
    // Hardhat's and Foundry's first account, ten plain ones, then the operators.
    expect(devnet.accounts[0]).toMatchObject({
      address: '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
      privateKey: '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
    });
    expect(devnet.accounts).toHaveLength(13);
    expect(devnet.accounts.slice(10).map((a) => a.address)).toEqual(devnet.validators.map((v) => v.operator));
    const genesis = await loadGenesis(dir);
    expect([...genesis.alloc.values()]).toEqual(Array(13).fill(10n ** 21n));
    expect(genesis).toMatchObject({ gasPriceFloor: 0n, consensus: { emptyBlockPeriodMs: 0 } });
    const config = await loadConfig({ dataDir: first!.dataDir });
    expect(config).toMatchObject({ rpc: { cors: ['*'] }, allowedPeers: ['*'] });
    const password = (await readFile(config.passwordFile!, 'utf8')).trim();
    const keys = await loadNodeKeys(first!.dataDir, () => Promise.resolve(password));
    expect(keys.validator?.address).toBe(first!.address);
  });

  it('is the same one when it is opened again', async () => {
    const made = await openDevnet({ dir, validators: 1, basePort: 9000 }, silent);
    const found = await openDevnet({ dir }, silent);
    expect(found).toEqual({ ...made, resumed: true });
  });

  it('is not opened under other terms than it has', async () => {
    await openDevnet({ dir, validators: 1, basePort: 9000 }, silent);
    await expect(openDevnet({ dir, validators: 3 }, silent)).rejects.toThrow(
      /has 1 validators; leave --validators off/,
    );
    await expect(openDevnet({ dir, basePort: 8545 }, silent)).rejects.toThrow(
      /uses base port 9000; leave --base-port off/,
    );
    await rm(join(dir, 'validator-0'), { recursive: true });
    await expect(openDevnet({ dir }, silent)).rejects.toMatchObject({ code: 'DATA_DIR_INVALID' });
  });

  it('refuses a base port whose P2P ports would not exist', async () => {
    await expect(openDevnet({ dir, basePort: 43_779 }, silent)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('devnet: accounts', () => {
  it('are those of the mnemonic, in order', async () => {
    const accounts = await devnetAccounts(11);
    expect(accounts[1]!.address).toBe('0x70997970c51812dc3a010c7d01b50e0d17dc79c8');
    expect(accounts[10]!.address).toBe('0xbcd4042de499d14e55001ccbb24a551f3b954096');
  });
});

describe('devnet: ports', () => {
  it('that are taken are named, before anything is started', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    try {
      await expect(requireFreePorts([port])).rejects.toMatchObject({ code: 'PORT_IN_USE', data: { ports: [port] } });
    } finally {
      await new Promise((resolve) => {
        server.close(resolve);
      });
    }
    await expect(requireFreePorts([port])).resolves.toBeUndefined();
  });
});

describe('help', () => {
  const commands = [
    ['devnet'],
    ['genesis', 'create'],
    ['key', 'create'],
    ['key', 'import'],
    ['key', 'show'],
    ['node'],
    ['status'],
    ['tx', 'send'],
    ['tx', 'show'],
    ['block', 'show'],
    ['account', 'show'],
    ['chain', 'verify'],
    ['bench'],
  ];

  it.each(commands.map((command) => [command.join(' '), command] as const))(
    'of %s has an example and ends with 0',
    async (name, command) => {
      const outcome = await run([...command, '--help']);
      expect(outcome.code).toBe(0);
      expect(outcome.out).toContain(`Usage: quorate ${name}`);
      expect(outcome.out).toMatch(new RegExp(`Examples?:\n  quorate ${name}`));
    },
  );

  it('is shown for nothing at all, which is wrong use', async () => {
    expect(await run([])).toMatchObject({ code: 2 });
    expect((await run(['nod'])).err).toBe("error: unknown command 'nod' (Did you mean node?); see --help\n");
  });
});
