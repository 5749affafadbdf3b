/**
 * Bringing the ledger up to the log after a kill (consensus.md section 10): LevelDB's batches are not synced, so the
 * store may be a few blocks behind the newest finality proof in the log. Their bodies are in the log too.
 */
import { encodeCertificate } from '../consensus/certificate-codec.ts';
import type { Learnt } from '../consensus/core.ts';
import type { DurableRecord } from '../consensus/durable.ts';
import type { Certificate } from '../consensus/message.ts';
import { readBlockId } from '../ledger/block.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { EMPTY } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { decodeProof } from './finality-view.ts';

export type Replayed = {
  /** The newest final block in the ledger. */
  readonly delivered: { readonly height: Height; readonly hash: Hash };
  /** Final blocks of the log above a gap, ascending: what is missing below them must be fetched first. */
  readonly ahead: readonly Learnt[];
};

/**
 * Executes and commits every logged block that a logged proof, or the statement of a recovery, shows to be final. There may
 * be a gap: what this node only learnt from others is in the store alone, and a power cut may have taken it.
 */
export function replayFinal(ledger: Ledger, records: readonly DurableRecord[]): Replayed {
  const bodies = new Map<Hash, Bytes>();
  const proofs = new Map<Hash, Certificate>();
  let newest: Certificate | undefined;
  for (const record of records) {
    if (record.kind === 'block') bodies.set(record.hash, record.bytes);
    if (record.kind !== 'certificate' || record.certificate.kind !== 'FP') continue;
    // The next epoch may certify its root again, but what closed an epoch is proven by that epoch's validators.
    const known = proofs.get(record.certificate.hash);
    if (known === undefined || record.certificate.epoch <= known.epoch) {
      proofs.set(record.certificate.hash, record.certificate);
    }
    if (newest === undefined || record.certificate.height > newest.height) newest = record.certificate;
  }
  for (const { certificate } of ledger.recoveries) {
    const base = decodeProof(certificate, Number.MAX_SAFE_INTEGER);
    if (base === undefined || !bodies.has(base.hash)) continue;
    proofs.set(base.hash, base);
    if (newest === undefined || base.height > newest.height) newest = base;
  }
  const head = { height: ledger.head.height, hash: ledger.head.hash };
  if (newest === undefined) return { delivered: head, ahead: [] };
  if (newest.height <= head.height) {
    const stored = ledger.headerByHeight(newest.height)?.hash;
    if (stored !== newest.hash) throw otherChain(newest.height, { stored, proven: newest.hash });
    return { delivered: head, ahead: [] };
  }
  const path = bodiesDown(bodies, newest, head);
  if (path[0]?.parent !== head.hash) {
    const ahead = path.map(({ bytes, ...id }) => ({ ...id, block: bytes, proof: proofs.get(id.hash) }));
    return { delivered: head, ahead };
  }
  let delivered = head;
  for (const { hash, height, bytes } of path) {
    const decoded = ledger.decodeBlock(bytes);
    const result = decoded.ok ? ledger.execute(decoded.block, undefined, {}) : decoded;
    if (!result.ok) {
      const message = `block ${height} of the log does not execute on the store (${result.reason}); move the database aside to fetch it again from peers`;
      throw new QuorateError('STORE_DAMAGED', message, { data: { height, hash } });
    }
    const proof = proofs.get(hash);
    ledger.commit(hash, proof === undefined ? EMPTY : encodeCertificate(proof), (error) => {
      if (error) throw error;
    });
    delivered = { height, hash };
  }
  return { delivered, ahead: [] };
}

type Body = { readonly hash: Hash; readonly parent: Hash; readonly height: Height; readonly bytes: Bytes };

/** From `newest` down to the block above `head`, or to the last whose body is in the log; ascending. */
function bodiesDown(
  bodies: ReadonlyMap<Hash, Bytes>,
  newest: Certificate,
  head: { height: Height; hash: Hash },
): Body[] {
  const path: Body[] = [];
  let { hash, height } = newest;
  for (; height > head.height; height--) {
    const bytes = bodies.get(hash);
    const id = bytes === undefined ? undefined : readBlockId(bytes);
    if (bytes === undefined || id === undefined) return path.reverse();
    path.push({ hash, parent: id.parentHash, height, bytes });
    hash = id.parentHash;
  }
  if (hash !== head.hash) throw otherChain(head.height, { stored: head.hash, proven: hash });
  return path.reverse();
}

function otherChain(height: Height, hashes: { stored: Hash | undefined; proven: Hash }): QuorateError {
  const message = `the store's block ${height} is not the one the log has as final; move the database aside to fetch it again from peers`;
  return new QuorateError('STORE_DAMAGED', message, { data: { height, ...hashes } });
}
