/** web3.js 4. */
import assert from 'node:assert/strict';
import Web3, { WebSocketProvider } from 'web3';
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

const web3 = new Web3(http);
web3.eth.transactionPollingInterval = 100;
web3.eth.transactionReceiptPollingInterval = 100;
web3.eth.accounts.wallet.add(alice.privateKey);
web3.eth.accounts.wallet.add(pauper.privateKey);
const listener = new Web3(new WebSocketProvider(socket));
const from = alice.address;

const transfer = (value = 1n, more = {}) => web3.eth.sendTransaction({ from, to: bob.address, value, ...more });

await run(Web3.version, {
  chain: async () => {
    assert.equal(await web3.eth.getChainId(), BigInt(CHAIN_ID));
    assert.equal(await web3.eth.net.getId(), BigInt(CHAIN_ID));
    assert.equal(await web3.eth.net.isListening(), true);
    assert.equal(await web3.eth.net.getPeerCount(), 2n);
    assert.match(await web3.eth.getNodeInfo(), /^quorate\//);
    assert.equal(await web3.eth.isSyncing(), false);
    assert.deepEqual(await web3.eth.getAccounts(), []);
    await web3.eth.getProtocolVersion();
    await web3.eth.getCoinbase();
    await web3.eth.getHashRate();
    await web3.eth.isMining();
  },
  account: async () => {
    assert.equal(await web3.eth.getBalance(from), BigInt(alice.balance));
    assert.equal(await web3.eth.getTransactionCount(from), 0n);
    assert.equal(await web3.eth.getCode(from), '0x');
    assert.equal(await web3.eth.getStorageAt(from, 0), '0x' + '0'.repeat(64));
    assert.equal(await web3.eth.call({ to: bob.address, data: '0x12345678' }), '0x');
  },
  estimate: async () => {
    assert.equal(await web3.eth.estimateGas({ from, to: bob.address, value: 1n }), 21_000n);
  },
  fees: async () => {
    assert.equal(await web3.eth.getGasPrice(), 0n);
    assert.equal(await web3.eth.getMaxPriorityFeePerGas(), 0n);
    const { baseFeePerGas, maxPriorityFeePerGas } = await web3.eth.calculateFeeData();
    assert.deepEqual([baseFeePerGas, maxPriorityFeePerGas], [0n, 0n]);
    const history = await web3.eth.getFeeHistory(4, 'latest', [25, 75]);
    assert.deepEqual(history.baseFeePerGas, [0n, 0n]);
  },
  transfer: async () => {
    const before = await web3.eth.getBalance(bob.address);
    const receipt = await transfer(COIN);
    assert.deepEqual([receipt.status, receipt.gasUsed, receipt.from], [1n, 21_000n, from.toLowerCase()]);
    assert.equal(await web3.eth.getBalance(bob.address), before + COIN);
    const found = await web3.eth.getTransaction(receipt.transactionHash);
    assert.deepEqual([found.blockHash, found.value], [receipt.blockHash, COIN]);
  },
  repeated: async () => {
    for (let i = 0; i < 5; i++) assert.equal((await transfer()).status, 1n);
    assert.equal(await web3.eth.getTransactionCount(from), 6n);
    assert.equal((await transfer(1n, { type: '0x0', gasPrice: 0n })).type, 0n);
    const events = [];
    const sending = transfer();
    for (const name of ['sending', 'sent', 'transactionHash', 'receipt']) sending.on(name, () => events.push(name));
    await sending;
    assert.deepEqual(events, ['sending', 'sent', 'transactionHash', 'receipt']);
  },
  block: async () => {
    const block = await web3.eth.getBlock('latest', true);
    assert.equal(block.transactions[0].from, from.toLowerCase());
    assert.equal((await web3.eth.getBlock(block.hash)).number, block.number);
    assert.equal(await web3.eth.getBlockTransactionCount(block.number), 1n);
    assert.equal(await web3.eth.getBlockUncleCount(block.number), 0n);
    assert.equal((await web3.eth.getTransactionFromBlock(block.hash, 0)).hash, block.transactions[0].hash);
    for (const tag of ['finalized', 'safe', 'pending', 'earliest']) assert.notEqual(await web3.eth.getBlock(tag), null);
  },
  unknown: async () => {
    assert.equal(await web3.eth.getBlock(10 ** 9), null);
    assert.equal((await refusal(web3.eth.getTransaction(NO_HASH))).name, 'TransactionNotFound');
    assert.equal((await refusal(web3.eth.getTransactionReceipt(NO_HASH))).name, 'TransactionNotFound');
  },
  socket: async () => {
    const heard = [];
    const heads = await listener.eth.subscribe('newBlockHeaders');
    heads.on('data', ({ number }) => heard.push(Number(number)));
    await follow(heard, async () => (await transfer()).blockNumber);
    await heads.unsubscribe();
    const pending = await listener.eth.subscribe('newPendingTransactions');
    const hashes = [];
    pending.on('data', (hash) => hashes.push(hash));
    await until('a pending transaction is told', async () => {
      await transfer();
      return hashes.length > 0;
    });
    await pending.unsubscribe();
    const logs = await listener.eth.subscribe('logs', { address: bob.address });
    await logs.unsubscribe();
  },
  logs: async () => {
    assert.deepEqual(await web3.eth.getPastLogs({ fromBlock: 0, toBlock: 'latest' }), []);
    // It reads a filter's name as a number: a name of every sixteenth filter would be lost if it began with a zero.
    for (let i = 0; i < 50; i++) {
      assert.deepEqual(await web3.eth.getFilterChanges(await web3.eth.createNewBlockFilter()), []);
    }
    const filter = await web3.eth.createNewBlockFilter();
    const { blockHash } = await transfer();
    assert((await web3.eth.getFilterChanges(filter)).includes(blockHash));
    assert.equal(await web3.eth.uninstallFilter(filter), true);
    const pending = await web3.eth.createNewPendingTransactionFilter();
    const { transactionHash } = await transfer();
    assert((await web3.eth.getFilterChanges(pending)).includes(transactionHash));
    const event = await web3.eth.createNewFilter({ address: bob.address });
    assert.deepEqual(await web3.eth.getFilterLogs(event), []);
    assert.deepEqual(await web3.eth.getPendingTransactions(), []);
  },
  contract: async () => {
    const governance = new web3.eth.Contract(ABI, GOVERNANCE);
    assert.equal(await governance.methods.epoch().call(), 0n);
    assert.equal((await governance.methods.validators().call()).length, 3);
    web3.eth.accounts.wallet.add(operator.privateKey);
    const by = { from: operator.address };
    const receipt = await governance.methods.propose([], [], [], POLICY).send(by);
    assert.deepEqual([receipt.status, Object.keys(receipt.events)], [1n, ['Proposed', 'Voted']]);
    const [found] = await governance.getPastEvents('Proposed', { fromBlock: 0, toBlock: 'latest' });
    assert.deepEqual([found.transactionHash, found.returnValues.id], [receipt.transactionHash, 1n]);
    const vote = governance.methods.vote(99, true);
    for (const failing of [vote.call(by), vote.send(by)]) {
      const error = await refusal(failing);
      assert.match(`${error.message} ${error.reason} ${error.cause?.message}`, NO_PROPOSAL);
    }
  },
  funds: async () => {
    const request = { from: pauper.address, to: bob.address, value: COIN };
    // It runs the transfer as a call first, and takes every error of that for a revert; the text is its reason.
    const failed = await refusal(web3.eth.sendTransaction(request));
    assert.match(failed.reason, /^insufficient funds/);
    const signed = await web3.eth.accounts.signTransaction(
      { ...request, gas: 21_000n, gasPrice: 0n },
      pauper.privateKey,
    );
    const unchecked = { checkRevertBeforeSending: false };
    const refused = await refusal(web3.eth.sendSignedTransaction(signed.rawTransaction, undefined, unchecked));
    assert.match(refused.message, /insufficient funds/);
  },
  nonce: async () => {
    const failed = await refusal(transfer(2n, { nonce: 0n }));
    assert.match(failed.message, /nonce too low/);
  },
  replacement: async () => {
    const nonce = await web3.eth.getTransactionCount(from);
    const later = { nonce: nonce + 1n, gas: 21_000n, gasPrice: 100n };
    // What it gives is a promise of the receipt, which would be waited for.
    const pooled = new Promise((resolve, reject) => {
      transfer(1n, later).on('transactionHash', resolve).catch(reject);
    });
    await pooled;
    assert.match((await refusal(transfer(2n, later))).message, /replacement transaction underpriced/);
    assert.equal((await transfer(4n, { nonce })).status, 1n);
  },
});
