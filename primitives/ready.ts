/**
 * READY: a validator key's signed word that its holder has followed the chain to a block and signs as this life of its
 * write-ahead log (consensus.md section 7). The candidate makes it, the governance contract checks it, and the closing
 * block of the epoch carries the incarnation.
 */
import { utf8 } from './bytes.ts';
import type { Address, Bytes, Epoch, Hash, Height } from './ids.ts';
import { keccak256 } from './keccak.ts';
import { rlpEncode } from './rlp.ts';

export type Ready = {
  readonly chainId: number;
  readonly genesisHash: Hash;
  /** The epoch in force where it is submitted: it is worthless in the next. */
  readonly epoch: Epoch;
  readonly validator: Address;
  /** The final block it has followed to. */
  readonly height: Height;
  readonly hash: Hash;
  /** 0x and 32 hex digits: 16 bytes. */
  readonly incarnation: string;
};

const DOMAIN = utf8('quorate/READY/1');

/** keccak256(RLP(['quorate/READY/1', chainId, genesisHash, epoch, validator, height, hash, incarnation])), to be signed. */
export function readyDigest(ready: Ready): Bytes {
  const { chainId, genesisHash, epoch, validator, height, hash, incarnation } = ready;
  return keccak256(rlpEncode([DOMAIN, chainId, genesisHash, epoch, validator, height, hash, incarnation]));
}
