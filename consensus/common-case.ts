/**
 * The common case (paper section 4.2, Algorithm 1 and Figure 2; consensus.md section 3): the primary cuts blocks and
 * PREPAREs them, followers execute and COMMIT, t+1 signatures are a certificate, t+1 statements that the certificate is
 * durable are a finality proof. Blocks are hash-linked, so a follower signs only on top of the block it signed last in
 * this view: a known block is not enough, or one view could certify two chains.
 */
import type { Hash, Height } from '../primitives/ids.ts';
import { headChainReady } from './adoption.ts';
import {
  accuse,
  type Core,
  type Entry,
  entryAt,
  execute,
  inCommonCase,
  isActive,
  isPrimary,
  type Link,
  makeVote,
  otherActives,
  persist,
  reject,
  send,
  trace,
} from './core.ts';
import { greaterCertificate } from './durable.ts';
import { detect, detectLinks, observe, onInvalid } from './fault-detection.ts';
import { acceptProof } from './finality.ts';
import type { Certificate, Proposal, Seal, Vote } from './message.ts';
import type { RejectReason } from './reject.ts';
import { witness } from './witness.ts';

/** Heights above the block signed last for which proposals and votes are kept until their turn. */
export function windowTop(core: Core): Height {
  return Math.max(core.signedTip.height, core.delivered.height) + 2 * core.config.parameters.pipelineWindow;
}

/** False after a restart for as long as what is below the blocks voted for has to be fetched. */
function tipExecuted(core: Core): boolean {
  return core.signedTip.hash === core.delivered.hash || core.executed.has(core.signedTip.hash);
}

/** The chain signed in this view ends with the closing block: nothing is built on it in this epoch. */
function tipCloses(core: Core): boolean {
  return core.executed.get(core.signedTip.hash)?.closes === true;
}

/**
 * Executes again the blocks voted for in this view, and the head adopted below them, that could not be at the restart:
 * because final blocks below them were not in the store any more, or because the head came from an earlier view and its
 * bodies were never in this log. What is missing is fetched.
 */
export function executeVoted(core: Core): void {
  if (!inCommonCase(core) || tipExecuted(core) || core.signedTip.height < core.delivered.height) return;
  const { vc } = core;
  for (const { prepare, parent, block, height } of core.entries.values()) {
    if (prepare === undefined || parent === undefined || block === undefined || vc.bodies.has(prepare.hash)) continue;
    vc.bodies.set(prepare.hash, { hash: prepare.hash, parent, height, block, proof: undefined });
  }
  vc.adopting = core.signedTip;
  if (!headChainReady(core)) return;
  vc.bodies.clear();
  core.out.push({ kind: 'tip', ...core.signedTip });
}

/** Cuts the next block when the batching rule allows it (consensus.md section 3, step 6). */
export function proposeNext(core: Core): void {
  if (!inCommonCase(core) || !isPrimary(core) || core.cutting || core.suspected || !tipExecuted(core)) return;
  if (tipCloses(core)) return;
  const { pipelineWindow, emptyBlockPeriodMs } = core.config.parameters;
  const inFlight = core.signedTip.height - core.delivered.height;
  if (inFlight >= pipelineWindow) return;
  const idle = inFlight === 0 && emptyBlockPeriodMs > 0 && core.now - core.lastCutAt >= emptyBlockPeriodMs;
  const batch = core.poolWaiting && (inFlight === 0 || core.poolFull || core.cutCredit);
  if (!idle && !batch) return;
  core.cutting = true;
  core.cutCredit = false;
  const { hash, height } = core.signedTip;
  core.out.push({ kind: 'cut', parent: hash, height: height + 1, allowEmpty: idle });
}

type CutBlock = { readonly hash: Hash; readonly height: Height; readonly bytes: Uint8Array; readonly closes: boolean };

