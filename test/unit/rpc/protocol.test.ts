import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { RpcServer } from '../../../node/rpc/server.ts';
import { FakeChain } from './fake-chain.ts';
import { Served } from './fixture.ts';

let served: Served;
afterEach(async () => {
  expect(served.bugs).toEqual([]);
  await served.stop();
});

const call = (id: unknown, method = 'eth_chainId', params: unknown = []) => ({ jsonrpc: '2.0', id, method, params });

describe('JSON-RPC envelopes', () => {
  test.each<[string, string, number, string]>([
    ['broken JSON', '{"jsonrpc"', -32700, 'null'],
    ['nothing', '', -32700, 'null'],
    ['a number', '7', -32600, 'null'],
    ['an empty batch', '[]', -32600, 'null'],
    ['no version', '{"id":1,"method":"eth_chainId"}', -32600, '1'],
    ['no method', '{"jsonrpc":"2.0","id":"a"}', -32600, '"a"'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600, 'null'],
    ['params that are an object', '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', -32602, '1'],
    ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"eth_nope"}', -32601, '1'],
    ['a method named like a property of objects', '{"jsonrpc":"2.0","id":1,"method":"__proto__"}', -32601, '1'],
  ])('%s is an error with HTTP 200', async (_name, body, code, id) => {
    served = await Served.start();
    const reply = await served.http(body);
    expect(reply.status).toBe(200);
    expect(reply.text).toContain(`"id":${id},"error":{"code":${code},`);
  });

  test('unknown methods are told in the words clients look for', async () => {
    served = await Served.start();
    expect(await served.error('eth_fillTransaction', {})).toEqual({
      code: -32601,
      message: 'the method eth_fillTransaction does not exist/is not available',
    });
  });

  test.each(['1', '"8d3c4c1e-uuid"', 'null', '0', '-5', '1.5', '12345678901234567890', '1e400', '"\\u00e9\\"x"'])(
    'the id %s comes back as it came, alone and in a batch',
    async (id) => {
      served = await Served.start();
      const text = `{"jsonrpc":"2.0","id":${id},"method":"eth_chainId","params":[]}`;
      const echoed = JSON.stringify(JSON.parse(`{"id":${id}}`)).slice(6, -1);
      const expected = /^[0-9.e-]+$/.test(id) ? id : echoed;
      expect((await served.http(text)).text).toBe(`{"jsonrpc":"2.0","id":${expected},"result":"0x539"}`);
      const batch = await served.http(`[{"jsonrpc":"2.0","method":"net_version","id":"x,{"},${text}]`);
      expect(batch.text).toContain(`"id":${expected},"result":"0x539"}]`);
    },
  );

  test('a batch answers in order, errors among results, equal ids twice, notifications not at all', async () => {
    served = await Served.start();
    const body = [call(1), 5, call(1, 'nope'), { jsonrpc: '2.0', method: 'eth_chainId' }, call('z', 'net_version')];
    const { text } = await served.http(JSON.stringify(body));
    const replies = JSON.parse(text) as { id: unknown; result?: unknown; error?: { code: number } }[];
    expect(replies.map((r) => [r.id, r.result ?? r.error?.code])).toEqual([
      [1, '0x539'],
      [null, -32600],
      [1, -32601],
      ['z', '1337'],
    ]);
  });

  test('notifications alone are answered by an empty body', async () => {
    served = await Served.start();
    expect(await served.http('[{"jsonrpc":"2.0","method":"eth_chainId"}]')).toMatchObject({ status: 200, text: '' });
    expect(await served.http('{"jsonrpc":"2.0","method":"eth_nope"}')).toMatchObject({ status: 200, text: '' });
  });

  test('a batch of 1,000 is answered, one more is refused', async () => {
    served = await Served.start();
    const batch = Array.from({ length: 1001 }, (_, i) => call(i));
    expect(JSON.parse((await served.http(JSON.stringify(batch.slice(1)))).text)).toHaveLength(1000);
    const refused = JSON.parse((await served.http(JSON.stringify(batch))).text) as { error: { code: number } };
    expect(refused.error.code).toBe(-32600);
  });

  test('a batch stops working when its reply is too large', async () => {
    const chain = new FakeChain();
    let calls = 0;
    chain.extensions.set('big', () => {
      calls++;
      return 'x'.repeat(400);
    });
    served = await Served.start({ chain, limits: { replyBytesMax: 1000 } });
    const { text } = await served.http(JSON.stringify(Array.from({ length: 50 }, (_, i) => call(i, 'big'))));
    const replies = JSON.parse(text) as { result?: string; error?: { code: number; message: string } }[];
    expect(replies.filter((r) => r.result !== undefined)).toHaveLength(2);
    expect(replies[2]!.error).toEqual({ code: -32003, message: 'response too large' });
    expect(replies).toHaveLength(50);
    expect(calls).toBeLessThan(5);
  });

  test('nesting and number of elements are bounded before the text is parsed', async () => {
    served = await Served.start();
    const deep = await served.http('['.repeat(500_000));
    expect(deep.text).toContain('nested deeper than 32');
    const params = '['.repeat(30) + ']'.repeat(30);
    const legal = await served.http(`{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[${params}]}`);
    expect(legal.text).toContain('-32602');
    const wide = await served.http('[' + '0,'.repeat(400_000) + '0]');
    expect(wide.text).toContain('more than 50000 elements');
    const brackets = await served.http(JSON.stringify(call('['.repeat(100) + '\\"' + '{'.repeat(100))));
    expect(brackets.text).toContain('0x539');
  });
});

