import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log } from '../../../ledger/receipt.ts';
import { decoded, type FakeChain, signed } from './fake-chain.ts';
import { Served } from './fixture.ts';

const A = '0x' + 'a1'.repeat(20);
const B = '0x' + 'b2'.repeat(20);
const T1 = '0x' + '01'.repeat(32);
const T2 = '0x' + '02'.repeat(32);
const log = (address: string, ...topics: string[]): Log => ({ address, topics, data: Uint8Array.of(1) });

let served: Served;
beforeEach(async () => {
  served = await Served.start({ limits: { logsMax: 5, logBlocksMax: 20, filtersMax: 3 } });
});
afterEach(async () => {
  expect(served.bugs).toEqual([]);
  await served.stop();
});

/** One block with a transaction that leaves these logs. */
async function blockWith(chain: FakeChain, ...logs: Log[]): Promise<void> {
  chain.finalize([decoded(await signed({ nonce: chain.blocks.length }))], [logs]);
}

type Found = { address: string; blockNumber: string; logIndex: string };
const brief = (logs: readonly Found[]) => logs.map((l) => `${l.blockNumber} ${l.logIndex} ${l.address.slice(2, 4)}`);

describe('eth_getLogs', () => {
  test.each<[Record<string, unknown>, string[]]>([
    [{}, ['0x3 0x0 b2']],
    [{ fromBlock: '0x0' }, ['0x1 0x0 a1', '0x1 0x1 b2', '0x3 0x0 b2']],
    [{ fromBlock: 'earliest', toBlock: '0x2' }, ['0x1 0x0 a1', '0x1 0x1 b2']],
    [{ fromBlock: '0x0', toBlock: 'pending', address: A }, ['0x1 0x0 a1']],
    [{ fromBlock: '0x0', address: [A, B] }, ['0x1 0x0 a1', '0x1 0x1 b2', '0x3 0x0 b2']],
    [{ fromBlock: '0x0', address: [], topics: [] }, ['0x1 0x0 a1', '0x1 0x1 b2', '0x3 0x0 b2']],
    [{ fromBlock: '0x0', topics: [T1] }, ['0x1 0x0 a1', '0x3 0x0 b2']],
    [{ fromBlock: '0x0', topics: [[T1, T2]] }, ['0x1 0x0 a1', '0x1 0x1 b2', '0x3 0x0 b2']],
    [{ fromBlock: '0x0', topics: [null, T2] }, ['0x3 0x0 b2']],
    [{ fromBlock: '0x0', topics: [T2, null] }, []],
    [{ fromBlock: '0x0', address: A, topics: [T2] }, []],
    [{ fromBlock: '0x0', address: '0x' + 'cc'.repeat(20) }, []],
    [{ fromBlock: '0x9', toBlock: '0xa' }, []],
  ])('%j', async (query, expected) => {
    await blockWith(served.chain, log(A, T1), log(B, T2));
    await blockWith(served.chain);
    await blockWith(served.chain, log(B, T1, T2));
    expect(brief(await served.result<Found[]>('eth_getLogs', query))).toEqual(expected);
  });

  test('by block hash', async () => {
    await blockWith(served.chain, log(A, T1));
    await blockWith(served.chain, log(B, T1));
    const { hash } = served.chain.blocks[1]!;
    expect(brief(await served.result<Found[]>('eth_getLogs', { blockHash: hash }))).toEqual(['0x1 0x0 a1']);
    expect((await served.error('eth_getLogs', { blockHash: T1 })).code).toBe(-32000);
    expect((await served.error('eth_getLogs', { blockHash: hash, fromBlock: '0x1' })).code).toBe(-32602);
  });

  test('too many logs, too many blocks and a reversed range are clear errors', async () => {
    for (let i = 0; i < 3; i++) await blockWith(served.chain, log(A), log(A));
    expect(await served.error('eth_getLogs', { fromBlock: '0x0' })).toEqual({
      code: -32000,
      message: 'query returns more than 5 logs; narrow the block range or the filter',
    });
    expect(await served.result('eth_getLogs', { fromBlock: '0x0', toBlock: '0x2' })).toHaveLength(4);
    expect((await served.error('eth_getLogs', { fromBlock: '0x0', toBlock: '0x14' })).message).toContain(
      'block range too large: 21',
    );
    expect((await served.error('eth_getLogs', { fromBlock: '0x2', toBlock: '0x1' })).message).toContain(
      'above toBlock',
    );
    await blockWith(served.chain, ...Array.from({ length: 6 }, () => log(B)));
    expect((await served.error('eth_getLogs', { address: B })).message).toContain('more than 5 logs');
  });

  test.each<[string, unknown]>([
    ['an array', []],
    ['a string', 'x'],
    ['an address that is a number', { address: 5 }],
    ['a short address among others', { address: [A, '0x'] }],
    ['topics that are a string', { topics: 'x' }],
    ['five topics', { topics: [T1, T1, T1, T1, T1] }],
    ['a topic that is a number', { topics: [[5]] }],
    ['a block that is a number', { fromBlock: 5 }],
    ['a short block hash', { blockHash: '0x1' }],
    ['too many addresses', { address: Array(1001).fill(A) }],
  ])('%s is refused as a parameter', async (_name, query) => {
    expect((await served.error('eth_getLogs', query)).code).toBe(-32602);
    expect((await served.error('eth_newFilter', query)).code).toBe(-32602);
  });
});

