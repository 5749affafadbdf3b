/** The smallest thing with a hash, a parent and a height: RLP [parent, height, salt]. */
import { toHex, utf8 } from '../../../primitives/bytes.ts';
import type { Bytes, Hash } from '../../../primitives/ids.ts';
import { keccakHash } from '../../../primitives/keccak.ts';
import { rlpBytes, rlpDecode, rlpEncode, rlpList, rlpNumber } from '../../../primitives/rlp.ts';

export function makeBlock(parent: Hash, height: number, salt: string): Bytes {
  return rlpEncode([parent, height, utf8(salt)]);
}

export function readBlock(block: Bytes): { hash: Hash; parent: Hash; height: number } | undefined {
  try {
    const fields = rlpList(rlpDecode(block), 'block', 3);
    const parent = toHex(rlpBytes(fields[0], 'parent', 32));
    return { hash: keccakHash(block), parent, height: rlpNumber(fields[1], 'height') };
  } catch {
    return undefined;
  }
}

/** Such a block is its own header, and names no validators. */
export const BLOCK_PORTS = {
  readBlock,
  headerOf: (block: Bytes): Bytes => block,
  readHeader: (header: Bytes) => {
    const id = readBlock(header);
    return id && { ...id, members: undefined };
  },
} as const;
