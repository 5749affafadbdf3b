/** The judge of evidence as the ledger is given it: pure, so that every node comes to the same state. */
import { NO_TIMING } from '../consensus/config.ts';
import { decodeEvidence } from '../consensus/evidence-codec.ts';
import { judgeEvidence } from '../consensus/evidence-judge.ts';
import { makeSchedule } from '../consensus/groups.ts';
import { EVIDENCE_KINDS } from '../consensus/message.ts';
import type { EvidenceJudge } from '../ledger/governance/judge.ts';
import { membershipHash, VALIDATORS_MAX } from '../primitives/membership.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { BLOCK_PORTS } from './block-ports.ts';

/**
 * By what evidence and headers say alone: neither whether a block is executed here nor whether a closing block is known
 * may play a part, so `bad-block` and votes above the closing block of a same-set epoch are not judged on the chain.
 */
export const judgeOnChain: EvidenceJudge = (bytes, { chainId, genesisHash, epochs }) => {
  const decoded = decodeEvidence(bytes, { validators: VALIDATORS_MAX });
  if (!decoded.ok) return { ok: false, reason: decoded.reason };
  const { evidence } = decoded;
  const found = epochs.find(({ epoch }) => epoch === evidence.epoch);
  if (found === undefined) {
    const known = epochs.map(({ epoch }) => epoch).join(' and ');
    return { ok: false, reason: `it is about epoch ${evidence.epoch}, and only ${known} count now` };
  }
  const { epoch, members, root } = found;
  const validators = members.map(({ validator }) => validator);
  const config = {
    chainId,
    genesisHash,
    epoch,
    validators,
    membershipHash: membershipHash(members),
    root,
    parameters: NO_TIMING,
  };
  const schedule = makeSchedule(members.length);
  const verdict = judgeEvidence(evidence, { config, schedule, recover: recoverAddress, ...BLOCK_PORTS });
  if (!verdict.ok) return verdict;
  const { culprit, kind, view } = verdict;
  return { ok: true, culprit: validators[culprit]!, epoch, kind: EVIDENCE_KINDS.indexOf(kind), view };
};
