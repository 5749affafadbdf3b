/**
 * Hostile requests against the JSON-RPC dispatcher: whatever comes in, a JSON-RPC reply goes out, never -32603 and never
 * an exception.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RPC_LIMITS } from '../../node/rpc/limits.ts';
import { methodTable } from '../../node/rpc/methods.ts';
import { makeServices } from '../../node/rpc/services.ts';
import { decoded, FakeChain, GOVERNANCE, RECIPIENT, SENDER, signed } from '../unit/rpc/fake-chain.ts';

const raw = await signed();
const chain = new FakeChain();
const block = chain.finalize(
  [decoded(raw)],
  [[{ address: GOVERNANCE, topics: ['0x' + '07'.repeat(32)], data: Uint8Array.of(1) }]],
);
chain.certify([decoded(await signed({ nonce: 1 }))]);
for (let i = 0; i < 3; i++) chain.finalize([]);
chain.oldestState = 2;

const bugs: unknown[] = [];
const { services, dispatcher } = makeServices({
  backend: chain,
  limits: { ...RPC_LIMITS, waitMsMax: 0, filtersMax: 50, sliceMs: 50 },
  onBug: (method, error) => bugs.push({ method, error }),
  now: () => 0,
});
const methods = [...methodTable(services).keys()];
const subscriber = { notify: () => undefined, drop: () => undefined };

function ask(text: string): Promise<string | undefined> {
  return new Promise((resolve) => dispatcher.handle(text, { subscriber, created: [] }, resolve));
}

type Reply = { jsonrpc: unknown; id: unknown; error?: { code: unknown; message: unknown } };

function checkReply(reply: Reply): void {
  expect(reply.jsonrpc).toBe('2.0');
  expect('result' in reply).not.toBe('error' in reply);
  if (reply.error === undefined) return;
  expect(reply.error.code).not.toBe(-32603);
  expect([typeof reply.error.code, typeof reply.error.message]).toEqual(['number', 'string']);
}

async function check(text: string): Promise<void> {
  const answer = await ask(text);
  if (answer !== undefined) {
    const reply = JSON.parse(answer) as Reply | Reply[];
    for (const one of Array.isArray(reply) ? reply : [reply]) checkReply(one);
  }
  expect(bugs).toEqual([]);
}

/** Values that get past the first check and break the second. */
const tricky = fc.constantFrom<unknown>(
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  '',
  '0x',
  '0x0',
  '0x1',
  '0x01',
  '0x4',
  '0x1fffffffffffff',
  '0x20000000000000',
  '0x' + 'f'.repeat(64),
  '0x' + 'f'.repeat(65),
  '0x' + 'f'.repeat(100_000),
  'latest',
  'pending',
  'earliest',
  '__proto__',
  'constructor',
  SENDER,
  RECIPIENT,
  GOVERNANCE,
  SENDER.toUpperCase(),
  block.hash,
  block.transactions[0]!.hash,
  '0x' + '00'.repeat(32),
  raw,
  raw.slice(0, -2),
  'newHeads',
  'logs',
  [],
  {},
  [null],
  { blockHash: block.hash },
  { blockNumber: '0x2' },
  { blockNumber: 'latest', blockHash: null },
);
const names = fc.constantFrom(
  'from',
  'to',
  'gas',
  'gasPrice',
  'maxFeePerGas',
  'maxPriorityFeePerGas',
  'value',
  'nonce',
  'data',
  'input',
  'chainId',
  'accessList',
  'fromBlock',
  'toBlock',
  'blockHash',
  'blockNumber',
  'address',
  'topics',
  'storageKeys',
  'requireCanonical',
  '__proto__',
  'toString',
  'length',
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    { weight: 6, arbitrary: tricky },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
    { weight: 2, arbitrary: fc.dictionary(names, tie('value'), { maxKeys: 6 }) },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 5 }) },
  ),
}));

test.each(methods)('hostile parameters of %s are answered by a result or an error', async (method) => {
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 5 }), async (params) => {
      await check(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    }),
    { numRuns: 150 },
  );
});

const call = fc.record(
  {
    jsonrpc: fc.oneof(fc.constant('2.0'), value),
    id: value,
    method: fc.oneof(fc.constantFrom(...methods), value),
    params: value,
  },
  { requiredKeys: [] },
);

test('hostile envelopes and batches are answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(call, fc.array(fc.oneof(call, value), { maxLength: 8 }), value), async (request) => {
      await check(JSON.stringify(request) ?? 'undefined');
    }),
    { numRuns: 2000 },
  );
});

test('text that is damaged somewhere is answered', async () => {
  const whole = JSON.stringify([
    {
      jsonrpc: '2.0',
      id: 12345678901234567890n.toString(),
      method: 'eth_getBalance',
      params: [SENDER, { blockHash: block.hash }],
    },
    { jsonrpc: '2.0', id: 7, method: 'eth_sendRawTransaction', params: [raw] },
  ]);
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.constantFrom(...'[]{}",:\\0x1eE+-. \u0000\ud800é')), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(whole.length), async (changes, end) => {
      const characters = [...whole];
      for (const [at, character] of changes) characters[at] = character;
      await check(characters.slice(0, end === 0 ? undefined : end).join(''));
    }),
    { numRuns: 5000 },
  );
});

test('text of no form at all is answered', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'[]{}",:\\1id'), maxLength: 60 })),
      check,
    ),
    { numRuns: 5000 },
  );
});
