/**
 * Validators that come and go: the founders of a devnet, and nodes with folders of their own, made as `quorate` makes a
 * candidate's: the chain's genesis, two new keys, the mark that the validator key has never signed, and a configuration.
 */
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { multiaddrOf, peerIdOf } from '../../genesis/peer-address.ts';
import { DEFAULT_CONFIG } from '../../node/config.ts';
import {
  CONFIG_FILE,
  GENESIS_FILE,
  makeFolder,
  NODE_KEY_FILE,
  PASSWORD_FILE,
  VALIDATOR_KEY_FILE,
  writeEmptyGuard,
  writeNewFile,
} from '../../node/data-dir.ts';
import { writeKeyFile } from '../../node/keystore.ts';
import { toHex } from '../../primitives/bytes.ts';
import { privateKeyAddress, publicKey, randomPrivateKey } from '../../primitives/secp256k1.ts';
import { randomSenders, type Sender } from './accounts.ts';
import { type Devnet, Node, type Status, temporaryFolder } from './devnet.ts';
import { freeBasePort, METRICS_OFFSET, P2P_OFFSET } from './ports.ts';
import type { RunOptions } from './processes.ts';
import { Rpc } from './rpc.ts';

/** What a proposal says of a candidate, and validator lists of a member: the fields of the contract's ABI. */
export type Candidate = {
  readonly validator: string;
  readonly nodeKey: string;
  readonly operator: string;
  readonly multiaddr: string;
};

/** How a member's process is started and ended. */
type Runner = {
  readonly start: () => Promise<Node>;
  /** SIGKILL. */
  readonly kill: () => Promise<void>;
  /** SIGTERM. */
  readonly stop: () => Promise<void>;
  readonly log: () => string;
  readonly pid: () => number | undefined;
};

export class Member {
  readonly name: string;
  readonly seat: Candidate;
  readonly operator: Sender;
  readonly dataDir: string;
  readonly rpc: Rpc;
  readonly #runner: Runner;
  isUp: boolean;

  constructor(fields: Pick<Member, 'name' | 'seat' | 'operator' | 'dataDir' | 'rpc' | 'isUp'>, runner: Runner) {
    this.name = fields.name;
    this.seat = fields.seat;
    this.operator = fields.operator;
    this.dataDir = fields.dataDir;
    this.rpc = fields.rpc;
    this.isUp = fields.isUp;
    this.#runner = runner;
  }

  /** Resolves once it serves. */
  async start(): Promise<void> {
    const node = await this.#runner.start();
    await node.serving();
    this.isUp = true;
  }

  async kill(): Promise<void> {
    this.isUp = false;
    await this.#runner.kill();
  }

  async stop(): Promise<void> {
    this.isUp = false;
    await this.#runner.stop();
  }

  get peerId(): string {
    return peerIdOf(this.seat.nodeKey);
  }

  get log(): string {
    return this.#runner.log();
  }

  /** Of the process that runs, or ran last. */
  get pid(): number {
    const pid = this.#runner.pid();
    if (pid === undefined) throw new Error(`${this.name} was never started`);
    return pid;
  }

  status(): Promise<Status> {
    return this.rpc.call<Status>('xft_status', [], 5000);
  }
}

type GenesisFile = {
  readonly validators: readonly { readonly nodeKey: string; readonly addresses: readonly string[] }[];
};

/** The validators of a new devnet, which serve. */
export function founders(devnet: Devnet): Member[] {
  const genesis = JSON.parse(readFileSync(join(devnet.dir, GENESIS_FILE), 'utf8')) as GenesisFile;
  return devnet.line.validators.map(({ index, address, operator, dataDir }) => {
    const { nodeKey, addresses } = genesis.validators[index]!;
    const account = devnet.line.accounts.find((known) => known.address === operator);
    if (account === undefined) throw new Error(`the devnet does not name the account of operator ${operator}`);
    const seat = { validator: address, nodeKey, operator, multiaddr: addresses[0]! };
    return new Member(
      { name: `founder ${index}`, seat, operator: account, dataDir, rpc: devnet.rpc(index), isUp: true },
      {
        start: async () => devnet.launchNode(index),
        kill: () => devnet.kill(index),
        stop: () => devnet.stopNode(index),
        log: () => devnet.log(index),
        pid: () => devnet.pid(index),
      },
    );
  });
}