describe('HTTP', () => {
  test.each<[string, number, Record<string, string>, string]>([
    ['GET', 405, {}, 'GET'],
    ['PUT', 405, {}, 'PUT'],
    ['a form', 415, { 'content-type': 'application/x-www-form-urlencoded' }, 'POST'],
    ['plain text', 415, { 'content-type': 'text/plain' }, 'POST'],
    ['a foreign host name', 403, { host: 'evil.example:8545' }, 'POST'],
  ])('%s is refused with %d', async (_name, status, headers, method) => {
    served = await Served.start();
    const reply = await served.http(method === 'GET' ? '' : JSON.stringify(call(1)), headers, method);
    expect(reply.status).toBe(status);
    expect(reply.headers['allow']).toBe(status === 405 ? 'POST, OPTIONS' : undefined);
  });

  test('compressed bodies are refused, whatever they hold', async () => {
    served = await Served.start();
    const reply = await served.http(gzipSync(JSON.stringify(call(1))), { 'content-encoding': 'gzip' });
    expect(reply.status).toBe(415);
  });

  test('a charset in the content type is fine', async () => {
    served = await Served.start();
    const reply = await served.http(JSON.stringify(call(1)), { 'content-type': 'application/json; charset=utf-8' });
    expect(reply.text).toContain('0x539');
  });

  test.each(['localhost:8545', '127.0.0.1', '10.1.2.3:1', '[::1]:8545', 'node.example:8545'])(
    'the host %s passes',
    async (host) => {
      served = await Served.start({ allowedHosts: ['Node.Example'] });
      expect((await served.http(JSON.stringify(call(1)), { host })).status).toBe(200);
    },
  );

  test('a body over 1 MiB is refused with 413, announced or not, and the refusal can be read', async () => {
    served = await Served.start();
    const body = Buffer.alloc(1024 * 1024 + 1, 0x20);
    expect((await served.http(body)).status).toBe(413);
    expect((await served.http(Buffer.alloc(8 * 1024 * 1024), { 'transfer-encoding': 'chunked' })).status).toBe(413);
    const largest = Buffer.alloc(1024 * 1024, 0x20);
    largest.write(JSON.stringify(call(1)));
    expect((await served.http(largest)).status).toBe(200);
  });

  test('without CORS configured no origin may read; with a list, the listed ones', async () => {
    served = await Served.start({ cors: ['https://wallet.example'] });
    const allowed = await served.http(JSON.stringify(call(1)), { origin: 'https://wallet.example' });
    expect(allowed.headers['access-control-allow-origin']).toBe('https://wallet.example');
    expect(allowed.headers['vary']).toBe('Origin');
    const other = await served.http(JSON.stringify(call(1)), { origin: 'https://evil.example' });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    const preflight = await served.http('', { origin: 'https://wallet.example' }, 'OPTIONS');
    expect(preflight).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': expect.stringContaining('content-type'),
      },
    });
    const refused = await served.http('', { origin: 'https://evil.example' }, 'OPTIONS');
    expect(refused.headers['access-control-allow-methods']).toBeUndefined();
  });

  test("'*' lets every origin read", async () => {
    served = await Served.start({ cors: ['*'] });
    const reply = await served.http(JSON.stringify(call(1)), { origin: 'https://any.example' });
    expect(reply.headers['access-control-allow-origin']).toBe('*');
  });

  test('bytes that are no HTTP get 400 and the server goes on', async () => {
    served = await Served.start();
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(served.server.port, '127.0.0.1', () => socket.write('\x16\x03\x01 hello\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
      });
      socket.on('close', () => resolve(text));
      socket.on('error', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400/);
    expect(await served.result('eth_chainId')).toBe('0x539');
  });

  test('at the connection limit an idle connection makes room, a busy one does not', async () => {
    served = await Served.start({ limits: { httpConnectionsMax: 1 } });
    const open = () =>
      new Promise<{ ended: Promise<void>; ask: () => Promise<string>; destroy: () => void }>((resolve) => {
        const socket = connect(served.server.port, '127.0.0.1');
        const ended = new Promise<void>((done) => socket.once('close', () => done()));
        socket.on('error', () => socket.destroy());
        const body = JSON.stringify(call(1));
        const ask = () =>
          new Promise<string>((answer) => {
            socket.once('data', (chunk) => answer(chunk.toString()));
            socket.once('close', () => answer('closed'));
            socket.write(
              `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
            );
          });
        socket.once('connect', () => resolve({ ended, ask, destroy: () => socket.destroy() }));
      });
    const first = await open();
    const second = await open();
    expect(await second.ask()).toBe('closed');
    expect(await first.ask()).toContain('0x539');
    const third = await open();
    expect(await third.ask()).toContain('0x539');
    await first.ended;
    third.destroy();
    expect(served.server.stats.connectionsRefused).toBe(2);
  });

  test('a port in use is told with what to do', async () => {
    served = await Served.start();
    const again = RpcServer.start({
      backend: new FakeChain(),
      host: '127.0.0.1',
      port: served.server.port,
      onBug: () => undefined,
    });
    await expect(again).rejects.toMatchObject({ code: 'PORT_IN_USE', message: expect.stringContaining('--rpc-port') });
  });
});

describe('bugs and busy work', () => {
  test('an exception in a method is -32603, logged, and not shown', async () => {
    const chain = new FakeChain();
    chain.extensions.set('boom', () => {
      throw new TypeError('secret path /x');
    });
    chain.extensions.set('boomLater', () => Promise.reject(new TypeError('later')));
    chain.extensions.set('unprintable', async () => 5n);
    served = await Served.start({ chain });
    for (const method of ['boom', 'boomLater', 'unprintable']) {
      expect(await served.error(method)).toEqual({ code: -32603, message: 'internal error: see the log of the node' });
    }
    expect(served.bugs.splice(0)).toHaveLength(3);
    expect(served.server.stats).toMatchObject({ calls: 3, errors: 3, bugs: 3 });
  });

  test('other requests are served while a long batch runs', async () => {
    const chain = new FakeChain();
    let done = 0;
    chain.extensions.set('slow', () => {
      const until = performance.now() + 1;
      while (performance.now() < until);
      return done++;
    });
    served = await Served.start({ chain });
    const batch = served.http(JSON.stringify(Array.from({ length: 200 }, (_, i) => call(i, 'slow'))));
    while (done === 0) await served.result('eth_chainId');
    expect(done).toBeLessThan(200);
    expect(JSON.parse((await batch).text)).toHaveLength(200);
  });
});
