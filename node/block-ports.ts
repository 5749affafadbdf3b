/** How the core reads blocks: by their headers alone. */
import type { BlockId, HeaderId } from '../consensus/ports.ts';
import { decodeHeader, headerBytes } from '../ledger/block.ts';
import { readWholeBlockId } from '../ledger/block-body.ts';
import type { Bytes } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';

/** Bytes that pass are the block their hash names, body and all. */
function readBlock(bytes: Bytes): BlockId | undefined {
  const id = readWholeBlockId(bytes);
  return id && { hash: id.hash, parent: id.parentHash, height: id.height };
}

function readHeader(bytes: Bytes): HeaderId | undefined {
  const header = decodeHeader(bytes);
  return (
    header && { hash: keccakHash(bytes), parent: header.parentHash, height: header.number, members: header.mixHash }
  );
}

export const BLOCK_PORTS = { readBlock, headerOf: headerBytes, readHeader } as const;
