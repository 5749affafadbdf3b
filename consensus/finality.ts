/**
 * Finality (consensus.md section 2): a block is final when all t+1 actives of one view said that its certificate is in
 * their logs, and with it are all its ancestors. Whoever holds such a proof may deliver; nobody delivers on less. This
 * file takes proofs, however they came, and delivers in height order what is both proven and executed; and it passes
 * final blocks on to passives (lazy replication, paper section 4.5).
 */
import { assert } from '../primitives/errors.ts';
import type { Hash } from '../primitives/ids.ts';
import {
  type Core,
  halt,
  inCommonCase,
  isActive,
  isOver,
  type Link,
  persistLater,
  reject,
  send,
  trace,
} from './core.ts';
import { greaterCertificate, laterProof } from './durable.ts';
import { detectCertificate, observeProof } from './fault-detection.ts';
import type { Certificate, Finality } from './message.ts';

/** Takes a proof already verified or made here. */
export function acceptProof(core: Core, proof: Certificate): void {
  if (core.last !== undefined && proof.height > core.last.height) return;
  const before = core.final;
  core.final = laterProof(before, proof);
  if (core.final !== proof) return;
  core.head = greaterCertificate(core.head, proof);
  core.progressAt = core.now;
  core.timeouts.onFinal();
  persistLater(core, [{ kind: 'certificate', certificate: proof }]);
}

/** Delivers up to the newest proof if every block on the way is executed; what is missing is learnt from others. */
export function deliverReady(core: Core): void {
  const proof = core.final;
  if (proof === undefined || isOver(core)) return;
  const path = executedPath(core, proof);
  if (path === undefined || path.length === 0) return;
  for (const link of path) {
    const own = link.hash === proof.hash ? proof : undefined;
    core.out.push({ kind: 'deliver', height: link.height, hash: link.hash, proof: own });
  }
  trace(core, { name: 'final', view: proof.view, height: proof.height, hash: proof.hash });
  replicateLazily(core, path, proof);
  onDelivered(core, path.at(-1)!);
}

/** Moves the final head: what is below it is nobody's business any more. */
export function onDelivered(core: Core, head: Link): void {
  core.delivered = head;
  if (core.executed.get(head.hash)?.closes) {
    endEpoch(core, head);
    return;
  }
  const built = core.executed.has(core.signedTip.hash);
  dropForks(core, head);
  if (inCommonCase(core)) checkSigned(core, built);
  for (const height of core.learning.pending.keys()) if (height <= head.height) core.learning.pending.delete(height);
  // The newest entry stays: the next one in this view is checked against it.
  for (const height of core.entries.keys()) {
    if (height < head.height && height < core.certified) core.entries.delete(height);
  }
  core.learning.behindSince = undefined;
  core.cutCredit = true;
}

/** Nothing follows the closing block in this epoch, so its proof is its own: it is what opens the next one. */
function endEpoch(core: Core, head: Link): void {
  const closing = core.final;
  assert(closing?.hash === head.hash, `closing block ${head.height} delivered without its own proof`);
  const live = core.phase === 'running';
  core.phase = 'ended';
  trace(core, { name: 'epoch-ended', epoch: core.config.epoch, ...head });
  core.out.push({ kind: 'ended', closing, live });
}

/**
 * Safety net (consensus.md section 5, step 8): what is signed in this view must build on everything that is final. Of
 * blocks not executed again since a restart nothing can be said yet: `built` is false for them.
 */
function checkSigned(core: Core, built: boolean): void {
  const { signedTip: tip, delivered } = core;
  if (tip.hash === delivered.hash || (tip.height > delivered.height && (!built || core.executed.has(tip.hash)))) return;
  halt(core, `the chain signed in view ${core.view} up to block ${tip.height} lacks final block ${delivered.height}`);
}

/** Executed blocks that do not build on the final head are gone in the ledger, too: nothing can be built on them. */
function dropForks(core: Core, head: Link): void {
  const kept = new Set<Hash>([head.hash]);
  // Parents are executed before their children, so they come first.
  for (const [hash, { height, parent }] of core.executed) {
    if (height > head.height && kept.has(parent)) kept.add(hash);
    else core.executed.delete(hash);
  }
}

/** From the block after `delivered` to `to`, or undefined when some are not executed here yet. */
export function executedPath(core: Core, to: Link): Link[] | undefined {
  const path: Link[] = [];
  let hash: Hash = to.hash;
  for (let height = to.height; height > core.delivered.height; height--) {
    const link = core.executed.get(hash);
    if (link === undefined || link.height !== height) return undefined;
    path.push({ height, hash });
    hash = link.parent;
  }
  if (to.height >= core.delivered.height && hash !== core.delivered.hash) {
    halt(core, `block ${to.height} ${to.hash} is certified but does not follow final block ${core.delivered.height}`);
    return undefined;
  }
  return path.reverse();
}

/**
 * One active per passive: followers first, so that the primary's line is spared. If it fails, the passive asks another.
 */
function replicateLazily(core: Core, path: readonly Link[], proof: Certificate): void {
  if (!isActive(core) || core.phase !== 'running') return;
  const passives = core.config.validators.map((_, index) => index).filter((index) => !core.group.includes(index));
  const place = core.group.indexOf(core.self);
  const mine = passives.filter((_, order) => (order + 1) % core.group.length === place);
  if (mine.length === 0) return;
  for (const link of path) {
    const block = core.entries.get(link.height)?.block;
    if (block === undefined) continue;
    const own = link.hash === proof.hash;
    if (own) send(core, mine, { kind: 'FINAL', block, proof });
    else send(core, mine, { kind: 'BLOCKS', nonce: 0, blocks: [{ block, proof: undefined }] });
  }
}

export function onFinality(core: Core, from: number, message: Finality): void {
  const { proof } = message;
  if (core.final !== undefined && laterProof(core.final, proof) !== proof) {
    observeProof(core, proof);
    return;
  }
  const bad = proof.kind === 'FP' ? core.verifier.certificate(proof) : 'bad-certificate';
  if (bad) {
    reject(core, from, 'FINALITY', bad);
    return;
  }
  detectCertificate(core, proof);
  acceptProof(core, proof);
}