/** The host's answer to `cut`. A view change may have come in between: then the block is nobody's. */
export function onCut(core: Core, parent: Hash, block: CutBlock | undefined): void {
  core.cutting = false;
  if (block === undefined) {
    core.poolWaiting = false;
    return;
  }
  if (!inCommonCase(core) || !isPrimary(core) || core.suspected || parent !== core.signedTip.hash) return;
  core.lastCutAt = core.now;
  const prepare = makeVote(core, 'PREPARE', block);
  const entry = entryAt(core, block.height);
  entry.prepare = prepare;
  entry.parent = parent;
  entry.block = block.bytes;
  core.executed.set(block.hash, { height: block.height, hash: block.hash, parent, closes: block.closes });
  persist(core, [
    { kind: 'block', hash: block.hash, height: block.height, bytes: block.bytes },
    { kind: 'vote', vote: prepare },
  ]);
  send(core, otherActives(core), { kind: 'PROPOSAL', prepare, block: block.bytes });
  trace(core, { name: 'proposed', view: core.view, height: block.height, hash: block.hash });
  onVoted(core, entry, { prepare, commit: undefined });
}

/** Own vote made (its records are on their way to the log): the tip moves, and the vote counts. */
export function onVoted(core: Core, entry: Entry, signed: { prepare: Vote; commit: Vote | undefined }): void {
  entry.voted = true;
  entry.since = core.now;
  core.lastSigned = signed;
  core.signedTip = { height: entry.height, hash: signed.prepare.hash };
  if (signed.commit) entry.commits.set(core.self, signed.commit);
  core.out.push({ kind: 'tip', hash: signed.prepare.hash, height: entry.height });
}

function proposalFault(core: Core, proposal: Proposal): RejectReason | undefined {
  const { prepare } = proposal;
  if (core.view === 0 || core.installed) {
    if (prepare.viewCertificate !== core.viewCertificate) return 'wrong-certificate';
  }
  const bad = core.verifier.vote(prepare);
  if (bad) return bad;
  const id = core.ports.readBlock(proposal.block);
  if (id === undefined || id.hash !== prepare.hash || id.height !== prepare.height) return 'bad-block';
  return undefined;
}

export function onProposal(core: Core, from: number, proposal: Proposal): void {
  const { prepare } = proposal;
  if (prepare.kind !== 'PREPARE' || !isActive(core) || from !== core.group[0] || prepare.signer !== from) {
    observe(core, prepare);
    reject(core, from, 'PROPOSAL', 'not-primary');
    return;
  }
  const known = core.entries.get(prepare.height)?.prepare;
  if (known !== undefined && known.hash === prepare.hash) {
    resendOwnVotes(core, prepare.height, from);
    return;
  }
  if (core.installed && known === undefined && prepare.height <= core.signedTip.height) {
    // Final here long ago: its primary lacks the proof.
    if (core.final) send(core, [from], { kind: 'FINALITY', proof: core.final });
    return;
  }
  if (prepare.height > windowTop(core) || (known === undefined && prepare.height <= core.delivered.height)) {
    reject(core, from, 'PROPOSAL', 'outside-window');
    return;
  }
  const bad = proposalFault(core, proposal);
  if (bad) {
    observe(core, prepare);
    reject(core, from, 'PROPOSAL', bad);
    accuse(core, [from], `invalid proposal: ${bad}`);
    return;
  }
  if (known !== undefined) {
    trace(core, { name: 'conflict', signer: from, what: `two PREPAREs at ${prepare.view}/${prepare.height}` });
    detect(core, prepare);
    accuse(core, [from], 'two proposals for one height');
    return;
  }
  witness(core, prepare);
  const entry = entryAt(core, prepare.height);
  entry.prepare = prepare;
  entry.parent = core.ports.readBlock(proposal.block)!.parent;
  entry.block = proposal.block;
  detectLinks(core, prepare.height);
}

/** Follower: the next proposal in height order is checked and executed, one at a time. */
export function checkNext(core: Core): void {
  if (!inCommonCase(core) || isPrimary(core) || core.suspected || !tipExecuted(core)) return;
  const entry = core.entries.get(core.signedTip.height + 1);
  if (entry?.prepare === undefined || entry.block === undefined || entry.voted) return;
  const { prepare, parent, block } = entry;
  if (tipCloses(core)) {
    trace(core, { name: 'conflict', signer: prepare.signer, what: `block ${prepare.height} above the closing block` });
    accuse(core, [prepare.signer], 'proposal above the closing block');
    return;
  }
  if (prepare.viewCertificate !== core.viewCertificate) {
    accuse(core, [prepare.signer], 'proposal names another opening of the view');
    return;
  }
  if (parent !== core.signedTip.hash) {
    trace(core, { name: 'conflict', signer: prepare.signer, what: `fork at ${prepare.view}/${prepare.height}` });
    accuse(core, [prepare.signer], 'proposal does not follow the block signed last');
    return;
  }
  if (core.executed.has(prepare.hash)) {
    commitBlock(core, entry, prepare);
    return;
  }
  execute(core, { hash: prepare.hash, parent, height: prepare.height }, block, 'proposal');
}

