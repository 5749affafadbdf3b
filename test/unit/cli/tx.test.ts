import { Transaction } from 'ethers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeNode, FakeRefusal, type Methods, startFakeNode } from './fake-node.ts';
import { run } from './run.ts';

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const TO = `0x${'ab'.repeat(20)}`;
const BLOCK_HASH = `0x${'11'.repeat(32)}`;

let node: FakeNode;
let methods: Methods;
let sent: Transaction[];
let polls: number;

beforeEach(async () => {
  sent = [];
  polls = 0;
  methods = {
    eth_chainId: () => '0x539',
    eth_getTransactionCount: () => '0x7',
    eth_estimateGas: () => '0x5208',
    eth_getBlockByNumber: () => ({ baseFeePerGas: '0x3' }),
    eth_maxPriorityFeePerGas: () => '0x2',
    eth_sendRawTransaction: (raw: string) => {
      sent.push(Transaction.from(raw));
      return sent.at(-1)!.hash;
    },
    // Not final at the first look.
    eth_getTransactionReceipt: () =>
      ++polls < 2
        ? null
        : { blockNumber: '0x5', blockHash: BLOCK_HASH, status: '0x1', gasUsed: '0x5208', effectiveGasPrice: '0x5' },
  };
  node = await startFakeNode(methods);
});
afterEach(() => node.close());

function send(...args: string[]) {
  const env = { QUORATE_PRIVATE_KEY: KEY };
  return run(['tx', 'send', '--to', TO, '--value', '1.5', '--rpc', node.url, ...args], env);
}

describe('tx send', () => {
  it('signs with what the node says, waits until final, prints one line, hash first', async () => {
    const outcome = await send('--json', '--data', '0x1234');
    expect(outcome.code).toBe(0);
    expect(sent).toHaveLength(1);
    const [transaction] = sent;
    expect(transaction).toMatchObject({
      nonce: 7,
      chainId: 1337n,
      value: 15n * 10n ** 17n,
      data: '0x1234',
      gasLimit: 21_000n,
    });
    expect(transaction).toMatchObject({ maxFeePerGas: 5n, maxPriorityFeePerGas: 2n });
    expect(transaction!.from).toBe('0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266');
    const line = { blockNumber: 5, blockHash: BLOCK_HASH, status: 1, gasUsed: 21_000, fee: '105000' };
    expect(outcome.out).toBe(`${JSON.stringify({ hash: transaction!.hash, ...line })}\n`);
    expect(polls).toBe(2);
  });

  it('with --no-wait prints the hash and asks for no receipt', async () => {
    const outcome = await send('--no-wait');
    expect(outcome).toMatchObject({ code: 0, out: `${sent[0]!.hash}\n` });
    expect(node.calls).not.toContain('eth_getTransactionReceipt');
  });

  it('tells a person the block and the fee', async () => {
    expect((await send()).out).toMatch(/block +5 0x11[\s\S]*fee +0\.000000000000105 coins/);
  });

  it('ends with 1 when the transaction failed', async () => {
    const failed = {
      blockNumber: '0x5',
      blockHash: BLOCK_HASH,
      status: '0x0',
      gasUsed: '0x5208',
      effectiveGasPrice: '0x0',
    };
    methods['eth_getTransactionReceipt'] = () => failed;
    const outcome = await send('--json');
    expect(outcome.code).toBe(1);
    expect(JSON.parse(outcome.out)).toMatchObject({ status: 0 });
  });

  it("passes the node's refusal on in one sentence", async () => {
    methods['eth_sendRawTransaction'] = () => {
      throw new FakeRefusal('insufficient funds for gas * price + value');
    };
    const outcome = await send();
    expect(outcome).toMatchObject({ code: 1, out: '' });
    expect(outcome.err).toBe(
      'error: the node refused eth_sendRawTransaction: insufficient funds for gas * price + value\n',
    );
  });

  it('gives up after the time it was told, naming the hash', async () => {
    methods['eth_getTransactionReceipt'] = () => null;
    const outcome = await send('--timeout', '1');
    expect(outcome.code).toBe(1);
    expect(outcome.err).toContain(`${sent[0]!.hash} is not final after 1 s`);
  });

  it.each([
    ['data that is no hex', ['--data', '12'], '--data is not hex'],
    ['a bad node address', ['--rpc', 'localhost'], 'is not an RPC address'],
    ['a negative time', ['--timeout', '-1'], 'whole number'],
  ])('with %s ends with 2', async (_, args, expected) => {
    const outcome = await send(...args);
    expect(outcome.code).toBe(2);
    expect(outcome.err).toContain(expected);
    expect(sent).toHaveLength(0);
  });

  it('without a node says where it looked', async () => {
    await node.close();
    const outcome = await send();
    expect(outcome.code).toBe(1);
    expect(outcome.err).toContain(`no node answers at ${node.url}`);
    expect(outcome.err.trim().split('\n')).toHaveLength(1);
    expect((await send('--verbose')).err).toContain('at RpcClient');
    node = await startFakeNode(methods);
  });
});

