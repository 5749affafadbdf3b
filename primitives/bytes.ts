/** Byte and hex helpers. Hex is always lower-case with 0x; parsing is strict and never throws. */
import type { Bytes } from './ids.ts';

export const EMPTY: Bytes = new Uint8Array(0);

/** Bytes as 0x hex. */
export function toHex(bytes: Bytes): string {
  return '0x' + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

const HEX = /^0x(?:[0-9a-fA-F]{2})*$/;

/** Strict parse of 0x hex with an even number of digits; undefined when it is anything else. */
export function fromHex(text: string): Bytes | undefined {
  return HEX.test(text) ? Uint8Array.from(Buffer.from(text.slice(2), 'hex')) : undefined;
}

/** Bytes of a hex string this program made itself (a Hash or an Address): no check, no cost. */
export function hexBytes(trusted: string): Bytes {
  return Buffer.from(trusted.slice(2), 'hex');
}

export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{64}$/.test(value);
}

export function concat(...parts: readonly Bytes[]): Bytes {
  return Buffer.concat(parts);
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Lexicographic order, for sorting. */
export function compareBytes(a: Bytes, b: Bytes): number {
  return Buffer.compare(a, b);
}

export function utf8(text: string): Bytes {
  return Buffer.from(text, 'utf8');
}

/** Unsigned 64-bit big-endian, for sortable database keys and header extra data. */
export function uint64(value: number): Bytes {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
}

/** Reads what `uint64` wrote. Throws RangeError past 2^53: such a number was never written by us. */
export function readUint64(bytes: Bytes, offset = 0): number {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readBigUInt64BE(offset);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('number above 2^53');
  return Number(value);
}

/** Big-endian bytes without leading zeros; 0 is the empty string (RLP's integer form). */
export function bigToBytes(value: bigint): Bytes {
  if (value === 0n) return EMPTY;
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : '0' + hex, 'hex');
}
