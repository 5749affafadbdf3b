/** What a genesis means to the other modules: block 0 for the ledger, and what all epochs share for consensus. */
import type { Genesis } from '../genesis/genesis.ts';
import { fieldsHash } from '../genesis/hash.ts';
import type { ChainRules, GenesisInput } from '../ledger/chain-rules.ts';
import { hexBytes } from '../primitives/bytes.ts';
import type { Hash } from '../primitives/ids.ts';
import { GENESIS_TIMING } from '../primitives/policy.ts';
import type { Chain } from './epoch-peers.ts';
import { judgeOnChain } from './evidence-on-chain.ts';

export function chainRules(genesis: Genesis): ChainRules {
  const { chainId, gasLimit, gasPriceFloor: baseFee } = genesis;
  return { chainId, gasLimit, baseFee, judgeEvidence: judgeOnChain };
}

/** Block 0 commits to every field of the genesis by its extraData and mixHash (consensus.md section 11). */
export function genesisInput(genesis: Genesis): GenesisInput {
  return {
    extraData: hexBytes(fieldsHash(genesis)),
    validators: genesis.validators,
    policy: { ...genesis.governance, ...GENESIS_TIMING },
    timestamp: genesis.timestamp,
    alloc: genesis.alloc,
  };
}

/** What all epochs of the chain share. */
export function chainOf(genesis: Genesis, genesisHash: Hash): Chain {
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs, pipelineWindow, emptyBlockPeriodMs } = genesis.consensus;
  const parameters = { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs, pipelineWindow, emptyBlockPeriodMs };
  return { chainId: genesis.chainId, genesisHash, parameters };
}
