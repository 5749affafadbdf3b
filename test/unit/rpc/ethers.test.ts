/** ethers 6 as a client: what rpc-clients.md says it sends and needs. */
import { JsonRpcProvider, Wallet, WebSocketProvider } from 'ethers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decoded, RECIPIENT, signed, wallet } from './fake-chain.ts';
import { Served } from './fixture.ts';

let served: Served;
let provider: JsonRpcProvider;
beforeEach(async () => {
  served = await Served.start();
  provider = new JsonRpcProvider(served.url, undefined, { cacheTimeout: -1, pollingInterval: 20 });
});
afterEach(async () => {
  expect(served.bugs).toEqual([]);
  provider.destroy();
  await served.stop();
});

test('ethers reads blocks, transactions and receipts', async () => {
  const tx = decoded(await signed({ value: 5n }));
  const block = served.chain.finalize([tx]);
  const read = await provider.getBlock('latest', true);
  expect(read).toMatchObject({
    number: 1,
    hash: block.hash,
    gasUsed: 21_000n,
    timestamp: 1_700_000_001,
    baseFeePerGas: 0n,
  });
  expect(read!.prefetchedTransactions[0]).toMatchObject({
    hash: tx.hash,
    from: wallet.address,
    value: 5n,
    chainId: 1337n,
  });
  expect(await provider.getTransactionReceipt(tx.hash)).toMatchObject({ status: 1, gasUsed: 21_000n, blockNumber: 1 });
  expect((await provider.getNetwork()).chainId).toBe(1337n);
  expect(await provider.getBalance(wallet.address)).toBe(10n ** 21n - 5n);
  expect(await provider.getFeeData()).toMatchObject({ gasPrice: 0n });
});

test('ethers sends a transfer and waits for it', async () => {
  const sender = new Wallet(wallet.privateKey, provider);
  const sent = await sender.sendTransaction({ to: RECIPIENT, value: 7n });
  const waiting = sent.wait();
  served.chain.finalize([...served.chain.pool.values()]);
  expect(await waiting).toMatchObject({ status: 1, blockNumber: 1, hash: sent.hash });
});

test('ethers recognises refusals by their words', async () => {
  const poor = new Wallet('0x' + '22'.repeat(32), provider);
  await expect(poor.sendTransaction({ to: RECIPIENT, value: 7n })).rejects.toMatchObject({
    code: 'INSUFFICIENT_FUNDS',
  });
  served.chain.onSubmit = () => ({ code: -32000, message: 'nonce too low: next nonce 5, tx nonce 0' });
  await expect(provider.broadcastTransaction(await signed())).rejects.toMatchObject({ code: 'NONCE_EXPIRED' });
  served.chain.onSubmit = () => ({ code: -32000, message: 'replacement transaction underpriced' });
  await expect(provider.broadcastTransaction(await signed())).rejects.toMatchObject({
    code: 'REPLACEMENT_UNDERPRICED',
  });
  await expect(provider.send('eth_nope', [])).rejects.toMatchObject({ code: 'UNSUPPORTED_OPERATION' });
});

test('ethers over WebSocket hears of blocks and pending transactions', async () => {
  const socket = new WebSocketProvider(served.url.replace('http', 'ws'));
  const blocks = new Promise<number>((resolve) => void socket.once('block', resolve));
  const pending = new Promise<string>((resolve) => void socket.once('pending', resolve));
  await socket.getBlockNumber();
  await served.until(() => served.server.stats.subscriptions === 2);
  const raw = await signed();
  const hash = await provider.send('eth_sendRawTransaction', [raw]);
  served.chain.finalize([decoded(raw)]);
  expect(await pending).toBe(hash);
  expect(await blocks).toBe(1);
  expect(await socket.getBlock(1)).toMatchObject({ number: 1, transactions: [hash] });
  await socket.destroy();
});

test('ethers hears of blocks and logs by polling over HTTP', async () => {
  const log = { address: '0x' + '44'.repeat(20), topics: ['0x' + '05'.repeat(32)], data: Uint8Array.of(9) };
  const heard = new Promise<{ data: string }>(
    (resolve) => void provider.once({ address: log.address, topics: [] }, resolve),
  );
  await served.until(() => served.server.stats.filters === 1);
  served.chain.finalize([decoded(await signed())], [[log]]);
  expect(await heard).toMatchObject({ data: '0x09', blockNumber: 1 });
  await served.until(() => served.server.stats.filters === 0);
  for (let i = 0; i < 3; i++) await provider.getBlockNumber(); // ethers reads the answer to its eth_uninstallFilter
});
