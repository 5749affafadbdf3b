/**
 * What a validator's key signs (consensus.md sections 1 and 11): keccak256 of the RLP of
 * `[domain, chainId, genesisHash, epoch, membershipHash, incarnation, view, viewCertificate, type, ...fields]`.
 * One domain tag per type, so that no signature can be used as another, on another chain or in another epoch.
 */

import { utf8 } from '../primitives/bytes.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { keccak256, keccakHash } from '../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import type { EpochConfig } from './config.ts';
import type {
  Certificate,
  NewView,
  Row,
  Seal,
  SignedMessage,
  VcFinal,
  ViewCertificate,
  ViewChange,
  Vote,
  VoteType,
} from './message.ts';

/** A signed message's content, before the seal is put on it. */
type Unsealed<T> = T extends unknown ? Omit<T, 'signature'> : never;
export type Statement = Unsealed<SignedMessage | Row>;

type VoteFields = Pick<Vote, 'epoch' | 'view' | 'viewCertificate' | 'height' | 'hash'>;

const TAGS: Readonly<Record<Statement['kind'], Bytes>> = {
  PREPARE: utf8('quorate/PREPARE/1'),
  COMMIT: utf8('quorate/COMMIT/1'),
  COMMITTED: utf8('quorate/COMMITTED/1'),
  SUSPECT: utf8('quorate/SUSPECT/1'),
  'VIEW-CHANGE': utf8('quorate/VIEW-CHANGE/1'),
  'VC-FINAL': utf8('quorate/VC-FINAL/1'),
  'NEW-VIEW': utf8('quorate/NEW-VIEW/1'),
  ROW: utf8('quorate/ROW/1'),
};

function sealFields(seal: Seal): RlpInput {
  return [seal.signer, seal.incarnation, seal.signature];
}

function voteFields(vote: Vote): RlpInput {
  return [
    TAGS[vote.kind],
    vote.epoch,
    vote.view,
    vote.viewCertificate === '' ? '0x' : vote.viewCertificate,
    vote.height,
    vote.hash,
    sealFields(vote),
  ];
}

function certificateFields(certificate: Certificate | undefined): RlpInput {
  if (certificate === undefined) return [];
  const { kind, epoch, view, viewCertificate, height, hash, seals } = certificate;
  const opened = viewCertificate === '' ? '0x' : viewCertificate;
  return [kind === 'QC' ? 0 : 1, epoch, view, opened, height, hash, seals.map(sealFields)];
}

function viewChangeFields(message: Omit<ViewChange, 'signature'>): RlpInput[] {
  const last = message.lastSigned;
  return [
    last === undefined ? [] : [voteFields(last.prepare), last.commit === undefined ? [] : voteFields(last.commit)],
    certificateFields(message.head),
    certificateFields(message.final),
  ];
}

function rowFields(row: Row): RlpInput {
  return [TAGS.ROW, row.epoch, row.generation, [...row.members], sealFields(row)];
}

function fields(statement: Statement): RlpInput[] {
  switch (statement.kind) {
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
      return [statement.height, statement.hash];
    case 'SUSPECT':
      return [statement.target, [...statement.accused], statement.rows.map(rowFields)];
    case 'ROW':
      return [statement.generation, [...statement.members]];
    case 'VIEW-CHANGE':
      return viewChangeFields(statement);
    case 'VC-FINAL':
      return [statement.viewChanges.map((message) => [...viewChangeFields(message), sealFields(message)])];
    case 'NEW-VIEW':
      return [certificateFields(statement.head), [...statement.digests], voteFields(statement.prepare)];
  }
}

function viewCertificateOf(statement: Statement): RlpInput {
  return 'viewCertificate' in statement && statement.viewCertificate !== '' ? statement.viewCertificate : '0x';
}

/** The 32 bytes that are signed. */
export function statementDigest(config: EpochConfig, statement: Statement): Bytes {
  return keccak256(
    rlpEncode([
      TAGS[statement.kind],
      config.chainId,
      config.genesisHash,
      statement.epoch,
      config.membershipHash,
      statement.incarnation,
      // A row is about no view.
      'view' in statement ? statement.view : 0,
      viewCertificateOf(statement),
      utf8(statement.kind),
      ...fields(statement),
    ]),
  );
}

/** The digest of one seal in a certificate: a vote of `type` with the certificate's fields and that seal's incarnation. */
export function sealDigest(config: EpochConfig, about: VoteFields, type: VoteType, seal: Seal): Bytes {
  return statementDigest(config, {
    kind: type,
    epoch: about.epoch,
    view: about.view,
    viewCertificate: about.viewCertificate,
    height: about.height,
    hash: about.hash,
    signer: seal.signer,
    incarnation: seal.incarnation,
  });
}

/** Names a signed VC-FINAL by its content: what NEW-VIEW lists. */
export function vcFinalDigest(config: EpochConfig, message: VcFinal): Hash {
  return keccakHash(Buffer.concat([statementDigest(config, message), utf8(String(message.signer))]));
}

/** Hash of what opened a view: the view, the head adopted, and the VC-FINALs it rests on, in group order. */
export function viewCertificate(
  newView: Pick<NewView, 'view' | 'digests'> & { readonly head: { view: number; height: number; hash: Hash } },
): ViewCertificate {
  const { view, head, digests } = newView;
  return keccakHash(rlpEncode([view, [head.view + 1, head.height, head.hash], [...digests]]));
}

/** Type of a seal by its place in a certificate (message.ts, Certificate). */
export function sealType(kind: Certificate['kind'], place: number, groupSize: number): VoteType {
  if (kind === 'QC') return place === 0 ? 'PREPARE' : 'COMMIT';
  return groupSize === 2 && place === 1 ? 'COMMIT' : 'COMMITTED';
}

/** The votes a certificate is made of. */
export function votesOf(certificate: Certificate): Vote[] {
  const { kind, epoch, view, viewCertificate, height, hash, seals } = certificate;
  return seals.map((seal, place) => {
    const type = sealType(kind, place, seals.length);
    return { kind: type, epoch, view, viewCertificate, height, hash, ...seal };
  });
}
