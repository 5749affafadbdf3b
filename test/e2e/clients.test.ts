/** Ethereum's own tools on a devnet: ethers over HTTP and WebSocket, and the calls that other clients make. */
import {
  Contract,
  JsonRpcProvider,
  type Log,
  parseEther,
  type TransactionReceipt,
  Wallet,
  WebSocketProvider,
} from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Devnet } from './devnet.ts';
import { RpcRefusal } from './rpc.ts';
import { until } from './until.ts';

let devnet: Devnet;
let provider: JsonRpcProvider;
let socket: WebSocketProvider;

beforeAll(async () => {
  devnet = await Devnet.start();
  const [first, , third] = devnet.line.validators;
  // Without its answer cache, so that what is read after a wait is what the node says then.
  provider = new JsonRpcProvider(first!.rpc, undefined, { cacheTimeout: -1, polling: true, pollingInterval: 100 });
  socket = new WebSocketProvider(third!.ws, undefined, { cacheTimeout: -1 });
});

afterAll(async () => {
  provider?.destroy();
  await socket?.destroy();
  await devnet?.stop();
});

const key = (index: number): string => devnet.line.accounts[index]!.privateKey;
const address = (index: number): string => devnet.line.accounts[index]!.address;

test('ethers over HTTP: network, fees, estimate, send, wait, and what is read back', async () => {
  expect((await provider.getNetwork()).chainId).toBe(1337n);
  const fees = await provider.getFeeData();
  expect(fees.gasPrice).toBe(0n);
  // A base fee of 0 makes ethers send legacy transactions.
  expect(fees.maxFeePerGas).toBeNull();
  const wallet = new Wallet(key(0), provider);
  const before = await provider.getBalance(address(1));
  expect(await provider.estimateGas({ from: wallet.address, to: address(1), value: 1n })).toBe(21_000n);
  const response = await wallet.sendTransaction({ to: address(1), value: parseEther('0.25') });
  const receipt = (await response.wait()) as TransactionReceipt;
  expect(receipt.status).toBe(1);
  expect(receipt.gasUsed).toBe(21_000n);
  expect(await provider.getBalance(address(1))).toBe(before + parseEther('0.25'));
  expect(await provider.getTransactionCount(wallet.address)).toBe(1);
  const found = await provider.getTransaction(response.hash);
  expect(found).toMatchObject({ blockHash: receipt.blockHash, from: wallet.address, nonce: 0, chainId: 1337n });
  const block = await provider.getBlock(receipt.blockNumber, true);
  expect(block?.hash).toBe(receipt.blockHash);
  expect(block?.getPrefetchedTransaction(response.hash).hash).toBe(response.hash);
  expect(await provider.getBlock(receipt.blockNumber + 1000)).toBeNull();
  expect(await provider.getTransactionReceipt('0x' + '11'.repeat(32))).toBeNull();
  expect(await provider.getCode(address(1))).toBe('0x');
  expect(await provider.getBalance(address(1), receipt.blockNumber - 1)).toBe(before);
});

test('ethers sends all types: legacy, 2930, 1559, several at once from one account', async () => {
  const wallet = new Wallet(key(1), provider);
  const nonce = await wallet.getNonce();
  const fields = [
    { type: 0, gasPrice: 0n },
    { type: 1, gasPrice: 0n, accessList: [{ address: address(2), storageKeys: ['0x' + '01'.padStart(64, '0')] }] },
    { type: 2, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n },
    { type: 2, maxFeePerGas: 5n, maxPriorityFeePerGas: 3n },
  ];
  const responses = await Promise.all(
    fields.map((more, i) =>
      wallet.sendTransaction({ to: address(2), value: 1n, nonce: nonce + i, ...more, gasLimit: 30_000n }),
    ),
  );
  const receipts = await Promise.all(responses.map((response) => response.wait()));
  expect(receipts.map((receipt) => receipt?.type)).toEqual([0, 1, 2, 2]);
  expect(receipts.map((receipt) => receipt?.gasUsed)).toEqual([21_000n, 21_000n + 2400n + 1900n, 21_000n, 21_000n]);
  // The base fee is 0, so the price is the tip.
  expect(receipts[3]?.gasPrice).toBe(3n);
});

