/** ethers 6. */
import assert from 'node:assert/strict';
import { Contract, JsonRpcProvider, version, Wallet, WebSocketProvider } from 'ethers';
import {
  ABI,
  alice,
  bob,
  CHAIN_ID,
  COIN,
  follow,
  GOVERNANCE,
  http,
  NO_HASH,
  NO_PROPOSAL,
  operator,
  POLICY,
  pauper,
  refusal,
  run,
  socket,
  until,
} from '../checks.mjs';

const provider = new JsonRpcProvider(http, undefined, { cacheTimeout: -1, pollingInterval: 100 });
const listener = new WebSocketProvider(socket, undefined, { cacheTimeout: -1 });
const wallet = new Wallet(alice.privateKey, provider);

async function transfer(value = 1n) {
  return (await wallet.sendTransaction({ to: bob.address, value })).wait();
}

async function watched(source) {
  const heard = [];
  await source.on('block', (height) => heard.push(height));
  await follow(heard, async () => (await transfer()).blockNumber);
  await source.off('block');
}

await run(version, {
  chain: async () => {
    assert.equal((await provider.getNetwork()).chainId, BigInt(CHAIN_ID));
    assert.match(await provider.send('web3_clientVersion', []), /^quorate\//);
  },
  account: async () => {
    assert.equal(await provider.getBalance(alice.address), BigInt(alice.balance));
    assert.equal(await provider.getTransactionCount(alice.address), 0);
    assert.equal(await provider.getCode(alice.address), '0x');
    assert.equal(await provider.getStorage(alice.address, 0), '0x' + '0'.repeat(64));
    assert.equal(await provider.call({ to: bob.address, data: '0x12345678' }), '0x');
  },
  estimate: async () => {
    const gas = await provider.estimateGas({ from: alice.address, to: bob.address, value: 1n });
    assert.equal(gas, 21_000n);
  },
  fees: async () => {
    // With a base fee of 0 ethers sends legacy transactions.
    const { gasPrice, maxFeePerGas } = await provider.getFeeData();
    assert.deepEqual([gasPrice, maxFeePerGas], [0n, null]);
  },
  transfer: async () => {
    const before = await provider.getBalance(bob.address);
    const receipt = await transfer(COIN);
    assert.deepEqual([receipt.status, receipt.gasUsed, receipt.from], [1, 21_000n, wallet.address]);
    assert.equal(await provider.getBalance(bob.address), before + COIN);
    const found = await provider.getTransaction(receipt.hash);
    assert.deepEqual([found.blockHash, found.value, await found.confirmations()], [receipt.blockHash, COIN, 1]);
  },
  repeated: async () => {
    for (let i = 0; i < 5; i++) assert.equal((await transfer()).status, 1);
    assert.equal(await provider.getTransactionCount(alice.address), 6);
    const fees = { maxFeePerGas: 5n, maxPriorityFeePerGas: 3n };
    const dynamic = await wallet.sendTransaction({ to: bob.address, value: 1n, type: 2, ...fees });
    assert.deepEqual([(await dynamic.wait()).type, (await dynamic.wait()).gasPrice], [2, 3n]);
  },
  block: async () => {
    const block = await provider.getBlock('latest', true);
    const [hash] = block.transactions;
    assert.equal(block.getPrefetchedTransaction(hash).from, wallet.address);
    assert.equal((await provider.getBlock(block.hash)).number, block.number);
    for (const tag of ['finalized', 'safe', 'pending', 'earliest']) assert.notEqual(await provider.getBlock(tag), null);
  },
  unknown: async () => {
    assert.equal(await provider.getBlock(10 ** 9), null);
    assert.equal(await provider.getTransaction(NO_HASH), null);
    assert.equal(await provider.getTransactionReceipt(NO_HASH), null);
  },
  polling: () => watched(provider),
  socket: async () => {
    await watched(listener);
    const hashes = [];
    await listener.on('pending', (hash) => hashes.push(hash));
    await until('a pending transaction is told', async () => {
      await transfer();
      return hashes.length > 0;
    });
    await listener.off('pending');
  },
  logs: async () => {
    assert.deepEqual(await provider.getLogs({ fromBlock: 0, toBlock: 'latest' }), []);
    const hashes = [];
    await provider.on('pending', (hash) => hashes.push(hash));
    const logs = [];
    await provider.on({ address: bob.address }, (log) => logs.push(log));
    await until('a pending transaction is told by a filter', async () => {
      await transfer();
      return hashes.length > 0;
    });
    await provider.off('pending');
    await provider.removeAllListeners();
    assert.deepEqual(logs, []);
  },
  contract: async () => {
    const governance = new Contract(GOVERNANCE, ABI, new Wallet(operator.privateKey, provider));
    assert.deepEqual([await governance.epoch(), (await governance.validators()).length], [0n, 3]);
    const heard = [];
    const watching = new Contract(GOVERNANCE, ABI, listener);
    await watching.on('Proposed', (id) => heard.push(id));
    const receipt = await (await governance.propose([], [], [], POLICY)).wait();
    const names = receipt.logs.map(({ fragment }) => fragment.name);
    assert.deepEqual([receipt.status, names], [1, ['Proposed', 'Voted']]);
    const [found] = await governance.queryFilter('Proposed', 0, 'latest');
    assert.deepEqual([found.transactionHash, found.args.id], [receipt.hash, 1n]);
    await until('the event is told', () => heard.includes(1n));
    await watching.off('Proposed');
    for (const failing of [governance.vote.staticCall(99, true), governance.vote(99, true)]) {
      const error = await refusal(failing);
      assert.equal(error.code, 'CALL_EXCEPTION');
      assert.match(error.reason, NO_PROPOSAL);
    }
  },
  funds: async () => {
    const poor = new Wallet(pauper.privateKey, provider);
    const request = { to: bob.address, value: COIN };
    assert.equal((await refusal(poor.sendTransaction(request))).code, 'INSUFFICIENT_FUNDS');
    assert.equal((await refusal(poor.sendTransaction({ ...request, gasLimit: 21_000 }))).code, 'INSUFFICIENT_FUNDS');
  },
  nonce: async () => {
    const error = await refusal(wallet.sendTransaction({ to: bob.address, value: 2n, nonce: 0 }));
    assert.equal(error.code, 'NONCE_EXPIRED');
  },
  replacement: async () => {
    const nonce = await wallet.getNonce();
    const later = { to: bob.address, nonce: nonce + 1, gasLimit: 21_000, gasPrice: 100n };
    const replaced = await wallet.sendTransaction({ ...later, value: 1n });
    const watching = refusal(replaced.wait());
    const error = await refusal(wallet.sendTransaction({ ...later, value: 2n }));
    assert.equal(error.code, 'REPLACEMENT_UNDERPRICED');
    const better = await wallet.sendTransaction({ ...later, gasPrice: 200n, value: 3n });
    const first = await wallet.sendTransaction({ to: bob.address, value: 4n, nonce });
    assert.equal((await first.wait()).status, 1);
    assert.equal((await better.wait()).status, 1);
    // Its own search for what took the place of a transaction begins with the next block.
    await transfer();
    const told = await watching;
    assert.deepEqual(
      [told.code, told.reason, told.replacement.hash],
      ['TRANSACTION_REPLACED', 'replaced', better.hash],
    );
  },
});
