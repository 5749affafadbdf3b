/**
 * Nodes whose way to each other is in the test's hands: each has a data folder as `quorate` makes it, finds the others
 * where the test says, and nowhere else, because genesis and announcements name a port on which nobody listens.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeValidatorKeys } from '../../cli/validator-folder.ts';
import { consensusForDelta, createGenesis, genesisText } from '../../genesis/create.ts';
import type { ConsensusSettings, Genesis } from '../../genesis/genesis.ts';
import { multiaddrOf } from '../../genesis/peer-address.ts';
import { DEFAULT_CONFIG } from '../../node/config.ts';
import { CONFIG_FILE, GENESIS_FILE, makeFolder, PASSWORD_FILE, writeNewFile } from '../../node/data-dir.ts';
import { toHex } from '../../primitives/bytes.ts';
import { privateKeyAddress, publicKey, randomPrivateKey } from '../../primitives/secp256k1.ts';
import { COIN, randomSenders, type Sender } from './accounts.ts';
import { type AccountLine, temporaryFolder } from './devnet.ts';
import { Member, OwnNodes } from './members.ts';
import { RelayMesh } from './mesh.ts';
import { freeBasePort, METRICS_OFFSET, P2P_OFFSET } from './ports.ts';
import type { Endpoint } from './relay.ts';
import { Rpc } from './rpc.ts';

/** Where a node runs and listens. */
export type Place = {
  readonly rpc: Endpoint;
  readonly p2p: Endpoint;
  readonly metrics: Endpoint;
  /** Its network namespace, unless it is the test's own. */
  readonly namespace?: string;
};

export type NetworkPlan = {
  readonly validators: number;
  /** One for each validator, and one for each further node. */
  readonly places: readonly Place[];
  /** Where a node finds another. */
  readonly seen: (from: number, to: number) => Endpoint;
  /** Nodes, by number, that every other one names in its allowedPeers. */
  readonly allowed?: readonly number[];
  readonly deltaMs?: number;
  readonly consensus?: Partial<ConsensusSettings>;
};

const CHAIN_ID = 1337;
const PASSWORD = 'network';
const ACCOUNTS = 4;
/** Refuses at once, on any machine: connections to it neither hang nor lead anywhere. */
const nowhere = (node: number): Endpoint => ({ host: '127.0.0.1', port: 1 + node });

type Keys = { readonly validator: Uint8Array; readonly node: Uint8Array; readonly operator: Sender };

export class Network {
  readonly dir: string;
  /** As `quorate devnet` would name it, for what needs no more. */
  readonly line: { readonly chainId: number; readonly accounts: readonly AccountLine[] };
  /** The validators of the genesis, then the further nodes, none of them started. */
  readonly members: readonly Member[];
  readonly genesis: Genesis;
  /** Of every node, for a test that plays one of them. */
  readonly keys: readonly Keys[];
  readonly places: readonly Place[];
  readonly #nodes: OwnNodes;

  private constructor(
    fields: Pick<Network, 'dir' | 'line' | 'members' | 'genesis' | 'keys' | 'places'>,
    nodes: OwnNodes,
  ) {
    this.dir = fields.dir;
    this.line = fields.line;
    this.members = fields.members;
    this.genesis = fields.genesis;
    this.keys = fields.keys;
    this.places = fields.places;
    this.#nodes = nodes;
  }

  static async create(plan: NetworkPlan): Promise<Network> {
    const dir = await temporaryFolder();
    const [senders, operators] = [randomSenders(ACCOUNTS), randomSenders(plan.places.length)];
    const keys = operators.map((operator) => ({ validator: randomPrivateKey(), node: randomPrivateKey(), operator }));
    const balance = 1_000_000n * COIN;
    const genesis = createGenesis({
      chainId: CHAIN_ID,
      timestamp: Math.floor(Date.now() / 1000),
      validators: keys.slice(0, plan.validators).map((own, node) => ({
        validator: privateKeyAddress(own.validator),
        nodeKey: toHex(publicKey(own.node)),
        operator: own.operator.address as `0x${string}`,
        addresses: [multiaddrOf(nowhere(node))],
      })),
      alloc: new Map(senders.map(({ address }) => [address as `0x${string}`, balance])),
      consensus: { ...(plan.deltaMs !== undefined && consensusForDelta(plan.deltaMs)), ...plan.consensus },
    });
    const nodes = new OwnNodes();
    const members: Member[] = [];
    for (const node of keys.keys())
      members.push(await makeMember({ plan, node, keys, dir, nodes }, genesisText(genesis)));
    const accounts = senders.map((sender) => ({ ...sender, balance: balance.toString() }));
    const line = { chainId: CHAIN_ID, accounts };
    return new Network({ dir, line, members, genesis, keys, places: plan.places }, nodes);
  }

