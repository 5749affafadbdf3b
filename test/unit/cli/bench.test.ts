import { Transaction } from 'ethers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FinalityWatch } from '../../../cli/bench/finality-watch.ts';
import { fundAccounts } from '../../../cli/bench/funding.ts';
import { Lane } from '../../../cli/bench/lane.ts';
import { percentile, Tracker } from '../../../cli/bench/tracker.ts';
import { makeAccounts, Workload } from '../../../cli/bench/workload.ts';
import { RpcClient } from '../../../cli/rpc-client.ts';
import { randomPrivateKey } from '../../../primitives/secp256k1.ts';
import { type FakeNode, type Methods, startFakeNode } from './fake-node.ts';

const TERMS = { chainId: 1337, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };

function hashes(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `h${from + i}`);
}

describe('bench: tracking', () => {
  it('counts what became final within the window, at the time it was heard of', () => {
    const tracker = new Tracker(100);
    for (const hash of hashes(0, 6)) tracker.sent(hash, 10);
    tracker.onFinal(hashes(0, 2), 20);
    tracker.onFinal([...hashes(2, 4), 'of somebody else'], 50);
    tracker.onFinal(hashes(4, 6), 90);
    expect(tracker.final).toBe(6);
    const { blocks, latenciesMs } = tracker.within({ fromMs: 20, toMs: 60 });
    expect([blocks, [...latenciesMs]]).toEqual([1, [40, 40]]);
  });

  it('counts a transaction once, however often a block with it is announced', () => {
    const tracker = new Tracker(100);
    tracker.sent('h0', 0);
    tracker.onFinal(['h0'], 1);
    tracker.onFinal(['h0'], 2);
    expect(tracker.final).toBe(1);
  });

  it('lets no more be under way than the window holds, in order of asking', async () => {
    const tracker = new Tracker(10);
    const log: string[] = [];
    for (const hash of hashes(0, 8)) tracker.sent(hash, 0);
    await tracker.room(2);
    const waits = ['first', 'second'].map((name) => tracker.room(5).then(() => log.push(name)));
    tracker.onFinal(hashes(0, 2), 1);
    await Promise.resolve();
    expect(log).toEqual([]);
    tracker.onFinal(hashes(2, 3), 1);
    await Promise.all(waits);
    expect(log).toEqual(['first', 'second']);
  });

  it('lets a batch larger than the window through when nothing is under way', async () => {
    await expect(new Tracker(1).room(100)).resolves.toBeUndefined();
  });

  it('percentiles are nearest ranks', () => {
    const values = Float64Array.from({ length: 100 }, (_, i) => i + 1);
    expect([0.5, 0.95, 0.99, 1].map((share) => percentile(values, share))).toEqual([50, 95, 99, 100]);
    expect(percentile(new Float64Array(), 0.5)).toBeNaN();
    expect(percentile(Float64Array.of(7), 0.01)).toBe(7);
  });
});

describe('bench: workload', () => {
  it('signs for its accounts in turn, the nonces of each without gaps, across signings', () => {
    const accounts = makeAccounts(3);
    const workload = new Workload(accounts, TERMS);
    workload.sign(3);
    const first = workload.take(2);
    workload.sign(6);
    expect(workload.size).toBe(7);
    const all = [...first, ...workload.take(100)].map((item) => Transaction.from(item.raw));
    for (const account of accounts) {
      const own = all.filter((transaction) => transaction.from?.toLowerCase() === account.address);
      expect(own.map((transaction) => transaction.nonce)).toEqual([0, 1, 2]);
    }
    expect(workload.take(1)).toEqual([]);
  });
});

describe('bench: against a node', () => {
  let node: FakeNode;
  let methods: Methods;
  beforeEach(async () => {
    methods = {};
    node = await startFakeNode(methods);
  });
  afterEach(() => node.close());

  it('a lane sends again only what was refused, and fails over to the next node', async () => {
    const batches: number[] = [];
    methods['xft_sendRawTransactions'] = (raws: string[]) => {
      batches.push(raws.length);
      const hashOf = (raw: string) => Transaction.from(raw).hash;
      if (batches.length > 1) return raws.map(hashOf);
      return raws.map(
        (raw, i) =>
          [hashOf(raw), { code: -32000, message: 'txpool is full' }, { code: -32000, message: 'already known' }][i % 3],
      );
    };
    const workload = new Workload(makeAccounts(1), TERMS);
    workload.sign(6);
    const tracker = new Tracker(100);
    const away = new RpcClient('http://127.0.0.1:1');
    const lane = new Lane({ clients: [away, new RpcClient(node.url)], first: 0, workload, tracker, batch: 6 });
    expect(await lane.run()).toBe(false);
    expect(batches).toEqual([6, 2]);
    expect([lane.refusals, tracker.outstanding]).toEqual([2, 6]);
  });

  it('finality is heard of once per block, in order, gaps filled', async () => {
    let head = 5;
    methods['eth_blockNumber'] = () => `0x${head.toString(16)}`;
    methods['eth_subscribe'] = () => '0x1';
    methods['eth_getBlockByNumber'] = (number: string) => ({ transactions: [`t${Number(number)}`] });
    const heard: string[] = [];
    const done = new Promise<void>((resolve) => {
      const watch = new FinalityWatch([node.url], (final) => {
        heard.push(...final);
        if (heard.length < 3) return;
        watch.close();
        resolve();
      });
      void watch.start().then(() => {
        head = 8;
        node.notifyHead(6);
        node.notifyHead(8);
        node.notifyHead(8);
      });
    });
    await done;
    expect(heard).toEqual(['t6', 't7', 't8']);
  });

  it('funding sends each account its share, and says when there is not enough', async () => {
    const received = new Map<string, bigint>();
    const funded = () => received.size;
    methods['eth_getBalance'] = () => '0x64';
    methods['eth_getTransactionCount'] = (_: string, at: string) =>
      at === 'pending' ? '0x3' : `0x${(3 + funded()).toString(16)}`;
    methods['xft_sendRawTransactions'] = (raws: string[]) =>
      raws.map((raw) => {
        const { to, value, nonce, hash } = Transaction.from(raw);
        expect(nonce).toBe(3 + funded());
        received.set(to!.toLowerCase(), value);
        return hash;
      });
    const accounts = makeAccounts(5);
    const rpc = new RpcClient(node.url);
    await fundAccounts(rpc, randomPrivateKey(), accounts, TERMS, 20n);
    expect(received).toEqual(new Map(accounts.map((account) => [account.address, 20n])));
    await expect(fundAccounts(rpc, randomPrivateKey(), accounts, TERMS, 21n)).rejects.toThrow(
      /name another account with --key/,
    );
  });
});
