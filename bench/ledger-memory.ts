/**
 * Memory over a million transfers: blocks built, made final and written to LevelDB, with the heap and resident memory
 * every tenth of the way. Signatures are left out (recovery keeps nothing), so that it takes a minute.
 * Run: node --expose-gc --import tsx bench/ledger-memory.ts [transfers] [accounts]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import type { Transaction } from '../ledger/transaction.ts';
import { EMPTY, toHex } from '../primitives/bytes.ts';
import type { Address } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { DEFAULT_POLICY } from '../primitives/policy.ts';

const RULES = { chainId: 1337, gasLimit: 1_000_000_000, baseFee: 0n, judgeEvidence: undefined };
const START_MS = 1_700_000_000_000;
const PER_BLOCK = 500;

/** A transfer of the usual size whose bytes are its number: nothing here looks at them. */
function unsigned(id: number, from: Address, to: Address, nonce: number): Transaction {
  const raw = Buffer.alloc(112);
  raw.writeUInt32BE(id, 0);
  const fees = { gasPrice: 0n, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
  const signature = { signature: raw, yParity: 0 as const, v: 0n, r: 1n, s: 1n };
  return {
    raw,
    hash: toHex(keccak256(raw)),
    type: 2,
    chainId: RULES.chainId,
    nonce,
    gasLimit: 21_000,
    to,
    value: 1n,
    data: EMPTY,
    accessList: [],
    intrinsicGas: 21_000,
    from,
    ...fees,
    ...signature,
  };
}

const [transfers = 1_000_000, accounts = 20_000] = process.argv.slice(2).map(Number);
const addresses = Array.from({ length: accounts }, (_, n) => toHex(keccak256(Buffer.from(`${n}`)).subarray(12)));
const nonces = new Uint32Array(accounts);
const folder = mkdtempSync(join(tmpdir(), 'quorate-memory-'));
const store = await LevelStore.open(folder);
const alloc = new Map(addresses.map((address) => [address, 10n ** 21n]));
const validators = [
  { validator: '0x' + '01'.repeat(20), nodeKey: '0x' + '02'.repeat(33), operator: '0x' + '03'.repeat(20) },
];
const ledger = await Ledger.open({
  ...RULES,
  store,
  genesis: {
    extraData: new Uint8Array(32),
    validators,
    policy: DEFAULT_POLICY,
    timestamp: START_MS / 1000,
    alloc,
  },
});

console.log('transfers  heap MiB  resident MiB  CPU us per transfer');
let before = process.cpuUsage();
let id = 0;
for (let n = 1; id < transfers; n++) {
  const candidates = Array.from({ length: PER_BLOCK }, () => {
    const from = id % accounts;
    const to = (Math.imul(id + 1, 2_654_435_761) >>> 8) % accounts;
    return unsigned(id++, addresses[from]!, addresses[to]!, nonces[from]!++);
  });
  const { block } = ledger.build({
    parent: ledger.tip.hash,
    timeMs: START_MS + n * 100,
    miner: '0x' + 'ee'.repeat(20),
    candidates,
    bytesMax: 10_000_000,
    transactionsMax: PER_BLOCK,
  });
  ledger.setTip(block.hash);
  await new Promise<void>((resolve, reject) =>
    ledger.commit(block.hash, Buffer.alloc(300), (error) => (error ? reject(error) : resolve())),
  );
  if (id % (transfers / 10) !== 0) continue;
  globalThis.gc?.();
  const { user, system } = process.cpuUsage(before);
  const { heapUsed, rss } = process.memoryUsage();
  const cost = (user + system) / (transfers / 10);
  const row = [id, Math.round(heapUsed / 2 ** 20), Math.round(rss / 2 ** 20), cost.toFixed(1)];
  console.log(row.map((cell, i) => String(cell).padStart([9, 8, 12, 19][i]!)).join('  '));
  before = process.cpuUsage();
}
await store.close();
rmSync(folder, { recursive: true });
