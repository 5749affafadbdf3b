import { describe, expect, test } from 'vitest';
import { encodeFrame, FRAME_HEADER_BYTES, FrameParser } from '../../../p2p/frame.ts';
import type { Bytes } from '../../../primitives/ids.ts';

function parser(payloadBytesMax = 1000, types = [1, 2]) {
  const frames: [number, Bytes][] = [];
  const parse = new FrameParser({
    payloadBytesMax,
    types,
    onFrame: (type, payload) => {
      frames.push([type, payload]);
      return true;
    },
  });
  return { parse, frames };
}

describe('frame parser', () => {
  test('takes two frames from one chunk', () => {
    const { parse, frames } = parser();
    const bytes = Buffer.concat([encodeFrame(1, Uint8Array.of(1, 2, 3)), encodeFrame(2, new Uint8Array(0))]);
    expect(parse.push(bytes)).toBeUndefined();
    expect(frames).toEqual([
      [1, Uint8Array.of(1, 2, 3)],
      [2, new Uint8Array(0)],
    ]);
  });

  test('takes a frame that comes byte by byte', () => {
    const { parse, frames } = parser();
    for (const byte of encodeFrame(2, Uint8Array.of(9, 8, 7))) expect(parse.push(Uint8Array.of(byte))).toBeUndefined();
    expect(frames).toEqual([[2, Uint8Array.of(9, 8, 7)]]);
  });

  test('a payload does not share memory with the chunk it came in', () => {
    const { parse, frames } = parser();
    const bytes = encodeFrame(1, Uint8Array.of(5, 5));
    parse.push(bytes);
    bytes.fill(0);
    expect(frames[0]![1]).toEqual(Uint8Array.of(5, 5));
    expect(frames[0]![1].buffer.byteLength).toBe(2);
  });

  test('refuses a length above the bound with the header alone, and everything after it', () => {
    const { parse, frames } = parser(10);
    const reason = parse.push(encodeFrame(1, new Uint8Array(11)).subarray(0, FRAME_HEADER_BYTES));
    expect(reason).toBe('frame of 11 bytes, at most 10 are allowed');
    expect(parse.push(encodeFrame(1, new Uint8Array(1)))).toBe(reason);
    expect(frames).toEqual([]);
  });

  test('takes a payload of exactly the bound', () => {
    const { parse, frames } = parser(10);
    expect(parse.push(encodeFrame(1, new Uint8Array(10)))).toBeUndefined();
    expect(frames).toHaveLength(1);
  });

  test('refuses an unknown type', () => {
    expect(parser().parse.push(encodeFrame(3, new Uint8Array(1)))).toBe('frame of unknown type 3');
  });

  test('an announced length reserves no memory before the bytes come', () => {
    const { parse } = parser(16 * 1024 * 1024);
    parse.push(encodeFrame(1, new Uint8Array(16 * 1024 * 1024)).subarray(0, FRAME_HEADER_BYTES + 100));
    expect(parse.heldBytes).toBeLessThanOrEqual(64 * 1024);
  });

  test('stops in the middle of a chunk when its owner says so', () => {
    const seen: number[] = [];
    const parse = new FrameParser({
      payloadBytesMax: 10,
      types: [1],
      onFrame: (_type, payload) => {
        seen.push(payload[0]!);
        return payload[0] !== 1;
      },
    });
    const frames = [0, 1, 2].map((index) => encodeFrame(1, Uint8Array.of(index)));
    expect(parse.push(Buffer.concat(frames))).toBe('closed');
    expect(seen).toEqual([0, 1]);
  });
});
