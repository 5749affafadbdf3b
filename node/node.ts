/**
 * One node, put together: keys, lock, store, log, network, host, JSON-RPC, metrics. The only place where the modules
 * meet. Starting is in the order in which a refusal is cheapest; stopping is the reverse.
 */
import { randomBytes } from 'node:crypto';
import { arch, platform } from 'node:os';
import { performance } from 'node:perf_hooks';
import { faultThreshold } from '../consensus/config.ts';
import { encodeMessage } from '../consensus/message-codec.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import { Ledger } from '../ledger/ledger.ts';
import { genesisBlock } from '../ledger/open.ts';
import { Pool } from '../ledger/pool.ts';
import { clearSlot } from '../ledger/staged-state.ts';
import { takeOverSnapshot } from '../ledger/take-over.ts';
import { TransactionCache } from '../ledger/transaction-cache.ts';
import { createLibp2pTransport } from '../p2p/libp2p-transport.ts';
import { peerIdOfNodeKey } from '../p2p/peers.ts';
import type { Transport } from '../p2p/transport.ts';
import { hexBytes } from '../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Epoch, Height } from '../primitives/ids.ts';
import type { Validator } from '../primitives/membership.ts';
import { recoverAddress, secp256k1Backend, sign } from '../primitives/secp256k1.ts';
import { signTransaction } from '../primitives/sign-transaction.ts';
import type { Timing } from '../primitives/timing.ts';
import { NodeBackend } from './backend.ts';
import { chainOf, chainRules, genesisInput } from './chain.ts';
import { loadGenesis, type NodeConfig } from './config.ts';
import { openEvidence } from './evidence-files.ts';
import { Host } from './host.ts';
import { acquireLock } from './lock.ts';
import type { Log } from './log.ts';
import { MetricsServer } from './metrics-server.ts';
import { Network } from './network.ts';
import { loadNodeKeys, type NodeKeys } from './node-keys.ts';
import { nodeMetrics } from './node-metrics.ts';
import { openNodeLedger } from './node-store.ts';
import { PeerSet } from './peer-set.ts';
import { peersFile } from './peers-file.ts';
import { PoolJournal } from './pool-journal.ts';
import { PoolRestore } from './pool-restore.ts';
import { proofJudges } from './proof-judge.ts';
import { Readiness } from './readiness.ts';
import { loadRecoveries } from './recovery-files.ts';
import { RpcServer } from './rpc/server.ts';
import { Snapshots } from './state-sync/snapshots.ts';
import type { StateSyncOptions } from './state-sync/state-sync.ts';
import { Stranded } from './stranded.ts';
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
const SNAPSHOT_TICK_MS = 250;
/** A node that is far behind again right after a snapshot is too slow for one: the next comes after so many times as long. */
const SNAPSHOT_AGAIN_FACTOR = 10;

/** A key that fits no member of the newest validator list this folder knows, or only half, is refused. */
function checkKeys(members: readonly Validator[], keys: NodeKeys): void {
  const { validator, nodeKey } = keys;
  const known = members.find((entry) => entry.validator === validator?.address);
  if (known !== undefined && known.nodeKey !== nodeKey) {
    const message = `the chain binds validator ${known.validator} to node key ${known.nodeKey}, this folder has ${nodeKey}; put the right node-key.json here`;
    throw new QuorateError('KEY_MISMATCH', message);
  }
  if (known === undefined && members.some((entry) => entry.nodeKey === nodeKey)) {
    const message = `node key ${nodeKey} is a validator's, but the validator key here is not the one the chain binds to it`;
    throw new QuorateError('KEY_MISMATCH', message);
  }
}

function announceSelf(log: Log, node: { chainId: number; genesisHash: string; peer: string }): void {
  log.info('starting', { version: VERSION, chainId: node.chainId, genesis: node.genesisHash, peer: node.peer });
  if (secp256k1Backend === 'javascript') {
    log.warn('no native secp256k1 for this platform: signatures are checked in JavaScript, some 25 times slower');
  }
}

