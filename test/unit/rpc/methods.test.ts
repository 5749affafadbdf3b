import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keccakHash } from '../../../primitives/keccak.ts';
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

describe('the node', () => {
  test.each<[string, unknown]>([
    ['web3_clientVersion', 'quorate/v0.0.0-test'],
    ['net_version', '1337'],
    ['net_listening', true],
    ['net_peerCount', '0x3'],
    ['eth_chainId', '0x539'],
    ['eth_blockNumber', '0x0'],
    ['eth_syncing', false],
    ['eth_accounts', []],
    ['eth_coinbase', '0x' + 'c0'.repeat(20)],
    ['eth_protocolVersion', '0x44'],
    ['eth_mining', false],
    ['eth_hashrate', '0x0'],
    ['eth_gasPrice', '0x0'],
    ['eth_maxPriorityFeePerGas', '0x0'],
    ['txpool_status', { pending: '0x0', queued: '0x2' }],
  ])('%s', async (method, value) => {
    expect(await served.result(method)).toEqual(value);
  });

  test('web3_sha3 hashes bytes', async () => {
    expect(await served.result('web3_sha3', '0x68656c6c6f')).toBe(keccakHash(Buffer.from('hello')));
    expect((await served.error('web3_sha3', 'hello')).code).toBe(-32602);
  });

  test('eth_syncing says how far behind the node is', async () => {
    served.chain.isSyncing = true;
    expect(await served.result('eth_syncing')).toEqual({
      startingBlock: '0x1',
      currentBlock: '0x2',
      highestBlock: '0x10',
    });
  });
});

describe('blocks', () => {
  test('a block has every field of London, by number, tag and hash', async () => {
    const tx = decoded(await signed({ value: 5n }));
    const block = served.chain.finalize([tx]);
    const json = await served.result<Record<string, unknown>>('eth_getBlockByNumber', '0x1', false);
    expect(json).toEqual({
      number: '0x1',
      hash: block.hash,
      parentHash: served.chain.blocks[0]!.hash,
      nonce: '0x0000000000000000',
      mixHash: '0x' + '04'.repeat(32),
      sha3Uncles: '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347',
      logsBloom: '0x' + '00'.repeat(256),
      transactionsRoot: '0x' + '02'.repeat(32),
      stateRoot: '0x' + '01'.repeat(32),
      receiptsRoot: '0x' + '03'.repeat(32),
      miner: '0x' + 'c0'.repeat(20),
      difficulty: '0x0',
      totalDifficulty: '0x0',
      extraData: expect.stringMatching(/^0x[0-9a-f]{32}$/),
      size: '0x' + block.bytes.length.toString(16),
      gasLimit: '0x5f5e100',
      gasUsed: '0x5208',
      timestamp: '0x6553f101',
      baseFeePerGas: '0x0',
      uncles: [],
      transactions: [tx.hash],
    });
    for (const tag of ['latest', 'safe', 'finalized', 'pending']) {
      expect(await served.result('eth_getBlockByNumber', tag, false)).toEqual(json);
    }
    expect(await served.result('eth_getBlockByHash', block.hash, false)).toEqual(json);
    expect(await served.result('eth_getBlockByNumber', 'earliest', false)).toMatchObject({ number: '0x0' });
    expect(await served.result('eth_getBlockByNumber', '0x2', true)).toBeNull();
    expect(await served.result('eth_getBlockByHash', UNKNOWN, true)).toBeNull();
  });

  test('pending is the newest certified block, without what is not settled yet', async () => {
    const tx = decoded(await signed());
    const certified = served.chain.certify([tx]);
    const json = await served.result<Record<string, unknown>>('eth_getBlockByNumber', 'pending', true);
    expect(json).toMatchObject({ number: '0x1', hash: null, nonce: null, miner: null });
    expect(json['transactions']).toMatchObject([
      { hash: tx.hash, blockHash: null, blockNumber: null, transactionIndex: null },
    ]);
    expect(await served.result('eth_getBlockByNumber', 'latest', false)).toMatchObject({ number: '0x0' });
    expect(await served.result('eth_getBlockByHash', certified.hash, false)).toBeNull();
    expect(await served.result('eth_getBlockTransactionCountByNumber', 'pending')).toBe('0x1');
    expect(await served.result('eth_getTransactionByBlockNumberAndIndex', 'pending', '0x0')).toMatchObject({
      blockHash: null,
    });
  });

  test('counts, uncles and transactions by place', async () => {
    const txs = [decoded(await signed()), decoded(await signed({ nonce: 1 }))];
    const { hash } = served.chain.finalize(txs);
    expect(await served.result('eth_getBlockTransactionCountByNumber', '0x1')).toBe('0x2');
    expect(await served.result('eth_getBlockTransactionCountByHash', hash)).toBe('0x2');
    expect(await served.result('eth_getBlockTransactionCountByNumber', '0x9')).toBeNull();
    expect(await served.result('eth_getUncleCountByBlockNumber', '0x1')).toBe('0x0');
    expect(await served.result('eth_getUncleCountByBlockHash', hash)).toBe('0x0');
    expect(await served.result('eth_getUncleByBlockHashAndIndex', hash, '0x0')).toBeNull();
    expect(await served.result('eth_getUncleByBlockNumberAndIndex', 'latest', '0x0')).toBeNull();
    const second = { hash: txs[1]!.hash, transactionIndex: '0x1', blockNumber: '0x1', blockHash: hash };
    expect(await served.result('eth_getTransactionByBlockNumberAndIndex', 'latest', '0x1')).toMatchObject(second);
    expect(await served.result('eth_getTransactionByBlockHashAndIndex', hash, '0x1')).toMatchObject(second);
    expect(await served.result('eth_getTransactionByBlockHashAndIndex', hash, '0x2')).toBeNull();
  });

  test('a block of thousands of transactions comes whole', async () => {
    const tx = decoded(await signed());
    served.chain.finalize(Array.from({ length: 4761 }, () => tx));
    const json = await served.result<{ transactions: { transactionIndex: string }[] }>(
      'eth_getBlockByNumber',
      'latest',
      true,
    );
    expect(json.transactions.map((t) => Number(t.transactionIndex))).toEqual(Array.from({ length: 4761 }, (_, i) => i));
    const receipts = await served.result<{ transactionIndex: string }[]>('eth_getBlockReceipts', 'latest');
    expect(receipts).toHaveLength(4761);
    expect(receipts[4760]!.transactionIndex).toBe('0x1298');
  });
});

