/** viem. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import {
  BaseError,
  BlockNotFoundError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http as httpTransport,
  InsufficientFundsError,
  NonceTooLowError,
  parseEventLogs,
  TransactionNotFoundError,
  TransactionReceiptNotFoundError,
  webSocket,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
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

const { version } = createRequire(import.meta.url)('viem/package.json');
const chain = defineChain({
  id: CHAIN_ID,
  name: 'Quorate',
  nativeCurrency: { name: 'Coin', symbol: 'COIN', decimals: 18 },
  rpcUrls: { default: { http: [http], webSocket: [socket] } },
});
const account = privateKeyToAccount(alice.privateKey);
const common = { chain, pollingInterval: 100, cacheTime: 0 };
const reader = createPublicClient({ ...common, transport: httpTransport(http) });
const wallet = createWalletClient({ ...common, account, transport: httpTransport(http) });
const listener = createPublicClient({ ...common, transport: webSocket(socket) });

async function transfer(value = 1n) {
  const hash = await wallet.sendTransaction({ to: bob.address, value });
  return reader.waitForTransactionReceipt({ hash });
}

async function watched(client, options) {
  const heard = [];
  const stop = client.watchBlocks({
    ...options,
    emitMissed: true,
    onBlock: ({ number }) => heard.push(Number(number)),
  });
  try {
    await follow(heard, async () => (await transfer()).blockNumber);
  } finally {
    stop();
  }
}

/** Whether an error or one of its causes is of a class. */
const is = (error, kind) => error instanceof BaseError && error.walk((cause) => cause instanceof kind) !== null;

