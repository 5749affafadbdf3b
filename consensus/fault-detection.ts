/**
 * Fault detection (paper section 4.5, Algorithm 6; consensus.md section 6): every verified message is held against what
 * its signer said before, also those inside VC-FINALs, certificates and finality proofs. What contradicts goes to the
 * judge, who alone convicts; a proven fault is told to the node, which keeps it, and to all validators, and whoever it
 * names is accused where it is active. Departure from the paper: no round of its own in the view change, since evidence
 * is pairs of messages that each stand for themselves.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Bytes, Height, View } from '../primitives/ids.ts';
import { accuse, type Core, isOver, reject, send, trace } from './core.ts';
import { greatestIn, isWord, type JudgeContext, judgeEvidence, showsVote, showsWord } from './evidence-judge.ts';
import {
  type Certificate,
  compareOrder,
  convictionKey,
  type Evidence,
  type EvidenceKind,
  type EvidenceMessage,
  type NewView,
  type SignedMessage,
  type VcFinal,
  type ViewChange,
  type Vote,
} from './message.ts';
import { statementDigest, vcFinalDigest, votesOf } from './statement.ts';

/** After evidence that proves nothing, so many Δ until the next from that peer is looked at. */
const PATIENCE_DELTAS = 20;
/** Finality proofs this far below the newest final block are still held against the votes known. */
const OLD_PROOFS = 16;

/** Stands for every peer that is no validator of the epoch. */
const GUEST = -1;
const VOTES = ['PREPARE', 'COMMIT', 'COMMITTED'] as const;

/** Proven, in this epoch, to have done what no correct validator does. */
export function provenFaulty(core: Core, signer: number): boolean {
  return core.proven.has(signer);
}

function contextOf(core: Core): JudgeContext {
  const { config, schedule, ports } = core;
  const { recover, readBlock, readHeader } = ports;
  // Where the operators broke the epoch off, votes above its last block are no fault.
  const isClosing = (hash: string) => core.last === undefined && core.executed.get(hash)?.closes === true;
  return { config, schedule, recover, readBlock, readHeader, isClosing };
}

type Found = Partial<Pick<Evidence, 'headers' | 'block'>>;

/** Takes a contradiction to the judge; one of a kind is enough for each culprit. */
function report(core: Core, kind: EvidenceKind, messages: readonly SignedMessage[], found: Found = {}): void {
  const culprit = messages[0]!.signer;
  if (culprit === core.self || core.convicted.has(convictionKey({ culprit, kind }))) return;
  const { headers = [], block } = found;
  convict(core, { kind, epoch: core.config.epoch, culprit, messages, headers, block });
}

/** Keeps and passes on what the judge finds proven; otherwise says why it is not. */
function convict(core: Core, evidence: Evidence): string | undefined {
  const verdict = judgeEvidence(evidence, contextOf(core));
  if (!verdict.ok) return verdict.reason;
  const { kind, culprit, epoch, view, what } = verdict;
  core.convicted.add(convictionKey(evidence));
  core.proven.set(culprit, core.proven.get(culprit) ?? kind);
  core.out.push({ kind: 'evidence', evidence, view, what });
  trace(core, { name: 'proven', signer: culprit, kind, epoch, view, what });
  send(core, core.others, { kind: 'EVIDENCE', evidence });
  return undefined;
}

/** What others have proven: judged like anything found here, and so passed on once. */
export function onEvidence(core: Core, from: number, { evidence }: EvidenceMessage): void {
  if (evidence.culprit === core.self || core.convicted.has(convictionKey(evidence))) return;
  const source = core.peers.has(from) ? from : GUEST;
  if (core.now < (core.unheard.get(source) ?? 0) || convict(core, evidence) === undefined) return;
  core.unheard.set(source, core.now + PATIENCE_DELTAS * core.timeouts.delta);
  reject(core, from, 'EVIDENCE', 'bad-evidence');
}

/**
 * Does not go on with a proven liar among the actives. With more of them than are tolerated no group may be without one,
 * and then a chain that moves is better than none.
 */
export function accuseProven(core: Core): void {
  if (core.proven.size === 0 || core.proven.size > core.schedule.t || isOver(core)) return;
  const liars = core.group.filter((member) => provenFaulty(core, member));
  accuse(core, liars, `proven faulty: ${liars.map((member) => core.proven.get(member)).join(', ')}`);
}

