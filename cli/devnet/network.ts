/** The folder of a devnet: a new one, or one found there. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Genesis } from '../../genesis/genesis.ts';
import { multiaddrOf, peerIdOf } from '../../genesis/peer-address.ts';
import { loadConfig, loadGenesis } from '../../node/config.ts';
import { GENESIS_FILE } from '../../node/data-dir.ts';
import { keyFileExists } from '../../node/keystore.ts';
import { QuorateError } from '../../primitives/errors.ts';
import type { Address } from '../../primitives/ids.ts';
import { DEFAULT_PORTS, type PortBases, requireEmptyFolder, validatorFolder, writeNetwork } from '../network-files.ts';
import { DEVNET_BALANCE, type DevnetAccount, devnetAccounts, PLAIN_ACCOUNTS } from './accounts.ts';

const DEVNET_CHAIN_ID = 1337;
/** The keys of a devnet protect nothing, and its nodes must come back from any shell without being asked. */
const DEVNET_PASSWORD = 'devnet';
const DEFAULT_VALIDATORS = 3;

/** Distances from the RPC port, fixed so that scripts can compute every port from one. */
const P2P_OFFSET = DEFAULT_PORTS.p2p - DEFAULT_PORTS.rpc;
const METRICS_OFFSET = DEFAULT_PORTS.metrics - DEFAULT_PORTS.rpc;

export type DevnetValidator = {
  readonly index: number;
  readonly address: Address;
  readonly peerId: string;
  readonly operator: Address;
  readonly dataDir: string;
  readonly rpcPort: number;
  readonly p2pPort: number;
  readonly metricsPort: number;
  readonly rpc: string;
  readonly ws: string;
  readonly p2p: string;
  readonly metrics: string;
};

export type Devnet = {
  readonly dir: string;
  readonly chainId: number;
  readonly resumed: boolean;
  readonly validators: readonly DevnetValidator[];
  /** Plain ones first, then the operators. */
  readonly accounts: readonly DevnetAccount[];
};

export type DevnetChoices = { readonly dir: string; readonly validators?: number; readonly basePort?: number };

function portsFrom(rpc: number, validators: number): PortBases {
  const ports = { rpc, p2p: rpc + P2P_OFFSET, metrics: rpc + METRICS_OFFSET };
  if (ports.p2p + validators > 65_536) {
    throw new QuorateError('USAGE', `--base-port ${rpc} is too high: P2P ports begin ${P2P_OFFSET} above it`);
  }
  return ports;
}

async function createNetwork(choices: DevnetChoices, onProgress: (text: string) => void): Promise<Genesis> {
  const validators = choices.validators ?? DEFAULT_VALIDATORS;
  const ports = portsFrom(choices.basePort ?? DEFAULT_PORTS.rpc, validators);
  await requireEmptyFolder(choices.dir, '--dir');
  onProgress('making accounts and keys');
  const accounts = await devnetAccounts(PLAIN_ACCOUNTS + validators);
  return writeNetwork(
    {
      dir: choices.dir,
      chainId: DEVNET_CHAIN_ID,
      timestamp: Math.floor(Date.now() / 1000),
      validators,
      ports,
      alloc: new Map(accounts.map((account) => [account.address, DEVNET_BALANCE])),
      operatorKeys: accounts.slice(PLAIN_ACCOUNTS).map((account) => account.key),
      password: DEVNET_PASSWORD,
      keepPassword: true,
      strength: 'light',
      settings: { cors: ['*'], allowedPeers: ['*'] },
    },
    onProgress,
  );
}

/** Flags that contradict the network found would be dropped in silence, or break what others know of it. */
function checkChoices(choices: DevnetChoices, genesis: Genesis, rpcPort: number): void {
  const found = genesis.validators.length;
  if (choices.validators !== undefined && choices.validators !== found) {
    throw new QuorateError(
      'USAGE',
      `the network in ${choices.dir} has ${found} validators; leave --validators off, or choose another --dir`,
    );
  }
  if (choices.basePort !== undefined && choices.basePort !== rpcPort) {
    throw new QuorateError(
      'USAGE',
      `the network in ${choices.dir} uses base port ${rpcPort}; leave --base-port off, or choose another --dir`,
    );
  }
}

async function describeValidator(dir: string, genesis: Genesis, index: number): Promise<DevnetValidator> {
  const dataDir = validatorFolder(dir, index);
  const { rpc, p2p, metrics } = await loadConfig({ dataDir });
  const { validator, nodeKey, operator } = genesis.validators[index]!;
  return {
    index,
    address: validator,
    peerId: peerIdOf(nodeKey),
    operator,
    dataDir,
    rpcPort: rpc.port,
    p2pPort: p2p.port,
    metricsPort: metrics.port,
    rpc: `http://127.0.0.1:${rpc.port}`,
    ws: `ws://127.0.0.1:${rpc.port}`,
    p2p: multiaddrOf({ host: '127.0.0.1', port: p2p.port, nodeKey }),
    metrics: `http://127.0.0.1:${metrics.port}/metrics`,
  };
}

/** Opens the network in the folder, or makes one when the folder is new or empty. */
export async function openDevnet(choices: DevnetChoices, onProgress: (text: string) => void): Promise<Devnet> {
  const { dir } = choices;
  const resumed = await keyFileExists(join(dir, GENESIS_FILE));
  const genesis = resumed ? await loadGenesis(dir) : await createNetwork(choices, onProgress);
  const count = genesis.validators.length;
  await requireValidatorFolders(dir, count);
  const validators = await Promise.all(genesis.validators.map((_, index) => describeValidator(dir, genesis, index)));
  if (resumed) checkChoices(choices, genesis, validators[0]!.rpcPort);
  const known = await devnetAccounts(PLAIN_ACCOUNTS + count);
  const accounts = known.filter((account) => genesis.alloc.has(account.address));
  return { dir, chainId: genesis.chainId, resumed, validators, accounts };
}

async function requireValidatorFolders(dir: string, count: number): Promise<void> {
  const names = new Set(await readdir(dir));
  for (let index = 0; index < count; index++) {
    if (names.has(`validator-${index}`)) continue;
    throw new QuorateError(
      'DATA_DIR_INVALID',
      `${dir} has a genesis but no folder validator-${index}; restore it or choose another --dir`,
    );
  }
}
