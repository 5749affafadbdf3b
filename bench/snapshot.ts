/**
 * How long a new node takes for a chain by executing it and by a snapshot: the same blocks, all in this process and without a
 * network, so the time of those who serve is in the second figure too.
 * Run: node --import tsx bench/snapshot.ts [blocks] [transfers per block] [accounts]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import { settled } from '../ledger/open.ts';
import { takeOverSnapshot } from '../ledger/take-over.ts';
import { chainOf, chainRules, genesisInput } from '../node/chain.ts';
import { proofJudges } from '../node/proof-judge.ts';
import { decodeSyncMessage, type Request } from '../node/state-sync/messages.ts';
import { SnapshotServer } from '../node/state-sync/server.ts';
import { Snapshots } from '../node/state-sync/snapshots.ts';
import { EMPTY, toHex } from '../primitives/bytes.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { commit, KEYS, transfer } from '../test/unit/ledger/fixtures.ts';
import { GENESIS, proofOf } from '../test/unit/node/proven-chain.ts';

const BLOCKS = Number(process.argv[2] ?? 400);
const PER_BLOCK = Number(process.argv[3] ?? 100);
/** With as many as transfers every one makes an account, the most a state can grow. */
const ACCOUNTS = Number(process.argv[4] ?? 2000);
const SOURCES = ['a', 'b', 'c'];

const folder = mkdtempSync(join(tmpdir(), 'quorate-bench-snapshot-'));
const openStore = (name: string): Promise<LevelStore> => LevelStore.open(join(folder, name));
const openLedger = (store: LevelStore): Promise<Ledger> =>
  Ledger.open({ store, ...chainRules(GENESIS), genesis: genesisInput(GENESIS) });

/** Runs it and tells how long it took, and how much of that was work. */
async function timed(what: string, run: () => Promise<void>): Promise<void> {
  const since = performance.now();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  const [wall, work] = [(performance.now() - since) / 1000, (user + system) / 1e6];
  console.log(`${what} in ${wall.toFixed(2)} s, of which ${work.toFixed(2)} s of processor time`);
}
const later = (run: () => void, delayMs: number): void =>
  void (delayMs === 0 ? setImmediate(run) : setTimeout(run, delayMs));

async function grow(ledger: Ledger): Promise<void> {
  for (let height = 1; height <= BLOCKS; height++) {
    const epoch = ledger.epochAfter(ledger.head.hash);
    const candidates = Array.from({ length: PER_BLOCK }, (_, i) => {
      const nonce = (height - 1) * PER_BLOCK + i;
      const to = toHex(keccak256(Buffer.from(`receiver ${nonce % ACCOUNTS}`)).subarray(0, 20));
      return transfer({ from: KEYS[0]!, nonce, to, value: 1n });
    });
    const { block } = ledger.build({
      parent: ledger.head.hash,
      timeMs: GENESIS.timestamp * 1000 + height * 100,
      miner: GENESIS.validators[0]!.operator,
      candidates,
      bytesMax: 8_000_000,
      transactionsMax: PER_BLOCK,
    });
    await commit(ledger, block.hash, await proofOf(block, epoch));
  }
}

async function execute(source: Ledger): Promise<void> {
  const store = await openStore('executed');
  const ledger = await openLedger(store);
  const judgeOf = proofJudges(chainOf(GENESIS, ledger.genesisHash), []);
  for (let height = 1; height <= BLOCKS; height++) {
    const decoded = ledger.decodeBlock(source.rawBlock(height)!);
    if (!decoded.ok) throw new Error(decoded.reason);
    const proof = source.proof(height) ?? EMPTY;
    judgeOf(ledger.epochAfter(ledger.head.hash))({ height, hash: decoded.block.hash }, proof);
    ledger.execute(decoded.block, undefined, {});
    await settled((done) => ledger.commit(decoded.block.hash, proof, done));
  }
  await ledger.close();
  await store.close();
}

async function snapshot(source: Ledger): Promise<void> {
  const store = await openStore('taken');
  const ledger = await openLedger(store);
  const judgeOf = proofJudges(chainOf(GENESIS, ledger.genesisHash), []);
  const now = () => performance.now();
  const onProblem = (text: string): void => {
    throw new Error(text);
  };
  const isReady = await new Promise<boolean>((resolve) => {
    const servers = new Map(
      SOURCES.map((name) => {
        const send = (_: string, payload: Uint8Array): void => later(() => snapshots.onMessage(name, payload), 0);
        return [name, new SnapshotServer({ ledger: source, send, now, later, onProblem })] as const;
      }),
    );
    const snapshots = new Snapshots({
      store,
      ledger,
      rules: chainRules(GENESIS),
      judge: (epoch, block, proof) => judgeOf(epoch)(block, proof),
      after: 1,
      notBefore: 0,
      follows: () => true,
      connected: () => SOURCES,
      send: (peer, payload) => {
        later(() => servers.get(peer)!.onRequest('taker', decodeSyncMessage(payload) as Request), 0);
        return true;
      },
      now,
      later,
      nonce: 1,
      log: { info: () => undefined, warn: onProblem },
      onReady: () => {
        clearInterval(ticks);
        resolve(true);
      },
      onFailure: (error) => onProblem(String(error)),
    });
    const ticks = setInterval(() => snapshots.tick(), 20);
    for (const name of SOURCES) snapshots.onUp(name);
  });
  const height = isReady ? await takeOverSnapshot(store) : undefined;
  const taken = await openLedger(store);
  if (taken.head.height !== height) throw new Error('the snapshot was not taken over');
  await store.close();
}

try {
  const sourceStore = await openStore('source');
  const source = await openLedger(sourceStore);
  await grow(source);
  const what = `${BLOCKS} blocks, ${BLOCKS * PER_BLOCK} transfers, ${ACCOUNTS} accounts`;
  await timed(`${what}: executed`, () => execute(source));
  await timed(`${what}: snapshot`, () => snapshot(source));
  await source.close();
  await sourceStore.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