await run(version, {
  chain: async () => {
    assert.equal(await reader.getChainId(), CHAIN_ID);
    assert.equal(await wallet.getChainId(), CHAIN_ID);
  },
  account: async () => {
    assert.equal(await reader.getBalance({ address: alice.address }), BigInt(alice.balance));
    assert.equal(await reader.getBalance({ address: alice.address, blockTag: 'pending' }), BigInt(alice.balance));
    assert.equal(await reader.getTransactionCount({ address: alice.address }), 0);
    assert.equal(await reader.getCode({ address: alice.address }), undefined);
    assert.equal(await reader.getStorageAt({ address: alice.address, slot: '0x0' }), '0x' + '0'.repeat(64));
    assert.deepEqual(await reader.call({ to: bob.address, data: '0x12345678' }), { data: undefined });
  },
  estimate: async () => {
    assert.equal(await reader.estimateGas({ account, to: bob.address, value: 1n }), 21_000n);
  },
  fees: async () => {
    assert.equal(await reader.getGasPrice(), 0n);
    assert.deepEqual(await reader.estimateFeesPerGas(), { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n });
    const history = await reader.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] });
    assert.deepEqual(history.baseFeePerGas, [0n, 0n]);
  },
  transfer: async () => {
    const before = await reader.getBalance({ address: bob.address });
    const receipt = await transfer(COIN);
    assert.equal(receipt.status, 'success');
    assert.equal(receipt.type, 'eip1559');
    assert.equal(receipt.gasUsed, 21_000n);
    assert.equal(receipt.from, alice.address.toLowerCase());
    assert.equal(await reader.getBalance({ address: bob.address }), before + COIN);
    assert.equal(await reader.getTransactionConfirmations({ hash: receipt.transactionHash }), 1n);
    const sent = await reader.getTransaction({ hash: receipt.transactionHash });
    assert.equal(sent.value, COIN);
    assert.equal(sent.blockHash, receipt.blockHash);
  },
  repeated: async () => {
    for (let i = 0; i < 5; i++) assert.equal((await transfer()).status, 'success');
    assert.equal(await reader.getTransactionCount({ address: alice.address }), 6);
    const legacy = await wallet.sendTransaction({ to: bob.address, value: 1n, gasPrice: 0n, type: 'legacy' });
    assert.equal((await reader.waitForTransactionReceipt({ hash: legacy })).type, 'legacy');
  },
  block: async () => {
    const block = await reader.getBlock({ includeTransactions: true });
    assert.equal(block.transactions[0].from, alice.address.toLowerCase());
    assert.equal(block.transactions[0].typeHex, '0x0');
    assert.equal((await reader.getBlock({ blockHash: block.hash })).transactions[0], block.transactions[0].hash);
    assert.equal(await reader.getBlockTransactionCount({ blockNumber: block.number }), 1);
    assert.equal((await reader.getTransaction({ blockHash: block.hash, index: 0 })).hash, block.transactions[0].hash);
    for (const blockTag of ['finalized', 'safe', 'pending', 'earliest']) await reader.getBlock({ blockTag });
  },
  unknown: async () => {
    assert(is(await refusal(reader.getBlock({ blockNumber: 10n ** 9n })), BlockNotFoundError));
    assert(is(await refusal(reader.getTransaction({ hash: NO_HASH })), TransactionNotFoundError));
    assert(is(await refusal(reader.getTransactionReceipt({ hash: NO_HASH })), TransactionReceiptNotFoundError));
  },
  polling: () => watched(reader, { poll: true }),
  socket: async () => {
    await watched(listener, { poll: false });
    const hashes = [];
    const stop = listener.watchPendingTransactions({ onTransactions: (heard) => hashes.push(...heard) });
    try {
      await until('a pending transaction is told', async () => {
        await transfer();
        return hashes.length > 0;
      });
    } finally {
      stop();
    }
  },
  logs: async () => {
    assert.deepEqual(await reader.getLogs({ fromBlock: 0n, toBlock: 'latest' }), []);
    const filter = await reader.createBlockFilter();
    const { blockHash } = await transfer();
    assert((await reader.getFilterChanges({ filter })).includes(blockHash));
    assert.equal(await reader.uninstallFilter({ filter }), true);
    const pending = await reader.createPendingTransactionFilter();
    const { transactionHash } = await transfer();
    assert((await reader.getFilterChanges({ filter: pending })).includes(transactionHash));
    const event = await reader.createEventFilter();
    assert.deepEqual(await reader.getFilterChanges({ filter: event }), []);
    assert.deepEqual(await reader.getFilterLogs({ filter: event }), []);
  },
  contract: async () => {
    const governance = { abi: ABI, address: GOVERNANCE };
    assert.equal(await reader.readContract({ ...governance, functionName: 'epoch' }), 0n);
    assert.equal((await reader.readContract({ ...governance, functionName: 'validators' })).length, 3);
    const by = privateKeyToAccount(operator.privateKey);
    const call = { ...governance, account: by, functionName: 'propose', args: [[], [], [], POLICY] };
    const { request, result } = await reader.simulateContract(call);
    assert.equal(result, 1n);
    const hash = await wallet.writeContract(request);
    const { logs } = await reader.waitForTransactionReceipt({ hash });
    const [proposed, voted] = parseEventLogs({ abi: ABI, logs });
    assert.deepEqual([proposed.eventName, proposed.args.policy, voted.eventName], ['Proposed', POLICY, 'Voted']);
    const found = await reader.getContractEvents({ ...governance, eventName: 'Proposed', fromBlock: 0n });
    assert.deepEqual([found.length, found[0].transactionHash], [1, hash]);
    const vote = { ...governance, account: by, functionName: 'vote', args: [99n, true] };
    for (const failing of [reader.simulateContract(vote), wallet.writeContract(vote)]) {
      const error = await refusal(failing);
      assert.match(error.walk((cause) => cause instanceof ContractFunctionRevertedError).reason, NO_PROPOSAL);
    }
  },
  funds: async () => {
    const poor = privateKeyToAccount(pauper.privateKey);
    const request = { account: poor, to: bob.address, value: COIN };
    assert(is(await refusal(wallet.sendTransaction(request)), InsufficientFundsError));
    assert(is(await refusal(wallet.sendTransaction({ ...request, gas: 21_000n })), InsufficientFundsError));
    assert(is(await refusal(reader.estimateGas(request)), InsufficientFundsError));
  },
  nonce: async () => {
    const error = await refusal(wallet.sendTransaction({ to: bob.address, value: 2n, nonce: 0 }));
    assert(is(error, NonceTooLowError));
  },
  replacement: async () => {
    const nonce = await reader.getTransactionCount({ address: alice.address });
    const later = { to: bob.address, nonce: nonce + 1, gas: 21_000n, maxFeePerGas: 100n, maxPriorityFeePerGas: 100n };
    const replaced = await wallet.sendTransaction({ ...later, value: 1n });
    // viem has no class of its own for it: the text is what an application sees.
    assert.match(
      String(await refusal(wallet.sendTransaction({ ...later, value: 2n }))),
      /replacement transaction underpriced/,
    );
    const bid = { maxFeePerGas: 200n, maxPriorityFeePerGas: 200n };
    const hash = await wallet.sendTransaction({ ...later, ...bid, value: 3n });
    await wallet.sendTransaction({ to: bob.address, value: 4n, nonce });
    assert.equal((await reader.waitForTransactionReceipt({ hash })).status, 'success');
    await refusal(reader.getTransaction({ hash: replaced }));
  },
});