describe('transactions', () => {
  const signature = { r: expect.stringMatching(/^0x/), s: expect.stringMatching(/^0x/) };

  test('a dynamic fee transaction, pooled and then final', async () => {
    const fields = { value: 5n, gasLimit: 30_000, maxFeePerGas: 9n, maxPriorityFeePerGas: 2n };
    const raw = await signed({ ...fields, accessList: [{ address: RECIPIENT, storageKeys: [UNKNOWN] }] });
    const hash = await served.result<string>('eth_sendRawTransaction', raw);
    const tx = decoded(raw);
    expect(hash).toBe(tx.hash);
    const pooled = {
      blockHash: null,
      blockNumber: null,
      transactionIndex: null,
      hash,
      type: '0x2',
      chainId: '0x539',
      nonce: '0x0',
      from: SENDER,
      to: RECIPIENT,
      value: '0x5',
      gas: '0x7530',
      gasPrice: '0x9',
      maxFeePerGas: '0x9',
      maxPriorityFeePerGas: '0x2',
      input: '0x',
      accessList: [{ address: RECIPIENT, storageKeys: [UNKNOWN] }],
      yParity: '0x' + tx.yParity,
      v: '0x' + tx.yParity,
      ...signature,
    };
    expect(await served.result('eth_getTransactionByHash', hash)).toEqual(pooled);
    expect(await served.result('eth_getTransactionReceipt', hash)).toBeNull();
    expect(await served.result('eth_getTransactionCount', SENDER, 'pending')).toBe('0x1');
    expect(await served.result('eth_getTransactionCount', SENDER, 'latest')).toBe('0x0');
    expect(await served.result('eth_pendingTransactions')).toEqual([pooled]);
    const block = served.chain.finalize([tx]);
    const place = { blockHash: block.hash, blockNumber: '0x1', transactionIndex: '0x0' };
    expect(await served.result('eth_getTransactionByHash', hash)).toEqual({ ...pooled, ...place, gasPrice: '0x2' });
  });

  test('a legacy transaction has v of EIP-155 and no fields of later types', async () => {
    const raw = await signed({ type: 0, gasPrice: 3n, maxFeePerGas: undefined, maxPriorityFeePerGas: undefined });
    const tx = decoded(raw);
    served.chain.finalize([tx]);
    const json = await served.result<Record<string, unknown>>('eth_getTransactionByHash', tx.hash);
    expect(json).toMatchObject({
      type: '0x0',
      gasPrice: '0x3',
      chainId: '0x539',
      v: '0x' + (1337 * 2 + 35 + tx.yParity).toString(16),
    });
    expect(Object.keys(json)).not.toContain('accessList');
    expect(Object.keys(json)).not.toContain('maxFeePerGas');
    expect(Object.keys(json)).not.toContain('yParity');
  });

  test('a receipt has every field, with block-wide log indexes', async () => {
    const txs = [
      decoded(await signed()),
      decoded(await signed({ nonce: 1, maxFeePerGas: 9n, maxPriorityFeePerGas: 2n })),
    ];
    const log = { address: GOVERNANCE, topics: [UNKNOWN], data: Uint8Array.of(7) };
    const block = served.chain.finalize(txs, [[log, log], [log]]);
    const receipt = await served.result<Record<string, unknown>>('eth_getTransactionReceipt', txs[1]!.hash);
    expect(receipt).toEqual({
      transactionHash: txs[1]!.hash,
      transactionIndex: '0x1',
      blockHash: block.hash,
      blockNumber: '0x1',
      from: SENDER,
      to: RECIPIENT,
      cumulativeGasUsed: '0xa410',
      gasUsed: '0x5208',
      contractAddress: null,
      logsBloom: expect.stringMatching(/^0x[0-9a-f]{512}$/),
      type: '0x2',
      status: '0x1',
      effectiveGasPrice: '0x2',
      logs: [
        {
          address: GOVERNANCE,
          topics: [UNKNOWN],
          data: '0x07',
          blockNumber: '0x1',
          blockHash: block.hash,
          blockTimestamp: '0x6553f101',
          transactionHash: txs[1]!.hash,
          transactionIndex: '0x1',
          logIndex: '0x2',
          removed: false,
        },
      ],
    });
    const all = await served.result<Record<string, unknown>[]>('eth_getBlockReceipts', 'latest');
    expect(all[1]).toEqual(receipt);
    expect(await served.result('eth_getBlockReceipts', block.hash)).toEqual(all);
    expect(await served.result('eth_getBlockReceipts', { blockHash: block.hash })).toEqual(all);
    expect(await served.result('eth_getBlockReceipts', '0x5')).toBeNull();
  });

  test('what does not exist is null, never an error', async () => {
    expect(await served.result('eth_getTransactionByHash', UNKNOWN)).toBeNull();
    expect(await served.result('eth_getTransactionReceipt', UNKNOWN)).toBeNull();
  });

  test('certified transactions are shown without a block and have no receipt', async () => {
    const tx = decoded(await signed());
    served.chain.certify([tx]);
    expect(await served.result('eth_getTransactionByHash', tx.hash)).toMatchObject({ blockHash: null });
    expect(await served.result('eth_getTransactionReceipt', tx.hash)).toBeNull();
  });
});

