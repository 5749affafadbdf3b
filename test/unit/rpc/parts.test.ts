import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { literalIds, tooComplex } from '../../../node/rpc/json-scan.ts';
import { RpcError } from '../../../node/rpc/jsonrpc.ts';
import { corsOrigin, hostAllowed, webSocketOriginAllowed } from '../../../node/rpc/origin.ts';
import { args, decodeHex, parseCount, parseNumber, parseQuantity, parseSlot } from '../../../node/rpc/params.ts';
import { Scheduler } from '../../../node/rpc/scheduler.ts';

describe('quantities', () => {
  test.each([
    '',
    '0x',
    '1',
    '0x01',
    '0x00',
    '0xg',
    '0X1',
    ' 0x1',
    '0x1 ',
    '-0x1',
    '0x' + '1'.repeat(65),
    1,
    null,
    {},
    '0x\u0661',
  ])('%j is none', (value) => {
    expect(() => parseQuantity(value, 'argument 0')).toThrow(RpcError);
  });

  test('every number that fits 256 bits comes through, the long and the large are refused', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (n) => parseQuantity('0x' + n.toString(16), 'x') === n),
    );
    expect(() => parseNumber('0x20000000000000', 'x')).toThrow('above 2^53');
    expect(parseNumber('0x1fffffffffffff', 'x')).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('counts may be JSON integers', () => {
    expect([parseCount(5, 'x'), parseCount('0x5', 'x')]).toEqual([5, 5]);
    for (const wrong of [-1, 1.5, Number.NaN, 2 ** 60]) expect(() => parseCount(wrong, 'x')).toThrow(RpcError);
  });

  test('slots are padded', () => {
    expect(parseSlot('0xA', 'x')).toBe('0x' + 'a'.padStart(64, '0'));
    expect(() => parseSlot('0x' + '0'.repeat(65), 'x')).toThrow(RpcError);
  });

  test('arguments are counted; null is absence', () => {
    expect(() => args([null], 1, 2)).toThrow('missing value for required argument 0');
    expect(() => args([1, 2, 3], 1, 2)).toThrow('too many arguments, want at most 2');
  });
});

test('hex decodes to its bytes and nothing else does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const hex = Buffer.from(bytes).toString('hex');
      expect(decodeHex('0x' + hex, 300)).toEqual(Buffer.from(bytes));
      expect(typeof decodeHex('0x' + hex + 'f', 300)).toBe('string');
      expect(typeof decodeHex(hex, 300)).toBe('string');
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const result = decodeHex(text, 1000);
      if (typeof result !== 'string') expect('0x' + Buffer.from(result).toString('hex')).toBe(text.toLowerCase());
    }),
  );
});

describe('text before it is parsed', () => {
  const limits = { depthMax: 32, elementsMax: 50_000 };

  test('depth is measured as the parsed value has it, whatever strings hold', () => {
    const depth = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depth)) : 0;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 0, max: 8 }), (value, depthMax) => {
        const refused = tooComplex(JSON.stringify(value), { depthMax, elementsMax: 1e9 }) !== undefined;
        expect(refused).toBe(depth(value) > depthMax);
      }),
    );
  });

  test('unclosed strings and trailing backslashes end the scan', () => {
    for (const text of ['"', '"\\', '"\\"', '{"a":"\\\\"', '\\']) expect(tooComplex(text, limits)).toBeUndefined();
  });

  test('literal ids are found where the call is, not inside its parameters or other keys', () => {
    expect(literalIds('{"params":[{"id":1}],"x":"id","id" : 10e400 }')).toEqual(['10e400']);
    expect(literalIds('[{"id":1},{"params":{"id":7},"method":"id"},3,{"id":99999999999999999999}]')).toEqual([
      '1',
      undefined,
      undefined,
      '99999999999999999999',
    ]);
    expect(literalIds('{"id":"text"}')[0]).toBeUndefined();
  });
});

describe('origins', () => {
  const rules = { cors: ['https://a.example'], allowedHosts: ['b.example'] };
  test.each<[string | undefined, boolean]>([
    [undefined, true],
    ['', true],
    ['localhost', true],
    ['LOCALHOST:1', true],
    ['127.0.0.1:8545', true],
    ['[::1]:8545', true],
    ['192.168.0.9', true],
    ['b.example:1', true],
    ['a.example', false],
    ['localhost.evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['[::1].evil.example', false],
  ])('host %s: %s', (host, allowed) => {
    expect(hostAllowed(host, rules)).toBe(allowed);
  });

  test.each<[string | undefined, boolean]>([
    [undefined, true],
    ['https://a.example', true],
    ['http://localhost:3000', true],
    ['http://127.0.0.1', true],
    ['http://localhost.evil.example', false],
    ['null', false],
    ['file://', false],
  ])('WebSocket origin %s: %s', (origin, allowed) => {
    expect(webSocketOriginAllowed(origin, rules)).toBe(allowed);
  });

  test('a star allows every origin and host', () => {
    const all = { cors: ['*'], allowedHosts: ['*'] };
    expect([corsOrigin('https://x', all), hostAllowed('x', all)]).toEqual(['*', true]);
    expect(corsOrigin(undefined, all)).toBeUndefined();
  });
});

test('long work takes turns: none runs far ahead of the other', async () => {
  const scheduler = new Scheduler(0);
  const order: string[] = [];
  const work = async (name: string) => {
    for (let i = 0; i < 4; i++) {
      await scheduler.breathe();
      order.push(name);
    }
  };
  await Promise.all([work('a'), work('b')]);
  expect(order.join('')).toBe('abababab');
});

test('mapping in turns gives what mapping gives', async () => {
  const items = Array.from({ length: 100 }, (_, i) => i);
  const twice = (n: number) => 2 * n;
  expect(await new Scheduler(0).map(items, twice)).toEqual(items.map(twice));
});
