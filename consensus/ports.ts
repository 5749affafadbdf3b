/** What the core calls synchronously: signatures (a cheap scheme in the simulator, native in the node) and block ids. */
import type { Address, Bytes, Hash, Height } from '../primitives/ids.ts';

export type BlockId = { readonly hash: Hash; readonly parent: Hash; readonly height: Height };

/** `members`: hash of the validator list in force from the next block on, where headers have it. */
export type HeaderId = BlockId & { readonly members: Hash | undefined };

export type Ports = {
  /** 65-byte signature of this validator's key over a 32-byte digest. */
  readonly sign: (digest: Bytes) => Bytes;
  /** Address whose key made the signature, or undefined. */
  readonly recover: (digest: Bytes, signature: Bytes) => Address | undefined;
  /** Hash, parent and height of an encoded block; undefined when it is none, or its body is not the one the hash names. */
  readonly readBlock: (block: Bytes) => BlockId | undefined;
  /** The encoded header in an encoded block, and what a header says: what links votes in evidence. */
  readonly headerOf: (block: Bytes) => Bytes | undefined;
  readonly readHeader: (header: Bytes) => HeaderId | undefined;
};
