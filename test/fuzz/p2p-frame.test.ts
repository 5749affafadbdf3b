/** The frame and hello parsers against any bytes and any cutting of them. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, FrameParser } from '../../p2p/frame.ts';
import { encodeHello, HELLO_VERSION, parseHello } from '../../p2p/hello.ts';
import { SendQueue } from '../../p2p/send-queue.ts';
import type { Bytes } from '../../primitives/ids.ts';

const PAYLOAD_MAX = 10_000;
const TYPES = [1, 16, 255];

function collect() {
  const frames: Frame[] = [];
  const parser = new FrameParser({
    payloadBytesMax: PAYLOAD_MAX,
    types: TYPES,
    onFrame: (type, payload) => {
      frames.push({ type, payload });
      return true;
    },
  });
  return { frames, parser };
}

type Frame = { readonly type: number; readonly payload: Bytes };

function encodeAll(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.map(({ type, payload }) => encodeFrame(type, payload)));
}

/** Cuts bytes at the given fractions. */
function cut(bytes: Bytes, fractions: readonly number[]): Bytes[] {
  const places = [0, ...fractions.map((f) => Math.floor(f * bytes.length)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

const frame = fc.record({
  type: fc.constantFrom(...TYPES),
  payload: fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.uint8Array({ minLength: 4_000, maxLength: PAYLOAD_MAX })),
});
const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

test('frames survive any cutting of the stream', async () => {
  await fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), fractions, (sent, at) => {
      const stream = encodeAll(sent);
      const { frames, parser } = collect();
      for (const chunk of cut(stream, at)) expect(parser.push(chunk)).toBeUndefined();
      expect(encodeAll(frames).equals(stream)).toBe(true);
      expect(parser.heldBytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('any bytes give a reason or frames, never an exception, the same for every cutting, and hold bounded memory', async () => {
  await fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fractions, (bytes, at) => {
      const whole = collect();
      const pieces = collect();
      const reason = whole.parser.push(bytes);
      let pieceReason: string | undefined;
      for (const chunk of cut(bytes, at)) pieceReason = pieces.parser.push(chunk);
      expect(pieceReason).toBe(reason);
      expect(pieces.frames).toEqual(whole.frames);
      expect(pieces.parser.heldBytes).toBeLessThanOrEqual(PAYLOAD_MAX);
    }),
    { numRuns: 2_000 },
  );
});

test('a flipped byte in a header never yields a frame longer than allowed', async () => {
  await fc.assert(
    fc.property(frame, fc.nat(4), fc.integer({ min: 1, max: 255 }), ({ type, payload }, at, flip) => {
      const bytes = Buffer.from(encodeFrame(type, payload));
      bytes[at]! ^= flip;
      const { frames, parser } = collect();
      parser.push(bytes);
      for (const got of frames) {
        expect(TYPES).toContain(got.type);
        expect(got.payload.length).toBeLessThanOrEqual(PAYLOAD_MAX);
      }
    }),
  );
});

test('what a send queue gives out in turns of any size is what was put in', async () => {
  await fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), fc.integer({ min: 1, max: 5_000 }), (sent, turn) => {
      const queue = new SendQueue(1_000_000);
      for (const { type, payload } of sent) expect(queue.push(type, payload)).toBe(true);
      const { frames, parser } = collect();
      while (queue.bytes > 0) {
        const piece = queue.take(turn);
        expect(piece.length).toBeGreaterThan(0);
        expect(piece.length).toBeLessThanOrEqual(turn);
        parser.push(piece);
      }
      expect(encodeAll(frames).equals(encodeAll(sent))).toBe(true);
    }),
  );
});

test('any bytes parse as a hello or give a reason', async () => {
  await fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const parsed = parseHello(bytes);
      if (parsed.ok) expect(Buffer.from(encodeHello(parsed.hello))).toEqual(Buffer.from(bytes));
      else expect(parsed.reason.length).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});

test('a hello with one byte changed still parses canonically or gives a reason', async () => {
  const hello = encodeHello({
    version: HELLO_VERSION,
    chainId: 1337,
    genesisHash: '0x' + 'ab'.repeat(32),
    role: 'observer',
  });
  await fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = Buffer.from(hello);
      bytes[at]! ^= flip;
      const parsed = parseHello(bytes);
      if (parsed.ok) expect(Buffer.from(encodeHello(parsed.hello))).toEqual(bytes);
      else expect(parsed.reason.length).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});
