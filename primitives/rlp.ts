/**
 * Recursive Length Prefix (Ethereum yellow paper, appendix B). Decoding is strict: every non-canonical form, trailing
 * byte, over-deep nesting or over-long length is refused, so that one value has exactly one encoding.
 */
import { EMPTY } from './bytes.ts';
import type { Bytes } from './ids.ts';

/** What encodes: bytes, a non-negative integer (number or bigint, minimal big-endian), a 0x hex string, or a list. */
export type RlpInput = Bytes | number | bigint | string | readonly RlpInput[];
/** What decoding gives: bytes (views into the input, not copies) and lists. */
export type RlpItem = Bytes | RlpItem[];

/** Untrusted input broke the encoding. Callers turn it into a reject reason. */
export class RlpError extends Error {
  override readonly name = 'RlpError';
}

const DEPTH_MAX = 16;

function integerBytes(value: number | bigint): Bytes {
  if (value === 0 || value === 0n) return EMPTY;
  if (value < 0 || (typeof value === 'number' && !Number.isSafeInteger(value))) {
    throw new RangeError(`not an RLP integer: ${value}`);
  }
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : '0' + hex, 'hex');
}

function scalarBytes(value: Bytes | number | bigint | string): Bytes {
  if (typeof value === 'string') return Buffer.from(value.slice(2), 'hex');
  if (typeof value === 'number' || typeof value === 'bigint') return integerBytes(value);
  return value;
}

type Sized = { readonly size: number; readonly data: Bytes | readonly Sized[] };

function headerSize(length: number): number {
  return length < 56 ? 1 : 1 + lengthOfLength(length);
}

function lengthOfLength(length: number): number {
  return length < 0x100 ? 1 : length < 0x10000 ? 2 : length < 0x1000000 ? 3 : 4;
}

function measure(input: RlpInput): Sized {
  if (Array.isArray(input)) {
    const items = (input as readonly RlpInput[]).map(measure);
    let size = 0;
    for (const item of items) size += encodedSize(item);
    return { size, data: items };
  }
  const data = scalarBytes(input as Exclude<RlpInput, readonly RlpInput[]>);
  return { size: data.length, data };
}

function encodedSize(node: Sized): number {
  if (node.data instanceof Uint8Array && node.size === 1 && node.data[0]! < 0x80) return 1;
  return headerSize(node.size) + node.size;
}

function writeHeader(out: Uint8Array, at: number, length: number, base: number): number {
  if (length < 56) {
    out[at] = base + length;
    return at + 1;
  }
  const bytes = lengthOfLength(length);
  out[at] = base + 55 + bytes;
  for (let i = 0; i < bytes; i++) out[at + 1 + i] = (length >>> (8 * (bytes - 1 - i))) & 0xff;
  return at + 1 + bytes;
}

function write(out: Uint8Array, at: number, node: Sized): number {
  if (node.data instanceof Uint8Array) {
    if (node.size === 1 && node.data[0]! < 0x80) {
      out[at] = node.data[0]!;
      return at + 1;
    }
    const start = writeHeader(out, at, node.size, 0x80);
    out.set(node.data, start);
    return start + node.size;
  }
  let next = writeHeader(out, at, node.size, 0xc0);
  for (const item of node.data) next = write(out, next, item);
  return next;
}

/** Encodes bytes, integers, hex strings and lists of them. */
export function rlpEncode(input: RlpInput): Bytes {
  const node = measure(input);
  const out = Buffer.allocUnsafe(encodedSize(node));
  write(out, 0, node);
  return out;
}

type Span = { readonly start: number; readonly end: number; readonly list: boolean };

function readLength(input: Bytes, at: number, bytes: number): number {
  if (bytes > 4) throw new RlpError('length over 4 bytes');
  if (at + bytes > input.length) throw new RlpError('truncated length');
  if (input[at] === 0) throw new RlpError('length has a leading zero');
  let length = 0;
  for (let i = 0; i < bytes; i++) length = length * 256 + input[at + i]!;
  if (length < 56) throw new RlpError('long form for a short length');
  return length;
}

/** The payload of the item that begins at `at`. */
function span(input: Bytes, at: number): Span {
  const tag = input[at];
  if (tag === undefined) throw new RlpError('truncated');
  let start = at + 1;
  let length: number;
  const list = tag >= 0xc0;
  if (tag < 0x80) return { start: at, end: at + 1, list: false };
  const short = list ? tag - 0xc0 : tag - 0x80;
  if (short < 56) length = short;
  else {
    const bytes = short - 55;
    length = readLength(input, start, bytes);
    start += bytes;
  }
  const end = start + length;
  if (end > input.length) throw new RlpError('truncated');
  if (!list && length === 1 && input[start]! < 0x80) throw new RlpError('single byte in long form');
  return { start, end, list };
}

type Budget = { items: number };

function decodeAt(input: Bytes, item: Span, depth: number, budget: Budget): RlpItem {
  if (budget.items-- <= 0) throw new RlpError('too many items');
  if (!item.list) return input.subarray(item.start, item.end);
  if (depth >= DEPTH_MAX) throw new RlpError('nested too deep');
  const out: RlpItem[] = [];
  let at = item.start;
  while (at < item.end) {
    const child = span(input, at);
    if (child.end > item.end) throw new RlpError('item runs past its list');
    out.push(decodeAt(input, child, depth + 1, budget));
    at = child.end;
  }
  return out;
}

/**
 * Decodes exactly one item. Throws RlpError on anything that is not its canonical encoding. Each item is an object some
 * hundred times as large as its shortest encoding: where the input may be long and is a stranger's, `itemsMax` says how
 * many of them, lists included, it may hold.
 */
export function rlpDecode(input: Bytes, itemsMax = Number.POSITIVE_INFINITY): RlpItem {
  const item = span(input, 0);
  if (item.end !== input.length) throw new RlpError('trailing bytes');
  return decodeAt(input, item, 0, { items: itemsMax });
}

/** Item as a list of exactly `length` items (any length when omitted), or RlpError naming `what`. */
export function rlpList(item: RlpItem | undefined, what: string, length?: number): RlpItem[] {
  if (!Array.isArray(item)) throw new RlpError(`${what}: expected a list`);
  if (length !== undefined && item.length !== length) {
    throw new RlpError(`${what}: expected ${length} fields, found ${item.length}`);
  }
  return item;
}

/** Item as bytes, of exactly `length` bytes when given. */
export function rlpBytes(item: RlpItem | undefined, what: string, length?: number): Bytes {
  if (item === undefined || Array.isArray(item)) throw new RlpError(`${what}: expected bytes`);
  if (length !== undefined && item.length !== length) {
    throw new RlpError(`${what}: expected ${length} bytes, found ${item.length}`);
  }
  return item;
}

/** Item as a canonical unsigned integer below 2^256. */
export function rlpBigInt(item: RlpItem | undefined, what: string): bigint {
  const bytes = rlpBytes(item, what);
  if (bytes.length > 32) throw new RlpError(`${what}: integer over 32 bytes`);
  if (bytes.length > 0 && bytes[0] === 0) throw new RlpError(`${what}: integer has a leading zero`);
  if (bytes.length === 0) return 0n;
  if (bytes.length <= 6) return BigInt(Buffer.from(bytes).readUIntBE(0, bytes.length));
  return BigInt('0x' + Buffer.from(bytes).toString('hex'));
}

/** Item as a canonical unsigned integer that fits a JavaScript number. */
export function rlpNumber(item: RlpItem | undefined, what: string): number {
  const value = rlpBigInt(item, what);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RlpError(`${what}: integer above 2^53`);
  return Number(value);
}
