/**
 * Block transfer, the answering side: any node serves final blocks with their proofs, and bodies by hash, to whoever the
 * gate let in. It needs no right to sign, and the receiver checks everything, so there is nothing to trust here. One
 * answer never goes past the end of an epoch: what is beyond is judged by another set of validators.
 */
import { decodeCertificate } from '../consensus/certificate-codec.ts';
import type { Blocks, Certificate, FetchBodies, FetchFinal } from '../consensus/message.ts';
import { headerEpoch, readBlockId } from '../ledger/block.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Bytes, Epoch, Hash, Height } from '../primitives/ids.ts';

/** Blocks and bytes of one answer, about: it ends at a block with a proof of its own, or the receiver could not use it. */
const BLOCKS_MAX = 64;
const BYTES_MAX = 2 * 1024 * 1024;
/** How far past the bounds a proof is looked for. */
const PROOF_SEARCH_MAX = 128;

type Served = { readonly block: Bytes; readonly proof: Certificate | undefined };

/** The finality proof a final block was written with, if it has one of its own; the base of a recovery may have less. */
export function proofAt(ledger: Ledger, height: Height): Certificate | undefined {
  const bytes = ledger.proof(height);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const decoded = decodeCertificate(bytes, { validators: Number.MAX_SAFE_INTEGER });
  return decoded.ok && decoded.certificate.kind === 'FP' ? decoded.certificate : undefined;
}

export function serveFinal(ledger: Ledger, request: FetchFinal): Blocks {
  const blocks: Served[] = [];
  let bytes = 0;
  let usable = 0;
  let epoch: Epoch | undefined;
  for (let height = Math.max(1, request.from); height <= ledger.head.height; height++) {
    const full = blocks.length >= BLOCKS_MAX || bytes >= BYTES_MAX;
    if ((full && usable > 0) || blocks.length >= BLOCKS_MAX + PROOF_SEARCH_MAX) break;
    const block = ledger.rawBlock(height);
    const header = ledger.headerByHeight(height)?.header;
    if (block === undefined || header === undefined) break;
    epoch ??= headerEpoch(header);
    if (headerEpoch(header) !== epoch) break;
    const proof = proofAt(ledger, height);
    blocks.push({ block, proof });
    bytes += block.length;
    if (proof !== undefined) usable = blocks.length;
  }
  return { kind: 'BLOCKS', nonce: request.nonce, blocks: blocks.slice(0, usable) };
}

/**
 * The newest part of the way from `hash` down to `floor`, ascending: from the ledger, and from the bodies in the log, some
 * of which may not be executed yet because what is below them was lost.
 */
export function serveBodies(ledger: Ledger, logged: (hash: Hash) => Bytes | undefined, request: FetchBodies): Blocks {
  const blocks: Served[] = [];
  let { hash } = request;
  let bytes = 0;
  for (let height = request.height; height >= request.floor; height--) {
    const block = ledger.block(hash)?.bytes ?? logged(hash);
    const id = block === undefined ? undefined : readBlockId(block);
    if (block === undefined || id?.height !== height) break;
    if (blocks.length >= BLOCKS_MAX || bytes >= BYTES_MAX) break;
    blocks.unshift({ block, proof: undefined });
    bytes += block.length;
    hash = id.parentHash;
  }
  return { kind: 'BLOCKS', nonce: request.nonce, blocks };
}
