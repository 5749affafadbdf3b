/**
 * Frames on a stream: payload length (u32, big-endian), type (u8), payload. libp2p streams keep no message boundaries,
 * so the parser takes any cutting of the bytes. What it is fed is hostile: every failure is a reason, never an exception,
 * and it never holds more than it has received (an announced length reserves nothing).
 */
import { EMPTY } from '../primitives/bytes.ts';
import type { Bytes } from '../primitives/ids.ts';

export const FRAME_HEADER_BYTES = 5;
const BUFFER_BYTES_MIN = 64 * 1024;

/** The five bytes before a payload. */
export function frameHeader(type: number, payloadLength: number): Bytes {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeUInt32BE(payloadLength, 0);
  header[4] = type;
  return header;
}

/** Header and payload in one piece. */
export function encodeFrame(type: number, payload: Bytes): Bytes {
  return Buffer.concat([frameHeader(type, payload.length), payload]);
}

export type FrameParserOptions = {
  readonly payloadBytesMax: number;
  /** Types that may occur on this stream. */
  readonly types: readonly number[];
  /** Gets each whole frame; the payload is its own memory. Returns false to stop the parser for good. */
  readonly onFrame: (type: number, payload: Bytes) => boolean;
};

/** Incremental parser of one stream. After the first malformed byte it accepts nothing more. */
export class FrameParser {
  readonly #options: FrameParserOptions;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** Payload of the frame under way: what was received of it so far, in a buffer that grows as it fills. */
  #payload: Bytes = EMPTY;
  #payloadBytes = 0;
  #payloadLength = 0;
  #stopped: string | undefined;

  constructor(options: FrameParserOptions) {
    this.#options = options;
  }

  /** Bytes held for a frame that is not complete. */
  get heldBytes(): number {
    return this.#payload.length;
  }

  /** Feeds one chunk; gives a reason when the stream is malformed (from then on always the same one). */
  push(chunk: Bytes): string | undefined {
    let at = 0;
    while (this.#stopped === undefined && at < chunk.length) {
      at = this.#headerBytes < FRAME_HEADER_BYTES ? this.#readHeader(chunk, at) : this.#readPayload(chunk, at);
    }
    return this.#stopped;
  }

  #readHeader(chunk: Bytes, at: number): number {
    const take = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - at);
    this.#header.set(chunk.subarray(at, at + take), this.#headerBytes);
    this.#headerBytes += take;
    if (this.#headerBytes < FRAME_HEADER_BYTES) return at + take;
    const [a, b, c, d, type] = this.#header as unknown as [number, number, number, number, number];
    const length = a * 0x1000000 + b * 0x10000 + c * 0x100 + d;
    const { payloadBytesMax, types } = this.#options;
    if (!types.includes(type)) this.#stop(`frame of unknown type ${type}`);
    else if (length > payloadBytesMax) this.#stop(`frame of ${length} bytes, at most ${payloadBytesMax} are allowed`);
    else {
      this.#payloadLength = length;
      if (length === 0) this.#deliver(EMPTY);
    }
    return at + take;
  }

  #readPayload(chunk: Bytes, at: number): number {
    const missing = this.#payloadLength - this.#payloadBytes;
    const take = Math.min(missing, chunk.length - at);
    const part = chunk.subarray(at, at + take);
    if (this.#payloadBytes === 0 && take === missing) {
      // A copy, so that a vote kept for long does not keep the 64 KiB it arrived in.
      this.#deliver(new Uint8Array(part));
      return at + take;
    }
    this.#reserve(this.#payloadBytes + take);
    this.#payload.set(part, this.#payloadBytes);
    this.#payloadBytes += take;
    if (this.#payloadBytes === this.#payloadLength) this.#deliver(this.#payload.subarray(0, this.#payloadLength));
    return at + take;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#payload.length) return;
    const size = Math.min(this.#payloadLength, Math.max(bytes, this.#payload.length * 4, BUFFER_BYTES_MIN));
    // Not cleared: only what was received is ever read. Not pooled: the payload must not share memory.
    const slow = Buffer.allocUnsafeSlow(size);
    const larger = new Uint8Array(slow.buffer, slow.byteOffset, size);
    larger.set(this.#payload.subarray(0, this.#payloadBytes));
    this.#payload = larger;
  }

  #deliver(payload: Bytes): void {
    this.#headerBytes = 0;
    this.#payload = EMPTY;
    this.#payloadBytes = 0;
    if (!this.#options.onFrame(this.#header[4]!, payload)) this.#stop('closed');
  }

  #stop(reason: string): void {
    this.#stopped = reason;
    this.#payload = EMPTY;
  }
}