describe('sending', () => {
  test('a refusal keeps its code and words', async () => {
    const raw = await signed();
    await served.result('eth_sendRawTransaction', raw);
    expect(await served.error('eth_sendRawTransaction', raw)).toEqual({ code: -32000, message: 'already known' });
  });

  test.each<[string, unknown, number, string]>([
    ['an odd number of digits', '0x123', -32602, 'odd length'],
    ['no prefix', '1234', -32602, '0x prefix'],
    ['letters that are no digits', '0xzz', -32602, 'invalid hex'],
    ['characters whose low byte is a digit', '0x\u0130\u0131', -32602, 'invalid hex'],
    ['a number', 5, -32602, 'as a string'],
    ['more than 128 KiB', '0x' + '00'.repeat(131_073), -32000, 'oversized data'],
  ])('%s never reaches the pool', async (_name, raw, code, words) => {
    served.chain.onSubmit = () => {
      throw new Error('reached');
    };
    expect(await served.error('eth_sendRawTransaction', raw)).toEqual({
      code,
      message: expect.stringContaining(words),
    });
  });

  test('many at once: answers in order, each a hash or a refusal, however late the answers come', async () => {
    const answers = [{ hash: UNKNOWN }, { code: -32000, message: 'nonce too low' }, { hash: '0x01' }];
    let asked = 0;
    served.chain.onSubmit = (raw) => {
      asked++;
      const answer = answers[raw[0]!]!;
      return raw[0] === 0 ? new Promise((resolve) => setImmediate(() => resolve(answer))) : answer;
    };
    expect(await served.result('xft_sendRawTransactions', ['0x00', '0x01', 'oops', '0x02'])).toEqual([
      UNKNOWN,
      { code: -32000, message: 'nonce too low' },
      { code: -32602, message: expect.stringContaining('0x prefix') },
      '0x01',
    ]);
    expect(asked).toBe(3);
    expect((await served.error('xft_sendRawTransactions', 'x')).code).toBe(-32602);
    expect((await served.error('xft_sendRawTransactions', Array(1001).fill('0x'))).message).toContain('more than 1000');
    expect(await served.result('xft_sendRawTransactions', Array(1000).fill('0x01'))).toHaveLength(1000);
  });
});

