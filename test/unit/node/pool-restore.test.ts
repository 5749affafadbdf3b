import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PoolRestore } from '../../../node/pool-restore.ts';
import type { SubmitOutcome } from '../../../node/transaction-relay.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const raws = [1, 2, 3].map((byte) => Uint8Array.of(byte));
const refused = (message: string): SubmitOutcome => ({ code: -32000, message });

/** A pool that answers each raw transaction by its first byte, and counts the offers. */
function pool(answer: (byte: number) => SubmitOutcome) {
  const offers: number[] = [];
  const restore = new PoolRestore(raws, (raw) => {
    offers.push(raw[0]!);
    return answer(raw[0]!);
  });
  return { offers, restore };
}

it('offers everything at once, and nothing again that was taken or that no later state can take', () => {
  const messages = ['', 'already known', 'nonce too low: next nonce 5, tx nonce 4'];
  const { offers, restore } = pool((byte) => (byte === 1 ? { hash: '0x01' } : refused(messages[byte - 1]!)));
  restore.start();
  vi.advanceTimersByTime(60_000);
  expect(offers).toEqual([1, 2, 3]);
  expect(restore.waiting).toEqual([]);
});

it('offers again what a node that is behind refuses, until it is taken', () => {
  let behind = true;
  const { offers, restore } = pool((byte) =>
    byte === 2 && behind ? refused('insufficient funds for gas * price + value') : { hash: '0x01' },
  );
  restore.start();
  expect(restore.waiting).toEqual([raws[1]]);
  vi.advanceTimersByTime(499);
  expect(offers).toEqual([1, 2, 3]);
  behind = false;
  vi.advanceTimersByTime(1);
  expect(offers).toEqual([1, 2, 3, 2]);
  expect(restore.waiting).toEqual([]);
});

it('offers less and less often, and gives up in the end', () => {
  const { offers, restore } = pool(() => refused('account limit exceeded'));
  restore.start();
  vi.advanceTimersByTime(16_000);
  expect(offers).toHaveLength(3 * 6);
  vi.advanceTimersByTime(700_000);
  expect(restore.waiting).toEqual([]);
  const given = offers.length;
  expect(given).toBeLessThan(3 * 60);
  vi.advanceTimersByTime(700_000);
  expect(offers).toHaveLength(given);
});

it('offers nothing more once it is stopped', () => {
  const { offers, restore } = pool(() => refused('transaction pool is full'));
  restore.start();
  restore.stop();
  vi.advanceTimersByTime(60_000);
  expect(offers).toEqual([1, 2, 3]);
});
