/**
 * MetaMask without its window: the controllers of the wallet, put together as the extension does, without the services
 * outside of the network (fee and simulation servers, feature flags).
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import createFilters from '@metamask/eth-json-rpc-filters';
import createSubscriptions from '@metamask/eth-json-rpc-filters/subscriptionManager.js';
import { GasFeeController } from '@metamask/gas-fee-controller';
import { JsonRpcEngine } from '@metamask/json-rpc-engine';
import { Messenger, MOCK_ANY_NAMESPACE } from '@metamask/messenger';
import { NetworkController } from '@metamask/network-controller';
import { TransactionController } from '@metamask/transaction-controller';
import {
  alice,
  bob,
  CHAIN_ID,
  COIN,
  follow,
  GOVERNANCE,
  http,
  NO_HASH,
  operator,
  POLICY,
  pauper,
  receiptOf,
  refusal,
  rpc,
  run,
  until,
} from '../checks.mjs';

const { version } = createRequire(import.meta.url)('@metamask/transaction-controller/package.json');
const CHAIN = `0x${CHAIN_ID.toString(16)}`;
const CLIENT = 'quorate';
const POLLING_MS = 200;
/** `vote(99, true)`. */
const VOTE_99 = `0xc9d27afe${'63'.padStart(64, '0')}${'1'.padStart(64, '0')}`;

const root = new Messenger({ namespace: MOCK_ANY_NAMESPACE });

/** A controller's messenger: its own actions go to the root, the named ones of others come from there. */
function messengerOf(namespace, actions = [], events = []) {
  const messenger = new Messenger({ namespace, parent: root });
  root.delegate({ messenger, actions, events });
  return messenger;
}

function answer(action, value) {
  root.registerActionHandler(action, () => value);
}

const accounts = [alice, pauper, operator].map(({ address }) => ({ id: address, address: address.toLowerCase() }));
answer('ErrorReportingService:captureException', undefined);
answer('AccountsController:getSelectedAccount', accounts[0]);
answer('AccountsController:getState', { internalAccounts: { accounts: {}, selectedAccount: accounts[0].id } });
answer('ApprovalController:addRequest', Promise.resolve({}));
answer('KeyringController:signEip7702Authorization', undefined);
answer('RemoteFeatureFlagController:getState', { remoteFeatureFlags: {}, cacheTimestamp: 0 });

const networks = new NetworkController({
  messenger: messengerOf('NetworkController', ['ErrorReportingService:captureException']),
  infuraProjectId: 'none',
  getRpcServiceOptions: () => ({ fetch, btoa }),
  getBlockTrackerOptions: () => ({ pollingInterval: POLLING_MS }),
  state: {
    selectedNetworkClientId: CLIENT,
    networkConfigurationsByChainId: {
      [CHAIN]: {
        chainId: CHAIN,
        name: 'Quorate',
        nativeCurrency: 'COIN',
        blockExplorerUrls: [],
        defaultRpcEndpointIndex: 0,
        rpcEndpoints: [{ networkClientId: CLIENT, type: 'custom', url: http }],
      },
    },
    networksMetadata: {},
  },
});
await networks.initializeProvider();
const { provider, blockTracker } = networks.getNetworkClientById(CLIENT);
const getProvider = () => networks.getProviderAndBlockTracker().provider;
const isEip1559 = () => networks.getEIP1559Compatibility(CLIENT);

const gasFees = new GasFeeController({
  messenger: messengerOf(
    'GasFeeController',
    [
      'NetworkController:getState',
      'NetworkController:getNetworkClientById',
      'NetworkController:getEIP1559Compatibility',
    ],
    ['NetworkController:networkDidChange'],
  ),
  getProvider,
  getCurrentNetworkEIP1559Compatibility: isEip1559,
  getCurrentNetworkLegacyGasAPICompatibility: () => false,
  EIP1559APIEndpoint: '',
});
gasFees.disableNonRPCGasFeeApis();

