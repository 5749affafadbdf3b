import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decoded, FakeChain, GOVERNANCE, signed } from './fake-chain.ts';
import { Served, type Socket } from './fixture.ts';

type Note = { method: string; params: { subscription: string; result: Record<string, unknown> } };

let served: Served;
beforeEach(async () => {
  served = await Served.start();
});
afterEach(async () => {
  expect(served.bugs).toEqual([]);
  await served.stop();
});

async function restart(options: Parameters<typeof Served.start>[0]): Promise<void> {
  await served.stop();
  served = await Served.start(options);
}

async function subscribe(socket: Socket, ...params: unknown[]): Promise<string> {
  const { result } = await socket.call('eth_subscribe', ...params);
  expect(result).toMatch(/^0x[1-9a-f][0-9a-f]{31}$/);
  return result as string;
}

describe('WebSocket', () => {
  test('answers calls, batches and broken messages on one connection', async () => {
    const socket = await served.webSocket();
    expect((await socket.call('eth_chainId')).result).toBe('0x539');
    socket.raw.send('{');
    expect((await socket.next()).error?.code).toBe(-32700);
    socket.raw.send(Buffer.from('[{"jsonrpc":"2.0","id":1,"method":"net_version"}]'));
    expect(await socket.next<unknown>()).toEqual([{ jsonrpc: '2.0', id: 1, result: '1337' }]);
  });

  test('a message over 1 MiB closes the connection', async () => {
    const socket = await served.webSocket();
    socket.raw.send('x'.repeat(1024 * 1024 + 1));
    expect(await socket.closed).toBe(1009);
  });

  test('pages of foreign origins and foreign host names are refused, local pages pass', async () => {
    await restart({ cors: ['https://wallet.example'] });
    await expect(served.webSocket({ origin: 'https://evil.example' })).rejects.toThrow('403');
    await expect(served.webSocket({ origin: 'null' })).rejects.toThrow('403');
    await expect(served.webSocket({ headers: { host: 'evil.example' } })).rejects.toThrow('403');
    for (const origin of ['http://localhost:3000', 'https://wallet.example']) {
      expect((await (await served.webSocket({ origin })).call('eth_chainId')).result).toBe('0x539');
    }
  });

  test('the number of sockets is bounded', async () => {
    await restart({ limits: { webSocketsMax: 1 } });
    const socket = await served.webSocket();
    await expect(served.webSocket()).rejects.toThrow('503');
    socket.raw.close();
    await socket.closed;
    await served.until(() => served.server.stats.webSockets === 0);
    expect((await (await served.webSocket()).call('eth_chainId')).result).toBe('0x539');
  });

  test('a client that floods is read no faster than it is answered, and loses nothing', async () => {
    const chain = new FakeChain();
    const release: (() => void)[] = [];
    chain.extensions.set('hang', () => new Promise((resolve) => release.push(() => resolve('done'))));
    await restart({ chain, limits: { webSocketInFlightMax: 4 } });
    const socket = await served.webSocket();
    for (let i = 0; i < 20; i++) socket.send('hang');
    await served.until(() => release.length >= 4);
    for (let i = 0; i < 20; i++) await served.result('eth_chainId');
    expect(release.length).toBe(4);
    for (let answered = 0; answered < 20; answered++) {
      await served.until(() => release.length > 0);
      release.shift()!();
      expect((await socket.next()).result).toBe('done');
    }
  });

  test('a silent peer is dropped after an unanswered ping, a live one is kept', async () => {
    const live = await served.webSocket();
    const dead = await served.webSocket();
    dead.raw.pause();
    served.server.pingAll();
    expect((await live.call('eth_chainId')).result).toBe('0x539'); // its pong has come before this
    served.server.pingAll();
    await served.until(() => served.server.stats.webSockets === 1);
    expect((await live.call('eth_chainId')).result).toBe('0x539');
    dead.raw.resume();
    await dead.closed;
  });
});

