/**
 * Signed transactions: legacy with EIP-155, EIP-2930 and EIP-1559, as EIP-2718 envelopes. One strict decoder: canonical
 * RLP, canonical integers, our chain id, low-s (EIP-2), no trailing bytes, at most 128 KiB. Refusals carry geth's texts,
 * because ethers, viem and web3 recognise errors by them. Decoding costs about 4 us and recovery 60 us per transaction,
 * so callers decode each transaction once and look it up by hash afterwards.
 */
import { EMPTY, toHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { type AccessListEntry, accessListGas, decodeAccessList } from './access-list.ts';
import { RlpScan } from './rlp-scan.ts';

/** A signed transaction whose encoding, chain id and signature have been checked. */
export interface Transaction {
  /** The exact bytes that are hashed: RLP list (type 0) or type byte and RLP list. */
  readonly raw: Bytes;
  readonly hash: Hash;
  readonly type: 0 | 1 | 2;
  readonly chainId: number;
  readonly nonce: number;
  readonly gasLimit: number;
  /** Undefined creates a contract, which no chain allows yet: the decoder refuses it unless told otherwise. */
  readonly to: Address | undefined;
  readonly value: bigint;
  readonly data: Bytes;
  readonly accessList: readonly AccessListEntry[];
  /** Type 0 and 1: the price. Type 2: the same as maxFeePerGas. */
  readonly gasPrice: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Gas charged before anything runs, and all a plain transfer uses. */
  readonly intrinsicGas: number;
  /** r | s | yParity, 65 bytes. */
  readonly signature: Bytes;
  readonly yParity: 0 | 1;
  /** EIP-155 v for type 0, yParity otherwise. */
  readonly v: bigint;
  readonly r: bigint;
  readonly s: bigint;
  /** The signer. Recovered once; a transaction read back from the store recovers it on first use. */
  readonly from: Address;
}

/** Why a transaction is refused, as JSON-RPC says it (geth's texts). */
export type TransactionRefusal = { readonly ok: false; readonly code: number; readonly message: string };
export type TransactionResult = { readonly ok: true; readonly transaction: Transaction } | TransactionRefusal;

/** Largest raw transaction, as geth's pool. */
export const TRANSACTION_BYTES_MAX = 128 * 1024;
/** JSON-RPC code of a refused transaction. */
const REFUSED = -32000;
const GAS_TRANSACTION = 21_000;
const GAS_CREATION = 32_000;
const GAS_ZERO_BYTE = 4;
const GAS_DATA_BYTE = 16;

/** Field positions per type; -1 where a type has no such field. The three signature fields come last. */
type Layout = {
  readonly name: string;
  readonly count: number;
  readonly nonce: number;
  readonly tip: number;
  readonly fee: number;
  readonly accessList: number;
};
const LAYOUTS: readonly Layout[] = [
  { name: 'types.LegacyTx', count: 9, nonce: 0, tip: 1, fee: 1, accessList: -1 },
  { name: 'types.AccessListTx', count: 11, nonce: 1, tip: 2, fee: 2, accessList: 7 },
  { name: 'types.DynamicFeeTx', count: 12, nonce: 1, tip: 2, fee: 3, accessList: 8 },
];

export type DecodeOptions = {
  readonly chainId: number;
  /** Lets contract creation pass. */
  readonly allowCreation?: boolean;
  /** keccak256 of the bytes, where the caller has just computed it. */
  readonly hash?: Hash;
};

const scan = new RlpScan();
/** What is signed is put together here: a list header, the fields, and chain id, 0, 0 for EIP-155. */
const signed = Buffer.alloc(TRANSACTION_BYTES_MAX + 64);

class SignedTransaction implements Transaction {
  readonly raw: Bytes;
  readonly hash: Hash;
  readonly type: 0 | 1 | 2;
  readonly chainId: number;
  nonce = 0;
  gasLimit = 0;
  to: Address | undefined = undefined;
  value = 0n;
  data: Bytes = EMPTY;
  accessList: readonly AccessListEntry[] = [];
  maxFeePerGas = 0n;
  maxPriorityFeePerGas = 0n;
  intrinsicGas = 0;
  yParity: 0 | 1 = 0;
  readonly signature = new Uint8Array(65);
  /** raw[signedStart .. signedEnd) are the fields the signature covers. */
  signedStart = 0;
  signedEnd = 0;
  #from: Address | undefined = undefined;

  constructor(raw: Bytes, type: 0 | 1 | 2, options: DecodeOptions) {
    this.raw = raw;
    this.type = type;
    this.chainId = options.chainId;
    this.hash = options.hash ?? toHex(keccak256(raw));
  }

  get gasPrice(): bigint {
    return this.maxFeePerGas;
  }
  get v(): bigint {
    return this.type === 0 ? BigInt(this.chainId) * 2n + 35n + BigInt(this.yParity) : BigInt(this.yParity);
  }
  get r(): bigint {
    return BigInt(toHex(this.signature.subarray(0, 32)));
  }
  get s(): bigint {
    return BigInt(toHex(this.signature.subarray(32, 64)));
  }

  get from(): Address {
    const from = this.recover();
    if (from === undefined) {
      throw new QuorateError('STORE_DAMAGED', `transaction ${this.hash} in the store has no valid signature`);
    }
    return from;
  }

  /** The signer, or undefined when the signature is no valid low-s signature. */
  recover(): Address | undefined {
    this.#from ??= recoverAddress(this.#digest(), this.signature);
    return this.#from;
  }

  #digest(): Bytes {
    const fields = this.raw.subarray(this.signedStart, this.signedEnd);
    const chain = this.type === 0 ? eip155Suffix(this.chainId) : EMPTY;
    const size = fields.length + chain.length;
    let at = 0;
    if (this.type !== 0) signed[at++] = this.type;
    if (size < 56) signed[at++] = 0xc0 + size;
    else {
      const bytes = size < 0x100 ? 1 : size < 0x10000 ? 2 : 3;
      signed[at++] = 0xf7 + bytes;
      at = signed.writeUIntBE(size, at, bytes);
    }
    signed.set(fields, at);
    signed.set(chain, at + fields.length);
    return keccak256(signed.subarray(0, at + size));
  }
}

