/**
 * What a chain is founded on: `genesis.json` as typed data. Every node of a chain holds the same one; its fields, all
 * but the address hints, are hashed into block 0 (hash.ts), so two nodes that disagree on any of them are on two chains.
 */
import type { Address } from '../primitives/ids.ts';
import type { Validator } from '../primitives/membership.ts';
import type { Rules } from '../primitives/policy.ts';

/** A founding validator. `addresses` are multiaddr hints where the others find it; they are outside the genesis hash. */
export type GenesisValidator = Validator & { readonly addresses?: readonly string[] };

/** Settings every validator must share, because two that differ would judge each other faulty. */
export type ConsensusSettings = {
  /** Most bytes of transactions in one block. */
  readonly batchBytesMax: number;
  readonly batchTransactionsMax: number;
  /** Blocks that may be in flight at once. */
  readonly pipelineWindow: number;
  /** A transaction that waited this long at the primary, although there was room, makes it suspect. */
  readonly requestTimeoutMs: number;
  /** The bound on message delay between correct validators; a safety parameter, see docs/operating.md. */
  readonly deltaMs: number;
  /** Silence of this long makes a validator suspect; doubled per failed view change up to the maximum. */
  readonly suspicionTimeoutMs: number;
  readonly suspicionTimeoutMaxMs: number;
  /** How far a block's time may be ahead of a follower's clock. */
  readonly maxDriftMs: number;
  /** A block is made after this long without transactions; 0: never an empty block. */
  readonly emptyBlockPeriodMs: number;
};

export type Genesis = {
  readonly version: 1;
  readonly chainId: number;
  /** Unix seconds of block 0. */
  readonly timestamp: number;
  readonly validators: readonly GenesisValidator[];
  /** Balances at block 0, in wei. */
  readonly alloc: ReadonlyMap<Address, bigint>;
  readonly gasLimit: number;
  /** The constant base fee, wei per gas. */
  readonly gasPriceFloor: bigint;
  readonly consensus: ConsensusSettings;
  /** What governs changes of the validator set, until it is changed by the vote it governs. */
  readonly governance: Rules;
};

export const GENESIS_VERSION = 1;
/** The greatest id for which 2·id + 36, the EIP-155 `v`, is exact in the wallets that compute it as a number. */
export const CHAIN_ID_MAX = 4_503_599_627_370_476;
export const DEFAULT_GAS_LIMIT = 100_000_000;

/** For one site: the time-outs are 4, 16 and 8 times delta. */
export const DEFAULT_CONSENSUS: ConsensusSettings = {
  batchBytesMax: 1024 * 1024,
  batchTransactionsMax: 2000,
  pipelineWindow: 8,
  requestTimeoutMs: 2000,
  deltaMs: 250,
  suspicionTimeoutMs: 1000,
  suspicionTimeoutMaxMs: 4000,
  maxDriftMs: 2000,
  emptyBlockPeriodMs: 0,
};
