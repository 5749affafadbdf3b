import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyDurable, foldRecord, snapshotRecords } from '../../../consensus/durable.ts';
import { decodeRecord, encodeRecord } from '../../../consensus/record-codec.ts';
import { QuorateError } from '../../../primitives/errors.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';
import { anyRecord } from './wire-arbitraries.ts';
import { SAMPLE_MESSAGES, SAMPLE_RECORDS } from './wire-samples.ts';

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return 'nothing';
}

describe('record codec', () => {
  it('gives back every record as it was, and the same bytes for it again', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const bytes = encodeRecord(record);
        const back = decodeRecord(bytes);
        expect(back).toEqual(record);
        expect(Buffer.compare(encodeRecord(back), bytes)).toBe(0);
      }),
      { numRuns: 400 },
    );
  });

  it('folds to the same state from the records as from their bytes', () => {
    const direct = emptyDurable(0, 2);
    const read = emptyDurable(0, 2);
    for (const record of Object.values(SAMPLE_RECORDS)) {
      foldRecord(direct, record);
      foldRecord(read, decodeRecord(encodeRecord(record)));
    }
    expect(read).toEqual(direct);
    for (const record of snapshotRecords(direct)) expect(decodeRecord(encodeRecord(record))).toEqual(record);
  });

  it('reads again a chain longer than any message may carry', () => {
    const record = { ...SAMPLE_RECORDS.view, suspects: new Array(3000).fill(SAMPLE_MESSAGES.SUSPECT) };
    const bytes = encodeRecord(record);
    const back = decodeRecord(bytes);
    if (back.kind !== 'view') throw new Error('another kind');
    expect(back.suspects).toHaveLength(3000);
    expect(Buffer.compare(encodeRecord(back), bytes)).toBe(0);
  });

  it('copies a block, so that it does not keep a log segment alive', () => {
    const bytes = new Uint8Array(9000).fill(3);
    const back = decodeRecord(encodeRecord({ ...SAMPLE_RECORDS.block, bytes }));
    if (back.kind !== 'block') throw new Error('another kind');
    expect(back.bytes).toEqual(bytes);
    expect(back.bytes.buffer.byteLength).toBe(bytes.length);
  });

  it.each([
    ['an empty payload', new Uint8Array(0), 'record: missing'],
    ['a kind nobody knows', rlpEncode([77, 1]), 'record: unknown kind'],
    ['a cut-off record', encodeRecord(SAMPLE_RECORDS.pin).subarray(0, -1), 'record: truncated'],
    [
      'bytes after the record',
      Buffer.concat([encodeRecord(SAMPLE_RECORDS.pin), Buffer.of(1)]),
      'message: trailing bytes',
    ],
    ['a vote that is a SUSPECT', rlpEncode([3, [4, 1, 1]]), 'vote: unknown kind'],
    ['a mark of a kind that is not signed', rlpEncode([10, 8, 1, 1]), 'type: unknown kind'],
  ])('refuses %s as a damaged log and says what to do', (_, bytes, why) => {
    const error = thrownBy(() => decodeRecord(bytes));
    expect(error).toBeInstanceOf(QuorateError);
    expect(error).toMatchObject({ code: 'LOG_DAMAGED', data: { bytes: bytes.length } });
    expect((error as Error).message).toContain(`(${why})`);
    expect((error as Error).message).toContain('do not sign');
  });
});
