/** What is fixed for the life of a chain: its rules and the inputs of block 0. */
import type { Address, Bytes } from '../primitives/ids.ts';
import type { Validator } from '../primitives/membership.ts';
import type { Policy } from '../primitives/policy.ts';
import type { EvidenceJudge } from './governance/judge.ts';

/** Rules constant for the life of a chain. */
export type ChainRules = {
  readonly chainId: number;
  readonly gasLimit: number;
  readonly baseFee: bigint;
  /** The same in every node of a chain; undefined where no evidence is taken. */
  readonly judgeEvidence: EvidenceJudge | undefined;
};

/** What every validator computes block 0 from. */
export type GenesisInput = {
  /** 32 bytes: keccak256 of the genesis fields. */
  readonly extraData: Bytes;
  /** The first validator list, in the order of its indices. */
  readonly validators: readonly Validator[];
  /** What governs changes of it, until it is changed itself. */
  readonly policy: Policy;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly alloc: ReadonlyMap<Address, bigint>;
};