const keys = new Map([alice, pauper, operator].map(({ address, privateKey }) => [address.toLowerCase(), privateKey]));
const transactions = new TransactionController({
  messenger: messengerOf(
    'TransactionController',
    [
      'AccountsController:getSelectedAccount',
      'AccountsController:getState',
      'ApprovalController:addRequest',
      'KeyringController:signEip7702Authorization',
      'NetworkController:findNetworkClientIdByChainId',
      'NetworkController:getNetworkClientById',
      'RemoteFeatureFlagController:getState',
    ],
    ['NetworkController:stateChange'],
  ),
  disableHistory: true,
  disableSendFlowHistory: true,
  disableSwaps: true,
  getCurrentNetworkEIP1559Compatibility: isEip1559,
  getGasFeeEstimates: (options) => gasFees.fetchGasFeeEstimates(options),
  getNetworkClientRegistry: () => networks.getNetworkClientRegistry(),
  getNetworkState: () => networks.state,
  incomingTransactions: { isEnabled: () => false },
  isSimulationEnabled: () => false,
  isFirstTimeInteractionEnabled: () => false,
  sign: async (transaction, from) => transaction.sign(Buffer.from(keys.get(from).slice(2), 'hex')),
  hooks: {},
});

/** What a page in the browser talks to: filters and subscriptions are the wallet's own, made of polled blocks. */
const page = new JsonRpcEngine();
const subscriptions = createSubscriptions({ provider, blockTracker });
page.push(createFilters({ provider, blockTracker }));
page.push(subscriptions.middleware);

async function asPage(method, ...params) {
  const { result, error } = await page.handle({ jsonrpc: '2.0', id: 1, method, params });
  if (error !== undefined) throw new Error(error.message);
  return result;
}

const ask = (method, ...params) => provider.request({ method, params });
const metaOf = (id) => transactions.state.transactions.find((meta) => meta.id === id);

/** What the wallet does when its user confirms. */
async function add(fields) {
  const params = { from: alice.address, to: bob.address, value: '0x1', ...fields };
  const options = { networkClientId: CLIENT, requireApproval: false, origin: 'metamask' };
  const { result, transactionMeta } = await transactions.addTransaction(params, options);
  return { id: transactionMeta.id, hash: result };
}

const settled = (id) => until('the wallet shows it as done', () => metaOf(id).status === 'confirmed' && metaOf(id));

async function transfer(fields) {
  const { id, hash } = await add(fields);
  await hash;
  return settled(id);
}

/** The wallet gives a transaction up; the node's words stand inside an error of its own, here of a second try. */
async function reason({ id, hash }) {
  await refusal(hash);
  const { status, rawTx } = metaOf(id);
  assert.equal(status, 'failed');
  return (await refusal(ask('eth_sendRawTransaction', rawTx))).data.message;
}