/** A proposal of this view turned out invalid. */
export function onProposalRefused(core: Core, hash: Hash, reason: string): void {
  const entry = core.entries.get(core.signedTip.height + 1);
  if (!inCommonCase(core) || isPrimary(core) || entry?.prepare?.hash !== hash) return;
  accuse(core, [entry.prepare.signer], `invalid block: ${reason}`);
}

/** With t = 1 the follower's block, the PREPARE and its COMMIT are a certificate, logged in one write. */
function commitBlock(core: Core, entry: Entry, prepare: Vote): void {
  const commit = makeVote(core, 'COMMIT', prepare);
  persist(
    core,
    [
      { kind: 'block', hash: prepare.hash, height: prepare.height, bytes: entry.block! },
      { kind: 'vote', vote: prepare },
      { kind: 'vote', vote: commit },
    ],
    { of: 'vote', view: core.view, height: entry.height },
  );
  send(core, otherActives(core), commit);
  onVoted(core, entry, { prepare, commit });
}

/** COMMIT or COMMITTED from another active of the current view. */
export function onVote(core: Core, from: number, vote: Vote): void {
  if (!isActive(core) || vote.signer !== from || vote.kind === 'PREPARE') {
    observe(core, vote);
    reject(core, from, vote.kind, 'not-the-sender');
    return;
  }
  if (core.installed && vote.viewCertificate !== core.viewCertificate) {
    observe(core, vote);
    reject(core, from, vote.kind, 'wrong-certificate');
    return;
  }
  if (core.installed && vote.height <= core.delivered.height && answerFinal(core, from, vote)) return;
  const late = vote.height < core.delivered.height && !core.entries.has(vote.height);
  if (late || vote.height > windowTop(core)) {
    observe(core, vote);
    reject(core, from, vote.kind, 'outside-window');
    return;
  }
  const held = entryAt(core, vote.height)[vote.kind === 'COMMIT' ? 'commits' : 'committeds'];
  const known = held.get(from);
  if (known?.hash === vote.hash) return;
  const bad = core.verifier.vote(vote);
  if (bad) {
    onInvalid(core, vote);
    reject(core, from, vote.kind, bad);
    return;
  }
  witness(core, vote);
  if (known !== undefined) {
    trace(core, { name: 'conflict', signer: from, what: `two ${vote.kind}s at ${vote.view}/${vote.height}` });
    accuse(core, [from], `two ${vote.kind}s for one height`);
    return;
  }
  held.set(from, vote);
}

/** A vote again for what is final here means that the sender lacks the proof. */
function answerFinal(core: Core, from: number, vote: Vote): boolean {
  const entry = core.entries.get(vote.height);
  if (entry !== undefined && !entry.certificateDurable) return false;
  if (core.final !== undefined && core.final.view >= vote.view) {
    send(core, [from], { kind: 'FINALITY', proof: core.final });
    return true;
  }
  return false;
}

function matching(votes: ReadonlyMap<number, Vote>, signer: number, prepare: Vote): Vote | undefined {
  const vote = votes.get(signer);
  const fits = vote?.hash === prepare.hash && vote.viewCertificate === prepare.viewCertificate;
  return fits ? vote : undefined;
}

function sealOf(vote: Vote): Seal {
  return { signer: vote.signer, incarnation: vote.incarnation, signature: vote.signature };
}

function makeCertificate(kind: Certificate['kind'], prepare: Vote, votes: readonly Vote[]): Certificate {
  const { epoch, view, viewCertificate, height, hash } = prepare;
  return { kind, epoch, view, viewCertificate, height, hash, seals: votes.map(sealOf) };
}

/** Forms certificates in height order: COMMITTED speaks for everything below it in its view. */
export function certifyNext(core: Core): void {
  for (;;) {
    const entry = core.entries.get(core.certified + 1);
    if (!inCommonCase(core) || entry?.prepare === undefined || !entry.voted || !certify(core, entry, entry.prepare))
      return;
    core.certified = entry.height;
  }
}

