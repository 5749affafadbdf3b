/** What a genesis means to the other modules: block 0 for the ledger, epoch 0 for consensus, peers for the network. */
import type { EpochConfig } from '../consensus/config.ts';
import type { Genesis } from '../genesis/genesis.ts';
import { fieldsHash, validatorsHash } from '../genesis/hash.ts';
import type { ChainRules, GenesisInput } from '../ledger/chain-rules.ts';
import { peerIdOfNodeKey } from '../p2p/peers.ts';
import type { PeerAddress } from '../p2p/transport.ts';
import { hexBytes } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Hash } from '../primitives/ids.ts';

export function chainRules(genesis: Genesis): ChainRules {
  return { chainId: genesis.chainId, gasLimit: genesis.gasLimit, baseFee: genesis.gasPriceFloor };
}

/** Block 0 commits to every field of the genesis by its extraData and mixHash (consensus.md section 11). */
export function genesisInput(genesis: Genesis): GenesisInput {
  return {
    extraData: hexBytes(fieldsHash(genesis)),
    mixHash: validatorsHash(genesis),
    timestamp: genesis.timestamp,
    alloc: genesis.alloc,
  };
}

export function epochConfig(genesis: Genesis, genesisHash: Hash): EpochConfig {
  const { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs, pipelineWindow, emptyBlockPeriodMs } = genesis.consensus;
  return {
    chainId: genesis.chainId,
    genesisHash,
    epoch: 0,
    validators: genesis.validators.map(({ validator }) => validator),
    membershipHash: validatorsHash(genesis),
    root: { height: 0, hash: genesisHash },
    parameters: { deltaMs, suspicionTimeoutMs, suspicionTimeoutMaxMs, pipelineWindow, emptyBlockPeriodMs },
  };
}

/** Peer ids and addresses by validator index; the configuration's addresses come before the genesis' hints. */
export function validatorPeers(
  genesis: Genesis,
  configured: Readonly<Record<string, readonly string[]>>,
): PeerAddress[] {
  return genesis.validators.map(({ nodeKey, addresses }) => {
    const peer = peerIdOfNodeKey(nodeKey);
    assert(peer !== undefined, `genesis holds an invalid node key ${nodeKey}`);
    return { peer, addresses: [...(configured[nodeKey] ?? []), ...(addresses ?? [])] };
  });
}
