/** ethers 5. */
import assert from 'node:assert/strict';
import { BigNumber, Contract, providers, version, Wallet } from 'ethers';
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

const provider = new providers.JsonRpcProvider(http);
provider.pollingInterval = 100;
const listener = new providers.WebSocketProvider(socket);
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

await run(version.replace('ethers/', ''), {
  chain: async () => {
    assert.equal((await provider.getNetwork()).chainId, CHAIN_ID);
    assert.match(await provider.send('web3_clientVersion', []), /^quorate\//);
  },
  account: async () => {
    assert.equal(String(await provider.getBalance(alice.address)), alice.balance);
    assert.equal(await provider.getTransactionCount(alice.address), 0);
    assert.equal(await provider.getCode(alice.address), '0x');
    assert.equal(await provider.getStorageAt(alice.address, 0), '0x' + '0'.repeat(64));
    assert.equal(await provider.call({ to: bob.address, data: '0x12345678' }), '0x');
  },
  estimate: async () => {
    const gas = await provider.estimateGas({ from: alice.address, to: bob.address, value: 1 });
    assert.equal(gas.toNumber(), 21_000);
  },
  fees: async () => {
    // A tip of 1.5 gwei is its own, whatever the node says, so it sends transactions of type 2.
    const { gasPrice, lastBaseFeePerGas } = await provider.getFeeData();
    assert.deepEqual([gasPrice.toNumber(), lastBaseFeePerGas.toNumber()], [0, 0]);
  },
  transfer: async () => {
    const before = await provider.getBalance(bob.address);
    const receipt = await transfer(BigNumber.from(COIN));
    assert.deepEqual([receipt.status, receipt.gasUsed.toNumber(), receipt.from], [1, 21_000, wallet.address]);
    assert(before.add(COIN).eq(await provider.getBalance(bob.address)));
    const found = await provider.getTransaction(receipt.transactionHash);
    assert.deepEqual([found.blockHash, found.value.toBigInt()], [receipt.blockHash, COIN]);
  },
  repeated: async () => {
    for (let i = 0; i < 5; i++) assert.equal((await transfer()).status, 1);
    assert.equal(await provider.getTransactionCount(alice.address), 6);
    const legacy = await wallet.sendTransaction({ to: bob.address, value: 1, type: 0, gasPrice: 0 });
    assert.equal((await legacy.wait()).type, 0);
  },
  block: async () => {
    const block = await provider.getBlockWithTransactions('latest');
    assert.equal(block.transactions[0].from, wallet.address);
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
    listener.on('pending', (hash) => hashes.push(hash));
    await until('a pending transaction is told', async () => {
      await transfer();
      return hashes.length > 0;
    });
    listener.off('pending');
  },
  logs: async () => {
    assert.deepEqual(await provider.getLogs({ fromBlock: 0, toBlock: 'latest' }), []);
    const hashes = [];
    provider.on('pending', (hash) => hashes.push(hash));
    const logs = [];
    provider.on({ address: bob.address }, (log) => logs.push(log));
    await until('a pending transaction is told by a filter', async () => {
      await transfer();
      return hashes.length > 0;
    });
    provider.removeAllListeners();
    assert.deepEqual(logs, []);
  },
  contract: async () => {
    const governance = new Contract(GOVERNANCE, ABI, new Wallet(operator.privateKey, provider));
    assert.deepEqual([(await governance.epoch()).toNumber(), (await governance.validators()).length], [0, 3]);
    const receipt = await (await governance.propose([], [], [], POLICY)).wait();
    const names = receipt.events.map(({ event }) => event);
    assert.deepEqual([receipt.status, names], [1, ['Proposed', 'Voted']]);
    const [found] = await governance.queryFilter('Proposed', 0, 'latest');
    assert.equal(found.transactionHash, receipt.transactionHash);
    const called = await refusal(governance.callStatic.vote(99, true));
    assert.equal(called.code, 'CALL_EXCEPTION');
    assert.match(called.reason, NO_PROPOSAL);
    // It takes every failed estimate for this.
    const sent = await refusal(governance.vote(99, true));
    assert.equal(sent.code, 'UNPREDICTABLE_GAS_LIMIT');
    assert.match(sent.error.reason, NO_PROPOSAL);
  },
  funds: async () => {
    const poor = new Wallet(pauper.privateKey, provider);
    const request = { to: bob.address, value: BigNumber.from(COIN) };
    assert.equal((await refusal(poor.sendTransaction(request))).code, 'INSUFFICIENT_FUNDS');
    assert.equal((await refusal(poor.sendTransaction({ ...request, gasLimit: 21_000 }))).code, 'INSUFFICIENT_FUNDS');
  },
  nonce: async () => {
    const error = await refusal(wallet.sendTransaction({ to: bob.address, value: 2, nonce: 0 }));
    assert.equal(error.code, 'NONCE_EXPIRED');
  },
  replacement: async () => {
    const nonce = await wallet.getTransactionCount();
    const later = { to: bob.address, nonce: nonce + 1, gasLimit: 21_000, gasPrice: 100 };
    const replaced = await wallet.sendTransaction({ ...later, value: 1 });
    const watching = refusal(replaced.wait());
    const error = await refusal(wallet.sendTransaction({ ...later, value: 2 }));
    assert.equal(error.code, 'REPLACEMENT_UNDERPRICED');
    const better = await wallet.sendTransaction({ ...later, gasPrice: 200, value: 3 });
    const first = await wallet.sendTransaction({ to: bob.address, value: 4, nonce });
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
