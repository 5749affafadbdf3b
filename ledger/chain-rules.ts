/** What is fixed for the life of a chain: its rules and the inputs of block 0. */
import type { Address, Bytes, Hash } from '../primitives/ids.ts';

/** Rules constant for the life of a chain. */
export type ChainRules = { readonly chainId: number; readonly gasLimit: number; readonly baseFee: bigint };

/** What every validator computes block 0 from. */
export type GenesisInput = {
  /** 32 bytes: keccak256 of the genesis fields. */
  readonly extraData: Bytes;
  /** Hash of the first validator list. */
  readonly mixHash: Hash;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly alloc: ReadonlyMap<Address, bigint>;
};