let suffixChainId = -1;
let suffix: Bytes = EMPTY;
/** RLP of chain id, 0, 0, which EIP-155 signs after the six fields. One chain per process, so it is kept. */
function eip155Suffix(chainId: number): Bytes {
  if (suffixChainId !== chainId) {
    const hex = chainId.toString(16);
    const digits = Buffer.from(hex.length % 2 === 0 ? hex : '0' + hex, 'hex');
    const encoded =
      digits.length === 1 && digits[0]! < 0x80 ? digits : Buffer.concat([Buffer.of(0x80 + digits.length), digits]);
    suffix = Buffer.concat([encoded, Buffer.of(0x80, 0x80)]);
    suffixChainId = chainId;
  }
  return suffix;
}

/** What is wrong with item i as an unsigned integer of at most `bytesMax` bytes. */
function integerProblem(input: Bytes, i: number, bytesMax: number): string | undefined {
  const start = scan.start[i]!;
  const length = scan.end[i]! - start;
  if (scan.list[i] === 1) return 'rlp: expected input string or byte';
  if (length > bytesMax) return `rlp: input string too long for ${bytesMax === 8 ? 'uint64' : 'uint256'}`;
  if (length > 0 && input[start] === 0) return 'rlp: non-canonical integer (leading zero bytes)';
  return undefined;
}

function smallInteger(input: Bytes, i: number): number {
  let value = 0;
  for (let at = scan.start[i]!; at < scan.end[i]!; at++) value = value * 256 + input[at]!;
  return value;
}

function bigInteger(input: Buffer, i: number): bigint {
  const start = scan.start[i]!;
  const length = scan.end[i]! - start;
  if (length <= 6) return length === 0 ? 0n : BigInt(input.readUIntBE(start, length));
  if (length <= 8) return input.readBigUInt64BE(start + length - 8) & ((1n << BigInt(8 * length)) - 1n);
  return BigInt('0x' + input.toString('hex', start, start + length));
}

function dataGas(input: Bytes, start: number, end: number): number {
  let gas = 0;
  for (let at = start; at < end; at++) gas += input[at] === 0 ? GAS_ZERO_BYTE : GAS_DATA_BYTE;
  return gas;
}

/** r or s, right-aligned in 32 bytes of the signature. */
function copyScalar(input: Bytes, i: number, out: Uint8Array, end: number): void {
  const start = scan.start[i]!;
  const length = scan.end[i]! - start;
  for (let k = 0; k < length; k++) out[end - length + k] = input[start + k]!;
}

/** The fields every type has: nonce, fees, gas limit, to, value, data, access list. A string is the problem. */
function readFields(input: Buffer, layout: Layout, transaction: SignedTransaction): string | undefined {
  const { nonce, tip, fee } = layout;
  const gas = fee + 1;
  const to = fee + 2;
  const value = fee + 3;
  const data = fee + 4;
  const problem =
    integerProblem(input, nonce, 8) ??
    integerProblem(input, tip, 32) ??
    integerProblem(input, fee, 32) ??
    integerProblem(input, gas, 8) ??
    integerProblem(input, value, 32);
  if (problem !== undefined) return problem;
  transaction.nonce = smallInteger(input, nonce);
  if (transaction.nonce >= Number.MAX_SAFE_INTEGER) return 'nonce has max value';
  transaction.gasLimit = smallInteger(input, gas);
  if (transaction.gasLimit > Number.MAX_SAFE_INTEGER) return 'exceeds block gas limit';
  transaction.maxFeePerGas = bigInteger(input, fee);
  transaction.maxPriorityFeePerGas = tip === fee ? transaction.maxFeePerGas : bigInteger(input, tip);
  transaction.value = bigInteger(input, value);

  const toLength = scan.end[to]! - scan.start[to]!;
  if (scan.list[to] === 1) return 'rlp: expected input string or byte';
  if (toLength !== 0 && toLength !== 20) return 'rlp: input string of wrong size for common.Address';
  if (toLength === 20) transaction.to = '0x' + input.toString('hex', scan.start[to]!, scan.end[to]!);
  if (scan.list[data] === 1) return 'rlp: expected input string or byte';
  let intrinsic = toLength === 0 ? GAS_TRANSACTION + GAS_CREATION : GAS_TRANSACTION;
  if (scan.end[data]! > scan.start[data]!) {
    transaction.data = transaction.raw.subarray(scan.start[data]!, scan.end[data]!);
    intrinsic += dataGas(input, scan.start[data]!, scan.end[data]!);
  }
  if (layout.accessList >= 0) {
    if (scan.list[layout.accessList] === 0) return 'rlp: expected List';
    const list = decodeAccessList(input.subarray(scan.end[layout.accessList - 1]!, scan.end[layout.accessList]!));
    if (typeof list === 'string') return list;
    transaction.accessList = list;
    intrinsic += accessListGas(list);
  }
  transaction.intrinsicGas = intrinsic;
  return undefined;
}

