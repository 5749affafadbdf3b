/**
 * Whether a body is the one its header names. A block is known by the hash of its header, so bytes from anybody are that
 * block only with the body that the header's transactions root commits to: with another one they would fail when they are
 * executed, and look like a certified block that is invalid.
 */
import type { Bytes, Hash } from '../primitives/ids.ts';
import { type BlockId, splitBlock } from './block.ts';
import { orderedRoot } from './ordered-root.ts';

/** Roots computed before, by the block's bytes: execution looks at what was looked at when the block came in. */
const roots = new WeakMap<Bytes, Hash>();

/** transactionsRoot of the raw transactions in a block's bytes. */
export function bodyRoot(block: Bytes, raws: readonly Bytes[]): Hash {
  let root = roots.get(block);
  if (root === undefined) {
    root = orderedRoot(raws);
    roots.set(block, root);
  }
  return root;
}

/** What was read before: the core asks for the id of one block several times on its way. */
const ids = new WeakMap<Bytes, BlockId>();

/** The header's hash, parent and number; undefined when the bytes are no block or hold another block's body. Never throws. */
export function readWholeBlockId(bytes: Bytes): BlockId | undefined {
  const known = ids.get(bytes);
  if (known !== undefined) return known;
  const split = splitBlock(bytes);
  if (typeof split === 'string') return undefined;
  const { header, hash, raws } = split;
  if (bodyRoot(bytes, raws) !== header.transactionsRoot) return undefined;
  const id = { hash, parentHash: header.parentHash, height: header.number };
  ids.set(bytes, id);
  return id;
}
