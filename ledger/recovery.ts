/**
 * Recoveries as the ledger knows them: the operators' word that an epoch can never go on, which of its blocks is the last,
 * and who decides from then on (docs/operating.md). Whoever opens a ledger has checked every signature; here they are
 * rules of the chain, as binding as a closing block.
 */
import { QuorateError } from '../primitives/errors.ts';
import type { Bytes, Epoch, Hash, Height } from '../primitives/ids.ts';
import type { Validator } from '../primitives/membership.ts';
import type { Break } from './governance/state.ts';

/** A member of the new list. `multiaddr` may be empty: found where it was before. */
export type RecoveredMember = Validator & { readonly multiaddr: string; readonly incarnation: string };

export type Recovery = {
  /** The epoch that is broken off; the next one is the members'. */
  readonly epoch: Epoch;
  /** Its last block: what follows belongs to the next epoch. */
  readonly base: { readonly height: Height; readonly hash: Hash };
  readonly members: readonly RecoveredMember[];
  /** Names the statement in chain state for ever. */
  readonly digest: Hash;
  /** What the old validators signed of the base, a finality proof or less; empty for block 0. Stored as its proof. */
  readonly certificate: Bytes;
};

/** The recovery that ends an epoch on a block, if there is one. */
export function recoveryOn(recoveries: readonly Recovery[], hash: Hash, epoch: Epoch): Recovery | undefined {
  return recoveries.find((recovery) => recovery.epoch === epoch && recovery.base.hash === hash);
}

export type RecoveryCheck = {
  readonly recoveries: readonly Recovery[];
  /** Newest block in the store, and the breaks in the state above it. */
  readonly head: Height;
  readonly breaks: readonly Break[];
  readonly hashAt: (height: Height) => Hash | undefined;
};

/** A store has crossed exactly the breaks whose statements are here. Throws RECOVERY_MISSING or RECOVERY_CONFLICT. */
export function checkRecoveries({ recoveries, head, breaks, hashAt }: RecoveryCheck): void {
  for (const { height, digest } of breaks) {
    if (!recoveries.some((recovery) => recovery.digest === digest)) throw statementMissing(height);
  }
  for (const { base, digest } of recoveries) {
    if (base.height > head) continue;
    const isCrossed = breaks.some((known) => known.digest === digest);
    if (hashAt(base.height) === base.hash && (isCrossed || base.height === head)) continue;
    const message = `the store went on above block ${base.height}, where the recovery ${digest} broke the chain: what it holds above was given up; move store and guard aside and start again to follow the recovered chain`;
    throw new QuorateError('RECOVERY_CONFLICT', message, { data: { base: base.height, digest } });
  }
}

/** Block `height` is the last of an epoch that a recovery broke off, and the statement is not here. */
export function statementMissing(height: Height): QuorateError {
  const message = `the chain was broken at block ${height} by a recovery whose statement is gone from this folder; put it back from another node's recoveries folder`;
  return new QuorateError('RECOVERY_MISSING', message, { data: { height } });
}