/** Chain id and signature values; the signer is not recovered here. A string is the problem. */
function readSignature(input: Buffer, layout: Layout, transaction: SignedTransaction): string | undefined {
  const v = layout.count - 3;
  const problem = integerProblem(input, v, 32) ?? integerProblem(input, v + 1, 32) ?? integerProblem(input, v + 2, 32);
  if (problem !== undefined) return problem;
  let parity = bigInteger(input, v);
  if (transaction.type === 0) {
    if (parity < 35n) {
      return parity === 27n || parity === 28n
        ? 'only replay-protected (EIP-155) transactions allowed over RPC'
        : 'invalid sender: invalid transaction v, r, s values';
    }
    const signedChain = (parity - 35n) >> 1n;
    if (signedChain !== BigInt(transaction.chainId)) return wrongChain(signedChain, transaction.chainId);
    parity = (parity - 35n) & 1n;
  } else {
    const chainProblem = integerProblem(input, 0, 32);
    if (chainProblem !== undefined) return chainProblem;
    const signedChain = bigInteger(input, 0);
    if (signedChain !== BigInt(transaction.chainId)) return wrongChain(signedChain, transaction.chainId);
    if (parity > 1n) return 'invalid sender: invalid transaction v, r, s values';
  }
  transaction.yParity = parity === 0n ? 0 : 1;
  transaction.signature[64] = transaction.yParity;
  copyScalar(input, v + 1, transaction.signature, 32);
  copyScalar(input, v + 2, transaction.signature, 64);
  transaction.signedStart = scan.payloadStart;
  transaction.signedEnd = scan.end[v - 1]!;
  return undefined;
}

function wrongChain(have: bigint, want: number): string {
  return `invalid sender: invalid chain id for signer: have ${have} want ${want}`;
}

/** Everything but recovery; a string is the problem. */
function parse(raw: Bytes, options: DecodeOptions): SignedTransaction | string {
  if (raw.length > TRANSACTION_BYTES_MAX) {
    return `oversized data: transaction size ${raw.length}, limit ${TRANSACTION_BYTES_MAX}`;
  }
  const first = raw[0];
  if (first === undefined || (first < 0xc0 && raw.length < 2)) return 'typed transaction too short';
  if (first < 0xc0 && first !== 1 && first !== 2) return 'transaction type not supported';
  const type = first === 1 ? 1 : first === 2 ? 2 : 0;
  const layout = LAYOUTS[type]!;
  const input = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const problem = scan.scan(input, type === 0 ? 0 : 1);
  if (problem !== undefined) return problem;
  if (scan.payloadEnd !== raw.length) return 'rlp: input contains more than one value';
  if (scan.count < layout.count) return `rlp: too few elements for ${layout.name}`;
  if (scan.count > layout.count) return `rlp: input list has too many elements for ${layout.name}`;
  const transaction = new SignedTransaction(raw, type, options);
  return readFields(input, layout, transaction) ?? readSignature(input, layout, transaction) ?? transaction;
}

function refused(message: string): TransactionRefusal {
  return { ok: false, code: REFUSED, message };
}

export const CREATION_REFUSED = 'contract creation is not supported on this chain yet';

/** Decodes untrusted bytes and recovers the sender. Never throws. `raw` is kept, not copied. */
export function decodeTransaction(raw: Bytes, options: DecodeOptions): TransactionResult {
  const transaction = parse(raw, options);
  if (typeof transaction === 'string') return refused(transaction);
  if (transaction.to === undefined && options.allowCreation !== true) return refused(CREATION_REFUSED);
  if (transaction.recover() === undefined) return refused('invalid sender: invalid transaction v, r, s values');
  return { ok: true, transaction };
}

/**
 * Decodes bytes of a final block from the store, already checked against the block's hash: the sender is recovered only
 * when asked for, so that reading one transaction of a large block does not cost a thousand recoveries.
 */
export function decodeFinalTransaction(raw: Bytes, chainId: number): TransactionResult {
  const transaction = parse(raw, { chainId });
  return typeof transaction === 'string' ? refused(transaction) : { ok: true, transaction };
}
