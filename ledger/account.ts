/** Accounts as the state trie holds them: RLP([nonce, balance, storageRoot, codeHash]) (yellow paper section 4.1). */
import { toHex } from '../primitives/bytes.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { rlpBigInt, rlpBytes, rlpDecode, rlpList, rlpNumber } from '../primitives/rlp.ts';
import { EMPTY_ROOT } from './ordered-root.ts';

export interface Account {
  readonly nonce: number;
  readonly balance: bigint;
  readonly storageRoot: Hash;
  readonly codeHash: Hash;
}

/** keccak256 of no code. */
export const EMPTY_CODE: Hash = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470';

const EMPTY_ROOT_BYTES = Buffer.from(EMPTY_ROOT.slice(2), 'hex');
const EMPTY_CODE_BYTES = Buffer.from(EMPTY_CODE.slice(2), 'hex');
const HASHES_BYTES = 66;

const scratch = Buffer.alloc(128);
const integer = Buffer.alloc(32);
const integerView = new DataView(integer.buffer, integer.byteOffset, 32);

/** Writes `integer[from ..]` as an RLP string at `at`. */
function writeInteger(at: number, from: number): number {
  const length = 32 - from;
  if (length === 0 || length > 1 || integer[from]! >= 0x80) scratch[at++] = 0x80 + length;
  for (let i = from; i < 32; i++) scratch[at++] = integer[i]!;
  return at;
}

function firstNonZero(from: number): number {
  let at = from;
  while (at < 32 && integer[at] === 0) at++;
  return at;
}

function writeNonce(at: number, nonce: number): number {
  integerView.setUint32(24, Math.floor(nonce / 2 ** 32));
  integerView.setUint32(28, nonce % 2 ** 32);
  return writeInteger(at, firstNonZero(24));
}

function writeBalance(at: number, balance: bigint): number {
  if (balance >> 128n === 0n) {
    integerView.setBigUint64(16, balance >> 64n);
    integerView.setBigUint64(24, BigInt.asUintN(64, balance));
    return writeInteger(at, firstNonZero(16));
  }
  integer.write(balance.toString(16).padStart(64, '0'), 'hex');
  return writeInteger(at, firstNonZero(0));
}

/** Hot path: written by hand, valid until the next call. */
export function encodeAccount(account: Account): Bytes {
  let end = writeBalance(writeNonce(2, account.nonce), account.balance);
  scratch[end] = 0xa0;
  if (account.storageRoot === EMPTY_ROOT) scratch.set(EMPTY_ROOT_BYTES, end + 1);
  else scratch.write(account.storageRoot.slice(2), end + 1, 'hex');
  scratch[end + 33] = 0xa0;
  if (account.codeHash === EMPTY_CODE) scratch.set(EMPTY_CODE_BYTES, end + 34);
  else scratch.write(account.codeHash.slice(2), end + 34, 'hex');
  end += HASHES_BYTES;
  scratch[0] = 0xf8; // two hashes alone pass 55 bytes
  scratch[1] = end - 2;
  return scratch.subarray(0, end);
}

/** Throws RlpError on anything that is no account: callers read it from a node whose hash is right. */
export function decodeAccount(bytes: Bytes): Account {
  const [nonce, balance, storageRoot, codeHash] = rlpList(rlpDecode(bytes), 'account', 4);
  return {
    nonce: rlpNumber(nonce, 'nonce'),
    balance: rlpBigInt(balance, 'balance'),
    storageRoot: shared(toHex(rlpBytes(storageRoot, 'storageRoot', 32)), EMPTY_ROOT),
    codeHash: shared(toHex(rlpBytes(codeHash, 'codeHash', 32)), EMPTY_CODE),
  };
}

/** The constant instead of an equal string, so that a hundred thousand accounts share it. */
function shared(value: Hash, constant: Hash): Hash {
  return value === constant ? constant : value;
}
