/** Judges stored finality proofs by the epoch's validators alone: form, subject, and every signature in them. */
import { makeSchedule } from '../consensus/groups.ts';
import { Verifier } from '../consensus/verify.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Recovery } from '../ledger/recovery.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { VALIDATORS_MAX } from '../primitives/membership.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { type Chain, epochConfig } from './epoch-peers.ts';
import { decodeProof } from './finality-view.ts';

/** What is wrong with the proof of this very block, or undefined. An absent proof is for the caller to judge. */
export type ProofJudge = (block: { readonly height: Height; readonly hash: Hash }, proof: Bytes) => string | undefined;

/** The judge of an epoch's blocks; the last one is kept, since blocks come in their order. */
export function proofJudges(chain: Chain, recoveries: readonly Recovery[]): (epoch: EpochInfo) => ProofJudge {
  let newest: { readonly key: string; readonly judge: ProofJudge } | undefined;
  return (epoch) => {
    const key = `${epoch.epoch} ${epoch.root.hash}`;
    if (newest?.key !== key) newest = { key, judge: makeJudge(chain, epoch, recoveries) };
    return newest.judge;
  };
}

function makeJudge(chain: Chain, epoch: EpochInfo, recoveries: readonly Recovery[]): ProofJudge {
  const { length } = epoch.members;
  const base = recoveries.find((recovery) => recovery.epoch === epoch.epoch)?.base.hash;
  const verifier = new Verifier(epochConfig(chain, epoch), makeSchedule(length), recoverAddress);
  return (block, bytes) => {
    // Of a later epoch the number of validators is not known here.
    const proof = decodeProof(bytes, VALIDATORS_MAX);
    if (proof === undefined) return 'it cannot be decoded';
    if (proof.epoch > epoch.epoch)
      return `other-epoch: ${proof.epoch}, and nothing here has ended epoch ${epoch.epoch}; if the chain was recovered at block ${block.height - 1}, get the statement from an operator and run quorate recover apply first`;
    if (proof.seals.some(({ signer }) => signer >= length)) return 'it cannot be decoded';
    if (proof.kind !== 'FP' && proof.hash !== base) return 'it is a quorum certificate, no finality proof';
    if (proof.hash !== block.hash || proof.height !== block.height) {
      return `it is about block ${proof.height} ${proof.hash}`;
    }
    return verifier.certificate(proof);
  };
}
