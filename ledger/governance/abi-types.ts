/**
 * The part of Solidity's contract ABI that the governance contract uses (docs.soliditylang.org, "Contract ABI
 * Specification"). Decoding accepts the canonical encoding only: tails in the order of their heads without gaps, padding
 * zero, nothing left over. So its cost is linear in the input, whatever offsets and lengths a hostile sender writes.
 */
import { concat, EMPTY, hexBytes, toHex } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';

/** Calldata that is not the canonical encoding of what it should be. The contract turns it into a revert. */
export class AbiError extends Error {
  override readonly name = 'AbiError';
}

/** As JSON ABIs write a parameter. */
export type AbiParameter = {
  readonly name: string;
  readonly type: string;
  readonly indexed?: boolean;
  readonly components?: readonly AbiParameter[];
};

export type AbiType<T> = {
  /** Canonical name, which selectors are made of: `(address,bytes)[]`. */
  readonly canonical: string;
  parameter(name: string): AbiParameter;
  /** Bytes in the head of what it is part of. */
  readonly headBytes: number;
  /** It lies in the tail, with its offset in the head. */
  readonly dynamic: boolean;
  encode(value: T): Bytes;
  /** Reads the encoding at `at`; throws AbiError. */
  decode(input: Bytes, at: number): { readonly value: T; readonly end: number };
};

type ValueOf<A> = A extends AbiType<infer T> ? T : never;
/** Named values, in the order of their encoding. */
export type Fields = Readonly<Record<string, AbiType<unknown>>>;
export type ValuesOf<F> = { readonly [K in keyof F]: ValueOf<F[K]> };

const WORD = 32;

function word(input: Bytes, at: number): Bytes {
  if (at + WORD > input.length) throw new AbiError('it ends too early');
  return input.subarray(at, at + WORD);
}

function requireZero(bytes: Bytes, what: string): void {
  if (bytes.some((byte) => byte !== 0)) throw new AbiError(`${what} is not padded with zeros`);
}

function numberAt(input: Bytes, at: number): number {
  const value = BigInt(toHex(word(input, at)));
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new AbiError(`the number ${value} is too large`);
  return Number(value);
}

function numberWord(value: number): Bytes {
  const out = Buffer.alloc(WORD);
  out.writeBigUInt64BE(BigInt(value), WORD - 8);
  return out;
}

function atom<T>(canonical: string, encode: (value: T) => Bytes, read: (word: Bytes) => T): AbiType<T> {
  return {
    canonical,
    parameter: (name) => ({ name, type: canonical }),
    headBytes: WORD,
    dynamic: false,
    encode,
    decode: (input, at) => ({ value: read(word(input, at)), end: at + WORD }),
  };
}

/** Numbers up to 2^53 whatever the type allows: nothing here is larger. */
export function uint(bits: 8 | 16 | 32 | 64 | 256): AbiType<number> {
  const type = `uint${bits}`;
  return atom(type, numberWord, (bytes) => {
    const value = numberAt(bytes, 0);
    if (value >= 2 ** bits) throw new AbiError(`${value} is no ${type}`);
    return value;
  });
}

export const BOOL: AbiType<boolean> = atom(
  'bool',
  (value) => numberWord(value ? 1 : 0),
  (bytes) => {
    const value = numberAt(bytes, 0);
    if (value > 1) throw new AbiError(`${value} is no bool`);
    return value === 1;
  },
);

/** 0x hex in lower case. */
export const ADDRESS: AbiType<string> = atom(
  'address',
  (value) => concat(new Uint8Array(12), hexBytes(value)),
  (bytes) => {
    requireZero(bytes.subarray(0, 12), 'an address');
    return toHex(bytes.subarray(12));
  },
);

/** 0x hex in lower case. */
export function fixedBytes(size: 16 | 32): AbiType<string> {
  const type = `bytes${size}`;
  return atom(
    type,
    (value) => concat(hexBytes(value), new Uint8Array(WORD - size)),
    (bytes) => {
      requireZero(bytes.subarray(size), type);
      return toHex(bytes.subarray(0, size));
    },
  );
}

function padded(length: number): number {
  return Math.ceil(length / WORD) * WORD;
}

function encodeBytes(bytes: Bytes): Bytes {
  return concat(numberWord(bytes.length), bytes, new Uint8Array(padded(bytes.length) - bytes.length));
}

function decodeBytes(input: Bytes, at: number): { readonly value: Bytes; readonly end: number } {
  const length = numberAt(input, at);
  const start = at + WORD;
  if (length > input.length - start) throw new AbiError('it ends too early');
  const end = start + padded(length);
  if (end > input.length) throw new AbiError('it ends too early');
  requireZero(input.subarray(start + length, end), 'a byte string');
  return { value: Uint8Array.from(input.subarray(start, start + length)), end };
}

