/**
 * Blocks: London's header of 16 fields, hashed as Ethereum hashes it (yellow paper section 4.4, EIP-1559), with our use of
 * extraData and mixHash (consensus.md section 11), and the wire form RLP([header, [raw transaction, …]]), in which every
 * transaction is a string of its EIP-2718 bytes.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Address, Bytes, Hash, Height } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import {
  RlpError,
  type RlpItem,
  rlpBigInt,
  rlpBytes,
  rlpDecode,
  rlpEncode,
  rlpList,
  rlpNumber,
} from '../primitives/rlp.ts';
import { RlpScan } from './rlp-scan.ts';
import type { Transaction, TransactionResult } from './transaction.ts';

/** London's 16 fields, in their order. */
export interface Header {
  readonly parentHash: Hash;
  readonly sha3Uncles: Hash;
  readonly miner: Address;
  readonly stateRoot: Hash;
  readonly transactionsRoot: Hash;
  readonly receiptsRoot: Hash;
  /** 256 bytes. */
  readonly logsBloom: Bytes;
  readonly difficulty: number;
  readonly number: number;
  readonly gasLimit: number;
  readonly gasUsed: number;
  /** Unix seconds. */
  readonly timestamp: number;
  /** 16 bytes: milliseconds and epoch, 64 bits big-endian each. 32 bytes in block 0. */
  readonly extraData: Bytes;
  /** Hash of the validator list in force from the next block on. */
  readonly mixHash: Hash;
  /** 8 bytes. */
  readonly nonce: Bytes;
  readonly baseFeePerGas: bigint;
}

export interface Block {
  readonly header: Header;
  readonly hash: Hash;
  readonly transactions: readonly Transaction[];
  /** Wire form: RLP([header fields, [raw transaction as a string, …]]). */
  readonly bytes: Bytes;
}

/** keccak256 of the empty RLP list: no uncles. */
export const EMPTY_UNCLES: Hash = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';
export const EMPTY_BLOOM: Bytes = new Uint8Array(256);
export const ZERO_NONCE: Bytes = new Uint8Array(8);

export function encodeHeader(header: Header): Bytes {
  return rlpEncode(headerFields(header));
}

function headerFields(h: Header): readonly (Hash | Bytes | number | bigint)[] {
  return [
    h.parentHash,
    h.sha3Uncles,
    h.miner,
    h.stateRoot,
    h.transactionsRoot,
    h.receiptsRoot,
    h.logsBloom,
    h.difficulty,
    h.number,
    h.gasLimit,
    h.gasUsed,
    h.timestamp,
    h.extraData,
    h.mixHash,
    h.nonce,
    h.baseFeePerGas,
  ];
}

export function headerHash(header: Header): Hash {
  return keccakHash(encodeHeader(header));
}

/** RLP of a header; undefined when it is not one. */
export function decodeHeader(bytes: Bytes): Header | undefined {
  const header = untrusted(() => parseHeader(rlpDecode(bytes)));
  return typeof header === 'string' ? undefined : header;
}

/** Runs a parser of hostile bytes; a string is the problem. */
function untrusted<T>(parse: () => T): T | string {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RlpError) return error.message;
    throw error;
  }
}

function parseHeader(item: RlpItem | undefined): Header {
  const f = rlpList(item, 'header', 16);
  const hash = (i: number, what: string) => toHex(rlpBytes(f[i], what, 32));
  const extraData = rlpBytes(f[12], 'extraData');
  if (extraData.length > 32) throw new RlpError('extraData: over 32 bytes');
  return {
    parentHash: hash(0, 'parentHash'),
    sha3Uncles: hash(1, 'sha3Uncles'),
    miner: toHex(rlpBytes(f[2], 'miner', 20)),
    stateRoot: hash(3, 'stateRoot'),
    transactionsRoot: hash(4, 'transactionsRoot'),
    receiptsRoot: hash(5, 'receiptsRoot'),
    logsBloom: Uint8Array.from(rlpBytes(f[6], 'logsBloom', 256)),
    difficulty: rlpNumber(f[7], 'difficulty'),
    number: rlpNumber(f[8], 'number'),
    gasLimit: rlpNumber(f[9], 'gasLimit'),
    gasUsed: rlpNumber(f[10], 'gasUsed'),
    timestamp: rlpNumber(f[11], 'timestamp'),
    extraData: Uint8Array.from(extraData),
    mixHash: hash(13, 'mixHash'),
    nonce: Uint8Array.from(rlpBytes(f[14], 'nonce', 8)),
    baseFeePerGas: rlpBigInt(f[15], 'baseFeePerGas'),
  };
}

