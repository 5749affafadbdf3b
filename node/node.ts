/**
 * One node, put together: keys, lock, store, log, network, host, JSON-RPC, metrics. The only place where the modules
 * meet. Starting is in the order in which a refusal is cheapest; stopping is the reverse.
 */
import { randomBytes } from 'node:crypto';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { encodeMessage } from '../consensus/message-codec.ts';
import type { Genesis } from '../genesis/genesis.ts';
import { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import { Pool } from '../ledger/pool.ts';
import { TransactionCache } from '../ledger/transaction-cache.ts';
import { createLibp2pTransport } from '../p2p/libp2p-transport.ts';
import type { Transport } from '../p2p/transport.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import { recoverAddress, secp256k1Backend, sign } from '../primitives/secp256k1.ts';
import { NodeBackend } from './backend.ts';
import { chainRules, epochConfig, genesisInput, validatorPeers } from './chain.ts';
import { loadGenesis, type NodeConfig } from './config.ts';
import { Host } from './host.ts';
import { acquireLock } from './lock.ts';
import type { Log } from './log.ts';
import { MetricsServer } from './metrics-server.ts';
import { Network } from './network.ts';
import { loadNodeKeys, type NodeKeys } from './node-keys.ts';
import { nodeMetrics } from './node-metrics.ts';
import { PoolJournal } from './pool-journal.ts';
import { PoolRestore } from './pool-restore.ts';
import { RpcServer } from './rpc/server.ts';
import { TraceLog } from './trace-log.ts';
import { openValidatorLog } from './validator-log.ts';
import { VERSION } from './version.ts';

export type StartOptions = {
  readonly dataDir: string;
  /** Default: the genesis in the data folder. */
  readonly genesisPath?: string;
  readonly config: NodeConfig;
  readonly password: () => Promise<string>;
  readonly log: Log;
};

export type RunningNode = {
  readonly rpcPort: number;
  readonly stop: () => Promise<void>;
};

const TICK_MS = 10;
/**
 * Before its first signature a validator asks its peers what they hold of it (consensus.md section 7). Its time does not
 * begin to run before their links are up, or so long after its start.
 */
const LINKS_PATIENCE_MS = 2000;
/** A log longer than this is cut: it is read back in well under a second. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
const POOL_UPKEEP_MS = 60_000;

/** Index of this node's validator key in the set; -1 for an observer. A key that fits no entry, or only half, is refused. */
function validatorIndex(genesis: Genesis, keys: NodeKeys): number {
  const { validator, nodeKey } = keys;
  const index = genesis.validators.findIndex((entry) => entry.validator === validator?.address);
  const known = genesis.validators[index];
  if (known !== undefined && known.nodeKey !== nodeKey) {
    const message = `the genesis binds validator ${known.validator} to node key ${known.nodeKey}, this folder has ${nodeKey}; put the right node-key.json here`;
    throw new QuorateError('KEY_MISMATCH', message);
  }
  if (known === undefined && genesis.validators.some((entry) => entry.nodeKey === nodeKey)) {
    const message = `node key ${nodeKey} is a validator's, but the validator key here is not the one the genesis binds to it`;
    throw new QuorateError('KEY_MISMATCH', message);
  }
  return index;
}

function announceSelf(log: Log, node: { genesis: Genesis; self: number; genesisHash: string; peer: string }): void {
  log.info('starting', {
    version: VERSION,
    chainId: node.genesis.chainId,
    genesis: node.genesisHash,
    role: node.self < 0 ? 'observer' : `validator ${node.self}`,
    peer: node.peer,
  });
  if (secp256k1Backend === 'javascript') {
    log.warn('no native secp256k1 for this platform: signatures are checked in JavaScript, some 25 times slower');
  }
  if (node.genesis.validators.length <= 2) {
    log.warn(`${node.genesis.validators.length} validators tolerate no fault: a lost validator stops the chain`);
  }
}

/** Runs a node until `stop`. Throws a QuorateError that says what to do, with nothing left running. */
export async function startNode(options: StartOptions): Promise<RunningNode> {
  const { dataDir, config, log } = options;
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) {
      await Promise.resolve(step()).catch((error) => log.warn('stopping', { problem: errorMessage(error) }));
    }
  };
  try {
    const lock = await acquireLock(dataDir);
    undo.push(() => lock.release());
    const rpcPort = await assemble({ ...options, config }, undo);
    return { rpcPort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A failed write is final (consensus.md section 10): what is on disk is read again by the next start, not guessed. */
function dieOfDisk(log: Log, error: unknown): never {
  log.error('the disk failed; stopping at once, nothing more is signed', { problem: errorMessage(error) });
  process.exit(1);
}

async function assemble(options: StartOptions, undo: (() => Promise<void> | void)[]): Promise<number> {
  const { dataDir, config, log } = options;
  const genesis = await loadGenesis(dataDir, options.genesisPath);
  const keys = await loadNodeKeys(dataDir, options.password);
  const self = validatorIndex(genesis, keys);
  const store = await LevelStore.open(join(dataDir, 'store'));
  undo.push(() => store.close());
  let pool: Pool | undefined;
  const cache = new TransactionCache({ chainId: genesis.chainId, known: (hash) => pool?.get(hash) });
  const decode = (raw: Uint8Array) => cache.decode(raw);
  const ledger = await Ledger.open({ store, ...chainRules(genesis), genesis: genesisInput(genesis), decode });
  undo.push(() => ledger.close());
  const epoch = epochConfig(genesis, ledger.genesisHash);
  pool = new Pool({
    ...chainRules(genesis),
    limits: config.pool,
    account: (address) => ledger.account(address, { final: true }),
    now: Date.now,
  });
  const validatorKey = keys.validator;
  const guard = await openValidatorLog({
    dataDir,
    validator: self < 0 ? undefined : validatorKey?.address,
    genesisHash: ledger.genesisHash,
    onFailure: (error: unknown) => dieOfDisk(log, error),
  });
  undo.push(() => guard.log.close());
  const peers = validatorPeers(genesis, config.peers);
  const transport: Transport = createLibp2pTransport({
    privateKey: keys.nodePrivateKey,
    listen: config.p2p,
    genesisHash: ledger.genesisHash,
    chainId: genesis.chainId,
    validators: peers,
    allowedPeers: config.allowedPeers,
    log: (event) => log[event.level](event.message, { peer: event.peer }),
  });
  announceSelf(log, { genesis, self, genesisHash: ledger.genesisHash, peer: transport.self });
  const network = new Network({ transport, peers, self });
  const traces = new TraceLog({ log, validators: epoch.validators });
  const { journal, raws } = PoolJournal.open(dataDir);
  undo.push(() => journal.close());
  const host = new Host({
    config: epoch,
    operators: genesis.validators.map(({ operator }) => operator),
    self: guard.forgot ? -1 : self,
    incarnation: guard.incarnation,
    signer: { sign: (digest) => sign(digest, validatorKey!.privateKey), recover: recoverAddress },
    ledger,
    pool,
    decodeTransaction: decode,
    log: guard.log,
    network,
    clock: { monotonicMs: () => performance.now(), wallMs: Date.now, defer: (callback) => setImmediate(callback) },
    settings: { ...genesis.consensus, logBytesMax: LOG_BYTES_MAX },
    nonce: randomBytes(6).readUIntBE(0, 6),
    onTrace: (trace) => {
      traces.take(trace);
      if (trace.name === 'started' || trace.name === 'amnesia') guard.settle();
      if (trace.name === 'view-installed') backend.tellView(traces.lastReason);
    },
    onProof: (proof) => {
      backend.tellFinality(proof);
      const block = ledger.rawBlock(proof.height);
      if (block !== undefined) transport.publish('blocks', encodeMessage({ kind: 'FINAL', block, proof }));
    },
  });
  if (guard.forgot) {
    log.error(
      'the log of this validator key is gone, and with it what it signed: it follows the chain and signs nothing',
    );
  }
  let stopping = false;
  const backend = new NodeBackend({
    genesis,
    config: epoch,
    peers,
    self,
    ledger,
    pool,
    host: () => host,
    transport,
    clientVersion: `quorate/v${VERSION}/${platform()}-${arch()}/node${process.versions.node}`,
    submit: (raw) => {
      if (stopping) return { code: -32000, message: 'the node is stopping' };
      const outcome = host.submit(raw);
      if ('hash' in outcome) {
        // Before the hash is returned: a kill right after must not lose what was acknowledged.
        journal.append([raw]);
        network.gossip(raw);
      }
      return outcome;
    },
  });
  network.attach(host);
  await transport.start();
  undo.push(() => transport.stop());
  host.start(guard.records, guard.clean);
  undo.push(() => host.stop());
  const restore = new PoolRestore(raws, (raw) => host.submit(raw));
  restore.start();
  undo.push(() => restore.stop());
  const rewriteJournal = (): void => journal.rewrite([...rawsOf(pool), ...restore.waiting]);
  rewriteJournal();
  const allLinked = (): boolean => {
    const connected = transport.connected();
    return peers.every(({ peer }, index) => index === self || connected.includes(peer));
  };
  const patienceEnds = performance.now() + LINKS_PATIENCE_MS;
  let ticking = self < 0;
  const ticks = setInterval(() => {
    ticking ||= performance.now() >= patienceEnds || allLinked();
    if (ticking) host.tick();
  }, TICK_MS);
  const upkeep = setInterval(() => {
    pool.expire();
    if (journal.wantsRewrite) rewriteJournal();
  }, POOL_UPKEEP_MS);
  undo.push(() => {
    clearInterval(ticks);
    clearInterval(upkeep);
  });
  const server = await RpcServer.start({
    backend,
    host: config.rpc.host,
    port: config.rpc.port,
    cors: config.rpc.cors,
    allowedHosts: config.rpc.allowedHosts,
    onBug: (method, error) => log.error('a bug in a JSON-RPC method', { method, problem: errorMessage(error) }),
  });
  undo.push(() => server.stop());
  const metrics = nodeMetrics({ host, ledger, pool, transport, server, traces, epoch });
  const metricsServer = await MetricsServer.start({
    ...config.metrics,
    metrics,
    health: () => ({ healthy: host.status.phase === 'running' || self < 0, phase: host.status.phase }),
  });
  undo.push(() => metricsServer.stop());
  // First of all: requests still under way must not reach what is being closed.
  undo.push(() => {
    stopping = true;
  });
  log.info('serving', {
    rpc: `http://${config.rpc.host}:${server.port}`,
    p2p: transport.addresses()[0],
    head: ledger.head.height,
  });
  return server.port;
}

function* rawsOf(pool: Pool): Generator<Uint8Array, void, void> {
  for (const { raw } of pool.transactions()) yield raw;
}
