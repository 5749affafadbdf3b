/**
 * What is fixed for an epoch: who the validators are, what every signature binds, and the timing parameters from the
 * genesis (consensus.md sections 1 and 4). The core never sees keys' files, addresses of hosts or wall clocks.
 */
import type { Address, Epoch, Hash, Height } from '../primitives/ids.ts';

/** Timing and flow parameters; all times in milliseconds, one tick of the core being one millisecond. */
export type Parameters = {
  /** Bound on one message's delay plus processing between two correct replicas. A safety parameter with liars around. */
  readonly deltaMs: number;
  /** Where suspicion time-outs start, and how far doubling may take them. */
  readonly suspicionTimeoutMs: number;
  readonly suspicionTimeoutMaxMs: number;
  /** Blocks that may be prepared above the newest final one. */
  readonly pipelineWindow: number;
  /** Cut an empty block when nothing happened for this long; 0 means never. */
  readonly emptyBlockPeriodMs: number;
};

export type EpochConfig = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly epoch: Epoch;
  /** Addresses of the validator keys; a validator is known by its index here. */
  readonly validators: readonly Address[];
  readonly membershipHash: Hash;
  /** The head that opens the epoch: the closing block of the epoch before, block 0 in epoch 0. */
  readonly root: { readonly height: Height; readonly hash: Hash };
  readonly parameters: Parameters;
};

/** Faults tolerated by `n` validators: floor((n-1)/2). */
export function faultThreshold(n: number): number {
  return Math.floor((n - 1) / 2);
}

/** For configurations that signatures are checked by: they do not depend on timing. */
export const NO_TIMING: Parameters = {
  deltaMs: 0,
  suspicionTimeoutMs: 0,
  suspicionTimeoutMaxMs: 0,
  pipelineWindow: 0,
  emptyBlockPeriodMs: 0,
};
