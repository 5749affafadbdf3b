/**
 * The bytes of one segment of the write-ahead log (consensus.md section 10): a header, then records, then reserved space
 * (segment-file.ts). Every field is big-endian.
 *
 *   header  magic 8 · version 4 · segment number 8 · first sequence 8 · snapshot records 4 · flags 4 · incarnation 16 ·
 *           salt 16 · genesis hash 32 · validator 20 · CRC 4
 *   record  length 4 · type 1 · sequence 8 · durable 8 · hash of the record before 16 · payload CRC 4 · header CRC 4 · payload
 *
 * - The chain starts from the hash of the segment header, so a record of another log, key, chain or segment never fits.
 *   The hashes are the first 16 bytes of SHA-256: they guard against disks, not against somebody who can write to ours.
 * - CRCs start from the segment's random salt: a transaction that carries bytes shaped like a record (its author knows
 *   the format, not the salt) is never taken for one when damage makes the reader search for the next record.
 * - `durable` is the highest sequence that had been reported durable when the record was written. It is what tells a
 *   write torn by a crash from damage to a promise (CTRL, FAST'18, writes a second "persist record" per entry for this):
 *   a bad record that no later record calls durable was never acted upon.
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { concat, equalBytes, fromHex, toHex } from '../../primitives/bytes.ts';
import { assert } from '../../primitives/errors.ts';
import type { Address, Bytes, Hash } from '../../primitives/ids.ts';

/** Whose promises a log holds. The genesis hash covers the chain id. */
export type WalIdentity = { readonly genesisHash: Hash; readonly validator: Address };

export type SegmentHeader = {
  readonly segment: number;
  /** Sequence number of the first record. */
  readonly firstSequence: number;
  /** How many records at the front were durable before the segment got its name. */
  readonly snapshotRecords: number;
  /** The log was begun after an earlier one was lost: its owner may have forgotten promises. */
  readonly afterLoss: boolean;
  readonly incarnation: Bytes;
  readonly salt: Bytes;
  readonly identity: WalIdentity;
};

export type RecordType = 'snapshot' | 'record';

type RecordHeader = {
  readonly length: number;
  readonly type: RecordType;
  readonly sequence: number;
  readonly durable: number;
  readonly previous: Bytes;
  readonly payloadCrc: number;
};

export const SEGMENT_HEADER_BYTES = 124;
export const RECORD_HEADER_BYTES = 45;
/** Largest payload of one record: above any block with its certificates; a corrupt length is not believed beyond it. */
export const RECORD_BYTES_MAX = 128 * 1024 * 1024;

const MAGIC = Buffer.from('quorwal\n', 'latin1');
const VERSION = 1;
const AFTER_LOSS = 1;
const CHAIN_BYTES = 16;
/** Wire numbers of record types; a retired one stays reserved. */
const RECORD_TYPES: readonly (readonly [number, RecordType])[] = [
  [1, 'snapshot'],
  [2, 'record'],
];

/** What the next record must name as the hash before it. */
export function chainHash(bytes: Bytes): Bytes {
  return hash('sha256', bytes, 'buffer').subarray(0, CHAIN_BYTES);
}

export function encodeSegmentHeader(header: SegmentHeader): Bytes {
  const out = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(out, 0);
  out.writeUInt32BE(VERSION, 8);
  out.writeBigUInt64BE(BigInt(header.segment), 12);
  out.writeBigUInt64BE(BigInt(header.firstSequence), 20);
  out.writeUInt32BE(header.snapshotRecords, 28);
  out.writeUInt32BE(header.afterLoss ? AFTER_LOSS : 0, 32);
  assert(header.incarnation.length === 16 && header.salt.length === 16, 'wal: incarnation and salt are 16 bytes');
  out.set(header.incarnation, 36);
  out.set(header.salt, 52);
  out.set(identityBytes(header.identity), 68);
  out.writeUInt32BE(crc32(out.subarray(0, SEGMENT_HEADER_BYTES - 4)), SEGMENT_HEADER_BYTES - 4);
  return out;
}

