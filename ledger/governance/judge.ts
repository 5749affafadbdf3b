/** What the contract asks about evidence, and the epochs it may be about. */
import type { Address, Bytes, Epoch, Hash, Height, View } from '../../primitives/ids.ts';
import type { Validator } from '../../primitives/membership.ts';

export type JudgedEpoch = {
  readonly epoch: Epoch;
  readonly members: readonly Validator[];
  readonly root: { readonly height: Height; readonly hash: Hash };
};

export type EvidenceJudge = (
  evidence: Bytes,
  chain: { readonly chainId: number; readonly genesisHash: Hash; readonly epochs: readonly JudgedEpoch[] },
) =>
  | {
      readonly ok: true;
      readonly culprit: Address;
      readonly epoch: Epoch;
      /** Number of the kind. */
      readonly kind: number;
      readonly view: View;
    }
  | { readonly ok: false; readonly reason: string };
