/**
 * Strict parsing of method parameters. Every failure is an RpcError -32602 that names the argument. Sizes are bounded
 * before anything is converted: a long digit string costs BigInt more than the rest of the request together.
 */
import type { Address, Bytes, Hash } from '../../primitives/ids.ts';
import { INVALID_PARAMS, RpcError } from './jsonrpc.ts';

const QUANTITY_CHARS_MAX = 66;
const QUANTITY = /^0x(?:0|[1-9a-fA-F][0-9a-fA-F]*)$/;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const HASH = /^0x[0-9a-fA-F]{64}$/;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

export function invalid(what: string, problem: string): RpcError {
  return new RpcError(INVALID_PARAMS, `invalid ${what}: ${problem}`);
}

/** The parameters by position, with a bound on their number. */
export function args(params: readonly unknown[], required: number, most: number): readonly unknown[] {
  if (params.length > most) throw new RpcError(INVALID_PARAMS, `too many arguments, want at most ${most}`);
  for (let i = 0; i < required; i++) {
    if (params[i] === undefined || params[i] === null) {
      throw new RpcError(INVALID_PARAMS, `missing value for required argument ${i}`);
    }
  }
  return params;
}

export function parseQuantity(value: unknown, what: string): bigint {
  if (typeof value !== 'string') throw invalid(what, 'expected a hex quantity as a string');
  if (value.length > QUANTITY_CHARS_MAX) throw invalid(what, `hex number longer than ${QUANTITY_CHARS_MAX} characters`);
  if (!QUANTITY.test(value)) throw invalid(what, quantityProblem(value));
  return BigInt(value);
}

function quantityProblem(value: string): string {
  if (!value.startsWith('0x')) return 'hex string without 0x prefix';
  if (value === '0x') return 'hex string "0x" is not a number; zero is "0x0"';
  return /^0x0/.test(value) ? 'hex number with leading zero digits' : 'hex number with other characters';
}

/** A quantity that fits a JavaScript number. */
export function parseNumber(value: unknown, what: string): number {
  const big = parseQuantity(value, what);
  if (big > SAFE) throw invalid(what, 'number above 2^53');
  return Number(big);
}

/** A count or duration: a JSON integer or a hex quantity. */
export function parseCount(value: unknown, what: string): number {
  if (typeof value !== 'number') return parseNumber(value, what);
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(what, 'expected a whole number from 0');
  return value;
}

export function parseAddress(value: unknown, what: string): Address {
  if (typeof value !== 'string' || !ADDRESS.test(value))
    throw invalid(what, 'expected an address, 0x and 40 hex digits');
  return value.toLowerCase();
}

export function parseHash(value: unknown, what: string): Hash {
  if (typeof value !== 'string' || !HASH.test(value)) throw invalid(what, 'expected a hash, 0x and 64 hex digits');
  return value.toLowerCase();
}

/** A storage slot: up to 32 bytes, left-padded, as geth reads it. */
export function parseSlot(value: unknown, what: string): Hash {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{0,64}$/.test(value)) {
    throw invalid(what, 'expected a storage slot of up to 32 bytes in hex');
  }
  return '0x' + value.slice(2).toLowerCase().padStart(64, '0');
}

export function parseBoolean(value: unknown, what: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw invalid(what, 'expected true or false');
  return value;
}

export function parseObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what, 'expected an object');
  return value as Record<string, unknown>;
}

const HEX = /^0x[0-9a-fA-F]*$/;

/** Bytes of 0x hex, or what is wrong with it. Lean: this is on the path of every transaction. */
export function decodeHex(value: unknown, bytesMax: number): Bytes | string {
  if (typeof value !== 'string') return 'expected 0x hex as a string';
  const length = (value.length - 2) / 2;
  if (length > bytesMax) return `oversized data: ${Math.ceil(length)} bytes, limit ${bytesMax}`;
  if (!HEX.test(value)) return value.startsWith('0x') ? 'invalid hex string' : 'hex string without 0x prefix';
  return value.length % 2 === 0 ? Buffer.from(value.slice(2), 'hex') : 'hex string of odd length';
}

export function parseData(value: unknown, what: string, bytesMax: number): Bytes {
  const bytes = decodeHex(value, bytesMax);
  if (typeof bytes === 'string') throw invalid(what, bytes);
  return bytes;
}
