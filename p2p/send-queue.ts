/**
 * What waits to be sent on one stream: whole frames in, bounded by bytes; pieces of at most one turn's bytes out, cut
 * wherever they fall. One piece is one `send`, and one `send` of many frames is some 14 times cheaper than one per frame.
 */
import { EMPTY } from '../primitives/bytes.ts';
import type { Bytes } from '../primitives/ids.ts';
import { FRAME_HEADER_BYTES, frameHeader } from './frame.ts';

export class SendQueue {
  readonly #bytesMax: number;
  #chunks: Bytes[] = [];
  /** First chunk not yet taken, and how much of it has been. */
  #head = 0;
  #headOffset = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a reference to the payload. False, and nothing is queued, when it would not fit. */
  push(type: number, payload: Bytes): boolean {
    const size = FRAME_HEADER_BYTES + payload.length;
    if (this.#bytes + size > this.#bytesMax) return false;
    this.#chunks.push(frameHeader(type, payload.length));
    if (payload.length > 0) this.#chunks.push(payload);
    this.#bytes += size;
    return true;
  }

  /** The next bytes of the queue, at most `bytesMax` of them. */
  take(bytesMax: number): Bytes {
    const parts: Bytes[] = [];
    let taken = 0;
    while (taken < bytesMax && this.#head < this.#chunks.length) {
      const chunk = this.#chunks[this.#head]!;
      const end = Math.min(chunk.length, this.#headOffset + bytesMax - taken);
      parts.push(chunk.subarray(this.#headOffset, end));
      taken += end - this.#headOffset;
      if (end < chunk.length) {
        this.#headOffset = end;
      } else {
        this.#chunks[this.#head] = EMPTY;
        this.#head++;
        this.#headOffset = 0;
      }
    }
    this.#bytes -= taken;
    this.#compact();
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, taken);
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#headOffset = 0;
    this.#bytes = 0;
  }

  #compact(): void {
    if (this.#head === this.#chunks.length) {
      this.#chunks = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
  }
}
