/** Evidence as `xft_getEvidence` shows it. With an id it is whole: enough, with the genesis, to be verified elsewhere. */

import type { SignedMessage } from '../consensus/message.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import { toHex } from '../primitives/bytes.ts';
import type { Address, Bytes, Epoch, Hash, Height, View } from '../primitives/ids.ts';
import type { EpochView } from './epoch-view.ts';
import type { EvidenceShelf, KeptEvidence } from './evidence-shelf.ts';

export type EvidenceSummary = {
  readonly id: Hash;
  readonly kind: string;
  readonly epoch: Epoch;
  readonly view: View;
  readonly culprit: Address;
  /** Place in the epoch's list. */
  readonly index: number;
  readonly what: string;
  readonly bytes: number;
};

export type EvidenceDetail = EvidenceSummary & {
  readonly chainId: number;
  readonly genesisHash: Hash;
  /** What was signed, for people. */
  readonly messages: readonly { readonly type: string; readonly [field: string]: unknown }[];
  /** RLP: all that counts. */
  readonly evidence: string;
  /** `xft_getEpoch` of each epoch after 0 up to the one it is about, and of the next if that has begun. */
  readonly epochs: readonly EpochView[];
};

export type EvidenceSource = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly shelf: EvidenceShelf;
  readonly epochInfo: (epoch: Epoch) => EpochInfo | undefined;
  readonly epochView: (epoch: Epoch) => EpochView | undefined;
};

function summary({ epochInfo }: EvidenceSource, { id, bytes, evidence, view, what }: KeptEvidence): EvidenceSummary {
  const { kind, epoch, culprit: index } = evidence;
  const culprit = epochInfo(epoch)!.members[index]!.validator;
  return { id, kind, epoch, view, culprit, index, what, bytes: bytes.length };
}

export function evidenceList(source: EvidenceSource): EvidenceSummary[] {
  return source.shelf.all().map((kept) => summary(source, kept));
}

export function evidenceDetail(source: EvidenceSource, id: Hash): EvidenceDetail | undefined {
  const kept = source.shelf.get(id);
  if (kept === undefined) return undefined;
  const { chainId, genesisHash } = source;
  const epochs: EpochView[] = [];
  for (let epoch = 1; epoch <= kept.evidence.epoch + 1; epoch++) {
    const view = source.epochView(epoch);
    if (view !== undefined) epochs.push(view);
  }
  const messages = kept.evidence.messages.map(messageView);
  return { ...summary(source, kept), chainId, genesisHash, messages, evidence: toHex(kept.bytes), epochs };
}

type Position = { readonly view: View; readonly height: Height; readonly hash: Hash } | null;

function position(of: { readonly view: View; readonly height: Height; readonly hash: Hash } | undefined): Position {
  return of === undefined ? null : { view: of.view, height: of.height, hash: of.hash };
}

function messageView(message: SignedMessage) {
  const { kind: type, view, signer, incarnation, signature } = message;
  return { type, view, signer, incarnation, signature: toHex(signature as Bytes), ...fieldsOf(message) };
}

function fieldsOf(message: SignedMessage) {
  switch (message.kind) {
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
      return { height: message.height, hash: message.hash, viewCertificate: message.viewCertificate };
    case 'VIEW-CHANGE':
      return {
        lastSigned: position(message.lastSigned?.prepare),
        head: position(message.head),
        final: position(message.final),
      };
    case 'VC-FINAL':
      return { viewChanges: message.viewChanges.map(({ signer, head }) => ({ signer, head: position(head) })) };
    case 'NEW-VIEW':
      return { head: position(message.head), digests: message.digests };
    case 'SUSPECT':
      return { target: message.target, accused: message.accused };
  }
}
