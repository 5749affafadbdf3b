/**
 * Where the items of one RLP list lie (yellow paper appendix B), found without allocating: the decoder of transactions
 * runs for every transfer on every validator. As strict as primitives/rlp.ts; problems are texts, never thrown.
 */
import type { Bytes } from '../primitives/ids.ts';

const ITEMS_MAX = 17;

/** One shared instance per decoder; valid until its next `scan`. */
export class RlpScan {
  /** Payload bounds of item i: input[start[i] .. end[i]). The item with its header begins at end[i - 1]. */
  readonly start = new Int32Array(ITEMS_MAX);
  readonly end = new Int32Array(ITEMS_MAX);
  /** 1 where item i is a list. */
  readonly list = new Uint8Array(ITEMS_MAX);
  count = 0;
  /** Bounds of the outer list's payload. */
  payloadStart = 0;
  payloadEnd = 0;

  // The item `#item` found last.
  #start = 0;
  #end = 0;
  #list = 0;

  /** Scans the list that begins at `at`. Undefined when it is canonical and at most 17 items long, else the problem. */
  scan(input: Bytes, at: number): string | undefined {
    let problem = this.#item(input, at, input.length);
    if (problem !== undefined) return problem;
    if (this.#list === 0) return 'rlp: expected List';
    this.payloadStart = this.#start;
    this.payloadEnd = this.#end;
    this.count = 0;
    let next = this.#start;
    const limit = this.#end;
    while (next < limit) {
      if (this.count === ITEMS_MAX) return 'rlp: input list has too many elements';
      problem = this.#item(input, next, limit);
      if (problem !== undefined) return problem;
      this.start[this.count] = this.#start;
      this.end[this.count] = this.#end;
      this.list[this.count] = this.#list;
      this.count++;
      next = this.#end;
    }
    return undefined;
  }

  /** Reads one item's header at `at`; the item must end at or before `limit`. */
  #item(input: Bytes, at: number, limit: number): string | undefined {
    if (at >= limit) return 'rlp: value size exceeds available input length';
    const tag = input[at]!;
    this.#list = tag >= 0xc0 ? 1 : 0;
    if (tag < 0x80) {
      this.#start = at;
      this.#end = at + 1;
      return undefined;
    }
    const short = tag - (this.#list === 1 ? 0xc0 : 0x80);
    if (short < 56) {
      this.#start = at + 1;
      this.#end = at + 1 + short;
      if (this.#end > limit) return 'rlp: value size exceeds available input length';
      if (short === 1 && this.#list === 0 && input[at + 1]! < 0x80) return 'rlp: non-canonical size information';
      return undefined;
    }
    return this.#long(input, at, limit, short - 55);
  }

  #long(input: Bytes, at: number, limit: number, sizeBytes: number): string | undefined {
    if (sizeBytes > 4 || at + 1 + sizeBytes > limit) return 'rlp: value size exceeds available input length';
    if (input[at + 1] === 0) return 'rlp: non-canonical size information';
    let size = 0;
    for (let i = 1; i <= sizeBytes; i++) size = size * 256 + input[at + i]!;
    if (size < 56) return 'rlp: non-canonical size information';
    if (at + 1 + sizeBytes + size > limit) return 'rlp: value size exceeds available input length';
    this.#start = at + 1 + sizeBytes;
    this.#end = this.#start + size;
    return undefined;
  }
}
