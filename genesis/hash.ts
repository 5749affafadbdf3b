/**
 * What block 0 commits to (consensus section 11): its `extraData` is the hash of every genesis field except the address
 * hints, which may change without founding another chain; its `mixHash` names the first validator set.
 */
import { bigToBytes, compareBytes, hexBytes } from '../primitives/bytes.ts';
import type { Hash } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { membershipHash } from '../primitives/membership.ts';
import { type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import type { Genesis } from './genesis.ts';

function allocFields(genesis: Genesis): RlpInput {
  return [...genesis.alloc]
    .sort(([a], [b]) => compareBytes(hexBytes(a), hexBytes(b)))
    .map(([address, wei]) => [address, bigToBytes(wei)]);
}

/**
 * keccak256(RLP([version, chainId, timestamp, [[validator, nodeKey, operator], …], [[address, wei], …] by address,
 * gasLimit, gasPriceFloor, [consensus settings in the order of `ConsensusSettings`]])).
 */
export function fieldsHash(genesis: Genesis): Hash {
  const c = genesis.consensus;
  return keccakHash(
    rlpEncode([
      genesis.version,
      genesis.chainId,
      genesis.timestamp,
      genesis.validators.map((v) => [v.validator, v.nodeKey, v.operator]),
      allocFields(genesis),
      genesis.gasLimit,
      genesis.gasPriceFloor,
      [
        c.batchBytesMax,
        c.batchTransactionsMax,
        c.pipelineWindow,
        c.requestTimeoutMs,
        c.deltaMs,
        c.suspicionTimeoutMs,
        c.suspicionTimeoutMaxMs,
        c.maxDriftMs,
        c.emptyBlockPeriodMs,
      ],
    ]),
  );
}

/** Hash of the founding validator set, in genesis order. */
export function validatorsHash(genesis: Genesis): Hash {
  return membershipHash(genesis.validators);
}
