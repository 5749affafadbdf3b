/**
 * Encoding of seals, votes and certificates (docs/wire.md). A vote has one encoding, alone or inside another message.
 * A certificate has one too, on the wire, in the log, in the store and within what VIEW-CHANGE and NEW-VIEW sign.
 */
import { assert } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { RlpError, type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import type { Certificate, Seal, ViewCertificate, Vote, VoteType } from './message.ts';
import { CERTIFICATE_NUMBERS, MESSAGE_NUMBERS, type WireBounds, wireBounds } from './wire-numbers.ts';
import { refuse, WireReader } from './wire-reader.ts';

const INCARNATION_BYTES = 16;
const SIGNATURE_BYTES = 65;

/** A 16-byte incarnation as 0x hex, checked because a log that cannot be read again is found out only at the next start. */
export function incarnationItem(incarnation: string): RlpInput {
  assert(incarnation.length === 2 + 2 * INCARNATION_BYTES, 'codec: incarnation is not 16 bytes');
  return incarnation;
}

export function readIncarnation(reader: WireReader): string {
  return reader.hex('incarnation', INCARNATION_BYTES);
}

export function sealItem(seal: Seal): RlpInput {
  assert(seal.signature.length === SIGNATURE_BYTES, 'codec: signature is not 65 bytes');
  return [seal.signer, incarnationItem(seal.incarnation), seal.signature];
}

export function readSeal(reader: WireReader, bounds: WireBounds): Seal {
  return reader.list('seal', () => ({
    signer: reader.number('signer', bounds.validators),
    incarnation: readIncarnation(reader),
    signature: reader.copyExact('signature', SIGNATURE_BYTES),
  }));
}

function viewCertificateItem(certificate: ViewCertificate): RlpInput {
  return certificate === '' ? '0x' : certificate;
}

export function voteItem(vote: Vote): RlpInput {
  const { epoch, view, viewCertificate, height, hash } = vote;
  return [MESSAGE_NUMBERS[vote.kind], epoch, view, viewCertificateItem(viewCertificate), height, hash, sealItem(vote)];
}

/** The fields of a vote after its number. */
export function readVoteFields(reader: WireReader, bounds: WireBounds, kind: VoteType): Vote {
  return {
    kind,
    epoch: reader.number('epoch'),
    view: reader.number('view'),
    viewCertificate: reader.hashOrEmpty('viewCertificate'),
    height: reader.number('height'),
    hash: reader.hash('hash'),
    ...readSeal(reader, bounds),
  };
}

/** A vote of one kind inside another message. */
export function readVote(reader: WireReader, bounds: WireBounds, kind: VoteType): Vote {
  return reader.list(kind, () => {
    if (reader.number('number') !== MESSAGE_NUMBERS[kind]) refuse(kind, 'another kind');
    return readVoteFields(reader, bounds, kind);
  });
}

export function certificateItem(certificate: Certificate): RlpInput {
  const { kind, epoch, view, viewCertificate, height, hash, seals } = certificate;
  const opened = viewCertificateItem(viewCertificate);
  return [CERTIFICATE_NUMBERS[kind], epoch, view, opened, height, hash, seals.map(sealItem)];
}

/** An empty list stands for none: the head that opened the epoch, or no proof. */
export function optionalCertificateItem(certificate: Certificate | undefined): RlpInput {
  return certificate === undefined ? [] : certificateItem(certificate);
}

export function readCertificate(reader: WireReader, bounds: WireBounds): Certificate {
  return reader.list('certificate', () => {
    const number = reader.number('number');
    if (number !== CERTIFICATE_NUMBERS.QC && number !== CERTIFICATE_NUMBERS.FP) {
      refuse('certificate', 'unknown kind');
    }
    return {
      kind: number === CERTIFICATE_NUMBERS.QC ? 'QC' : 'FP',
      epoch: reader.number('epoch'),
      view: reader.number('view'),
      viewCertificate: reader.hashOrEmpty('viewCertificate'),
      height: reader.number('height'),
      hash: reader.hash('hash'),
      seals: reader.items('seals', bounds.seals, () => readSeal(reader, bounds)),
    };
  });
}

/** A certificate where only a finality proof has a meaning. */
export function readProof(reader: WireReader, bounds: WireBounds): Certificate {
  const proof = readCertificate(reader, bounds);
  if (proof.kind !== 'FP') refuse('proof', 'not a finality proof');
  return proof;
}

/** A certificate as it is stored beside its block and served to clients. */
export function encodeCertificate(certificate: Certificate): Bytes {
  return rlpEncode(certificateItem(certificate));
}

/** Reads a certificate of an epoch of so many validators; whether its signatures hold is not looked at. */
export function decodeCertificate(
  bytes: Bytes,
  bounds: { readonly validators: number },
): { readonly ok: true; readonly certificate: Certificate } | { readonly ok: false; readonly reason: string } {
  const reader = new WireReader(bytes);
  try {
    const certificate = readCertificate(reader, wireBounds(bounds.validators));
    reader.finish();
    return { ok: true, certificate };
  } catch (error) {
    if (error instanceof RlpError) return { ok: false, reason: error.message };
    throw error;
  }
}