describe('tx show', () => {
  it('shows a transaction that is not final yet', async () => {
    const hash = `0x${'22'.repeat(32)}`;
    methods['eth_getTransactionByHash'] = () => ({ hash, from: TO, to: TO, value: '0xde0b6b3a7640000', nonce: '0x1' });
    methods['eth_getTransactionReceipt'] = () => null;
    const outcome = await run(['tx', 'show', hash, '--rpc', node.url]);
    expect(outcome.out).toMatch(/value +1 coins[\s\S]*not final yet/);
  });

  it('says that it is unknown', async () => {
    methods['eth_getTransactionByHash'] = () => null;
    const outcome = await run(['tx', 'show', `0x${'22'.repeat(32)}`, '--rpc', node.url, '--json']);
    expect(outcome).toMatchObject({ code: 1, out: '' });
    expect(outcome.err).toContain('knows no transaction');
  });
});

describe('reads', () => {
  it('account show', async () => {
    methods['eth_getBalance'] = () => '0xde0b6b3a7640000';
    methods['eth_getCode'] = () => '0x';
    methods['eth_getTransactionCount'] = (_: string, at: string) => (at === 'pending' ? '0x9' : '0x7');
    const args = ['account', 'show', TO, '--rpc', node.url];
    expect(JSON.parse((await run([...args, '--json'])).out)).toEqual({
      address: TO,
      balance: '1000000000000000000',
      nonce: 7,
      pendingNonce: 9,
      contract: false,
    });
    expect((await run(args)).out).toMatch(/1 coins[\s\S]*7 sent \(2 more waiting\)/);
  });

  it('block show takes latest, numbers and hashes, and nothing else', async () => {
    const asked: unknown[] = [];
    const block = {
      number: '0x5',
      hash: BLOCK_HASH,
      timestamp: '0x0',
      gasUsed: '0x0',
      gasLimit: '0x1',
      transactions: [TO],
    };
    methods['eth_getBlockByNumber'] = (which: string) => {
      asked.push(which);
      return block;
    };
    methods['eth_getBlockByHash'] = (which: string) => {
      asked.push(which);
      return null;
    };
    const at = ['--rpc', node.url];
    expect((await run(['block', 'show', ...at])).out).toContain('1970-01-01T00:00:00.000Z');
    expect(JSON.parse((await run(['block', 'show', '17', '--json', ...at])).out)).toEqual(block);
    expect((await run(['block', 'show', BLOCK_HASH, ...at])).err).toContain('has no final block');
    expect(asked).toEqual(['latest', '0x11', BLOCK_HASH]);
    expect((await run(['block', 'show', 'newest', ...at])).code).toBe(2);
  });

  it('status tells roles, suspicions and the margin', async () => {
    const validator = { peerId: 'x', role: 'primary', reachable: true, suspectedBy: [], provenFaulty: false, final: 9 };
    const status = {
      role: 'follower',
      epoch: 0,
      view: 1,
      final: 9,
      head: 10,
      t: 1,
      margin: 0,
      validators: [
        { ...validator, address: '0xaa' },
        { ...validator, address: '0xbb', role: 'passive', reachable: false, suspectedBy: ['0xaa'], final: null },
      ],
    };
    methods['xft_status'] = () => status;
    expect(JSON.parse((await run(['status', '--json', '--rpc', node.url])).out)).toEqual(status);
    const text = (await run(['status', '--rpc', node.url])).out;
    expect(text).toContain('final block 9, head 10, epoch 0, view 1; this node: follower');
    expect(text).toContain('no further fault is tolerable');
    expect(text).toMatch(/0xbb +passive +\? +UNREACHABLE, suspected by 1 validator/);
  });
});
