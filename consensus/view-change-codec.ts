/**
 * Encoding of the signed messages of a view change (docs/wire.md): rows, SUSPECT, VIEW-CHANGE, VC-FINAL, NEW-VIEW. Each has
 * one encoding, alone or inside another message or log record.
 */
import type { RlpInput } from '../primitives/rlp.ts';
import {
  optionalCertificateItem,
  readCertificate,
  readSeal,
  readVote,
  readVoteFields,
  sealItem,
  voteItem,
} from './certificate-codec.ts';
import type { NewView, Row, SignedMessage, Suspect, VcFinal, ViewChange } from './message.ts';
import { MESSAGE_NUMBERS, NESTED_NUMBERS, type WireBounds } from './wire-numbers.ts';
import { refuse, type WireReader } from './wire-reader.ts';

type Kind = SignedMessage['kind'];

export function rowItem(row: Row): RlpInput {
  const { kind, epoch, generation, members } = row;
  return [NESTED_NUMBERS[kind], epoch, generation, members, sealItem(row)];
}

export function suspectItem(message: Suspect): RlpInput {
  const { kind, epoch, view, target, accused, rows } = message;
  return [MESSAGE_NUMBERS[kind], epoch, view, target, accused, rows.map(rowItem), sealItem(message)];
}

export function viewChangeItem(message: ViewChange): RlpInput {
  const { kind, epoch, view, lastSigned: last, head, final } = message;
  return [
    MESSAGE_NUMBERS[kind],
    epoch,
    view,
    last === undefined ? [] : [voteItem(last.prepare), last.commit === undefined ? [] : voteItem(last.commit)],
    optionalCertificateItem(head),
    optionalCertificateItem(final),
    sealItem(message),
  ];
}

export function vcFinalItem(message: VcFinal): RlpInput {
  const { kind, epoch, view, viewChanges } = message;
  return [MESSAGE_NUMBERS[kind], epoch, view, viewChanges.map(viewChangeItem), sealItem(message)];
}

export function newViewItem(message: NewView): RlpInput {
  const { kind, epoch, view, head, digests, prepare } = message;
  const adopted = optionalCertificateItem(head);
  return [MESSAGE_NUMBERS[kind], epoch, view, adopted, digests, voteItem(prepare), sealItem(message)];
}

export function signedItem(message: SignedMessage): RlpInput {
  switch (message.kind) {
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
      return voteItem(message);
    case 'SUSPECT':
      return suspectItem(message);
    case 'VIEW-CHANGE':
      return viewChangeItem(message);
    case 'VC-FINAL':
      return vcFinalItem(message);
    case 'NEW-VIEW':
      return newViewItem(message);
  }
}

export function readRow(reader: WireReader, bounds: WireBounds): Row {
  return reader.list('ROW', () => {
    if (reader.number('number') !== NESTED_NUMBERS.ROW) refuse('ROW', 'another kind');
    return {
      kind: 'ROW',
      epoch: reader.number('epoch'),
      generation: reader.number('generation'),
      members: reader.items('members', bounds.suspected, () => reader.number('member', bounds.validators)),
      ...readSeal(reader, bounds),
    };
  });
}

function readSuspectFields(reader: WireReader, bounds: WireBounds): Suspect {
  return {
    kind: 'SUSPECT',
    epoch: reader.number('epoch'),
    view: reader.number('view'),
    target: reader.number('target'),
    accused: reader.items('accused', bounds.accused, () => reader.number('accused', bounds.validators)),
    rows: reader.items('rows', bounds.rows, () => readRow(reader, bounds)),
    ...readSeal(reader, bounds),
  };
}

function readLastSigned(reader: WireReader, bounds: WireBounds): ViewChange['lastSigned'] {
  return reader.optional(() =>
    reader.list('lastSigned', () => ({
      prepare: readVote(reader, bounds, 'PREPARE'),
      commit: reader.optional(() => readVote(reader, bounds, 'COMMIT')),
    })),
  );
}

function readViewChangeFields(reader: WireReader, bounds: WireBounds): ViewChange {
  return {
    kind: 'VIEW-CHANGE',
    epoch: reader.number('epoch'),
    view: reader.number('view'),
    lastSigned: readLastSigned(reader, bounds),
    head: reader.optional(() => readCertificate(reader, bounds)),
    final: reader.optional(() => readCertificate(reader, bounds)),
    ...readSeal(reader, bounds),
  };
}

function readVcFinalFields(reader: WireReader, bounds: WireBounds): VcFinal {
  return {
    kind: 'VC-FINAL',
    epoch: reader.number('epoch'),
    view: reader.number('view'),
    viewChanges: reader.items('viewChanges', bounds.viewChanges, () => readViewChange(reader, bounds)),
    ...readSeal(reader, bounds),
  };
}

function readNewViewFields(reader: WireReader, bounds: WireBounds): NewView {
  return {
    kind: 'NEW-VIEW',
    epoch: reader.number('epoch'),
    view: reader.number('view'),
    head: reader.optional(() => readCertificate(reader, bounds)),
    digests: reader.items('digests', bounds.digests, () => reader.hash('digest')),
    prepare: readVote(reader, bounds, 'PREPARE'),
    ...readSeal(reader, bounds),
  };
}

/** The fields of a signed message after its number. */
export function readSignedFields(reader: WireReader, bounds: WireBounds, kind: Kind): SignedMessage {
  switch (kind) {
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
      return readVoteFields(reader, bounds, kind);
    case 'SUSPECT':
      return readSuspectFields(reader, bounds);
    case 'VIEW-CHANGE':
      return readViewChangeFields(reader, bounds);
    case 'VC-FINAL':
      return readVcFinalFields(reader, bounds);
    case 'NEW-VIEW':
      return readNewViewFields(reader, bounds);
  }
}

function readNested<T>(reader: WireReader, kind: Kind, read: () => T): T {
  return reader.list(kind, () => {
    if (reader.number('number') !== MESSAGE_NUMBERS[kind]) refuse(kind, 'another kind');
    return read();
  });
}

export function readSuspect(reader: WireReader, bounds: WireBounds): Suspect {
  return readNested(reader, 'SUSPECT', () => readSuspectFields(reader, bounds));
}

export function readViewChange(reader: WireReader, bounds: WireBounds): ViewChange {
  return readNested(reader, 'VIEW-CHANGE', () => readViewChangeFields(reader, bounds));
}

export function readVcFinal(reader: WireReader, bounds: WireBounds): VcFinal {
  return readNested(reader, 'VC-FINAL', () => readVcFinalFields(reader, bounds));
}

export function readNewView(reader: WireReader, bounds: WireBounds): NewView {
  return readNested(reader, 'NEW-VIEW', () => readNewViewFields(reader, bounds));
}

const SIGNED_KINDS = ['PREPARE', 'COMMIT', 'COMMITTED', 'SUSPECT', 'VIEW-CHANGE', 'VC-FINAL', 'NEW-VIEW'] as const;
const KIND_BY_NUMBER: ReadonlyMap<number, Kind> = new Map(SIGNED_KINDS.map((kind) => [MESSAGE_NUMBERS[kind], kind]));

/** The kind of signed message a number stands for. */
export function signedKind(number: number): Kind | undefined {
  return KIND_BY_NUMBER.get(number);
}

/** Whichever signed message comes next. */
export function readSigned(reader: WireReader, bounds: WireBounds): SignedMessage {
  return reader.list('signed message', () => {
    const kind = signedKind(reader.number('number'));
    if (kind === undefined) refuse('signed message', 'unknown kind');
    return readSignedFields(reader, bounds, kind);
  });
}