await run(version, {
  chain: async () => {
    await networks.lookupNetwork(CLIENT);
    const { status, EIPS } = networks.state.networksMetadata[CLIENT];
    assert.deepEqual([status, EIPS[1559]], ['available', true]);
    assert.equal(await ask('eth_chainId'), CHAIN);
    assert.equal(await ask('net_version'), String(CHAIN_ID));
  },
  account: async () => {
    assert.equal(BigInt(await ask('eth_getBalance', alice.address, 'latest')), BigInt(alice.balance));
    assert.equal(await ask('eth_getTransactionCount', alice.address, 'latest'), '0x0');
    assert.equal(await ask('eth_getCode', alice.address, 'latest'), '0x');
    assert.equal(await ask('eth_call', { to: bob.address, data: '0x12345678' }, 'latest'), '0x');
  },
  estimate: async () => {
    const { gas, simulationFails } = await transactions.estimateGas(
      { from: alice.address, to: bob.address, value: '0x1' },
      CLIENT,
    );
    assert.deepEqual([gas, simulationFails], ['0x5208', undefined]);
  },
  fees: async () => {
    const { gasFeeEstimates, gasEstimateType } = await gasFees.fetchGasFeeEstimates({ networkClientId: CLIENT });
    assert.deepEqual([gasFeeEstimates.gasPrice, gasEstimateType], ['0', 'eth_gasPrice']);
  },
  transfer: async () => {
    const before = BigInt(await rpc('eth_getBalance', bob.address, 'latest'));
    const meta = await transfer({ value: `0x${COIN.toString(16)}` });
    assert.deepEqual(
      [meta.txReceipt.status, meta.txReceipt.gasUsed, meta.verifiedOnBlockchain],
      ['0x1', '0x5208', true],
    );
    assert.deepEqual([meta.baseFeePerGas, meta.txParams.gasLimit], ['0x0', '0x5208']);
    assert.match(meta.blockTimestamp, /^0x[0-9a-f]+$/);
    assert.equal(BigInt(await rpc('eth_getBalance', bob.address, 'latest')), before + COIN);
    // The wallet's own balance is of the block that its tracker saw last.
    await until('the wallet shows the balance', async () => {
      return BigInt(await ask('eth_getBalance', bob.address, 'latest')) === before + COIN;
    });
  },
  repeated: async () => {
    const sent = [];
    for (let i = 0; i < 5; i++) sent.push(await add());
    await Promise.all(sent.map(({ hash }) => hash));
    const done = await Promise.all(sent.map(({ id }) => settled(id)));
    assert.deepEqual(
      done.map(({ txParams }) => Number(txParams.nonce)),
      [1, 2, 3, 4, 5],
    );
  },
  block: async () => {
    const block = await ask('eth_getBlockByNumber', await ask('eth_blockNumber'), true);
    assert.equal(block.transactions[0].from, alice.address.toLowerCase());
    assert.equal((await ask('eth_getBlockByHash', block.hash, false)).number, block.number);
  },
  unknown: async () => {
    assert.equal(await ask('eth_getTransactionByHash', NO_HASH), null);
    assert.equal(await ask('eth_getTransactionReceipt', NO_HASH), null);
    assert.equal(await ask('eth_getBlockByNumber', '0x3b9aca00', false), null);
  },
  polling: async () => {
    const heard = [];
    subscriptions.events.on('notification', ({ params }) => heard.push(Number(params.result.number)));
    const id = await asPage('eth_subscribe', 'newHeads');
    await follow(heard, async () => (await transfer()).txReceipt.blockNumber);
    assert.equal(await asPage('eth_unsubscribe', id), true);
  },
  logs: async () => {
    const blocks = await asPage('eth_newBlockFilter');
    const logs = await asPage('eth_newFilter', { fromBlock: '0x0', toBlock: 'latest' });
    const { txReceipt } = await transfer();
    const told = [];
    await until('the filter tells the block', async () => {
      told.push(...(await asPage('eth_getFilterChanges', blocks)));
      return told.includes(txReceipt.blockHash);
    });
    assert.deepEqual(await asPage('eth_getFilterLogs', logs), []);
    assert.equal(await asPage('eth_uninstallFilter', blocks), true);
  },
  contract: async () => {
    // A page made the call; the node knows how.
    const { to, data } = await rpc('xft_proposeValidators', { policy: { expirySeconds: POLICY.expirySeconds } });
    const filter = await asPage('eth_newFilter', { address: GOVERNANCE });
    const meta = await transfer({ from: operator.address, to, data, value: '0x0' });
    assert.deepEqual([meta.type, meta.txReceipt.status, meta.txReceipt.logs.length], ['contractInteraction', '0x1', 2]);
    const told = [];
    await until('the page is told the events', async () => {
      told.push(...(await asPage('eth_getFilterChanges', filter)));
      return told.length === 2;
    });
    assert.deepEqual(
      told.map(({ transactionHash }) => transactionHash),
      [meta.hash, meta.hash],
    );
    // A vote on a proposal that does not exist: the wallet warns before it is signed.
    const vote = { from: operator.address, to, data: VOTE_99 };
    const { simulationFails } = await transactions.estimateGas(vote, CLIENT);
    assert.notEqual(simulationFails, undefined);
  },
  funds: async () => {
    // Its own validation fails the estimate; the transaction is refused by the node all the same when it is sent.
    const sent = await add({ from: pauper.address, value: `0x${COIN.toString(16)}`, gas: '0x5208' });
    assert.match(await reason(sent), /^insufficient funds/);
  },
  nonce: async () => {
    const sent = await add({ value: '0x2', nonce: '0x0' });
    assert.match(await reason(sent), /^nonce too low/);
  },
  replacement: async () => {
    const nonce = Number(await rpc('eth_getTransactionCount', alice.address, 'latest'));
    const later = { nonce: `0x${(nonce + 1).toString(16)}`, maxFeePerGas: '0x64', maxPriorityFeePerGas: '0x64' };
    const slow = await add(later);
    await slow.hash;
    const rival = await add({ ...later, value: '0x2' });
    assert.match(await reason(rival), /^replacement transaction underpriced/);
    // "Speed up", with what the wallet proposes: 10 % more.
    await transactions.speedUpTransaction(slow.id);
    await (await add({ value: '0x4', nonce: `0x${nonce.toString(16)}` })).hash;
    const faster = transactions.state.transactions.find(({ type }) => type === 'retry');
    const meta = await settled(faster.id);
    assert.equal((await receiptOf(meta.hash)).status, '0x1');
    assert.equal(meta.txParams.maxFeePerGas, '0x6e');
  },
});
