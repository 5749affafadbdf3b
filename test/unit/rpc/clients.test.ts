/** What other clients than ethers send and need, as `npm run clients` saw it: one test for each thing one of them chokes on. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makePool, transaction } from '../pool/fixture.ts';
import { decoded, GOVERNANCE, RECIPIENT, SENDER, signed } from './fake-chain.ts';
import { Served } from './fixture.ts';

let served: Served;
beforeEach(async () => {
  served = await Served.start();
});
afterEach(async () => {
  expect(served.bugs).toEqual([]);
  await served.stop();
});

const CHECKSUMMED = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

describe('MetaMask', () => {
  test('pads the block numbers of log filters to whole bytes', async () => {
    const log = { address: GOVERNANCE, topics: ['0x' + '07'.repeat(32)], data: Uint8Array.of(1) };
    for (let nonce = 0; nonce < 12; nonce++) served.chain.finalize([decoded(await signed({ nonce }))], [[log]]);
    const heights = async (fromBlock: string, toBlock: string): Promise<string[]> =>
      (await served.result<{ blockNumber: string }[]>('eth_getLogs', { fromBlock, toBlock })).map(
        (at) => at.blockNumber,
      );
    expect(await heights('0x0a', '0xa')).toEqual(['0xa']);
    expect(await heights('0x0b', '0x000000000000000c')).toEqual(['0xb', '0xc']);
    expect(await heights('0x00', '0x01')).toEqual(['0x1']);
    expect(await served.result('eth_newFilter', { fromBlock: '0x0d' })).toMatch(/^0x/);
  });

  test('padding is taken there alone, and up to the length of a number', async () => {
    for (const [method, ...params] of [
      ['eth_getLogs', { fromBlock: '0x' + '0'.repeat(17) }],
      ['eth_getLogs', { fromBlock: '0x' }],
      ['eth_getLogs', { fromBlock: '0x0g' }],
      ['eth_getBlockByNumber', '0x01', false],
      ['eth_estimateGas', { from: SENDER, to: RECIPIENT, value: '0x01' }],
    ] as const) {
      expect((await served.error(method, ...params)).code, JSON.stringify(params)).toBe(-32602);
    }
  });

  test('asks for the state of the block number it saw last, up to half a minute ago', async () => {
    for (let i = 0; i < 40; i++) served.chain.finalize([]);
    expect(await served.result('eth_getTransactionCount', SENDER, '0x1')).toBe('0x0');
    expect(await served.result('eth_call', { to: RECIPIENT, data: '0x12345678' }, '0x1')).toBe('0x');
  });

  test('learns of EIP-1559 from the base fee of the newest block, also when it is 0', async () => {
    expect(await served.result('eth_getBlockByNumber', 'latest', false)).toMatchObject({ baseFeePerGas: '0x0' });
  });
});

test.each([
  [
    'viem',
    [{ from: SENDER, to: CHECKSUMMED, value: '0x1', nonce: '0x0', maxFeePerGas: '0x0', maxPriorityFeePerGas: '0x0' }],
  ],
  [
    'web3.js',
    [
      {
        from: SENDER,
        to: RECIPIENT,
        value: '0x1',
        input: '0x',
        chain: 'mainnet',
        hardfork: 'london',
        networkId: '0x539',
        chainId: '0x539',
        type: '0x2',
      },
      'latest',
    ],
  ],
  [
    'cast',
    [
      {
        from: SENDER,
        to: RECIPIENT,
        value: '0x1',
        input: '0x',
        data: '0x',
        chainId: '0x539',
        nonce: '0x0',
        type: '0x2',
        accessList: [],
      },
      'pending',
    ],
  ],
  ['Hardhat 2', [{ from: SENDER, to: RECIPIENT, value: '0x1' }, 'pending']],
  [
    'Hardhat Ignition',
    [
      {
        from: SENDER,
        to: RECIPIENT,
        value: '0x1',
        data: '0x',
        nonce: '0x0',
        maxFeePerGas: '0x0',
        maxPriorityFeePerGas: '0x0',
      },
    ],
  ],
  ['MetaMask', [{ from: SENDER, to: RECIPIENT, value: '0x1', gas: '0x5f5e100' }]],
])('%s estimates the gas of a transfer', async (_client, params) => {
  expect(await served.result('eth_estimateGas', ...params)).toBe('0x5208');
});

test.each([
  ['Hardhat', '0x1', [50]],
  ['viem', '0x4', [25, 75]],
  ['cast and forge', '0xa', [20]],
  ['web3.js', 4, [25, 75]],
])('%s reads fees off the history, and finds rewards also for empty blocks', async (_client, count, percentiles) => {
  served.chain.finalize([decoded(await signed())]);
  for (let i = 0; i < 3; i++) served.chain.finalize([]);
  const history = await served.result<Record<string, unknown[]>>('eth_feeHistory', count, 'latest', percentiles);
  const blocks = Math.min(Number(count), 5);
  expect(history['reward']).toEqual(Array(blocks).fill(percentiles.map(() => '0x0')));
  expect(history['baseFeePerGas']).toEqual(Array(blocks + 1).fill('0x0'));
  expect(history['gasUsedRatio']).toHaveLength(blocks);
});

test.each([
  ['viem', 'eth_fillTransaction'],
  ['viem', 'eth_sendRawTransactionSync'],
  ['forge', 'anvil_nodeInfo'],
  ['forge', 'eth_getAccountInfo'],
  ['Hardhat', 'hardhat_metadata'],
  ['Hardhat', 'hardhat_getAutomine'],
])('%s takes %s for missing by code and words, and goes on without it', async (_client, method) => {
  const message = `the method ${method} does not exist/is not available`;
  expect(await served.error(method, {})).toEqual({ code: -32601, message });
});

test('web3.js reads the name of a filter as a number: written again it is the same name', async () => {
  for (let i = 0; i < 100; i++) {
    const id = BigInt(await served.result<string>('eth_newBlockFilter'));
    expect(await served.result('eth_getFilterChanges', '0x' + id.toString(16))).toEqual([]);
  }
});

test('Hardhat looks for a transaction right after sending it: it is there, without a block', async () => {
  const raw = await signed();
  const hash = await served.result('eth_sendRawTransaction', raw);
  expect(await served.result('eth_getTransactionByHash', hash)).toMatchObject({ hash, blockHash: null, from: SENDER });
  expect(await served.result('eth_getTransactionReceipt', hash)).toBeNull();
});

test('viem reads the receipt once the block number is there: both become visible together', async () => {
  const tx = decoded(await signed());
  let told: unknown;
  served.chain.onFinal(({ block }) => {
    told = [served.chain.head().height, served.chain.transaction(tx.hash)?.place?.block.hash === block.hash];
  });
  served.chain.finalize([tx]);
  expect(told).toEqual([1, true]);
  expect(await served.result('eth_blockNumber')).toBe('0x1');
  expect(await served.result('eth_getTransactionReceipt', tx.hash)).toMatchObject({
    blockNumber: '0x1',
    status: '0x1',
  });
});

/** The expressions are the clients' own: viem 2 (`errors/node.ts`), ethers 5 and 6 (`provider-jsonrpc`), MetaMask. */
const WORDS = {
  funds: [
    /insufficient funds|exceeds transaction sender account balance/,
    /insufficient funds|base fee exceeds gas limit/i,
  ],
  nonce: [/nonce too low|transaction already imported|already known/, /nonce (is )?too low/i, /nonce too low/],
  known: [/nonce too low|transaction already imported|already known/],
  replacement: [
    /replacement transaction underpriced|transaction gas price.*too low/i,
    /replacement transaction underpriced/,
  ],
  gas: [/intrinsic gas too low/],
  limit: [/exceeds block gas limit/],
  cap: [/max fee per gas less than block base fee|fee cap less than block base fee|transaction is outdated/],
  tip: [/max priority fee per gas higher than max fee per gas|tip higher than fee cap/],
};