describe('subscriptions', () => {
  test('newHeads: every final block once, in order', async () => {
    const socket = await served.webSocket();
    const id = await subscribe(socket, 'newHeads');
    const blocks = [served.chain.finalize([]), served.chain.finalize([])];
    for (const block of blocks) {
      const note = await socket.next<Note>();
      expect(note).toMatchObject({ jsonrpc: '2.0', method: 'eth_subscription', params: { subscription: id } });
      expect(note.params.result).toMatchObject({
        hash: block.hash,
        parentHash: block.header.parentHash,
        baseFeePerGas: '0x0',
      });
      expect(note.params.result['transactions']).toBeUndefined();
    }
  });

  test('logs: only those that match', async () => {
    const socket = await served.webSocket();
    const topic = '0x' + '07'.repeat(32);
    await subscribe(socket, 'logs', { address: [GOVERNANCE], topics: [] });
    const other = { address: '0x' + '33'.repeat(20), topics: [topic], data: Uint8Array.of(1) };
    const wanted = { ...other, address: GOVERNANCE };
    const tx = decoded(await signed());
    served.chain.finalize([tx], [[other, wanted, other]]);
    served.chain.finalize([]);
    served.chain.finalize([decoded(await signed({ nonce: 1 }))], [[wanted]]);
    expect((await socket.next<Note>()).params.result).toMatchObject({
      logIndex: '0x1',
      blockNumber: '0x1',
      transactionHash: tx.hash,
    });
    expect((await socket.next<Note>()).params.result).toMatchObject({ logIndex: '0x0', blockNumber: '0x3' });
  });

  test('newPendingTransactions: hashes, or whole transactions', async () => {
    const hashes = await served.webSocket();
    const full = await served.webSocket();
    await subscribe(hashes, 'newPendingTransactions');
    await subscribe(full, 'newPendingTransactions', true);
    const hash = await served.result('eth_sendRawTransaction', await signed());
    expect((await hashes.next<Note>()).params.result).toBe(hash);
    expect((await full.next<Note>()).params.result).toMatchObject({ hash, blockHash: null });
  });

  test('xft_finality and xft_views', async () => {
    const socket = await served.webSocket();
    await subscribe(socket, 'xft_finality');
    await subscribe(socket, 'xft_views');
    const proof = served.chain.finalityProof(0)!;
    served.chain.finalitySignal.emit(proof);
    served.chain.viewSignal.emit({ epoch: 0, view: 1, primary: GOVERNANCE, group: [], reason: 'silent' });
    expect((await socket.next<Note>()).params.result).toEqual(proof);
    expect((await socket.next<Note>()).params.result).toMatchObject({ view: 1, reason: 'silent' });
  });

  test('what becomes final while the subscription is answered comes after the answer', async () => {
    const chain = new FakeChain();
    let go: (() => void) | undefined;
    chain.extensions.set('later', () => new Promise((resolve) => (go = () => resolve(null))));
    await restart({ chain });
    const socket = await served.webSocket();
    const call = (id: number, method: string, params: unknown[]) => ({ jsonrpc: '2.0', id, method, params });
    socket.raw.send(JSON.stringify([call(1, 'eth_subscribe', ['newHeads']), call(2, 'later', [])]));
    await served.until(() => go !== undefined);
    chain.finalize([]);
    go!();
    const [first] = await socket.next<{ result: string }[]>();
    expect((await socket.next<Note>()).params).toMatchObject({
      subscription: first!.result,
      result: { number: '0x1' },
    });
  });

  test('an unsubscribed or closed listener costs nothing more', async () => {
    const socket = await served.webSocket();
    const other = await served.webSocket();
    const id = await subscribe(socket, 'newHeads');
    await subscribe(other, 'newHeads');
    expect((await other.call('eth_unsubscribe', id)).error).toEqual({
      code: -32000,
      message: 'subscription not found',
    });
    expect((await socket.call('eth_unsubscribe', id)).result).toBe(true);
    expect((await socket.call('eth_unsubscribe', id)).error?.code).toBe(-32000);
    other.raw.close();
    await other.closed;
    await served.until(() => served.chain.finalSignal.listeners.size === 0);
    expect(served.server.stats.subscriptions).toBe(0);
  });

  test('their number is bounded per connection and in all', async () => {
    await restart({ limits: { subscriptionsPerSocketMax: 2, subscriptionsMax: 3 } });
    const [a, b] = [await served.webSocket(), await served.webSocket()];
    await subscribe(a, 'newHeads');
    await subscribe(a, 'newHeads');
    expect((await a.call('eth_subscribe', 'newHeads')).error).toMatchObject({
      code: -32005,
      message: expect.stringContaining('one connection'),
    });
    await subscribe(b, 'newHeads');
    expect((await b.call('eth_subscribe', 'newHeads')).error).toMatchObject({
      code: -32005,
      message: expect.stringContaining('this node'),
    });
  });

  test('over HTTP, and for unknown topics, they are refused', async () => {
    expect((await served.error('eth_subscribe', 'newHeads')).message).toContain('notifications not supported');
    const socket = await served.webSocket();
    for (const params of [['syncing'], [5], [['newHeads']]]) {
      expect((await socket.call('eth_subscribe', ...params)).error?.code).toBe(-32601);
    }
    expect((await socket.call('eth_subscribe', 'logs', { address: 1 })).error?.code).toBe(-32602);
  });

  test('a consumer that does not read is dropped', async () => {
    await restart({ limits: { queuedNotificationsMax: 50 } });
    const socket = await served.webSocket();
    await subscribe(socket, 'xft_views');
    socket.raw.pause();
    const reason = 'x'.repeat(100_000);
    while (served.server.stats.consumersDropped === 0) {
      served.chain.viewSignal.emit({ epoch: 0, view: 1, primary: GOVERNANCE, group: [], reason });
      await served.result('eth_chainId');
    }
    expect(served.server.stats.subscriptions).toBe(0);
    socket.raw.resume();
    await socket.closed;
    expect(served.server.stats.unreadBytes).toBeLessThan(10_000_000);
  });
});
