/** Encoding of evidence (docs/wire.md): the same bytes between validators, on disk, in files and on the chain. */
import { EMPTY } from '../primitives/bytes.ts';
import type { Bytes } from '../primitives/ids.ts';
import { RlpError, type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import { EVIDENCE_KINDS, type Evidence } from './message.ts';
import { readSigned, signedItem } from './view-change-codec.ts';
import { type WireBounds, wireBounds } from './wire-numbers.ts';
import { WireReader } from './wire-reader.ts';

export function evidenceItem({ kind, epoch, culprit, messages, headers, block }: Evidence): RlpInput {
  const number = EVIDENCE_KINDS.indexOf(kind);
  return [number, epoch, culprit, messages.map(signedItem), [...headers], block ?? EMPTY];
}

export function readEvidence(reader: WireReader, bounds: WireBounds): Evidence {
  return reader.list('evidence', () => {
    const kind = EVIDENCE_KINDS[reader.number('kind', EVIDENCE_KINDS.length)]!;
    const epoch = reader.number('epoch');
    const culprit = reader.number('culprit', bounds.validators);
    const messages = reader.items('messages', bounds.evidenceMessages, () => readSigned(reader, bounds));
    const headers = reader.items('headers', bounds.evidenceHeaders, () => reader.copy('header', bounds.headerBytes));
    const block = reader.copy('block', bounds.blockBytes);
    return { kind, epoch, culprit, messages, headers, block: block.length === 0 ? undefined : block };
  });
}

export function encodeEvidence(evidence: Evidence): Bytes {
  return rlpEncode(evidenceItem(evidence));
}

/** Reads evidence about an epoch of so many validators; whether it proves anything is for the judge. */
export function decodeEvidence(
  bytes: Bytes,
  bounds: { readonly validators: number },
): { readonly ok: true; readonly evidence: Evidence } | { readonly ok: false; readonly reason: string } {
  const reader = new WireReader(bytes);
  try {
    const evidence = readEvidence(reader, wireBounds(bounds.validators));
    reader.finish();
    return { ok: true, evidence };
  } catch (error) {
    if (error instanceof RlpError) return { ok: false, reason: error.message };
    throw error;
  }
}
