/**
 * Reads RLP (Ethereum yellow paper, appendix B) field by field, as strictly as `rlpDecode`. A whole-tree decoder builds
 * every item before anyone can say that there are too many: sixteen megabytes of empty lists become sixteen million
 * arrays. Here the caller's expectation goes first, so a hostile message costs no more than the part that fits it.
 *
 * Every problem is an RlpError whose text is fixed by the field, never by the input, so that reasons can be counted.
 */
import type { Bytes, Hash } from '../primitives/ids.ts';
import { RlpError } from '../primitives/rlp.ts';

/** Ends the reading of an input: `what` names the field, both texts are fixed. */
export function refuse(what: string, problem: string): never {
  throw new RlpError(`${what}: ${problem}`);
}

/** A cursor over one encoded item. After an error it is not usable any more. */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #buffer: Buffer;
  #at = 0;
  /** End of the list being read. */
  #end: number;

  constructor(bytes: Bytes) {
    // A plain Uint8Array, because `slice` of a Buffer does not copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#end = bytes.length;
  }

  /** Moves to the payload of the next item and returns where that ends. */
  #open(what: string, list: boolean): number {
    if (this.#at >= this.#end) refuse(what, 'missing');
    const tag = this.#bytes[this.#at]!;
    if (tag >= 0xc0 !== list) refuse(what, list ? 'not a list' : 'not a byte string');
    if (tag < 0x80) return this.#at + 1;
    let length = tag - (list ? 0xc0 : 0x80);
    let start = this.#at + 1;
    if (length >= 56) {
      const width = length - 55;
      if (width > 4) refuse(what, 'length over 4 bytes');
      if (start + width > this.#end) refuse(what, 'truncated');
      if (this.#bytes[start] === 0) refuse(what, 'length has a leading zero');
      length = this.#buffer.readUIntBE(start, width);
      if (length < 56) refuse(what, 'long form for a short length');
      start += width;
    }
    const end = start + length;
    if (end > this.#end) refuse(what, 'truncated');
    if (!list && length === 1 && this.#bytes[start]! < 0x80) refuse(what, 'single byte in long form');
    this.#at = start;
    return end;
  }

  /** A list of known shape: `read` takes its fields in order, and must take them all. */
  list<T>(what: string, read: () => T): T {
    const end = this.#open(what, true);
    const outer = this.#end;
    this.#end = end;
    const value = read();
    if (this.#at !== end) refuse(what, 'too many fields');
    this.#end = outer;
    return value;
  }

  /** A list of at most `max` alike items. */
  items<T>(what: string, max: number, read: () => T): T[] {
    return this.list(what, () => {
      const out: T[] = [];
      while (this.#at < this.#end) {
        if (out.length >= max) refuse(what, 'too many items');
        out.push(read());
      }
      return out;
    });
  }

  /** What `read` gives, or undefined for the empty list that stands for a missing value. */
  optional<T>(read: () => T): T | undefined {
    if (this.#at < this.#end && this.#bytes[this.#at] === 0xc0) {
      this.#at++;
      return undefined;
    }
    return read();
  }

  /** A canonical unsigned integer, safe in a JavaScript number and below `limit`. */
  number(what: string, limit = Number.MAX_SAFE_INTEGER + 1): number {
    const end = this.#open(what, false);
    if (end - this.#at > 7) refuse(what, 'integer above 2^53');
    if (this.#at < end && this.#bytes[this.#at] === 0) refuse(what, 'integer has a leading zero');
    let value = 0;
    for (; this.#at < end; this.#at++) value = value * 256 + this.#bytes[this.#at]!;
    if (value > Number.MAX_SAFE_INTEGER) refuse(what, 'integer above 2^53');
    if (value >= limit) refuse(what, 'out of range');
    return value;
  }

  /** Exactly `length` bytes as 0x hex. */
  hex(what: string, length: number): string {
    const end = this.#open(what, false);
    if (end - this.#at !== length) refuse(what, 'wrong length');
    const text = '0x' + this.#buffer.toString('hex', this.#at, end);
    this.#at = end;
    return text;
  }

  hash(what: string): Hash {
    return this.hex(what, 32);
  }

  /** A hash, or the empty string for none. */
  hashOrEmpty(what: string): Hash | '' {
    if (this.#at < this.#end && this.#bytes[this.#at] === 0x80) {
      this.#at++;
      return '';
    }
    return this.hash(what);
  }

  /**
   * At most `max` bytes that may be large: a view when they are most of the input, else a copy. So whoever keeps them
   * keeps at most twice their size alive, whatever else a peer packed into the same message.
   */
  body(what: string, max: number): Bytes {
    const bytes = this.#view(what, max);
    return 2 * bytes.length >= this.#bytes.length ? bytes : bytes.slice();
  }

  #view(what: string, max: number): Bytes {
    const end = this.#open(what, false);
    if (end - this.#at > max) refuse(what, 'too long');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** At most `max` bytes as a copy, which does not keep the input alive. */
  copy(what: string, max: number): Bytes {
    return this.#view(what, max).slice();
  }

  /** Exactly `length` bytes as a copy. */
  copyExact(what: string, length: number): Bytes {
    const bytes = this.#view(what, length);
    if (bytes.length !== length) refuse(what, 'wrong length');
    return bytes.slice();
  }

  /** Must be called last: nothing follows the item. */
  finish(): void {
    if (this.#at !== this.#end) refuse('message', 'trailing bytes');
  }
}
