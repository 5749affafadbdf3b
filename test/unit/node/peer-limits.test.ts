/** What one peer may cost: floods of requests and of wrong messages, beside a peer that behaves. */
import { beforeEach, expect, test } from 'vitest';
import type { Trace } from '../../../consensus/effect.ts';
import { encodeMessage } from '../../../consensus/message-codec.ts';
import { PeerLimits } from '../../../node/peer-limits.ts';
import { SAMPLE_MESSAGES } from '../consensus/wire-samples.ts';

const LIAR = { peer: 'liar', number: 1 };
const FRIEND = { peer: 'friend', number: 2 };
const JUNK = Uint8Array.of(1, 2, 3);
const FETCH = encodeMessage(SAMPLE_MESSAGES['FETCH-FINAL']);
const COMMIT = encodeMessage(SAMPLE_MESSAGES.COMMIT);

let now: number;
let traces: Trace[];
let limits: PeerLimits;

beforeEach(() => {
  now = 1000;
  traces = [];
  limits = new PeerLimits({ now: () => now, onTrace: (trace) => traces.push(trace) });
});

/** How many of so many copies were read. */
function read(speaker: typeof LIAR, payload: Uint8Array, times: number): number {
  let count = 0;
  for (let i = 0; i < times; i++) if (limits.read(speaker, payload) !== undefined) count++;
  return count;
}

test.each([
  ['FETCH-FINAL', 101],
  ['FETCH-BODIES', 101],
  ['ASK', 51],
  ['START-EPOCH', 21],
] as const)('a flood of %s: some are read, the rest is refused with its reason, and later some again', (kind, most) => {
  const payload = encodeMessage(SAMPLE_MESSAGES[kind]);
  expect(read(LIAR, payload, 5000)).toBe(most);
  expect(traces).toHaveLength(5000 - most);
  expect(traces.at(-1)).toEqual({ name: 'rejected', from: 1, message: kind, reason: 'too-often' });
  expect(read(FRIEND, payload, 10)).toBe(10);
  now += 1000;
  expect(read(LIAR, payload, 5000)).toBe(most - 1);
});

test('accusations are counted one by one, however they come', () => {
  const suspects = new Array(500).fill({ ...SAMPLE_MESSAGES.SUSPECT, rows: [] });
  expect(read(LIAR, encodeMessage({ kind: 'CHAIN', suspects }), 100)).toBe(9);
  expect(read(LIAR, encodeMessage(SAMPLE_MESSAGES.SUSPECT), 1)).toBe(0);
  now += 250;
  expect(read(LIAR, encodeMessage(SAMPLE_MESSAGES.SUSPECT), 1)).toBe(1);
});

test('who was served too many bytes waits until they are paid for', () => {
  expect(read(LIAR, FETCH, 1)).toBe(1);
  limits.onServed(LIAR.peer, 128 * 1024 * 1024);
  expect(read(LIAR, FETCH, 1)).toBe(0);
  now += 999;
  expect(read(LIAR, FETCH, 1)).toBe(0);
  now += 2;
  expect(read(LIAR, FETCH, 1)).toBe(1);
});

test('malformed messages: after some tens nothing of this peer is read, good ones neither, until it has slowed down', () => {
  read(LIAR, JUNK, 1000);
  expect(traces.filter((trace) => trace.name === 'rejected' && trace.message === 'undecodable')).toHaveLength(51);
  expect(traces.at(-1)).toEqual({ name: 'rejected', from: 1, message: 'anything', reason: 'too-many-wrong' });
  expect(read(LIAR, COMMIT, 1)).toBe(0);
  expect(read(FRIEND, COMMIT, 1)).toBe(1);
  now += 21;
  expect(read(LIAR, COMMIT, 1)).toBe(1);
});

test.each([
  ['a bad signature', { name: 'rejected', from: 1, message: 'COMMIT', reason: 'bad-signature' }],
  ['a bad certificate', { name: 'rejected', from: 1, message: 'FINAL', reason: 'bad-certificate' }],
  ['a bad block', { name: 'rejected', from: 1, message: 'BLOCKS', reason: 'bad-block' }],
  ['a contradiction', { name: 'conflict', signer: 1, what: 'two COMMITs at 0/1' }],
] as const)('%s counts as wrong', (_, trace) => {
  for (let i = 0; i < 51; i++) limits.onTrace(LIAR, trace);
  expect(read(LIAR, COMMIT, 1)).toBe(0);
});

test.each([
  ['what is early', { name: 'rejected', from: 1, message: 'COMMIT', reason: 'future-view' }],
  ['what is late', { name: 'rejected', from: 1, message: 'COMMIT', reason: 'outside-window' }],
  ["what is another's", { name: 'rejected', from: 2, message: 'COMMIT', reason: 'bad-signature' }],
  ["another's contradiction", { name: 'conflict', signer: 2, what: 'two COMMITs at 0/1' }],
] as const)('%s does not', (_, trace) => {
  for (let i = 0; i < 5000; i++) limits.onTrace(LIAR, trace);
  expect(read(LIAR, COMMIT, 1)).toBe(1);
});

test('peers without number: what is remembered of them is bounded, and a friend among them is still read', () => {
  for (let i = 0; i < 5000; i++) limits.read({ peer: `stranger ${i}`, number: 1_000_000 + i }, FETCH);
  expect(read(FRIEND, FETCH, 10)).toBe(10);
});
