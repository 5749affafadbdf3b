/**
 * Verifies exported evidence with nothing but the genesis (consensus.md section 6): from there to the validators of the
 * epoch by hand-over proofs, and then by the judge. Whoever wrote the file is not trusted.
 */
import { decodeEvidence } from '../consensus/evidence-codec.ts';
import { judgeEvidence } from '../consensus/evidence-judge.ts';
import { makeSchedule } from '../consensus/groups.ts';
import type { EvidenceKind } from '../consensus/message.ts';
import { fromHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Address, Epoch, Hash, View } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { VALIDATORS_MAX } from '../primitives/membership.ts';
import { recoverAddress } from '../primitives/secp256k1.ts';
import { BLOCK_PORTS } from './block-ports.ts';
import { type Anchor, EpochWalk } from './epoch-walk.ts';

export type ProvenFault = {
  readonly id: Hash;
  readonly kind: EvidenceKind;
  readonly epoch: Epoch;
  readonly view: View;
  readonly culprit: Address;
  readonly index: number;
  readonly what: string;
};

type Input = {
  readonly anchor: Anchor;
  /** What `xft_getEvidence id` answered. */
  readonly exported: unknown;
  /** Digests of recoveries known to be in order. */
  readonly acceptedBreaks: ReadonlySet<Hash>;
};

function invalid(problem: string): QuorateError {
  const message = `this is no exported evidence: ${problem}; write it with quorate evidence show ID --json`;
  return new QuorateError('EVIDENCE_INVALID', message);
}

/** Throws EVIDENCE_INVALID for what cannot be read, VERIFY_FAILED for what proves nothing. */
export function verifyEvidence({ anchor, exported, acceptedBreaks }: Input): ProvenFault {
  const { evidence: text, epochs = [] } = (exported ?? {}) as {
    readonly evidence?: unknown;
    readonly epochs?: unknown;
  };
  const bytes = typeof text === 'string' ? fromHex(text) : undefined;
  if (bytes === undefined) throw invalid('it has no field evidence with 0x hex');
  if (!Array.isArray(epochs)) throw invalid('its epochs are no array');
  const decoded = decodeEvidence(bytes, { validators: VALIDATORS_MAX });
  if (!decoded.ok) throw invalid(decoded.reason);
  const { evidence } = decoded;
  const walk = new EpochWalk(anchor, acceptedBreaks);
  for (const answer of epochs.slice(0, evidence.epoch)) walk.enter(answer);
  const { config } = walk;
  // The next epoch's proof shows which block closed this one; a broken off epoch has none.
  const closing = epochs.length > evidence.epoch ? walk.enter(epochs[evidence.epoch]).closing?.hash : undefined;
  const schedule = makeSchedule(config.validators.length);
  const isClosing = (hash: Hash): boolean => hash === closing;
  const verdict = judgeEvidence(evidence, { config, schedule, recover: recoverAddress, ...BLOCK_PORTS, isClosing });
  if (!verdict.ok) {
    throw new QuorateError('VERIFY_FAILED', `nothing is proven: ${verdict.reason}; hold it against nobody`);
  }
  const { kind, epoch, view, culprit: index, what } = verdict;
  return { id: keccakHash(bytes), kind, epoch, view, culprit: config.validators[index]!, index, what };
}
