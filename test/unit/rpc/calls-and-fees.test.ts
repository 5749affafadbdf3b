import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decoded, FakeChain, GOVERNANCE, RECIPIENT, SENDER, signed } from './fake-chain.ts';
import { Served } from './fixture.ts';

let served: Served;
beforeEach(async () => {
  served = await Served.start();
});
afterEach(async () => {
  expect(served.bugs).toEqual([]);
  await served.stop();
});

/** Serves another chain instead. */
async function serve(chain: FakeChain): Promise<void> {
  await served.stop();
  served = await Served.start({ chain });
}

const UNKNOWN = '0x' + 'ee'.repeat(32);

describe('eth_call and eth_estimateGas', () => {
  const poor = '0x' + '99'.repeat(20);

  test('a call to a plain account returns nothing, with the unknown members web3 sends', async () => {
    const call = {
      from: SENDER,
      to: RECIPIENT,
      value: '0x1',
      chain: 'mainnet',
      hardfork: 'london',
      networkId: 1,
      type: '0x2',
    };
    expect(await served.result('eth_call', call, 'latest')).toBe('0x');
    expect(await served.result('eth_call', { to: RECIPIENT, data: '0x1234', input: '0x1234' }, 'pending')).toBe('0x');
    expect(await served.result('eth_call', { to: RECIPIENT, from: null, gas: null }, 'latest', {})).toBe('0x');
  });

  test('funds are checked as in a real transaction', async () => {
    expect(await served.error('eth_call', { from: poor, to: RECIPIENT, value: '0x5' }, 'latest')).toEqual({
      code: -32000,
      message: `insufficient funds for gas * price + value: address ${poor} have 0 want 5`,
    });
    expect((await served.error('eth_estimateGas', { from: poor, to: RECIPIENT, value: '0x5' })).message).toMatch(
      /^insufficient funds/,
    );
    const priced = { from: poor, to: RECIPIENT, gasPrice: '0x1' };
    expect((await served.error('eth_call', priced)).message).toMatch(/^insufficient funds/);
    expect((await served.error('eth_estimateGas', priced)).message).toMatch(/^insufficient funds/);
    expect(await served.result('eth_call', { ...priced, from: SENDER, maxFeePerGas: undefined })).toBe('0x');
  });

  test('the estimate is exact: base, calldata and access list', async () => {
    expect(await served.result('eth_estimateGas', { from: SENDER, to: RECIPIENT })).toBe('0x5208');
    expect(await served.result('eth_estimateGas', { from: SENDER, to: RECIPIENT, data: '0x00ff' }, 'pending')).toBe(
      '0x521c',
    );
    const accessList = [{ address: RECIPIENT, storageKeys: [UNKNOWN] }];
    expect(await served.result('eth_estimateGas', { to: RECIPIENT, accessList })).toBe('0x62d4');
    expect(await served.result('eth_estimateGas', { to: GOVERNANCE, input: '0x01' })).toBe('0xd431');
    expect(await served.error('eth_estimateGas', { to: RECIPIENT, gas: '0x5207' })).toEqual({
      code: -32000,
      message: 'gas required exceeds allowance (20999)',
    });
  });

  test('accounts with behaviour answer; a revert carries its data', async () => {
    expect(await served.result('eth_call', { to: GOVERNANCE, data: '0x0102' })).toBe('0x0102');
    for (const method of ['eth_call', 'eth_estimateGas']) {
      expect(await served.error(method, { to: GOVERNANCE })).toEqual({
        code: 3,
        message: 'execution reverted: no such function',
        data: '0x0102',
      });
    }
  });

  test.each<[Record<string, unknown>, unknown[], string]>([
    [{ data: '0x6000' }, [], 'contract creation is not supported on this chain yet'],
    [{ to: null }, [], 'contract creation is not supported'],
    [{ to: RECIPIENT }, ['latest', { [RECIPIENT]: { balance: '0x1' } }], 'overrides are not supported'],
    [{ to: RECIPIENT }, ['latest', {}, { number: '0x1' }], 'overrides are not supported'],
    [{ to: RECIPIENT, data: '0x01', input: '0x02' }, [], 'both "data" and "input" are set and not equal'],
    [{ to: RECIPIENT, gasPrice: '0x1', maxFeePerGas: '0x1' }, [], 'both gasPrice and'],
    [{ to: RECIPIENT, maxFeePerGas: '0x1', maxPriorityFeePerGas: '0x2' }, [], 'max priority fee per gas higher than'],
    [{ to: RECIPIENT, chainId: '0x1' }, [], 'chainId does not match'],
  ])('%j is refused', async (call, more, words) => {
    expect((await served.error('eth_call', call, ...more)).message).toContain(words);
    expect((await served.error('eth_estimateGas', call, ...more)).message).toContain(words);
  });

  test('too little gas is told with both numbers', async () => {
    expect((await served.error('eth_call', { to: RECIPIENT, gas: '0x1' })).message).toBe(
      'intrinsic gas too low: have 1, want 21000 (supplied gas 1)',
    );
  });

  test('a price below the base fee is refused, a price of zero means no price', async () => {
    await serve(new FakeChain({ baseFee: 7n }));
    expect((await served.error('eth_call', { to: RECIPIENT, gasPrice: '0x6' })).message).toContain(
      'less than block base fee',
    );
    expect(await served.result('eth_call', { to: RECIPIENT, gasPrice: '0x0' })).toBe('0x');
    expect(await served.result('eth_gasPrice')).toBe('0x7');
    expect(await served.result('eth_getBlockByNumber', 'latest', false)).toMatchObject({ baseFeePerGas: '0x7' });
  });
});

describe('eth_feeHistory', () => {
  test('base fees one longer than the blocks, gas ratios and rewards by percentile of gas', async () => {
    await serve(new FakeChain({ baseFee: 7n }));
    const tips = [1n, 5n, 9n];
    const txs = await Promise.all(
      tips.map(async (tip, nonce) =>
        decoded(await signed({ nonce, maxFeePerGas: 7n + tip, maxPriorityFeePerGas: tip })),
      ),
    );
    served.chain.finalize([txs[2]!, txs[0]!, txs[1]!]);
    expect(await served.result('eth_feeHistory', '0x2', 'latest', [0, 34, 50, 100])).toEqual({
      oldestBlock: '0x0',
      baseFeePerGas: ['0x7', '0x7', '0x7'],
      gasUsedRatio: [0, 0.00063],
      reward: [
        ['0x0', '0x0', '0x0', '0x0'],
        ['0x1', '0x5', '0x5', '0x9'],
      ],
    });
  });

  test('the count may be hex, decimal or larger than the chain; without percentiles there are no rewards', async () => {
    served.chain.finalize([]);
    for (const count of ['0xa', 10, '10']) {
      expect(await served.result('eth_feeHistory', count, 'latest')).toEqual({
        oldestBlock: '0x0',
        baseFeePerGas: ['0x0', '0x0', '0x0'],
        gasUsedRatio: [0, 0],
      });
    }
    expect(await served.result('eth_feeHistory', 1, 'pending', [])).toMatchObject({ oldestBlock: '0x1' });
    expect((await served.error('eth_feeHistory', 1, '0x5')).message).toBe(
      'request beyond head block: requested 5, head 1',
    );
    for (const wrong of [[101], [-1], ['5'], [50, 20], 'x', Array(101).fill(1)]) {
      expect((await served.error('eth_feeHistory', 1, 'latest', wrong)).code).toBe(-32602);
    }
  });
});
