/**
 * How nodes of a Merkle Patricia trie are written (yellow paper appendix D): hex-prefix paths, leaf, extension, branch,
 * and the reference a parent holds: the node itself when shorter than 32 bytes, else 0xa0 and its keccak256. Encoders
 * write into one scratch buffer; what they return is valid until the next call.
 */
import type { Bytes } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';

/** RLP of the empty string: an absent child, and the encoding of the empty trie. */
export const EMPTY_STRING = 0x80;
/** A reference of this length is a hash; an inline node is at most 31 bytes. */
export const HASH_REFERENCE_BYTES = 33;

let scratch = Buffer.allocUnsafe(1024);

function room(bytes: number): void {
  if (scratch.length < bytes) scratch = Buffer.allocUnsafe(bytes * 2);
}

function headerBytes(length: number): number {
  return length < 56 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : length < 0x1000000 ? 4 : 5;
}

function writeHeader(at: number, length: number, base: number): number {
  if (length < 56) {
    scratch[at] = base + length;
    return at + 1;
  }
  const bytes = headerBytes(length) - 1;
  scratch[at] = base + 55 + bytes;
  for (let i = 0, shift = 8 * (bytes - 1); i < bytes; i++, shift -= 8) scratch[at + 1 + i] = (length >>> shift) & 0xff;
  return at + 1 + bytes;
}

/** Hex-prefix path nibbles[from .. to) as an RLP string; returns the position after it. */
function writePath(at: number, nibbles: Bytes, from: number, to: number, leaf: boolean): number {
  const odd = (to - from) & 1;
  const length = 1 + ((to - from - odd) >> 1);
  const flag = (leaf ? 0x20 : 0) | (odd === 1 ? 0x10 | nibbles[from]! : 0);
  let next = at;
  if (length > 1) scratch[next++] = 0x80 + length; // one byte below 0x40 stands for itself
  scratch[next++] = flag;
  for (let i = from + odd; i < to; i += 2) scratch[next++] = (nibbles[i]! << 4) | nibbles[i + 1]!;
  return next;
}

function pathSize(nibbles: number): number {
  const length = 1 + (nibbles >> 1);
  return length === 1 ? 1 : length + 1;
}

/** A leaf whose remaining path is key[from ..]. */
export function encodeLeaf(key: Bytes, from: number, value: Bytes): Bytes {
  const single = value.length === 1 && value[0]! < 0x80;
  const valueSize = single ? 1 : headerBytes(value.length) + value.length;
  const payload = pathSize(key.length - from) + valueSize;
  room(payload + 8);
  let at = writeHeader(0, payload, 0xc0);
  at = writePath(at, key, from, key.length, true);
  if (!single) at = writeHeader(at, value.length, 0x80);
  scratch.set(value, at);
  return scratch.subarray(0, at + value.length);
}

export function encodeExtension(nibbles: Bytes, childReference: Bytes): Bytes {
  const payload = pathSize(nibbles.length) + childReference.length;
  let at = writeHeader(0, payload, 0xc0);
  at = writePath(at, nibbles, 0, nibbles.length, false);
  scratch.set(childReference, at);
  return scratch.subarray(0, at + childReference.length);
}

/** A branch without a value: keys of our tries have one length or are prefix-free. Absent children are undefined. */
export function encodeBranch(references: readonly (Bytes | undefined)[]): Bytes {
  let payload = 1;
  for (let i = 0; i < 16; i++) payload += references[i]?.length ?? 1;
  let at = writeHeader(0, payload, 0xc0);
  for (let i = 0; i < 16; i++) {
    const reference = references[i];
    if (reference === undefined) scratch[at++] = EMPTY_STRING;
    else {
      scratch.set(reference, at);
      at += reference.length;
    }
  }
  scratch[at++] = EMPTY_STRING;
  return scratch.subarray(0, at);
}

/** What a parent holds for an encoded node, as RLP. */
export function referenceTo(encoded: Bytes): Bytes {
  if (encoded.length < 32) return Uint8Array.from(encoded);
  const reference = new Uint8Array(HASH_REFERENCE_BYTES);
  reference[0] = 0xa0;
  reference.set(keccak256(encoded), 1);
  return reference;
}

/** Two nibbles per byte. */
export function toNibbles(bytes: Bytes): Bytes {
  const out = new Uint8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    out[2 * i] = bytes[i]! >> 4;
    out[2 * i + 1] = bytes[i]! & 15;
  }
  return out;
}

export type Path = { readonly nibbles: Bytes; readonly leaf: boolean };

/** Reads a hex-prefix path; undefined when it is malformed. */
export function decodePath(bytes: Bytes): Path | undefined {
  const flag = bytes[0];
  if (flag === undefined || flag > 0x3f) return undefined;
  const odd = (flag & 0x10) !== 0;
  if (!odd && (flag & 0x0f) !== 0) return undefined;
  const all = toNibbles(bytes);
  return { nibbles: all.subarray(odd ? 1 : 2), leaf: (flag & 0x20) !== 0 };
}