/** Processes of nodes that no devnet has started. */
export class OwnNodes {
  readonly #nodes: Node[] = [];

  /** For one data folder; each start is a process of its own. */
  runner(dataDir: string, url: string, options: RunOptions = {}): Runner {
    const own: Node[] = [];
    return {
      start: async () => {
        const node = new Node(dataDir, url, [], options);
        own.push(node);
        this.#nodes.push(node);
        return node;
      },
      kill: async () => own.at(-1)?.program.kill(),
      stop: async () => {
        await own.at(-1)?.program.stop();
      },
      log: () => own.map(({ log }) => log).join(''),
      pid: () => own.at(-1)?.program.pid,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(({ program }) => program.ended ?? program.stop()));
  }
}

/** Folders and processes of the nodes that are not the devnet's own. */
export class Candidates {
  readonly #devnet: Devnet;
  readonly #folder: string;
  readonly #basePort: number;
  readonly #countMax: number;
  readonly #nodes = new OwnNodes();
  #count = 0;

  private constructor(devnet: Devnet, folder: string, basePort: number, countMax: number) {
    this.#devnet = devnet;
    this.#folder = folder;
    this.#basePort = basePort;
    this.#countMax = countMax;
  }

  static async create(devnet: Devnet, countMax: number): Promise<Candidates> {
    return new Candidates(devnet, await temporaryFolder(), await freeBasePort(countMax), countMax);
  }

  /** One folder, not yet started. Its operator account is new too unless one is named. */
  async make(name: string, operator: Sender = randomSenders(1)[0]!): Promise<Member> {
    if (this.#count >= this.#countMax) throw new Error(`ports for ${this.#countMax} candidates were taken`);
    const rpcPort = this.#basePort + this.#count++;
    const p2p = { host: '127.0.0.1', port: rpcPort + P2P_OFFSET };
    const dataDir = join(this.#folder, name);
    const keys = { validator: randomPrivateKey(), node: randomPrivateKey() };
    await makeFolder(dataDir);
    copyFileSync(join(this.#devnet.dir, GENESIS_FILE), join(dataDir, GENESIS_FILE));
    const config = {
      ...DEFAULT_CONFIG,
      rpc: { ...DEFAULT_CONFIG.rpc, port: rpcPort },
      p2p,
      metrics: { host: '127.0.0.1', port: rpcPort + METRICS_OFFSET },
      allowedPeers: ['*'],
      passwordFile: PASSWORD_FILE,
    };
    await writeNewFile(join(dataDir, CONFIG_FILE), JSON.stringify(config), 'public');
    await writeNewFile(join(dataDir, PASSWORD_FILE), `${name}\n`, 'secret');
    await writeEmptyGuard(dataDir, privateKeyAddress(keys.validator));
    const strength = 'light';
    await writeKeyFile(join(dataDir, NODE_KEY_FILE), keys.node, name, { strength, withPublicKey: true });
    await writeKeyFile(join(dataDir, VALIDATOR_KEY_FILE), keys.validator, name, { strength });
    const seat = {
      validator: privateKeyAddress(keys.validator),
      nodeKey: toHex(publicKey(keys.node)),
      operator: operator.address,
      multiaddr: multiaddrOf(p2p),
    };
    const rpc = new Rpc(`http://127.0.0.1:${rpcPort}`);
    return new Member({ name, seat, operator, dataDir, rpc, isUp: false }, this.#nodes.runner(dataDir, rpc.url));
  }

  async stop(): Promise<void> {
    await this.#nodes.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