/** Takes note of a message whose signature and form were verified. */
export function detect(core: Core, message: SignedMessage): void {
  if (message.signer === core.self) return;
  const first = core.book.first(message.signer);
  if (first !== undefined && first.incarnation !== message.incarnation) report(core, 'two-faced', [first, message]);
  switch (message.kind) {
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
      detectVote(core, message);
      return;
    case 'VIEW-CHANGE':
      detectViewChange(core, message);
      return;
    case 'VC-FINAL':
      if (!once(core, message)) return;
      for (const change of message.viewChanges) detect(core, change);
      checkAdopted(core, message.signer, message.view);
      return;
    case 'NEW-VIEW':
      if (!once(core, message)) return;
      detect(core, message.prepare);
      if (message.head) detectCertificate(core, message.head);
      for (const member of core.schedule.groupOf(message.view)) checkAdopted(core, member, message.view);
      return;
    case 'SUSPECT':
      return;
  }
}

/** The votes a verified certificate is made of. */
export function detectCertificate(core: Core, certificate: Certificate): void {
  for (const vote of votesOf(certificate)) detect(core, vote);
}

/** A message that the protocol has no use for any more, or refuses: it may still speak against its signer. */
export function observe(core: Core, message: SignedMessage): void {
  if (message.epoch !== core.config.epoch || message.kind === 'SUSPECT' || isKnown(core, message)) return;
  const bad = core.verifier.message(message);
  if (bad === undefined) detect(core, message);
  else if (bad !== 'bad-signature') onInvalid(core, message);
}

/** A finality proof that is no news: it may prove another chain than the one followed here. */
export function observeProof(core: Core, proof: Certificate): void {
  if (proof.height + OLD_PROOFS <= core.delivered.height || proof.epoch !== core.config.epoch) return;
  if (votesOf(proof).every((vote) => core.book.knows(vote))) return;
  if (core.verifier.certificate(proof) === undefined) detectCertificate(core, proof);
}

function isKnown(core: Core, message: SignedMessage): boolean {
  switch (message.kind) {
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
      return core.book.knows(message);
    case 'SUSPECT':
      return false;
    default: {
      const known = saidOnce(core, message);
      return known !== undefined && toHex(known.signature) === toHex(message.signature);
    }
  }
}

function saidOnce(core: Core, { kind, signer, view }: ViewChange | VcFinal | NewView) {
  const said = core.book.said(signer, view);
  return kind === 'VIEW-CHANGE' ? said?.viewChange : kind === 'VC-FINAL' ? said?.vcFinal : said?.newView;
}

/** A message that the verifier refused for what it says. */
export function onInvalid(core: Core, message: SignedMessage): void {
  switch (message.kind) {
    case 'VIEW-CHANGE':
    case 'VC-FINAL':
      report(core, 'bad-message', [message]);
      return;
    case 'NEW-VIEW':
      report(core, 'two-faced', [message, message.prepare]);
      return;
    case 'SUSPECT':
      return;
    default:
      if ((message.view === 0) !== (message.viewCertificate === '')) report(core, 'two-faced', [message]);
  }
}

/** VIEW-CHANGE, VC-FINAL and NEW-VIEW are signed once for a view; false when this is not the first one. */
function once(core: Core, message: ViewChange | VcFinal | NewView): boolean {
  if (core.book.addOnce(message)) return true;
  const known = saidOnce(core, message);
  if (known === undefined) return false;
  const digests = [known, message].map((one) => toHex(statementDigest(core.config, one)));
  if (digests[0] !== digests[1]) report(core, 'two-faced', [known, message]);
  return false;
}

function detectVote(core: Core, vote: Vote): void {
  const { book, schedule } = core;
  const { signer, view, height } = vote;
  if (book.knows(vote)) return;
  const said = book.said(signer, view);
  const opened = said?.first;
  if (said !== undefined) {
    for (const kind of VOTES) {
      const other = said.votes[kind].get(height);
      if (other === undefined || other.hash === vote.hash) continue;
      const prepares = vote.kind === 'PREPARE' && other.kind === 'PREPARE';
      report(core, prepares ? 'equivocation' : 'double-commit', [other, vote]);
    }
    if (opened !== undefined && opened.viewCertificate !== vote.viewCertificate)
      report(core, 'two-faced', [opened, vote]);
  }
  const word = isWord(vote, schedule.t + 1);
  for (const change of book.changesAbove(signer, view)) {
    if (vote.kind !== 'COMMITTED' && !showsVote(change, vote)) report(core, 'prepare-log-loss', [vote, change]);
    if (word && !showsWord(change, vote)) report(core, 'commit-log-loss', [vote, change]);
  }
  book.addVote(vote, word);
  if (opened === undefined && view > 0) checkAdopted(core, signer, view);
  checkLink(core, vote);
}

