/**
 * 1,000 transfers from 50 accounts through all three nodes (issue 2, "How it is shown"): all final, every block and
 * state root the same everywhere, no coin made or lost, and header hashes that ethers recomputes.
 */
import { encodeRlp, keccak256, toBeArray } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  COIN,
  fund,
  type Receipt,
  randomSenders,
  type Sender,
  transfer,
  transferByEthers,
  untilFinal,
} from './accounts.ts';
import { agreedChain, type BlockLine } from './agreement.ts';
import { Devnet } from './devnet.ts';
import { report, seconds } from './report.ts';

const ACCOUNTS = 50;
const PER_ACCOUNT = 20;

let devnet: Devnet;
let senders: Sender[];
const expected = new Map<string, bigint>();
let receipts: Receipt[] = [];
let chain: BlockLine[] = [];

beforeAll(async () => {
  devnet = await Devnet.start();
  senders = randomSenders(ACCOUNTS);
  const { chainId, accounts } = devnet.line;
  await fund(devnet.rpc(1), accounts, senders, { chainId, value: COIN });
  for (const { address } of senders) expected.set(address, COIN);
});

afterAll(async () => {
  await devnet?.stop();
});

async function balance(node: number, address: string): Promise<bigint> {
  return BigInt(await devnet.rpc(node).call<string>('eth_getBalance', [address, 'latest']));
}

test('1,000 transfers from 50 accounts, signed by ethers and natively, become final on every node', async () => {
  const { chainId } = devnet.line;
  const startedAt = performance.now();
  const hashes = await Promise.all(
    senders.map(async (sender, i) => {
      const own: string[] = [];
      for (let nonce = 0; nonce < PER_ACCOUNT; nonce++) {
        const to = senders[(i + 1 + nonce) % ACCOUNTS]!.address;
        const value = BigInt(1000 * i + nonce + 1);
        const sign = i % 2 === 0 ? transfer : transferByEthers;
        const signed = await sign(sender, { chainId, nonce, to, value });
        expected.set(sender.address, expected.get(sender.address)! - value);
        expected.set(to, expected.get(to)! + value);
        // One sender's transfers go to all the nodes in turn: they must find together again.
        const hash = await devnet.rpc((i + nonce) % 3).call<string>('eth_sendRawTransaction', [signed.raw]);
        expect(hash).toBe(signed.hash);
        own.push(hash);
      }
      return own;
    }),
  );
  const all = hashes.flat();
  expect(new Set(all).size).toBe(ACCOUNTS * PER_ACCOUNT);
  const perNode = await Promise.all(devnet.rpcs.map((rpc) => untilFinal(rpc, all)));
  report(`1,000 transfers: sent and final everywhere after ${seconds(performance.now() - startedAt)}`);
  receipts = perNode[0]!;
  expect(perNode[1]).toEqual(receipts);
  expect(perNode[2]).toEqual(receipts);
  for (const receipt of receipts) expect(receipt.status).toBe('0x1');
});

test('the three nodes agree on every block hash and state root, and each transfer stands in one block', async () => {
  chain = await agreedChain(devnet.rpcs);
  const included = chain.flatMap(({ transactions }) => transactions);
  expect(new Set(included).size).toBe(included.length);
  for (const { transactionHash, blockHash, blockNumber } of receipts) {
    const block = chain[Number(blockNumber)]!;
    expect(block.hash).toBe(blockHash);
    expect(block.transactions).toContain(transactionHash);
  }
});

test('balances are conserved: each account has what it should, and the sum is what the genesis gave', async () => {
  for (const node of devnet.indices) {
    for (const [address, amount] of expected) expect(await balance(node, address)).toBe(amount);
  }
  const { accounts } = devnet.line;
  const all = [...accounts.map(({ address }) => address), ...senders.map(({ address }) => address)];
  const given = accounts.reduce((sum, account) => sum + BigInt(account.balance), 0n);
  const held = (await Promise.all(all.map((address) => balance(0, address)))).reduce((sum, amount) => sum + amount, 0n);
  expect(held).toBe(given);
  for (const { address } of senders) {
    expect(await devnet.rpc(2).number('eth_getTransactionCount', [address, 'latest'])).toBe(PER_ACCOUNT);
  }
});

const HEADER_FIELDS = [
  'parentHash',
  'sha3Uncles',
  'miner',
  'stateRoot',
  'transactionsRoot',
  'receiptsRoot',
  'logsBloom',
  'difficulty',
  'number',
  'gasLimit',
  'gasUsed',
  'timestamp',
  'extraData',
  'mixHash',
  'nonce',
  'baseFeePerGas',
] as const;
const QUANTITIES = new Set<string>(['difficulty', 'number', 'gasLimit', 'gasUsed', 'timestamp', 'baseFeePerGas']);

test('a header hash recomputed by ethers from eth_getBlockByNumber is the block hash', async () => {
  expect(chain.length).toBeGreaterThan(2);
  for (const { number, hash } of chain) {
    const block = await devnet
      .rpc(Number(number) % 3)
      .call<Record<string, string>>('eth_getBlockByNumber', [number, false]);
    const fields = HEADER_FIELDS.map((name) => (QUANTITIES.has(name) ? toBeArray(block[name]!) : block[name]!));
    expect(keccak256(encodeRlp(fields))).toBe(hash);
  }
});

test('every block has a finality proof, or one above it that leads down to it', async () => {
  for (const { number, hash } of chain.slice(1)) {
    const proof = await devnet
      .rpc(1)
      .call<{ hash: string; header: string; ancestry: string[]; signatures: unknown[] }>('xft_getFinalityProof', [
        number,
      ]);
    expect(proof.hash).toBe(hash);
    expect(proof.signatures).toHaveLength(2);
    const lowest = proof.ancestry.at(-1) ?? proof.header;
    expect(keccak256(lowest)).toBe(hash);
    let child: string | undefined;
    for (const header of proof.ancestry) {
      if (child !== undefined) expect(child.slice(0, 100)).toContain(keccak256(header).slice(2));
      child = header;
    }
  }
});