test('ethers understands refusals: funds, nonce, unknown method', async () => {
  const wallet = new Wallet(key(2), provider);
  const poor = wallet.sendTransaction({ to: address(1), value: parseEther('1000001') });
  await expect(poor).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  const first = await wallet.sendTransaction({ to: address(1), value: 1n });
  await first.wait();
  const again = wallet.sendTransaction({ to: address(1), value: 2n, nonce: first.nonce });
  await expect(again).rejects.toMatchObject({ code: 'NONCE_EXPIRED' });
  await expect(provider.send('eth_noSuchMethod', [])).rejects.toMatchObject({ code: 'UNSUPPORTED_OPERATION' });
});

test('ethers over HTTP: block events by polling, once per block and in order; wait() by number of confirmations', async () => {
  const seen: number[] = [];
  await provider.on('block', (height: number) => seen.push(height));
  const wallet = new Wallet(key(3), provider);
  const from = await provider.getBlockNumber();
  for (let i = 0; i < 3; i++) await (await wallet.sendTransaction({ to: address(4), value: 1n })).wait();
  const to = await provider.getBlockNumber();
  expect(to).toBeGreaterThanOrEqual(from + 3);
  await until('all blocks are told', () => seen.includes(to));
  await provider.off('block');
  const told = seen.filter((height) => height > from);
  expect(told).toEqual(Array.from({ length: to - from }, (_, i) => from + 1 + i));
});

test('ethers over WebSocket: send, wait, on block, pending, and the same blocks as over HTTP', async () => {
  const blocks: number[] = [];
  const pending: string[] = [];
  await socket.on('block', (height: number) => blocks.push(height));
  await socket.on('pending', (hash: string) => pending.push(hash));
  const wallet = new Wallet(key(5), socket);
  const hashes: string[] = [];
  for (let i = 0; i < 3; i++) {
    const response = await wallet.sendTransaction({ to: address(6), value: BigInt(i + 1) });
    hashes.push(response.hash);
    const receipt = await response.wait();
    expect(receipt?.status).toBe(1);
    const last = receipt!.blockNumber;
    await until(`block ${last} is told`, () => blocks.includes(last));
  }
  expect(blocks).toEqual([...blocks].sort((a, b) => a - b));
  expect(new Set(blocks).size).toBe(blocks.length);
  await until('pending transactions are told', () => hashes.every((hash) => pending.includes(hash)));
  await socket.off('block');
  await socket.off('pending');
  const height = await socket.getBlockNumber();
  await until('the other node is as far', async () => (await provider.getBlockNumber()) >= height);
  expect((await socket.getBlock(height))?.hash).toBe((await provider.getBlock(height))?.hash);
});

test('ethers: logs and event filters of a chain without contracts are empty, not errors', async () => {
  const latest = await provider.getBlockNumber();
  expect(await provider.getLogs({ fromBlock: 0, toBlock: latest })).toEqual([]);
  const token = new Contract(
    address(7),
    ['event Transfer(address indexed from, address indexed to, uint256 value)'],
    socket,
  );
  const events: Log[] = [];
  await token.on('Transfer', (...args) => events.push(args.at(-1)));
  expect(await token.queryFilter('Transfer', 0, latest)).toEqual([]);
  await token.off('Transfer');
  expect(events).toEqual([]);
  expect(await provider.call({ to: address(7), data: '0x12345678' })).toBe('0x');
});

type Call = readonly [method: string, params: readonly unknown[], expected: unknown];
const QUANTITY = expect.stringMatching(/^0x(0|[1-9a-f][0-9a-f]*)$/);
const HASH = expect.stringMatching(/^0x[0-9a-f]{64}$/);

