/**
 * Proven faults as a node keeps them: one of a kind for each culprit and epoch, under the hash of its bytes. What is on
 * the shelf was judged before it got there.
 */

import { encodeEvidence } from '../consensus/evidence-codec.ts';
import { convictionKey, type Evidence } from '../consensus/message.ts';
import type { Bytes, Epoch, Hash, View } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';

/** A chain with so many proven faults has other worries; what comes after is still told to the log. */
const KEPT_MAX = 1000;

export type KeptEvidence = {
  /** keccak256 of `bytes`. */
  readonly id: Hash;
  readonly bytes: Bytes;
  readonly evidence: Evidence;
  readonly view: View;
  /** One sentence. */
  readonly what: string;
};

export class EvidenceShelf {
  readonly #kept = new Map<string, KeptEvidence>();
  readonly #write: (kept: KeptEvidence) => void;

  /** `write` makes it durable; it is called once for each new piece. */
  constructor(write: (kept: KeptEvidence) => void) {
    this.#write = write;
  }

  /** Puts back what an earlier life kept. */
  restore(kept: KeptEvidence): void {
    this.#kept.set(keyOf(kept.evidence), kept);
  }

  has(evidence: Evidence): boolean {
    return this.#kept.has(keyOf(evidence));
  }

  add({ evidence, view, what }: Pick<KeptEvidence, 'evidence' | 'view' | 'what'>): void {
    if (this.has(evidence) || this.#kept.size >= KEPT_MAX) return;
    const bytes = encodeEvidence(evidence);
    const kept = { id: keccakHash(bytes), bytes, evidence, view, what };
    this.#kept.set(keyOf(evidence), kept);
    this.#write(kept);
  }

  get(id: Hash): KeptEvidence | undefined {
    return this.all().find((kept) => kept.id === id);
  }

  /** In the order in which they were found. */
  all(): readonly KeptEvidence[] {
    return [...this.#kept.values()];
  }

  ofEpoch(epoch: Epoch): readonly Evidence[] {
    return this.all()
      .map(({ evidence }) => evidence)
      .filter((evidence) => evidence.epoch === epoch);
  }
}

function keyOf(evidence: Evidence): string {
  return `${evidence.epoch}/${convictionKey(evidence)}`;
}
