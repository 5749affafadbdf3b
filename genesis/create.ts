/** Makes a genesis from what its founder chose, and writes it as the JSON that parse.ts reads back. */
import type { Address } from '../primitives/ids.ts';
import type { Rules } from '../primitives/policy.ts';
import { type ConsensusSettings, DEFAULT_CONSENSUS, type Genesis, type GenesisValidator } from './genesis.ts';
import { parseGenesis } from './parse.ts';

export type GenesisChoices = {
  readonly chainId: number;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly validators: readonly GenesisValidator[];
  readonly alloc?: ReadonlyMap<Address, bigint>;
  readonly gasLimit?: number;
  readonly gasPriceFloor?: bigint;
  readonly consensus?: Partial<ConsensusSettings>;
  readonly governance?: Partial<Rules>;
};

/** The time-outs that go with a delay bound: the proportions of the defaults. */
export function consensusForDelta(deltaMs: number): ConsensusSettings {
  return {
    ...DEFAULT_CONSENSUS,
    deltaMs,
    suspicionTimeoutMs: 4 * deltaMs,
    suspicionTimeoutMaxMs: 16 * deltaMs,
    requestTimeoutMs: 8 * deltaMs,
    maxDriftMs: Math.max(DEFAULT_CONSENSUS.maxDriftMs, 2 * deltaMs),
  };
}

/** The genesis, checked by the same rules as one read from a file. */
export function createGenesis(choices: GenesisChoices): Genesis {
  return parseGenesis({
    ...choices,
    version: 1,
    alloc: Object.fromEntries([...(choices.alloc ?? [])].map(([address, wei]) => [address, wei.toString()])),
    gasPriceFloor: (choices.gasPriceFloor ?? 0n).toString(),
  });
}

/** The text of `genesis.json`: every setting written out, so that a reader sees the whole chain. */
export function genesisText(genesis: Genesis): string {
  const alloc = Object.fromEntries([...genesis.alloc].map(([address, wei]) => [address, wei.toString()]));
  return JSON.stringify({ ...genesis, gasPriceFloor: genesis.gasPriceFloor.toString(), alloc }, undefined, 2) + '\n';
}
