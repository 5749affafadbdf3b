/**
 * What one validator pays per transfer in the ledger: decode and recover once, decode the block by hash, execute, trie,
 * LevelDB batch. CPU time of the whole process (LevelDB's threads too), next to bare native recovery measured in the same
 * run on the same machine. Run: npx tsx bench/ledger-pipeline.ts [accounts] [transactions per block] [blocks]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Block } from '../ledger/block.ts';
import { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import type { Transaction } from '../ledger/transaction.ts';
import { TransactionCache } from '../ledger/transaction-cache.ts';
import { toHex } from '../primitives/bytes.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { DEFAULT_POLICY } from '../primitives/policy.ts';
import { type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import { privateKeyAddress, recoverAddress, secp256k1Backend, sign } from '../primitives/secp256k1.ts';

const CHAIN_ID = 1337;
const RULES = { chainId: CHAIN_ID, gasLimit: 1_000_000_000, baseFee: 0n, judgeEvidence: undefined };
const VALIDATORS = [
  { validator: '0x' + '01'.repeat(20), nodeKey: '0x' + '02'.repeat(33), operator: '0x' + '03'.repeat(20) },
];
const START_MS = 1_700_000_000_000;

type Sender = { readonly secret: Bytes; readonly address: Address; nonce: number };

/** CPU microseconds of this process since it began. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function signTransfer(sender: Sender, to: Address): Bytes {
  const fields: RlpInput[] = [CHAIN_ID, sender.nonce++, 0, 0, 21_000, to, 1n, new Uint8Array(0), []];
  const signature = sign(keccak256(Buffer.concat([Buffer.of(2), rlpEncode(fields)])), sender.secret);
  const r = BigInt(toHex(signature.subarray(0, 32)));
  const s = BigInt(toHex(signature.subarray(32, 64)));
  return Buffer.concat([Buffer.of(2), rlpEncode([...fields, signature[64]!, r, s])]);
}

/** Deterministic, so that runs compare. */
function pick(i: number, bound: number): number {
  return (Math.imul(i + 1, 2_654_435_761) >>> 8) % bound;
}

class Phases {
  readonly sums = new Map<string, number>();
  measure<T>(phase: string, run: () => T): T {
    const before = cpu();
    const result = run();
    this.sums.set(phase, (this.sums.get(phase) ?? 0) + cpu() - before);
    return result;
  }
}

function recoveryBaseline(transactions: readonly Transaction[]): number {
  const digest = keccak256(Buffer.from('baseline'));
  const before = cpu();
  for (const transaction of transactions) recoverAddress(digest, transaction.signature);
  return (cpu() - before) / transactions.length;
}

function open(store: LevelStore, alloc: ReadonlyMap<Address, bigint>, cache: TransactionCache): Promise<Ledger> {
  return Ledger.open({
    ...RULES,
    store,
    genesis: {
      extraData: new Uint8Array(32),
      validators: VALIDATORS,
      policy: DEFAULT_POLICY,
      timestamp: START_MS / 1000,
      alloc,
    },
    decode: (raw) => cache.decode(raw),
  });
}

function buildBlock(ledger: Ledger, candidates: readonly Transaction[], n: number): Block {
  return ledger.build({
    parent: ledger.tip.hash,
    timeMs: START_MS + n * 100,
    miner: '0x' + 'ee'.repeat(20),
    candidates,
    bytesMax: 100_000_000,
    transactionsMax: 1_000_000,
  }).block;
}

function commit(ledger: Ledger, hash: string): Promise<void> {
  return new Promise((resolve, reject) => ledger.commit(hash, Buffer.alloc(300), (e) => (e ? reject(e) : resolve())));
}

/** The primary builds, the measured follower does everything else. */
export async function ledgerPipeline(accounts: number, perBlock: number, blocks: number): Promise<void> {
  const senders: Sender[] = Array.from({ length: Math.min(accounts, 5000) }, (_, n) => {
    const secret = keccak256(Buffer.from(`sender ${n}`));
    return { secret, address: privateKeyAddress(secret), nonce: 0 };
  });
  const addresses = senders.map((sender) => sender.address);
  for (let n = addresses.length; n < accounts; n++) addresses.push(toHex(keccak256(Buffer.from(`${n}`)).subarray(12)));
  const alloc = new Map(addresses.map((address) => [address, 10n ** 21n]));

  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'quorate-bench-')));
  const stores = await Promise.all(folders.map((folder) => LevelStore.open(folder)));
  const primaryCache = new TransactionCache({ chainId: CHAIN_ID, size: 100_000 });
  const followerCache = new TransactionCache({ chainId: CHAIN_ID });
  const primary = await open(stores[0]!, alloc, primaryCache);
  const follower = await open(stores[1]!, alloc, followerCache);

  const phases = new Phases();
  let total = 0;
  let baseline = 0;
  for (let n = 1; n <= blocks; n++) {
    const raws = Array.from({ length: perBlock }, (_, i) => {
      const at = (n - 1) * perBlock + i;
      return signTransfer(senders[at % senders.length]!, addresses[pick(at, accounts)]!);
    });
    const candidates = raws.map((raw) => {
      const result = primaryCache.decode(raw);
      if (!result.ok) throw new Error(result.message);
      return result.transaction;
    });
    baseline += recoveryBaseline(candidates.slice(0, 200));
    const block = buildBlock(primary, candidates, n);
    if (block.transactions.length !== perBlock)
      throw new Error(`only ${block.transactions.length} transactions fitted`);
    primary.setTip(block.hash);
    await commit(primary, block.hash);

    const began = cpu();
    phases.measure('decode and recover', () => {
      for (const raw of raws) followerCache.decode(raw);
    });
    const decoded = phases.measure('decode the block', () => follower.decodeBlock(block.bytes));
    if (!decoded.ok) throw new Error(decoded.reason);
    const result = phases.measure('execute and hash', () => follower.execute(decoded.block, undefined, {}));
    if (!result.ok) throw new Error(result.detail);
    const before = cpu();
    await commit(follower, block.hash);
    phases.sums.set('write', (phases.sums.get('write') ?? 0) + cpu() - before);
    total += cpu() - began;
  }
  const count = perBlock * blocks;
  console.log(
    `${secp256k1Backend} recovery, ${accounts} accounts, ${blocks} blocks of ${perBlock} transfers; CPU us per transfer`,
  );
  console.log(`  ${'recovery alone'.padEnd(20)} ${(baseline / blocks).toFixed(1)}`);
  for (const [phase, sum] of phases.sums) console.log(`  ${phase.padEnd(20)} ${(sum / count).toFixed(1)}`);
  console.log(`  ${'total'.padEnd(20)} ${(total / count).toFixed(1)}`);
  console.log(`  resident memory ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB (two ledgers)`);
  for (const store of stores) await store.close();
  for (const folder of folders) rmSync(folder, { recursive: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [accounts = 1000, perBlock = 500, blocks = 40] = process.argv.slice(2).map(Number);
  await ledgerPipeline(accounts, perBlock, blocks);
}