function identityBytes(identity: WalIdentity): Bytes {
  const bytes = concat(fromHex(identity.genesisHash) ?? concat(), fromHex(identity.validator) ?? concat());
  assert(bytes.length === 52, 'wal: genesis hash and validator address have 32 and 20 bytes');
  return bytes;
}

/** The header, or why these bytes are none. */
export function decodeSegmentHeader(bytes: Bytes): SegmentHeader | string {
  if (bytes.length < SEGMENT_HEADER_BYTES) return 'shorter than its header';
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  if (crc32(at.subarray(0, SEGMENT_HEADER_BYTES - 4)) !== at.readUInt32BE(SEGMENT_HEADER_BYTES - 4)) {
    return 'header checksum does not match';
  }
  if (!equalBytes(at.subarray(0, 8), MAGIC)) return 'not a write-ahead log segment';
  if (at.readUInt32BE(8) !== VERSION) return `format version ${at.readUInt32BE(8)}, this program reads ${VERSION}`;
  const segment = readSafe(at, 12);
  const firstSequence = readSafe(at, 20);
  if (segment === undefined || firstSequence === undefined) return 'number above 2^53 in the header';
  return {
    segment,
    firstSequence,
    snapshotRecords: at.readUInt32BE(28),
    afterLoss: (at.readUInt32BE(32) & AFTER_LOSS) !== 0,
    incarnation: Uint8Array.from(at.subarray(36, 52)),
    salt: Uint8Array.from(at.subarray(52, 68)),
    identity: { genesisHash: toHex(at.subarray(68, 100)), validator: toHex(at.subarray(100, 120)) },
  };
}

function readSafe(buffer: Buffer, at: number): number | undefined {
  const value = buffer.readBigUInt64BE(at);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** The checksum every CRC of a segment's records starts from. */
export function saltChecksum(salt: Bytes): number {
  return crc32(salt);
}

/** One record, header and payload in one buffer. */
export function encodeRecord(
  record: { type: RecordType; sequence: number; durable: number; previous: Bytes; payload: Bytes },
  salt: number,
): Bytes {
  const { payload } = record;
  assert(payload.length <= RECORD_BYTES_MAX, 'wal: record over its largest size');
  const out = Buffer.allocUnsafe(RECORD_HEADER_BYTES + payload.length);
  out.writeUInt32BE(payload.length, 0);
  out.writeUInt8(RECORD_TYPES.find(([, type]) => type === record.type)![0], 4);
  out.writeBigUInt64BE(BigInt(record.sequence), 5);
  out.writeBigUInt64BE(BigInt(record.durable), 13);
  out.set(record.previous, 21);
  out.writeUInt32BE(crc32(payload, salt), 37);
  out.writeUInt32BE(crc32(out.subarray(0, 41), salt), 41);
  out.set(payload, RECORD_HEADER_BYTES);
  return out;
}

/** The record header at an offset, if its own checksum holds. */
export function readRecordHeader(bytes: Buffer, at: number, salt: number): RecordHeader | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length) return undefined;
  const length = bytes.readUInt32BE(at);
  if (length > RECORD_BYTES_MAX) return undefined;
  const type = RECORD_TYPES.find(([number]) => number === bytes[at + 4])?.[1];
  if (type === undefined) return undefined;
  if (crc32(bytes.subarray(at, at + 41), salt) !== bytes.readUInt32BE(at + 41)) return undefined;
  const sequence = readSafe(bytes, at + 5);
  const durable = readSafe(bytes, at + 13);
  if (sequence === undefined || durable === undefined) return undefined;
  return {
    length,
    type,
    sequence,
    durable,
    previous: bytes.subarray(at + 21, at + 37),
    payloadCrc: bytes.readUInt32BE(at + 37),
  };
}

/** The payload that follows a record header, if it is all there and its checksum holds. */
export function readPayload(bytes: Buffer, at: number, header: RecordHeader, salt: number): Bytes | undefined {
  const start = at + RECORD_HEADER_BYTES;
  if (start + header.length > bytes.length) return undefined;
  const payload = bytes.subarray(start, start + header.length);
  return crc32(payload, salt) === header.payloadCrc ? payload : undefined;
}
