/** Judges stored finality proofs by the genesis alone: form, subject, and every signature in them. */
import type { EpochConfig } from '../consensus/config.ts';
import { makeSchedule } from '../consensus/groups.ts';
import { Verifier } from '../consensus/verify.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { decodeProof } from './finality-view.ts';

/** What is wrong with the proof of this very block, or undefined. An absent proof is for the caller to judge. */
export type ProofJudge = (block: { readonly height: Height; readonly hash: Hash }, proof: Bytes) => string | undefined;

export function makeProofJudge(config: EpochConfig): ProofJudge {
  const { length } = config.validators;
  const verifier = new Verifier(config, makeSchedule(length), recoverAddress);
  return (block, bytes) => {
    const proof = decodeProof(bytes, length);
    if (proof === undefined) return 'it cannot be decoded';
    if (proof.kind !== 'FP') return 'it is a quorum certificate, no finality proof';
    if (proof.hash !== block.hash || proof.height !== block.height) {
      return `it is about block ${proof.height} ${proof.hash}`;
    }
    return verifier.certificate(proof);
  };
}
