/**
 * Writes the folder of a new network: the genesis, one folder per validator that `quorate node --data-dir` runs as it
 * is (and that can be carried to another host), and the operators' accounts.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createGenesis, genesisText } from '../genesis/create.ts';
import type { ConsensusSettings, Genesis, GenesisValidator } from '../genesis/genesis.ts';
import { multiaddrOf } from '../genesis/peer-address.ts';
import {
  DEFAULT_CONFIG,
  DEFAULT_METRICS_PORT,
  DEFAULT_P2P_PORT,
  DEFAULT_RPC_PORT,
  type NodeConfig,
} from '../node/config.ts';
import { CONFIG_FILE, GENESIS_FILE, makeFolder, PASSWORD_FILE, writeNewFile } from '../node/data-dir.ts';
import { type KeystoreStrength, writeKeyFile } from '../node/keystore.ts';
import { toHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { privateKeyAddress, publicKey, randomPrivateKey } from '../primitives/secp256k1.ts';
import type { HostAndPort } from './arguments.ts';
import { writeValidatorKeys } from './validator-folder.ts';

const LOOPBACK = '127.0.0.1';

/** First port of each kind; validator K takes the K-th after it. */
export type PortBases = { readonly rpc: number; readonly p2p: number; readonly metrics: number };

export const DEFAULT_PORTS: PortBases = { rpc: DEFAULT_RPC_PORT, p2p: DEFAULT_P2P_PORT, metrics: DEFAULT_METRICS_PORT };

export type NetworkPlan = {
  readonly dir: string;
  readonly chainId: number;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly validators: number;
  /** Where the others find each validator; none: all on this machine's loopback. */
  readonly hosts?: readonly HostAndPort[];
  readonly ports?: PortBases;
  readonly alloc: ReadonlyMap<Address, bigint>;
  readonly gasLimit?: number;
  readonly gasPriceFloor?: bigint;
  readonly consensus?: Partial<ConsensusSettings>;
  /** Operator keys, when they are not to be made. */
  readonly operatorKeys?: readonly Bytes[];
  readonly password: string;
  /** Writes the password beside the keys: only for keys that protect nothing. */
  readonly keepPassword?: boolean;
  readonly strength?: KeystoreStrength;
  readonly settings?: { readonly cors?: readonly string[]; readonly allowedPeers?: readonly string[] };
};

type Keys = { readonly validator: Bytes; readonly node: Bytes; readonly operator: Bytes };

export function validatorFolder(dir: string, index: number): string {
  return join(dir, `validator-${index}`);
}

/** The folder may be absent or empty; anything in it is somebody's. */
export async function requireEmptyFolder(dir: string, option: string): Promise<void> {
  let entries: string[] = [];
  try {
    entries = await readdir(dir);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOTDIR')
      throw new QuorateError('USAGE', `${dir} is a file; name a folder with ${option}`, { cause });
    if (code !== 'ENOENT') throw cause;
  }
  if (entries.length > 0) {
    throw new QuorateError('USAGE', `${dir} is not empty; name a new or an empty folder with ${option}`);
  }
}

/** Validator K's own settings. A validator others must reach from outside listens on all interfaces. */
function networkConfig(plan: NetworkPlan, index: number): NodeConfig {
  const ports = plan.ports ?? DEFAULT_PORTS;
  const host = plan.hosts?.[index];
  const everywhere = host?.host.includes(':') === true ? '::' : '0.0.0.0';
  return {
    ...DEFAULT_CONFIG,
    rpc: { host: LOOPBACK, port: ports.rpc + index, cors: plan.settings?.cors ?? [], allowedHosts: [] },
    p2p:
      host === undefined
        ? { host: LOOPBACK, port: ports.p2p + index }
        : { host: everywhere, port: host.port ?? DEFAULT_P2P_PORT },
    metrics: { host: LOOPBACK, port: ports.metrics + index },
    allowedPeers: plan.settings?.allowedPeers ?? [],
    ...(plan.keepPassword === true && { passwordFile: PASSWORD_FILE }),
  };
}

function genesisValidator(plan: NetworkPlan, index: number, keys: Keys): GenesisValidator {
  const nodeKey = toHex(publicKey(keys.node));
  const { port } = networkConfig(plan, index).p2p;
  const host = plan.hosts?.[index]?.host ?? LOOPBACK;
  return {
    validator: privateKeyAddress(keys.validator),
    nodeKey,
    operator: privateKeyAddress(keys.operator),
    addresses: [multiaddrOf({ host, port, nodeKey })],
  };
}

async function writeValidator(plan: NetworkPlan, index: number, keys: Keys, genesis: string): Promise<void> {
  const folder = validatorFolder(plan.dir, index);
  await makeFolder(folder);
  await writeNewFile(join(folder, GENESIS_FILE), genesis, 'public');
  const config = networkConfig(plan, index);
  await writeNewFile(join(folder, CONFIG_FILE), JSON.stringify(config, undefined, 2) + '\n', 'public');
  if (plan.keepPassword === true) await writeNewFile(join(folder, PASSWORD_FILE), plan.password + '\n', 'secret');
  const options = { password: plan.password, strength: plan.strength ?? 'standard', made: true };
  await writeValidatorKeys(folder, keys, options);
}

/** Makes all keys and writes all files. The genesis is checked before the first file is written. */
export async function writeNetwork(plan: NetworkPlan, onProgress: (text: string) => void): Promise<Genesis> {
  const keys: Keys[] = Array.from({ length: plan.validators }, (_, i) => ({
    validator: randomPrivateKey(),
    node: randomPrivateKey(),
    operator: plan.operatorKeys?.[i] ?? randomPrivateKey(),
  }));
  const genesis = createGenesis({
    chainId: plan.chainId,
    timestamp: plan.timestamp,
    validators: keys.map((own, i) => genesisValidator(plan, i, own)),
    alloc: plan.alloc,
    ...(plan.gasLimit !== undefined && { gasLimit: plan.gasLimit }),
    ...(plan.gasPriceFloor !== undefined && { gasPriceFloor: plan.gasPriceFloor }),
    ...(plan.consensus !== undefined && { consensus: plan.consensus }),
  });
  const text = genesisText(genesis);
  const operators = join(plan.dir, 'operators');
  await makeFolder(operators);
  for (const [index, own] of keys.entries()) {
    onProgress(`writing the keys of validator ${index + 1} of ${keys.length}`);
    await writeValidator(plan, index, own, text);
    const file = join(operators, `operator-${index}.json`);
    await writeKeyFile(file, own.operator, plan.password, { strength: plan.strength ?? 'standard' });
  }
  await writeNewFile(join(plan.dir, GENESIS_FILE), text, 'public');
  return genesis;
}