function certify(core: Core, entry: Entry, prepare: Vote): boolean {
  const votes: Vote[] = [prepare];
  for (const follower of core.group.slice(1)) {
    const commit = matching(entry.commits, follower, prepare);
    if (commit === undefined) return false;
    votes.push(commit);
  }
  const certificate = makeCertificate('QC', prepare, votes);
  entry.certificate = certificate;
  core.timeouts.onAnswered(core.now - entry.since);
  entry.since = core.now;
  core.head = greaterCertificate(core.head, certificate);
  trace(core, { name: 'certified', view: core.view, height: entry.height, hash: prepare.hash });
  const token = { of: 'certificate', view: core.view, height: entry.height } as const;
  if (commitCounts(core)) {
    // The follower of two: PREPARE and COMMIT are in the log together, and its COMMIT has said so already.
    persist(core, [{ kind: 'certificate', certificate }], token);
    return true;
  }
  const committed = makeVote(core, 'COMMITTED', prepare);
  entry.committeds.set(core.self, committed);
  persist(
    core,
    [
      { kind: 'certificate', certificate },
      { kind: 'vote', vote: committed },
    ],
    token,
  );
  send(core, otherActives(core), committed);
  return true;
}

/** This replica is the follower of a group of two, whose COMMIT is its COMMITTED. */
function commitCounts(core: Core): boolean {
  return core.group.length === 2 && !isPrimary(core);
}

export function onCertificateDurable(core: Core, view: number, height: Height): void {
  const entry = core.entries.get(height);
  if (view !== core.view || entry === undefined) return;
  entry.certificateDurable = true;
}

/** COMMITTEDs of all actives for a block whose certificate is in this replica's own log make a finality proof. */
export function finalizeReady(core: Core): void {
  for (const height of [...core.entries.keys()].sort((a, b) => a - b)) {
    const entry = core.entries.get(height);
    if (entry?.prepare === undefined || !entry.certificateDurable || isProven(core, entry.prepare)) continue;
    const votes: Vote[] = [];
    for (const [place, member] of core.group.entries()) {
      const counts = core.group.length === 2 && place === 1 ? entry.commits : entry.committeds;
      const vote = matching(counts, member, entry.prepare);
      if (vote !== undefined) votes.push(vote);
    }
    if (votes.length < core.group.length) continue;
    core.timeouts.onAnswered(core.now - entry.since);
    acceptProof(core, makeCertificate('FP', entry.prepare, votes));
  }
}

function isProven(core: Core, at: Link & { readonly view: number }): boolean {
  const final = core.final;
  return final !== undefined && (final.height > at.height || (final.height === at.height && final.view >= at.view));
}

/** Sends this replica's votes at a height again, as they stand in the log. */
export function resendOwnVotes(core: Core, height: Height, to: number): void {
  const entry = core.entries.get(height);
  if (entry === undefined || !entry.voted) return;
  const votes = [entry.commits.get(core.self), entry.committeds.get(core.self)];
  for (const vote of votes) if (vote !== undefined) send(core, [to], vote);
}

/** The lowest heights voted for in this view and not final yet, with what others still owe. */
export function unfinished(core: Core): Entry[] {
  return [...core.entries.values()]
    .filter((entry) => entry.voted && entry.prepare !== undefined && !isProven(core, entry.prepare))
    .sort((a, b) => a.height - b.height);
}

/** Actives whose COMMIT (or, once certified, COMMITTED) for an entry is missing. */
export function owing(core: Core, entry: Entry): number[] {
  const prepare = entry.prepare!;
  return otherActives(core).filter((member) => {
    const follower = member !== core.group[0];
    if (entry.certificate === undefined) return follower && matching(entry.commits, member, prepare) === undefined;
    const counts = core.group.length === 2 && follower ? entry.commits : entry.committeds;
    return matching(counts, member, prepare) === undefined;
  });
}

/** Everything an active may lack to finish what is in flight: proposals from the primary, votes from everybody. */
export function resendInFlight(core: Core): void {
  if (!inCommonCase(core)) return;
  for (const entry of unfinished(core)) {
    if (core.now - entry.since < core.timeouts.resend) continue;
    if (isPrimary(core) && entry.block !== undefined) {
      const behind = otherActives(core).filter((member) => !entry.commits.has(member));
      send(core, behind, { kind: 'PROPOSAL', prepare: entry.prepare!, block: entry.block });
    }
    for (const member of otherActives(core)) resendOwnVotes(core, entry.height, member);
  }
}
