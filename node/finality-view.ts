/** Finality proofs as JSON-RPC shows them: enough, with the epoch's validators, to be verified outside. */
import { decodeCertificate } from '../consensus/certificate-codec.ts';
import type { Certificate } from '../consensus/message.ts';
import { sealType } from '../consensus/statement.ts';
import { encodeHeader } from '../ledger/block.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { toHex } from '../primitives/bytes.ts';
import type { Bytes, Height } from '../primitives/ids.ts';
import type { FinalityProofView } from './rpc/backend.ts';

/** How far up a block without a proof of its own is followed to one that has it. */
const ANCESTRY_MAX = 512;

export function decodeProof(bytes: Bytes | undefined, validators: number): Certificate | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  const decoded = decodeCertificate(bytes, { validators });
  return decoded.ok ? decoded.certificate : undefined;
}

/** The proof of a final block, or of its nearest proven descendant with the headers between. */
export function finalityView(ledger: Ledger, info: EpochInfo, height: Height): FinalityProofView | undefined {
  const asked = ledger.headerByHeight(height);
  if (asked === undefined || height === 0) return undefined;
  const headers: string[] = [];
  for (let at = height; at <= height + ANCESTRY_MAX; at++) {
    const header = ledger.headerByHeight(at);
    if (header === undefined) return undefined;
    const encoded = toHex(encodeHeader(header.header));
    headers.unshift(encoded);
    const proof = decodeProof(ledger.proof(at), info.members.length);
    if (proof === undefined) continue;
    const ancestry = at === height ? [] : headers;
    return { ...proofView(info, proof), header: headers.at(-1)!, hash: asked.hash, ancestry };
  }
  return undefined;
}

function proofView(info: EpochInfo, proof: Certificate) {
  return {
    epoch: proof.epoch,
    view: proof.view,
    // Part of what is signed: `incarnation` of each signature too (docs/wire.md).
    viewCertificate: proof.viewCertificate,
    membershipHash: info.membershipHash,
    provenHash: proof.hash,
    provenHeight: proof.height,
    signatures: proof.seals.map((seal, place) => ({
      validator: info.members[seal.signer]!.validator,
      // Less than a finality proof only for the base of a recovery, which the operators' statement makes final.
      type: sealType(proof.kind, place, proof.seals.length),
      signature: toHex(seal.signature),
      incarnation: seal.incarnation,
    })),
  };
}