test('what viem, web3.js, Hardhat and cast call gets answers of the right shape', async () => {
  const rpc = devnet.rpc(1);
  const from = address(8);
  const call = {
    from,
    to: address(9),
    value: '0x1',
    data: '0x',
    input: '0x',
    chain: 'mainnet',
    hardfork: 'london',
    networkId: 1337,
  };
  const zeroCode = '0x4e59b44847b379578588920ca78fbf26c0b4956c';
  const calls: Call[] = [
    ['eth_chainId', [], '0x539'],
    ['net_version', [], '1337'],
    ['net_listening', [], true],
    ['net_peerCount', [], '0x2'],
    ['web3_clientVersion', [], expect.stringMatching(/^quorate\/v/)],
    ['eth_syncing', [], false],
    ['eth_accounts', [], []],
    ['eth_gasPrice', [], '0x0'],
    ['eth_maxPriorityFeePerGas', [], '0x0'],
    ['eth_blockNumber', [], QUANTITY],
    [
      'eth_feeHistory',
      ['0x1', 'latest', [50]],
      expect.objectContaining({ oldestBlock: QUANTITY, gasUsedRatio: [expect.any(Number)] }),
    ],
    [
      'eth_feeHistory',
      ['0xa', 'latest', [20]],
      expect.objectContaining({ baseFeePerGas: expect.arrayContaining(['0x0']) }),
    ],
    ['eth_estimateGas', [call], '0x5208'],
    ['eth_estimateGas', [{ from, to: address(9) }, 'pending'], '0x5208'],
    ['eth_call', [call, 'latest'], '0x'],
    ['eth_getCode', [zeroCode, 'latest'], '0x'],
    ['eth_getStorageAt', [zeroCode, '0x0', 'latest'], '0x' + '00'.repeat(32)],
    ['eth_getTransactionCount', [from, 'pending'], '0x0'],
    ['eth_getBalance', [from, '0x0'], '0x3635c9adc5dea00000'],
    [
      'eth_getBlockByNumber',
      ['latest', false],
      expect.objectContaining({ baseFeePerGas: '0x0', hash: HASH, uncles: [] }),
    ],
    ['eth_getBlockByNumber', ['0x0', true], expect.objectContaining({ number: '0x0', transactions: [] })],
    ['eth_getBlockByHash', ['0x' + '22'.repeat(32), false], null],
    ['eth_getTransactionByHash', ['0x' + '22'.repeat(32)], null],
    ['eth_getTransactionReceipt', ['0x' + '22'.repeat(32)], null],
    [
      'eth_getBlockReceipts',
      ['latest'],
      [expect.objectContaining({ status: '0x1', type: QUANTITY, effectiveGasPrice: QUANTITY })],
    ],
  ];
  const answers = await rpc.batch(calls.map(([method, params]) => [method, params]));
  for (const [i, [method, , expected]] of calls.entries()) expect([method, answers[i]]).toEqual([method, expected]);
});

test('what these clients expect to fail fails in the words they look for', async () => {
  const rpc = devnet.rpc(1);
  const refusal = async (method: string, params: readonly unknown[]): Promise<RpcRefusal> => {
    const error = await rpc.call(method, params).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof RpcRefusal)) throw new Error(`${method} was not refused: ${String(error)}`);
    return error;
  };
  for (const method of ['eth_fillTransaction', 'anvil_nodeInfo', 'eth_getAccountInfo', 'eth_sendTransaction']) {
    const error = await refusal(method, [{}]);
    expect([method, error.code]).toEqual([method, -32601]);
    expect(error.message).toMatch(/does not exist\/is not available/);
  }
  expect((await refusal('eth_getBalance', ['0x12', 'latest'])).code).toBe(-32602);
  expect((await refusal('eth_sendRawTransaction', ['0x1234'])).code).not.toBe(-32603);
  const ids = [7, 'a-uuid-string', null];
  for (const id of ids) {
    const { status, text } = await rpc.post(JSON.stringify({ jsonrpc: '2.0', id, method: 'eth_chainId', params: [] }));
    expect([status, JSON.parse(text)]).toEqual([200, { jsonrpc: '2.0', id, result: '0x539' }]);
  }
  const broken = await rpc.post('{"jsonrpc":"2.0","id":1,');
  expect(broken.status).toBe(200);
  expect(JSON.parse(broken.text)).toMatchObject({ id: null, error: { code: -32700 } });
});

test('a transaction is found by hash right after it was sent, on every node, and its receipt comes with the block', async () => {
  const wallet = new Wallet(key(8), provider);
  for (let i = 0; i < 10; i++) {
    const raw = await wallet.signTransaction({
      to: address(9),
      value: 1n,
      nonce: i,
      gasLimit: 21_000n,
      chainId: 1337,
      type: 2,
    });
    const hash = await devnet.rpc(0).call<string>('eth_sendRawTransaction', [raw]);
    const found = await devnet.rpc(0).call<{ hash: string } | null>('eth_getTransactionByHash', [hash]);
    expect(found?.hash).toBe(hash);
    // Head, block, receipts and index appear together: whoever sees the block finds the receipt.
    await until(
      'it is final',
      async () => {
        const block = await devnet.rpc(0).call<{ transactions: string[] }>('eth_getBlockByNumber', ['latest', false]);
        if (!block.transactions.includes(hash)) return false;
        const receipt = await devnet.rpc(0).call('eth_getTransactionReceipt', [hash]);
        if (receipt === null) throw new Error('a block without its receipts is visible');
        return true;
      },
      { everyMs: 5 },
    );
  }
});