function announceEpoch(log: Log, { epoch, members, root }: EpochInfo, self: number, timing: Timing): void {
  const t = faultThreshold(members.length);
  const role = self < 0 ? 'observer' : `validator ${self}`;
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs } = timing;
  log.info('epoch', {
    epoch,
    after: root.height,
    role,
    validators: members.length,
    tolerates: t,
    deltaMs,
    suspicionTimeoutMs,
    suspicionTimeoutMaxMs,
  });
  if (t === 0) log.warn(`${members.length} validators tolerate no fault: a lost validator stops the chain`);
}

function announceStranded(log: Log, head: Height, { here, later }: { here: Epoch; later: Epoch }): void {
  log.error(
    'the others are in a later epoch and no proof leads there: if the operators have recovered the chain, get their statement and run quorate recover apply; this node stays where it is',
    { head, epoch: here, others: later },
  );
}

/** Runs a node until `stop`. Throws a QuorateError that says what to do, with nothing left running. */
export async function startNode(options: StartOptions): Promise<RunningNode> {
  const { dataDir, config, log } = options;
  const undo: (() => Promise<void> | void)[] = [];
  const takeApart = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) {
      await Promise.resolve(step()).catch((error) => log.warn('stopping', { problem: errorMessage(error) }));
    }
  };
  const lock = await acquireLock(dataDir);
  let isStopping = false;
  let rebuilt = Promise.resolve();
  const stop = async (): Promise<void> => {
    isStopping = true;
    await rebuilt;
    await takeApart();
    await lock.release();
  };
  /** A snapshot is whole: what a new process would do, in this one, on the same port. */
  const rebuild = async (rpcPort: number, tookMs: number): Promise<void> => {
    await takeApart();
    if (isStopping) return;
    const again = { ...config, rpc: { ...config.rpc, port: rpcPort } };
    const notBefore = performance.now() + SNAPSHOT_AGAIN_FACTOR * tookMs;
    await assemble({ ...options, config: again }, undo, { notBefore, onReady });
  };
  let rpcPort = config.rpc.port;
  const onReady = (tookMs: number): void => {
    rebuilt = rebuild(rpcPort, tookMs).catch((error) => {
      log.error('the node could not be started again with its snapshot', { problem: errorMessage(error) });
      process.exit(1);
    });
  };
  try {
    rpcPort = await assemble(options, undo, { notBefore: 0, onReady });
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

async function assemble(
  options: StartOptions,
  undo: (() => Promise<void> | void)[],
  snapshot: Pick<StateSyncOptions, 'notBefore' | 'onReady'>,
): Promise<number> {
  const { dataDir, config, log } = options;
  const genesis = await loadGenesis(dataDir, options.genesisPath);
  const keys = await loadNodeKeys(dataDir, options.password);
  let pool: Pool | undefined;
  const cache = new TransactionCache({ chainId: genesis.chainId, known: (hash) => pool?.get(hash) });
  const decode = (raw: Uint8Array) => cache.decode(raw);
  const genesisHash = genesisBlock(chainRules(genesis), genesisInput(genesis)).block.hash;
  const applied = await loadRecoveries(dataDir, { chainId: genesis.chainId, genesisHash });
  const recoveries = applied.map(({ recovery }) => recovery);
  const founding = { ...chainRules(genesis), genesis: genesisInput(genesis) };
  const { ledger, store, close } = await openNodeLedger({
    dataDir,
    rebuild: config.rebuildStore,
    log,
    open: async (opened) => {
      const taken = await takeOverSnapshot(opened);
      if (taken !== undefined) log.info('the snapshot is taken over', { head: taken });
      return await Ledger.open({ store: opened, ...founding, recoveries, decode });
    },
  });
  undo.push(close);
  const newest = ledger.epochAfter(ledger.head.hash);
  checkKeys(newest.members, keys);
  pool = new Pool({
    ...chainRules(genesis),
    limits: config.pool,
    account: (address) => ledger.account(address, { final: true }),
    now: Date.now,
    isBehind: () => host.isBehind,
  });
  const validatorKey = keys.validator;
  const guard = await openValidatorLog({
    dataDir,
    validator: validatorKey?.address,
    genesisHash: ledger.genesisHash,
    onFailure: (error: unknown) => dieOfDisk(log, error),
  });
  undo.push(() => guard.log.close());
  const peerSet = new PeerSet({ genesis, configured: config.peers, epochInfo: (epoch) => ledger.epochInfo(epoch) });
  const peers = (info: EpochInfo) => peerSet.peers(info, ledger.governanceAfter(ledger.head.hash));
  const transport: Transport = createLibp2pTransport({
    privateKey: keys.nodePrivateKey,
    listen: config.p2p,
    genesisHash: ledger.genesisHash,
    chainId: genesis.chainId,
    validators: peers(newest),
    allowedPeers: config.allowedPeers.map((key) => (key === '*' ? key : peerIdOfNodeKey(key)!)),
    ...(config.p2p.announce !== undefined && { announce: config.p2p.announce }),
    addressBook: peersFile(dataDir),
    log: (event) => log[event.level](event.message, { peer: event.peer }),
  });
  announceSelf(log, { chainId: genesis.chainId, genesisHash: ledger.genesisHash, peer: transport.self });
  const network = new Network(transport);
  const stranded = new Stranded();
  const traces = new TraceLog({ log });
  const { journal, raws } = PoolJournal.open(dataDir, (error) => dieOfDisk(log, error));
  undo.push(() => journal.close());
  const readiness =
    validatorKey &&
    new Readiness({
      chainId: genesis.chainId,
      genesisHash: ledger.genesisHash,
      validator: validatorKey.address,
      incarnation: guard.incarnation,
      baseFee: genesis.gasPriceFloor,
      sign: (digest) => sign(digest, validatorKey.privateKey),
      submit: (fields) => {
        const outcome = backend.submit(hexBytes(signTransaction(fields, validatorKey.privateKey).raw));
        return 'hash' in outcome ? undefined : outcome.message;
      },
      nextNonce: (address) => backend.pendingNonce(address),
      nowMs: () => performance.now(),
      wallMs: Date.now,
      onTold: (text, refused) => {
        if (refused === undefined) log.info(text);
        else log.error(`${text} failed`, { reason: refused, account: validatorKey.address });
      },
    });
  const chain = chainOf(genesis, ledger.genesisHash);
  const evidence = await openEvidence(
    dataDir,
    { chain, ledger, recover: recoverAddress, nowMs: () => performance.now() },
    log,
  );
  const host = new Host({
    chain,
    identity: { validator: validatorKey?.address, nodeKey: keys.nodeKey },
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
    ...(readiness && { readiness }),
    evidence,
    onLater: (epoch) => stranded.onLater(epoch, performance.now()),
    onEpoch: (info, self, timing) => {
      announceEpoch(log, info, self, timing);
      traces.validators = info.members.map(({ validator }) => validator);
      network.setPeers(peers(info));
    },
  });
  if (guard.justLost) {
    log.error(
      'the log of this validator key is gone, and with it what it signed: it follows, and signs again in an epoch that takes it in anew',
    );
  }
  let stopping = false;
  const backend = new NodeBackend({
    genesis,
    ledger,
    statements: applied.map(({ statement }) => statement),
    pool,
    host: () => host,
    evidence: evidence.shelf,
    transport,
    snapshot: () => snapshots.progress,
    clientVersion: `quorate/v${VERSION}/${platform()}-${arch()}/node${process.versions.node}`,
    submit: (raw) => {
      if (stopping) return { code: -32000, message: 'the node is stopping' };
      const outcome = host.submit(raw);
      if ('hash' in outcome) {
        // Before the hash is returned: a kill right after must not lose what was acknowledged.
        journal.append([raw]);
        if (host.self < 0) network.gossip(raw);
      }
      return outcome;
    },
  });
  let isStopped = false;
  let isCleared = false;
  const cleared = clearSlot(store, () => isStopped).then(() => {
    isCleared = true;
  });
  undo.push(() => {
    isStopped = true;
    return cleared;
  });
  const judgeOf = proofJudges(chain, recoveries);
  const snapshots = new Snapshots({
    ...snapshot,
    store,
    ledger,
    rules: chainRules(genesis),
    judge: (epoch, block, proof) => judgeOf(epoch)(block, proof),
    after: config.snapshotAfter,
    follows: () => isCleared && host.status.phase === 'learner',
    connected: () => network.connected(),
    send: (peer, payload) => network.send(peer, 'sync', payload),
    now: () => performance.now(),
    later: (run, delayMs) => void (delayMs === 0 ? setImmediate(run) : setTimeout(run, delayMs)),
    nonce: randomBytes(6).readUIntBE(0, 6),
    log,
    onFailure: (error) => dieOfDisk(log, error),
  });
  network.attach(host, snapshots);
  await transport.start();
  undo.push(() => transport.stop());
  host.start(guard.records, guard);
  undo.push(() => host.stop());
  undo.push(() => snapshots.stop());
  const restore = new PoolRestore(raws, (raw) => host.submit(raw));
  restore.start();
  undo.push(() => restore.stop());
  const rewriteJournal = (): void => journal.rewrite([...rawsOf(pool), ...restore.waiting]);
  rewriteJournal();
  let governance = ledger.governance({ final: true });
  ledger.onFinal(() => {
    stranded.onFinal();
    const newer = ledger.governance({ final: true });
    // A candidate is let in as soon as its proposal is final.
    if (newer !== governance) network.setPeers(peers(host.epoch));
    governance = newer;
  });
  const allLinked = (): boolean => {
    const linked = [transport.self, ...transport.connected()];
    return host.epoch.members.every(({ nodeKey }) => linked.includes(peerIdOfNodeKey(nodeKey) ?? ''));
  };
  const patienceEnds = performance.now() + LINKS_PATIENCE_MS;
  let ticking = host.self < 0;
  const ticks = setInterval(() => {
    ticking ||= performance.now() >= patienceEnds || allLinked();
    if (ticking) host.tick();
    const later = stranded.due(performance.now());
    if (later !== undefined) announceStranded(log, ledger.head.height, { here: host.epoch.epoch, later });
  }, TICK_MS);
  const snapshotTicks = setInterval(() => snapshots.tick(), SNAPSHOT_TICK_MS);
  const upkeep = setInterval(() => {
    pool.expire();
    if (journal.wantsRewrite) rewriteJournal();
  }, POOL_UPKEEP_MS);
  undo.push(() => {
    clearInterval(ticks);
    clearInterval(snapshotTicks);
    clearInterval(upkeep);
  });
  const server = await RpcServer.start({
    backend,
    host: config.rpc.host,
    port: config.rpc.port,
    cors: config.rpc.cors,
    allowedHosts: config.rpc.allowedHosts,
    onBug: (method, error) => {
      const what = error instanceof QuorateError ? 'a JSON-RPC method failed' : 'a bug in a JSON-RPC method';
      log.error(what, { method, problem: errorMessage(error) });
    },
  });
  undo.push(() => server.stop());
  const metrics = nodeMetrics({ host, ledger, pool, transport, server, traces, evidence });
  const metricsServer = await MetricsServer.start({
    ...config.metrics,
    metrics,
    health: () => ({ healthy: host.status.phase === 'running' || host.self < 0, phase: host.status.phase }),
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
