/**
 * What block 0 commits to (consensus section 11): its `extraData` is the hash of every genesis field except the address
 * hints, which may change without founding another chain; its `mixHash` names the first validator set, which the ledger hashes.
 */
import { bigToBytes, compareBytes, hexBytes } from '../primitives/bytes.ts';
import type { Hash } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import type { Genesis } from './genesis.ts';

function allocFields(genesis: Genesis): RlpInput {
  return [...genesis.alloc]
    .sort(([a], [b]) => compareBytes(hexBytes(a), hexBytes(b)))
    .map(([address, wei]) => [address, bigToBytes(wei)]);
}

/**
 * keccak256(RLP([version, chainId, timestamp, [[validator, nodeKey, operator], …], [[address, wei], …] by address,
 * gasLimit, gasPriceFloor, [consensus settings in the order of `ConsensusSettings`], [governance in the order of
 * `Rules`, a boolean as 0 or 1]])).
 */
export function fieldsHash(genesis: Genesis): Hash {
  const c = genesis.consensus;
  const g = genesis.governance;
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
      [
        g.quorumBasisPoints,
        g.expirySeconds,
        g.evidenceRemoves ? 1 : 0,
        g.leastValidators,
        g.readyLag,
        g.rejoinIntervalSeconds,
      ],
    ]),
  );
}