function byteString<T>(type: string, from: (value: T) => Bytes, to: (bytes: Bytes) => T): AbiType<T> {
  return {
    canonical: type,
    parameter: (name) => ({ name, type }),
    headBytes: WORD,
    dynamic: true,
    encode: (value) => encodeBytes(from(value)),
    decode: (input, at) => {
      const { value, end } = decodeBytes(input, at);
      return { value: to(value), end };
    },
  };
}

/** 0x hex in lower case. */
export const BYTES: AbiType<string> = byteString('bytes', hexBytes, toHex);

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const STRING: AbiType<string> = byteString(
  'string',
  (value) => Buffer.from(value, 'utf8'),
  (bytes) => {
    try {
      return STRICT_UTF8.decode(bytes);
    } catch {
      throw new AbiError('a text is not UTF-8');
    }
  },
);

/** Heads, then tails. */
function encodeSequence(items: readonly { readonly dynamic: boolean; readonly encoded: Bytes }[]): Bytes {
  let offset = 0;
  for (const { dynamic, encoded } of items) offset += dynamic ? WORD : encoded.length;
  const heads: Bytes[] = [];
  const tails: Bytes[] = [];
  for (const { dynamic, encoded } of items) {
    heads.push(dynamic ? numberWord(offset) : encoded);
    if (!dynamic) continue;
    tails.push(encoded);
    offset += encoded.length;
  }
  return concat(...heads, ...tails);
}

function decodeSequence(
  types: readonly AbiType<unknown>[],
  input: Bytes,
  at: number,
): { readonly value: unknown[]; readonly end: number } {
  let tail = at;
  for (const { headBytes } of types) tail += headBytes;
  let head = at;
  const value = types.map((type) => {
    const start = head;
    head += type.headBytes;
    if (!type.dynamic) return type.decode(input, start).value;
    if (numberAt(input, start) !== tail - at) throw new AbiError('an offset is not where the encoding puts it');
    const decoded = type.decode(input, tail);
    tail = decoded.end;
    return decoded.value;
  });
  if (tail > input.length) throw new AbiError('it ends too early');
  return { value, end: tail };
}

export function tuple<F extends Fields>(fields: F): AbiType<ValuesOf<F>> {
  const entries = Object.entries(fields);
  const types = entries.map(([, type]) => type);
  const dynamic = types.some((type) => type.dynamic);
  return {
    canonical: `(${types.map((type) => type.canonical).join(',')})`,
    parameter: (name) => ({ name, type: 'tuple', components: entries.map(([key, type]) => type.parameter(key)) }),
    headBytes: dynamic ? WORD : types.reduce((sum, type) => sum + type.headBytes, 0),
    dynamic,
    encode: (value) => {
      const values = value as Readonly<Record<string, unknown>>;
      return encodeSequence(
        entries.map(([key, type]) => ({ dynamic: type.dynamic, encoded: type.encode(values[key]) })),
      );
    },
    decode: (input, at) => {
      const { value, end } = decodeSequence(types, input, at);
      return { value: Object.fromEntries(entries.map(([key], i) => [key, value[i]])) as ValuesOf<F>, end };
    },
  };
}

export function array<T>(item: AbiType<T>): AbiType<readonly T[]> {
  return {
    canonical: `${item.canonical}[]`,
    parameter: (name) => {
      const inner = item.parameter(name);
      return { ...inner, type: `${inner.type}[]` };
    },
    headBytes: WORD,
    dynamic: true,
    encode: (values) =>
      concat(
        numberWord(values.length),
        encodeSequence(values.map((value) => ({ dynamic: item.dynamic, encoded: item.encode(value) }))),
      ),
    decode: (input, at) => {
      const length = numberAt(input, at);
      const start = at + WORD;
      if (length > (input.length - start) / item.headBytes) throw new AbiError('it ends too early');
      const { value, end } = decodeSequence(new Array<AbiType<unknown>>(length).fill(item), input, start);
      return { value: value as T[], end };
    },
  };
}

/** The whole of `input`, as the arguments of a call or what it returns. Throws AbiError. */
export function decodeAll<F extends Fields>(fields: F, input: Bytes): ValuesOf<F> {
  const entries = Object.entries(fields);
  const { value, end } = decodeSequence(
    entries.map(([, type]) => type),
    input,
    0,
  );
  if (end !== input.length) throw new AbiError('there are bytes behind its end');
  return Object.fromEntries(entries.map(([key], i) => [key, value[i]])) as ValuesOf<F>;
}

export function encodeAll<F extends Fields>(fields: F, values: ValuesOf<F>): Bytes {
  const entries = Object.entries(fields);
  if (entries.length === 0) return EMPTY;
  const given = values as Readonly<Record<string, unknown>>;
  return encodeSequence(entries.map(([key, type]) => ({ dynamic: type.dynamic, encoded: type.encode(given[key]) })));
}
