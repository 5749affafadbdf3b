/** The folder of a node that is to become a validator of a chain that runs already. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { multiaddrOf } from '../../genesis/peer-address.ts';
import { DEFAULT_CONFIG, DEFAULT_P2P_PORT, loadGenesis, type NodeConfig } from '../../node/config.ts';
import {
  CONFIG_FILE,
  DESCRIPTOR_FILE,
  GENESIS_FILE,
  makeFolder,
  OPERATOR_KEY_FILE,
  writeNewFile,
} from '../../node/data-dir.ts';
import { type KeystoreStrength, writeKeyFile } from '../../node/keystore.ts';
import { toHex } from '../../primitives/bytes.ts';
import type { Address } from '../../primitives/ids.ts';
import { privateKeyAddress, publicKey, randomPrivateKey } from '../../primitives/secp256k1.ts';
import type { HostAndPort } from '../arguments.ts';
import { type Descriptor, descriptorText } from '../descriptor.ts';
import { writeValidatorKeys } from '../validator-folder.ts';

export type CandidatePlan = {
  readonly genesisPath: string;
  readonly dir: string;
  /** None: an account is made, and put into the folder. */
  readonly operator: Address | undefined;
  /** Where the others find the node; none: on this machine's loopback. */
  readonly host: HostAndPort | undefined;
  readonly ports: {
    readonly rpc?: number | undefined;
    readonly p2p?: number | undefined;
    readonly metrics?: number | undefined;
  };
  /** Multiaddrs by node key, of validators that the genesis does not know. */
  readonly peers: Readonly<Record<string, readonly string[]>>;
  readonly password: string;
  readonly strength: KeystoreStrength;
};

const LOOPBACK = '127.0.0.1';

function configOf({ host, ports, peers }: CandidatePlan): NodeConfig {
  const { rpc, p2p, metrics } = DEFAULT_CONFIG;
  const everywhere = host?.host.includes(':') === true ? '::' : '0.0.0.0';
  const port = ports.p2p ?? host?.port ?? DEFAULT_P2P_PORT;
  return {
    ...DEFAULT_CONFIG,
    rpc: { ...rpc, port: ports.rpc ?? rpc.port },
    p2p: { ...p2p, host: host === undefined ? LOOPBACK : everywhere, port },
    metrics: { ...metrics, port: ports.metrics ?? metrics.port },
    peers,
  };
}

/** Writes the folder and the descriptor in it. The genesis is read first, the validator key written last. */
export async function createCandidate(plan: CandidatePlan): Promise<Descriptor> {
  const { dir, password, strength } = plan;
  await loadGenesis(dir, plan.genesisPath);
  const config = configOf(plan);
  const keys = { validator: randomPrivateKey(), node: randomPrivateKey() };
  const operatorKey = randomPrivateKey();
  const nodeKey = toHex(publicKey(keys.node));
  const host = plan.host?.host ?? LOOPBACK;
  const descriptor: Descriptor = {
    validator: privateKeyAddress(keys.validator),
    publicKey: toHex(publicKey(keys.validator)),
    nodeKey,
    operator: plan.operator ?? privateKeyAddress(operatorKey),
    multiaddr: multiaddrOf({ host, port: plan.host?.port ?? config.p2p.port, nodeKey }),
  };
  await makeFolder(dir);
  await writeNewFile(join(dir, GENESIS_FILE), await readFile(plan.genesisPath, 'utf8'), 'public');
  await writeNewFile(join(dir, CONFIG_FILE), JSON.stringify(config, undefined, 2) + '\n', 'public');
  await writeNewFile(join(dir, DESCRIPTOR_FILE), descriptorText(descriptor), 'public');
  if (plan.operator === undefined)
    await writeKeyFile(join(dir, OPERATOR_KEY_FILE), operatorKey, password, { strength });
  await writeValidatorKeys(dir, keys, { password, strength, made: true });
  return descriptor;
}