describe('filters', () => {
  test('a log filter gives each new log once, in order, in portions of the limit', async () => {
    await blockWith(served.chain, log(A));
    const id = await served.result<string>('eth_newFilter', { address: [A], fromBlock: '0x0' });
    expect(await served.result('eth_getFilterChanges', id)).toEqual([]);
    for (let i = 0; i < 4; i++) await blockWith(served.chain, log(A), log(B), log(A));
    const first = await served.result<Found[]>('eth_getFilterChanges', id);
    const second = await served.result<Found[]>('eth_getFilterChanges', id);
    expect(brief(first)).toEqual(['0x2 0x0 a1', '0x2 0x2 a1', '0x3 0x0 a1', '0x3 0x2 a1']);
    expect(brief(second)).toEqual(['0x4 0x0 a1', '0x4 0x2 a1', '0x5 0x0 a1', '0x5 0x2 a1']);
    expect(await served.result('eth_getFilterChanges', id)).toEqual([]);
    expect((await served.error('eth_getFilterLogs', id)).message).toContain('more than 5 logs');
  });

  test('concurrent polls of one filter share the logs, none is given twice', async () => {
    const id = await served.result<string>('eth_newFilter', {});
    await blockWith(served.chain, log(A));
    const polls = [1, 2, 3].map((n) => ({ jsonrpc: '2.0', id: n, method: 'eth_getFilterChanges', params: [id] }));
    const replies = JSON.parse((await served.http(JSON.stringify(polls))).text) as { result: unknown[] }[];
    expect(replies.flatMap((reply) => reply.result)).toHaveLength(1);
  });

  test('eth_getFilterLogs answers the whole query, again and again', async () => {
    await blockWith(served.chain, log(A));
    const id = await served.result<string>('eth_newFilter', { fromBlock: '0x0' });
    for (let i = 0; i < 2; i++) expect(await served.result('eth_getFilterLogs', id)).toHaveLength(1);
  });

  test('block and pending filters', async () => {
    const blocks = await served.result<string>('eth_newBlockFilter');
    const pending = await served.result<string>('eth_newPendingTransactionFilter');
    const raw = await signed();
    const hash = await served.result<string>('eth_sendRawTransaction', raw);
    const block = served.chain.finalize([decoded(raw)]);
    expect(await served.result('eth_getFilterChanges', blocks)).toEqual([block.hash]);
    expect(await served.result('eth_getFilterChanges', blocks)).toEqual([]);
    expect(await served.result('eth_getFilterChanges', pending)).toEqual([hash]);
    expect(await served.result('eth_getFilterChanges', pending)).toEqual([]);
    expect((await served.error('eth_getFilterLogs', blocks)).message).toContain('filter not found');
    expect(await served.result('eth_uninstallFilter', pending)).toBe(true);
    expect(served.chain.pooledSignal.listeners.size).toBe(0);
    expect(await served.result('eth_uninstallFilter', pending)).toBe(false);
  });

  test('a filter goes five minutes after its last use, and the number of filters is bounded', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push(await served.result<string>('eth_newBlockFilter'));
    expect((await served.error('eth_newBlockFilter')).code).toBe(-32005);
    served.clock.ms += 200_000;
    expect(await served.result('eth_getFilterChanges', ids[0])).toEqual([]);
    served.clock.ms += 100_000;
    expect(await served.error('eth_getFilterChanges', ids[1])).toEqual({ code: -32000, message: 'filter not found' });
    expect(await served.result('eth_getFilterChanges', ids[0])).toEqual([]);
    expect(served.server.stats.filters).toBe(1);
  });
});