/** Milliseconds since 1970: from extraData, or the seconds of block 0. */
export function headerTimeMs(header: Header): number {
  return header.extraData.length === 16 ? uint64At(header.extraData, 0) : header.timestamp * 1000;
}

/** Epoch the block belongs to; 0 for block 0. */
export function headerEpoch(header: Header): number {
  return header.extraData.length === 16 ? uint64At(header.extraData, 8) : 0;
}

/** A hostile header may hold any 64 bits: past 2^53 the number is inexact, and refused for being too far ahead. */
function uint64At(bytes: Bytes, at: number): number {
  let value = 0;
  for (let i = 0; i < 8; i++) value = value * 256 + bytes[at + i]!;
  return value;
}

/** Extra data of an ordinary block. */
export function encodeExtraData(timeMs: number, epoch: number): Bytes {
  const out = Buffer.alloc(16);
  out.writeBigUInt64BE(BigInt(timeMs), 0);
  out.writeBigUInt64BE(BigInt(epoch), 8);
  return out;
}

/** A block from its parts: encodes and hashes. */
export function makeBlock(header: Header, transactions: readonly Transaction[]): Block {
  return {
    header,
    hash: headerHash(header),
    transactions,
    bytes: rlpEncode([headerFields(header), transactions.map((transaction) => transaction.raw)]),
  };
}

/** A block whose transactions are still bytes. */
export type RawBlock = {
  readonly header: Header;
  readonly hash: Hash;
  readonly raws: readonly Bytes[];
  readonly bytes: Bytes;
};

/** Of one block as RLP: as many transactions as a genesis may allow, and the header. */
const ITEMS_MAX = 100_020;

/** Splits the wire form without decoding transactions; a string is the problem. Never throws. */
export function splitBlock(bytes: Bytes): RawBlock | string {
  const end = headerEnd(bytes);
  if (typeof end === 'string') return end;
  return untrusted(() => {
    const [header, body] = rlpList(rlpDecode(bytes, ITEMS_MAX), 'block', 2);
    const raws = rlpList(body, 'transactions').map((item) => rlpBytes(item, 'transaction'));
    return { header: parseHeader(header), hash: keccakHash(bytes.subarray(end.start, end.end)), raws, bytes };
  });
}

const scan = new RlpScan();

/** Where the header lies in the wire form. */
function headerEnd(bytes: Bytes): { start: number; end: number } | string {
  const problem = scan.scan(bytes, 0);
  if (problem !== undefined) return problem;
  if (scan.payloadEnd !== bytes.length || scan.count !== 2) return 'block: not a list of two items';
  return { start: scan.payloadStart, end: scan.end[0]! };
}

export type BlockResult =
  | { readonly ok: true; readonly block: Block }
  | { readonly ok: false; readonly reason: string };

/**
 * Decodes untrusted wire bytes. `resolve` decodes one transaction, or finds it by the hash of its bytes among those
 * already verified. Never throws. Views into `bytes` are kept.
 */
export function decodeBlock(bytes: Bytes, resolve: (raw: Bytes) => TransactionResult): BlockResult {
  const split = splitBlock(bytes);
  if (typeof split === 'string') return { ok: false, reason: split };
  const transactions: Transaction[] = [];
  for (const raw of split.raws) {
    const result = resolve(raw);
    if (!result.ok) return { ok: false, reason: `transaction ${transactions.length}: ${result.message}` };
    transactions.push(result.transaction);
  }
  return { ok: true, block: { header: split.header, hash: split.hash, transactions, bytes } };
}

export type BlockId = { readonly hash: Hash; readonly parentHash: Hash; readonly height: Height };

/** The encoded header in the wire form; undefined when the bytes are no block. Never throws. */
export function headerBytes(bytes: Bytes): Bytes | undefined {
  const at = headerEnd(bytes);
  return typeof at === 'string' ? undefined : bytes.subarray(at.start, at.end);
}

/** The header alone, without touching the transactions; undefined when the bytes are no block. Never throws. */
export function readBlockHeader(bytes: Bytes): { readonly header: Header; readonly hash: Hash } | undefined {
  const encoded = headerBytes(bytes);
  const header = encoded && decodeHeader(encoded);
  return header === undefined || encoded === undefined ? undefined : { header, hash: keccakHash(encoded) };
}

/** The header's hash, parent and number; undefined when the bytes are no block. Never throws. */
export function readBlockId(bytes: Bytes): BlockId | undefined {
  const read = readBlockHeader(bytes);
  return read && { hash: read.hash, parentHash: read.header.parentHash, height: read.header.number };
}
