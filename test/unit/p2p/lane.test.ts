import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeFrame } from '../../../p2p/frame.ts';
import { Lane } from '../../../p2p/lane.ts';

const LIMITS = {
  frameBytesMax: 1_000,
  queueBytesMax: 1_000,
  turnBytesMax: 1_000,
  bytesPerSecond: 16_000,
  framesPerSecond: 1_600,
};
const SHARE = 1 / 16;

/** What a lane does with a stream, and a way to give it bytes. */
class FakeStream {
  paused = 0;
  resumed = 0;
  readonly #listeners = new Map<string, (event: { readonly data: Uint8Array }) => void>();

  addEventListener(name: string, listener: (event: { readonly data: Uint8Array }) => void): void {
    this.#listeners.set(name, listener);
  }
  pause(): void {
    this.paused++;
  }
  resume(): void {
    this.resumed++;
  }
  send(): boolean {
    return true;
  }
  abort(): void {
    this.paused = Number.NaN;
  }
  receive(data: Uint8Array): void {
    this.#listeners.get('message')!({ data });
  }
}

let clock = 0;
beforeEach(() => {
  clock = 0;
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

function lane(stream: FakeStream): Lane {
  return new Lane({
    stream: stream as never,
    limits: LIMITS,
    types: [16],
    share: SHARE,
    now: () => clock,
    onFrame: () => undefined,
    onBytes: () => undefined,
    onFailure: () => undefined,
    onWritable: () => undefined,
    onDrain: () => undefined,
  });
}

test('an observer is held back at its share, and not any more once it is a validator', () => {
  const stream = new FakeStream();
  const held = lane(stream);
  const second = Buffer.concat(Array.from({ length: 10 }, () => encodeFrame(16, new Uint8Array(95))));
  stream.receive(second);
  expect(stream.paused).toBe(0);
  stream.receive(second);
  expect(stream.paused).toBe(1);
  vi.advanceTimersByTime(1_000);
  expect(stream.resumed).toBe(1);

  clock = 1_000;
  held.setShare(1);
  clock = 2_000;
  for (let i = 0; i < 16; i++) stream.receive(second);
  expect(stream.paused).toBe(1);
  held.setShare(SHARE);
  clock = 3_000;
  stream.receive(second);
  expect(stream.paused).toBe(1);
  stream.receive(second);
  expect(stream.paused).toBe(2);
});
