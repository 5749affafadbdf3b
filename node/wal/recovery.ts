/**
 * Reading a segment back after a stop of any kind, and the verdict on what does not read (reliability.md section 3.4,
 * W5; protocol-aware recovery, FAST'18, rule 1). Nothing is changed here: a verdict never truncates.
 *
 * The first record that does not fit (checksum, sequence, chain) ends the readable part. If any intact record further on
 * was written when the bad one had already been reported durable, a promise is damaged. If none was, the bad bytes are
 * the write that was under way when the process or the machine stopped, or cannot be told from it (proved undecidable in
 * that paper): a torn tail, about which peers are asked before it is cut (consensus.md section 7).
 *
 * Behind the records there may be reserved space (segment-file.ts). A write into it that was under way can have reached
 * the disk in any of its sectors, the first ones missing too: so not the first bytes decide whether there is a tail, but
 * every byte up to the end of the file.
 */
import { equalBytes } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';
import {
  chainHash,
  decodeSegmentHeader,
  RECORD_HEADER_BYTES,
  readPayload,
  readRecordHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  saltChecksum,
} from './segment.ts';
import { fillerStart } from './segment-file.ts';

export type SegmentReading =
  | { readonly verdict: 'damaged'; readonly reason: string }
  | {
      readonly verdict: 'clean' | 'torn';
      readonly header: SegmentHeader;
      /** Payloads, snapshot first; views into the bytes read. */
      readonly records: readonly Bytes[];
    };

/** Reads what can be relied on from a segment's bytes. */
export function readSegment(bytes: Bytes): SegmentReading {
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') return { verdict: 'damaged', reason: header };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const salt = saltChecksum(header.salt);
  const records: Bytes[] = [];
  let previous = chainHash(buffer.subarray(0, SEGMENT_HEADER_BYTES));
  let at = SEGMENT_HEADER_BYTES;
  while (at < buffer.length) {
    const record = readRecordHeader(buffer, at, salt);
    const payload = record && readPayload(buffer, at, record, salt);
    const sequence = header.firstSequence + records.length;
    const type = records.length < header.snapshotRecords ? 'snapshot' : 'record';
    if (!record || !payload || record.sequence !== sequence || record.type !== type) break;
    if (!equalBytes(record.previous, previous)) break;
    const end = at + RECORD_HEADER_BYTES + record.length;
    previous = chainHash(buffer.subarray(at, end));
    records.push(payload);
    at = end;
  }
  const sequence = header.firstSequence + records.length;
  if (records.length < header.snapshotRecords) {
    return { verdict: 'damaged', reason: `record ${sequence} of its snapshot is not readable` };
  }
  const unused = fillerStart(buffer, header.salt);
  if (at >= unused) return { verdict: 'clean', header, records };
  const witness = laterWitness(buffer, { from: at, to: unused }, salt, sequence);
  if (witness !== undefined) {
    return { verdict: 'damaged', reason: `record ${sequence} is not readable, record ${witness} behind it is` };
  }
  return { verdict: 'torn', header, records };
}

/** An intact record between two offsets that was written when `sequence` had been reported durable: its sequence number. */
function laterWitness(
  bytes: Buffer,
  where: { readonly from: number; readonly to: number },
  salt: number,
  sequence: number,
): number | undefined {
  for (let at = where.from; at < where.to; at++) {
    const header = readRecordHeader(bytes, at, salt);
    if (!header) continue;
    // The header alone is proof: its checksum is salted, and its own payload may be the part that was torn.
    if (header.sequence > sequence && header.durable >= sequence) return header.sequence;
  }
  return undefined;
}