  get rpcs(): Rpc[] {
    return this.members.filter(({ isUp }) => isUp).map(({ rpc }) => rpc);
  }

  /** Starts these nodes, by their numbers, and waits until they serve. */
  async start(...nodes: readonly number[]): Promise<void> {
    await Promise.all(nodes.map((node) => this.members[node]!.start()));
  }

  async stop(): Promise<void> {
    await this.#nodes.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

type Made = {
  readonly plan: NetworkPlan;
  readonly node: number;
  readonly keys: readonly Keys[];
  readonly dir: string;
  readonly nodes: OwnNodes;
};

async function makeMember({ plan, node, keys, dir, nodes }: Made, genesis: string): Promise<Member> {
  const own = keys[node]!;
  const place = plan.places[node]!;
  const name = `node ${node}`;
  const dataDir = join(dir, `node-${node}`);
  const others = [...keys.entries()].filter(([other]) => other !== node);
  const peers = others.map(([other, { node: key }]) => [toHex(publicKey(key)), [multiaddrOf(plan.seen(node, other))]]);
  const config = {
    ...DEFAULT_CONFIG,
    rpc: { ...DEFAULT_CONFIG.rpc, ...place.rpc },
    p2p: { ...place.p2p, announce: [multiaddrOf(nowhere(node))] },
    metrics: place.metrics,
    allowedPeers: (plan.allowed ?? []).map((other) => toHex(publicKey(keys[other]!.node))),
    peers: Object.fromEntries(peers),
    passwordFile: PASSWORD_FILE,
  };
  await makeFolder(dataDir);
  await writeNewFile(join(dataDir, GENESIS_FILE), genesis, 'public');
  await writeNewFile(join(dataDir, CONFIG_FILE), JSON.stringify(config), 'public');
  await writeNewFile(join(dataDir, PASSWORD_FILE), `${PASSWORD}\n`, 'secret');
  await writeValidatorKeys(dataDir, own, { password: PASSWORD, strength: 'light', made: true });
  const seat = {
    validator: privateKeyAddress(own.validator),
    nodeKey: toHex(publicKey(own.node)),
    operator: own.operator.address,
    multiaddr: multiaddrOf(nowhere(node)),
  };
  const rpc = new Rpc(`http://${place.rpc.host}:${place.rpc.port}`);
  const options = place.namespace === undefined ? {} : { namespace: place.namespace };
  const runner = nodes.runner(dataDir, rpc.url, options);
  return new Member({ name, seat, operator: own.operator, dataDir, rpc, isUp: false }, runner);
}

/** Places for so many nodes on loopback. */
export async function loopbackPlaces(count: number): Promise<Place[]> {
  const base = await freeBasePort(count);
  const at = (port: number): Endpoint => ({ host: '127.0.0.1', port });
  return Array.from({ length: count }, (_, node) => ({
    rpc: at(base + node),
    p2p: at(base + P2P_OFFSET + node),
    metrics: at(base + METRICS_OFFSET + node),
  }));
}

export type RelayedNetwork = {
  readonly network: Network;
  readonly mesh: RelayMesh;
  readonly stop: () => Promise<void>;
};

/** Nodes on loopback with a relay on every line between them. */
export async function relayedNetwork(
  plan: Omit<NetworkPlan, 'places' | 'seen'> & { readonly spare?: number },
): Promise<RelayedNetwork> {
  const places = await loopbackPlaces(plan.validators + (plan.spare ?? 0));
  const mesh = await RelayMesh.create(places.map(({ p2p }) => p2p));
  const network = await Network.create({ ...plan, places, seen: (from, to) => mesh.endpoint(from, to) });
  const stop = async (): Promise<void> => {
    await network.stop();
    await mesh.close();
  };
  return { network, mesh, stop };
}
