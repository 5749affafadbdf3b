/**
 * What accounts were before a block, as one record per block: one write however many accounts changed. Entries are packed
 * by hand: address, kind, nonce, balance, and the two hashes only where they say something.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { type Account, EMPTY_CODE } from './account.ts';
import type { Undo } from './block-state.ts';
import { EMPTY_ROOT } from './ordered-root.ts';

const ABSENT = 0;
const PLAIN = 1;
const FULL = 2;
const ADDRESS_BYTES = 20;
const NONCE_BYTES = 8;
const BALANCE_BYTES = 32;
const KIND_AT = ADDRESS_BYTES;
const NONCE_AT = KIND_AT + 1;
const BALANCE_AT = NONCE_AT + NONCE_BYTES;
const HASHES_AT = BALANCE_AT + BALANCE_BYTES;
/** Length of an entry by its kind. */
const SIZES = [NONCE_AT, HASHES_AT, HASHES_AT + 64];

function kindOf(account: Account | undefined): number {
  if (account === undefined) return ABSENT;
  return account.storageRoot === EMPTY_ROOT && account.codeHash === EMPTY_CODE ? PLAIN : FULL;
}

export function encodeUndo(undo: Undo): Bytes {
  let size = 0;
  for (const account of undo.values()) size += SIZES[kindOf(account)]!;
  const out = Buffer.allocUnsafe(size);
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  let at = 0;
  for (const [address, account] of undo) {
    const kind = kindOf(account);
    out.write(address.slice(2), at, 'hex');
    out[at + KIND_AT] = kind;
    if (account !== undefined) writeAccount(out, view, at, account, kind);
    at += SIZES[kind]!;
  }
  return out;
}

function writeAccount(out: Buffer, view: DataView, at: number, account: Account, kind: number): void {
  view.setUint32(at + NONCE_AT, Math.floor(account.nonce / 2 ** 32));
  view.setUint32(at + NONCE_AT + 4, account.nonce % 2 ** 32);
  const { balance } = account;
  const high = balance >> 128n;
  view.setBigUint64(at + BALANCE_AT, high >> 64n);
  view.setBigUint64(at + BALANCE_AT + 8, BigInt.asUintN(64, high));
  view.setBigUint64(at + BALANCE_AT + 16, BigInt.asUintN(64, balance >> 64n));
  view.setBigUint64(at + BALANCE_AT + 24, BigInt.asUintN(64, balance));
  if (kind !== FULL) return;
  out.write(account.storageRoot.slice(2), at + HASHES_AT, 'hex');
  out.write(account.codeHash.slice(2), at + HASHES_AT + 32, 'hex');
}

/** Calls back with every entry's position; false when the record is malformed. */
function walk(record: Bytes, visit: (at: number) => void): boolean {
  let at = 0;
  while (at < record.length) {
    const size = SIZES[record[at + KIND_AT] ?? 255];
    if (size === undefined || at + size > record.length) return false;
    visit(at);
    at += size;
  }
  return true;
}

/** Sorted first four bytes of the addresses: tells cheaply that a block did not touch an account. */
export function fingerprints(record: Bytes): Uint32Array {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const out: number[] = [];
  walk(record, (at) => out.push(view.getUint32(at)));
  return Uint32Array.from(out).sort();
}

export function fingerprintOf(address: Address): number {
  return Number.parseInt(address.slice(2, 10), 16);
}

/** All entries; undefined when the record is malformed. */
export function decodeUndo(record: Bytes): Undo | undefined {
  const buffer = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const undo = new Map<Address, Account | undefined>();
  const whole = walk(record, (at) => {
    const kind = record[at + KIND_AT]!;
    undo.set(
      toHex(record.subarray(at, at + ADDRESS_BYTES)),
      kind === ABSENT ? undefined : readAccount(buffer, at, kind),
    );
  });
  return whole ? undo : undefined;
}

function readAccount(buffer: Buffer, at: number, kind: number): Account {
  const hash = (offset: number) => '0x' + buffer.toString('hex', at + offset, at + offset + 32);
  return {
    nonce: Number(buffer.readBigUInt64BE(at + NONCE_AT)),
    balance: BigInt('0x' + buffer.toString('hex', at + BALANCE_AT, at + HASHES_AT)),
    storageRoot: kind === FULL ? hash(HASHES_AT) : EMPTY_ROOT,
    codeHash: kind === FULL ? hash(HASHES_AT + 32) : EMPTY_CODE,
  };
}