test('refusals of the pool are in the words that clients look for', () => {
  const { pool, chain } = makePool({ baseFee: 7n });
  const from = '0x' + '00'.repeat(19) + '01';
  chain.set(from, { nonce: 3, balance: 10n ** 6n });
  const words = (fields: Parameters<typeof transaction>[0]): string => {
    const result = pool.add(transaction({ from, nonce: 3, gasPrice: 7n, ...fields }));
    return result.ok ? 'accepted' : result.message;
  };
  const first = transaction({ from, nonce: 3, gasPrice: 10n });
  expect(pool.add(first)).toMatchObject({ ok: true });
  const again = pool.add(first);
  const told: Record<keyof typeof WORDS, string> = {
    funds: words({ nonce: 4, value: 10n ** 7n }),
    nonce: words({ nonce: 2 }),
    known: again.ok ? 'accepted' : again.message,
    replacement: words({ gasPrice: 10n, value: 1n }),
    gas: words({ nonce: 4, gasLimit: 20_999 }),
    limit: words({ nonce: 4, gasLimit: 100_000_001 }),
    cap: words({ nonce: 4, maxFeePerGas: 6n, maxPriorityFeePerGas: 0n }),
    tip: words({ nonce: 4, maxFeePerGas: 8n, maxPriorityFeePerGas: 9n }),
  };
  for (const [what, patterns] of Object.entries(WORDS)) {
    for (const pattern of patterns) expect(told[what as keyof typeof WORDS]).toMatch(pattern);
  }
});