describe('accounts', () => {
  test('balance, nonce, code and storage', async () => {
    expect(await served.result('eth_getBalance', SENDER, 'latest')).toBe('0x3635c9adc5dea00000');
    expect(await served.result('eth_getBalance', RECIPIENT.toUpperCase().replace('0X', '0x'), '0x0')).toBe('0x0');
    expect(await served.result('eth_getTransactionCount', SENDER, 'latest')).toBe('0x0');
    expect(await served.result('eth_getCode', RECIPIENT, 'latest')).toBe('0x');
    expect(await served.result('eth_getCode', GOVERNANCE, 'latest')).toBe('0xfe');
    expect(await served.result('eth_getStorageAt', RECIPIENT, '0x01', 'latest')).toBe('0x' + '1'.padStart(64, '0'));
  });

  test('the block may be a tag, a number, an EIP-1898 object or absent', async () => {
    const { hash } = served.chain.finalize([]);
    for (const block of [
      'latest',
      'pending',
      '0x1',
      { blockNumber: '0x1' },
      { blockHash: hash, requireCanonical: true },
    ]) {
      expect(await served.result('eth_getBalance', SENDER, block)).toBe('0x3635c9adc5dea00000');
    }
    expect(await served.result('eth_getBalance', SENDER)).toBe('0x3635c9adc5dea00000');
    expect(await served.error('eth_getBalance', SENDER, '0x2')).toEqual({ code: -32000, message: 'header not found' });
    const unknown = await served.error('eth_getBalance', SENDER, { blockHash: UNKNOWN });
    expect(unknown).toEqual({ code: -32000, message: 'header for hash not found' });
    for (const wrong of [{}, { blockHash: hash, blockNumber: '0x1' }, 'newest', 1, '0x01', [], '0x' + 'f'.repeat(70)]) {
      expect((await served.error('eth_getBalance', SENDER, wrong)).code).toBe(-32602);
    }
  });

  test('pruned state is told as such', async () => {
    for (let i = 0; i < 5; i++) served.chain.finalize([]);
    served.chain.oldestState = 3;
    expect(await served.result('eth_getBalance', SENDER, '0x3')).toBe('0x3635c9adc5dea00000');
    for (const method of ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']) {
      expect(await served.error(method, SENDER, '0x2')).toEqual({
        code: -32000,
        message: 'missing trie node: the state of block 2 is pruned on this node',
      });
    }
    expect((await served.error('eth_call', { from: SENDER, to: RECIPIENT }, '0x2')).message).toContain(
      'missing trie node',
    );
  });
});

describe('xft', () => {
  test('status, validators and proofs', async () => {
    const block = served.chain.finalize([]);
    expect(await served.result('xft_status')).toMatchObject({ role: 'observer', final: 1, margin: 1 });
    expect(await served.result('xft_getValidators')).toEqual([SENDER]);
    expect(await served.result('xft_getValidators', '0x9')).toBeNull();
    const proof = { hash: block.hash, signatures: [], ancestry: [] };
    for (const which of ['0x1', 'latest', block.hash])
      expect(await served.result('xft_getFinalityProof', which)).toMatchObject(proof);
    expect(await served.result('xft_getFinalityProof', '0x2')).toBeNull();
  });

  test('waiting for a block answers once it is final, at once when it is, and gives up in time', async () => {
    expect(await served.result('xft_waitForBlock', '0x0', 0)).toBe('0x0');
    const waiting = served.result('xft_waitForBlock', '0x2', 20_000);
    await served.until(() => served.chain.finalSignal.listeners.size === 1);
    served.chain.finalize([]);
    served.chain.finalize([]);
    expect(await waiting).toBe('0x2');
    expect(served.chain.finalSignal.listeners.size).toBe(0);
    expect((await served.error('xft_waitForBlock', 5, 1)).message).toBe('timed out: block 5 is not final after 1 ms');
    expect(served.chain.finalSignal.listeners.size).toBe(0);
  });

  test('the node can add methods, which see their parameters', async () => {
    const chain = new FakeChain();
    chain.extensions.set('xft_getEpoch', ([epoch]) => ({ epoch }));
    await serve(chain);
    expect(await served.result('xft_getEpoch', '0x5')).toEqual({ epoch: '0x5' });
  });
});