function detectViewChange(core: Core, change: ViewChange): void {
  if (!once(core, change)) return;
  const { signer, view, head, final, lastSigned } = change;
  const counts = (vote: Vote) => isWord(vote, core.schedule.t + 1);
  const vote = core.book.greatestBelow(signer, view, 'vote', counts);
  if (vote !== undefined && !showsVote(change, vote)) report(core, 'prepare-log-loss', [vote, change]);
  const word = core.book.greatestBelow(signer, view, 'word', counts);
  if (word !== undefined && !showsWord(change, word)) report(core, 'commit-log-loss', [word, change]);
  for (const certificate of [head, final]) if (certificate) detectCertificate(core, certificate);
  if (lastSigned === undefined) return;
  detect(core, lastSigned.prepare);
  if (lastSigned.commit) detect(core, lastSigned.commit);
}

/** Holds the head that opened a view against the VC-FINAL of one who made it or went along. */
function checkAdopted(core: Core, signer: number, view: View): void {
  const { book, config, schedule, verifier } = core;
  const group = schedule.groupOf(view);
  const newView = book.said(group[0]!, view)?.newView;
  const said = book.said(signer, view);
  if (newView === undefined || said?.vcFinal === undefined || said.first === undefined) return;
  const { vcFinal, first } = said;
  if (first.viewCertificate !== verifier.openedBy(newView)) return;
  const named = newView.digests[group.indexOf(signer)];
  if (named !== vcFinalDigest(config, vcFinal)) report(core, 'two-faced', [vcFinal, newView, first]);
  const greatest = greatestIn(vcFinal);
  const head = newView.head ?? { view: -1, ...config.root };
  if (greatest === undefined || compareOrder(head, greatest) >= 0) return;
  report(core, 'bad-new-view', newView.signer === signer ? [vcFinal, newView] : [vcFinal, newView, first]);
}

/** Holds a vote against its signer's votes one height below and above, and against the end of the epoch. */
function checkLink(core: Core, vote: Vote): void {
  if (vote.view !== core.view) return;
  checkParent(core, vote);
  if (core.entries.get(vote.height + 1)?.parent === undefined) return;
  const votes = core.book.said(vote.signer, vote.view)?.votes;
  for (const kind of VOTES) {
    const upper = votes?.[kind].get(vote.height + 1);
    if (upper !== undefined) checkParent(core, upper);
  }
}

function checkParent(core: Core, vote: Vote): void {
  const { parent, prepare } = core.entries.get(vote.height) ?? {};
  if (parent === undefined || prepare?.hash !== vote.hash) return;
  if (core.executed.get(parent)?.closes === true)
    report(core, 'bad-message', [vote], { headers: headers(core, vote, 2) });
  const votes = core.book.said(vote.signer, vote.view)?.votes;
  for (const kind of VOTES) {
    const lower = votes?.[kind].get(vote.height - 1);
    if (lower !== undefined && lower.hash !== parent)
      report(core, 'fork', [lower, vote], { headers: headers(core, vote, 1) });
  }
}

/** From a block in this view down, as far as it is here. */
function headers(core: Core, { height }: Vote, count: number): Bytes[] {
  const found: Bytes[] = [];
  for (let at = height; at > height - count; at--) {
    const block = core.entries.get(at)?.block;
    const header = block && core.ports.headerOf(block);
    if (header === undefined) break;
    found.push(header);
  }
  return found;
}

/** The block of a proposal has come: votes for it are held against what their signers voted for below it. */
export function detectLinks(core: Core, height: Height): void {
  for (const member of core.group) {
    const votes = core.book.said(member, core.view)?.votes;
    for (const kind of VOTES) {
      const vote = votes?.[kind].get(height);
      if (vote !== undefined) checkParent(core, vote);
    }
  }
}
