/**
 * Log records as bytes (docs/wire.md): RLP lists that begin with the kind's number, the messages in them encoded as on
 * the wire. The log's own checksums find damage; here an unreadable record means that the checksum lied or that another
 * version wrote it, and the replica must not sign on what is left.
 */
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { RlpError, type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import {
  certificateItem,
  incarnationItem,
  readCertificate,
  readIncarnation,
  readVoteFields,
  voteItem,
} from './certificate-codec.ts';
import type { DurableRecord } from './durable.ts';
import type { SignedMessage, Vote } from './message.ts';
import {
  newViewItem,
  readNewView,
  readRow,
  readSuspect,
  readVcFinal,
  readViewChange,
  rowItem,
  signedKind,
  suspectItem,
  vcFinalItem,
  viewChangeItem,
} from './view-change-codec.ts';
import { MESSAGE_NUMBERS, RECORD_NUMBERS, type WireBounds } from './wire-numbers.ts';
import { refuse, WireReader } from './wire-reader.ts';

/** What this replica wrote it must be able to read: a record is bounded by its own length only. */
const UNBOUNDED: WireBounds = {
  validators: Number.POSITIVE_INFINITY,
  seals: Number.POSITIVE_INFINITY,
  accused: Number.POSITIVE_INFINITY,
  suspected: Number.POSITIVE_INFINITY,
  rows: Number.POSITIVE_INFINITY,
  viewChanges: Number.POSITIVE_INFINITY,
  digests: Number.POSITIVE_INFINITY,
  suspects: Number.POSITIVE_INFINITY,
  blocks: Number.POSITIVE_INFINITY,
  blockBytes: Number.POSITIVE_INFINITY,
  held: Number.POSITIVE_INFINITY,
  evidenceMessages: Number.POSITIVE_INFINITY,
  evidenceHeaders: Number.POSITIVE_INFINITY,
  headerBytes: Number.POSITIVE_INFINITY,
  tick: Number.POSITIVE_INFINITY,
};

const KIND_BY_NUMBER: ReadonlyMap<number, DurableRecord['kind']> = new Map(
  (Object.keys(RECORD_NUMBERS) as DurableRecord['kind'][]).map((kind) => [RECORD_NUMBERS[kind], kind]),
);

function recordItem(record: DurableRecord): RlpInput {
  const number = RECORD_NUMBERS[record.kind];
  switch (record.kind) {
    case 'epoch':
      // An index, or 0 for none, so that it stays a natural number.
      return [number, record.epoch, record.self + 1, record.rolledBack ? 2 : record.forgot ? 1 : 0];
    case 'block':
      return [number, record.hash, record.height, record.bytes];
    case 'vote':
      return [number, voteItem(record.vote)];
    case 'certificate':
      return [number, certificateItem(record.certificate)];
    case 'view': {
      const { view, suspects, viewChange } = record;
      return [number, view, suspects.map(suspectItem), viewChange === undefined ? [] : viewChangeItem(viewChange)];
    }
    case 'suspect':
      return [number, suspectItem(record.suspect)];
    case 'row':
      return [number, rowItem(record.row)];
    case 'vc-final':
      return [number, vcFinalItem(record.vcFinal)];
    case 'new-view':
      return [number, newViewItem(record.newView)];
    case 'mark':
      return [number, MESSAGE_NUMBERS[record.type], record.view, record.height];
    case 'pin':
      return [number, record.signer, incarnationItem(record.incarnation)];
    case 'forgot':
      return [number, record.rolledBack ? 1 : 0];
  }
}

/** A record as the log's payload. */
export function encodeRecord(record: DurableRecord): Bytes {
  return rlpEncode(recordItem(record));
}

function readAnyVote(reader: WireReader): Vote {
  return reader.list('vote', () => {
    const number = reader.number('number');
    for (const kind of ['PREPARE', 'COMMIT', 'COMMITTED'] as const) {
      if (number === MESSAGE_NUMBERS[kind]) return readVoteFields(reader, UNBOUNDED, kind);
    }
    refuse('vote', 'unknown kind');
  });
}

function readSignedKind(reader: WireReader): SignedMessage['kind'] {
  const kind = signedKind(reader.number('type'));
  if (kind === undefined) refuse('type', 'unknown kind');
  return kind;
}

/** 0: the log is whole; 1: it forgot what its key signed; 2: because it is an old copy. */
function readMemory(reader: WireReader): { readonly forgot: boolean; readonly rolledBack: boolean } {
  const memory = reader.number('memory', 3);
  return { forgot: memory > 0, rolledBack: memory === 2 };
}

function readFields(reader: WireReader, kind: DurableRecord['kind']): DurableRecord {
  switch (kind) {
    case 'epoch':
      return { kind, epoch: reader.number('epoch'), self: reader.number('self') - 1, ...readMemory(reader) };
    case 'block':
      return {
        kind,
        hash: reader.hash('hash'),
        height: reader.number('height'),
        // A copy: records are read once, at a start, and a block must not keep a whole log segment alive.
        bytes: reader.copy('bytes', UNBOUNDED.blockBytes),
      };
    case 'vote':
      return { kind, vote: readAnyVote(reader) };
    case 'certificate':
      return { kind, certificate: readCertificate(reader, UNBOUNDED) };
    case 'view':
      return {
        kind,
        view: reader.number('view'),
        suspects: reader.items('suspects', UNBOUNDED.suspects, () => readSuspect(reader, UNBOUNDED)),
        viewChange: reader.optional(() => readViewChange(reader, UNBOUNDED)),
      };
    case 'suspect':
      return { kind, suspect: readSuspect(reader, UNBOUNDED) };
    case 'row':
      return { kind, row: readRow(reader, UNBOUNDED) };
    case 'vc-final':
      return { kind, vcFinal: readVcFinal(reader, UNBOUNDED) };
    case 'new-view':
      return { kind, newView: readNewView(reader, UNBOUNDED) };
    case 'mark':
      return { kind, type: readSignedKind(reader), view: reader.number('view'), height: reader.number('height') };
    case 'pin':
      return { kind, signer: reader.number('signer'), incarnation: readIncarnation(reader) };
    case 'forgot':
      return { kind, rolledBack: reader.number('rolledBack', 2) === 1 };
  }
}

/** Reads what `encodeRecord` wrote. Throws QuorateError LOG_DAMAGED when it is anything else. */
export function decodeRecord(bytes: Bytes): DurableRecord {
  const reader = new WireReader(bytes);
  try {
    const record = reader.list('record', () => {
      const kind = KIND_BY_NUMBER.get(reader.number('number'));
      if (kind === undefined) refuse('record', 'unknown kind');
      return readFields(reader, kind);
    });
    reader.finish();
    return record;
  } catch (error) {
    if (!(error instanceof RlpError)) throw error;
    throw new QuorateError(
      'LOG_DAMAGED',
      `the consensus log holds a record that cannot be read (${errorMessage(error)}): do not sign with this log, recover the validator as one that lost its disk`,
      { data: { bytes: bytes.length }, cause: error },
    );
  }
}
