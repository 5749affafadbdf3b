/**
 * The judge of evidence (consensus.md section 6): pure, without a replica's state, so that every node and every stranger
 * with the epoch's configuration comes to the same verdict. It accepts nothing that a correct validator could ever sign,
 * whatever crashes: a correct one signs once per position, above all it signed before, on one chain per view, and only
 * what it verified and executed; and what it signed is in its log before anybody has it.
 *
 * Only fields that the culprit's signature covers may speak against it. Not covered are epoch and view of the
 * VIEW-CHANGEs inside a VC-FINAL (the outer ones stand for them), and the body of a block beside its header.
 */

import type { Bytes, Epoch, Hash, Height, View } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import type { EpochConfig } from './config.ts';
import type { Schedule } from './groups.ts';
import type { Evidence, EvidenceKind } from './message.ts';
import {
  type Certificate,
  compareOrder,
  type NewView,
  type SignedMessage,
  type VcFinal,
  type ViewChange,
  type Vote,
} from './message.ts';
import type { HeaderId, Ports } from './ports.ts';
import { statementDigest, vcFinalDigest } from './statement.ts';
import { Verifier } from './verify.ts';

/** What evidence is judged by. The chain and the epoch are in the configuration; its timing plays no part. */
export type JudgeContext = {
  readonly config: EpochConfig;
  /** Of as many validators. */
  readonly schedule: Schedule;
  readonly recover: Ports['recover'];
  readonly readBlock: Ports['readBlock'];
  readonly readHeader: Ports['readHeader'];
  /** The block is known to end the epoch. A header shows it by itself when the validator list changes. */
  readonly isClosing?: (hash: Hash) => boolean;
  /** What is wrong with a block, by execution on its parent's state; 'unknown' without that state. */
  readonly blockFault?: (block: Bytes) => string | 'unknown' | undefined;
};

export type Verdict =
  | {
      readonly ok: true;
      readonly kind: EvidenceKind;
      readonly culprit: number;
      readonly epoch: Epoch;
      readonly view: View;
      /** One sentence for people. */
      readonly what: string;
    }
  | { readonly ok: false; readonly reason: string };

/** What was proven, or why nothing was. */
type Finding = { readonly view: View; readonly what: string } | string;

type Case = {
  readonly evidence: Evidence;
  readonly context: JudgeContext;
  readonly verifier: Verifier;
};

export function judgeEvidence(evidence: Evidence, context: JudgeContext): Verdict {
  const { kind, epoch, culprit } = evidence;
  const { config, schedule } = context;
  if (epoch !== config.epoch) return { ok: false, reason: `it is about epoch ${epoch}, not ${config.epoch}` };
  if (culprit >= config.validators.length) return { ok: false, reason: `epoch ${epoch} has no validator ${culprit}` };
  const verifier = new Verifier(config, schedule, context.recover);
  for (const message of evidence.messages) {
    const bad = verifier.signature(message);
    if (bad) return { ok: false, reason: `the ${message.kind} of validator ${message.signer}: ${bad}` };
  }
  const finding = find({ evidence, context, verifier });
  if (typeof finding === 'string') return { ok: false, reason: `no ${kind}: ${finding}` };
  return { ok: true, kind, culprit, epoch, ...finding };
}

function find(it: Case): Finding {
  switch (it.evidence.kind) {
    case 'equivocation':
    case 'double-commit':
      return twoHashes(it);
    case 'fork':
      return fork(it);
    case 'prepare-log-loss':
      return prepareLogLoss(it);
    case 'commit-log-loss':
      return commitLogLoss(it);
    case 'bad-new-view':
      return badNewView(it);
    case 'two-faced':
      return twoFaced(it);
    case 'bad-message':
      return badMessage(it);
    case 'bad-block':
      return badBlock(it);
  }
}

const WRONG_FORM = 'its messages are not the ones that show it';

function isVote(message: SignedMessage | undefined): message is Vote {
  return message?.kind === 'PREPARE' || message?.kind === 'COMMIT' || message?.kind === 'COMMITTED';
}

/** The culprit's message of some kind at a place in the evidence. */
function own<T extends SignedMessage>(
  { evidence }: Case,
  place: number,
  is: (message: SignedMessage | undefined) => message is T,
): T | undefined {
  const message = evidence.messages[place];
  return is(message) && message.signer === evidence.culprit ? message : undefined;
}

function isKind<K extends SignedMessage['kind']>(kind: K) {
  return (message: SignedMessage | undefined): message is SignedMessage & { kind: K } => message?.kind === kind;
}

function at(vote: Vote): string {
  return `${vote.kind} at view ${vote.view}, height ${vote.height}`;
}

/** Two votes at one position for two blocks. */
function twoHashes(it: Case): Finding {
  const [a, b] = [own(it, 0, isVote), own(it, 1, isVote)];
  if (a === undefined || b === undefined || it.evidence.messages.length !== 2) return WRONG_FORM;
  const prepares = a.kind === 'PREPARE' && b.kind === 'PREPARE';
  if (prepares !== (it.evidence.kind === 'equivocation')) return WRONG_FORM;
  if (a.view !== b.view || a.height !== b.height) return 'the two votes are at different positions';
  if (a.hash === b.hash) return 'both votes are for one block';
  return { view: a.view, what: `${at(a)} for ${a.hash}, and ${b.kind} there for ${b.hash}` };
}

/** Down the headers from `top`, each linked to the one above by its hash; undefined when they are not. */
function chainDown({ evidence, context }: Case, top: Hash, height: Height): HeaderId[] | undefined {
  const chain: HeaderId[] = [];
  let wanted = top;
  for (const bytes of evidence.headers) {
    const id = context.readHeader(bytes);
    if (id === undefined || id.hash !== wanted || id.height !== height - chain.length) return undefined;
    chain.push(id);
    wanted = id.parent;
  }
  return chain;
}

/** Two votes in one view, the upper one not on top of the lower. */
function fork(it: Case): Finding {
  const [low, high] = [own(it, 0, isVote), own(it, 1, isVote)];
  if (low === undefined || high === undefined || it.evidence.messages.length !== 2) return WRONG_FORM;
  if (low.view !== high.view || low.height >= high.height) return 'the votes are not one above the other in one view';
  const chain = chainDown(it, high.hash, high.height);
  if (chain?.length !== high.height - low.height)
    return 'the headers do not lead from the upper block to the lower height';
  const below = chain.at(-1)!.parent;
  if (below === low.hash) return 'the upper block is built on the lower';
  return { view: low.view, what: `${at(low)} for ${low.hash}, and ${at(high)} above ${below}` };
}

/** What a VIEW-CHANGE says of the votes before it covers this one. */
export function showsVote({ lastSigned }: ViewChange, vote: Vote): boolean {
  const order = lastSigned === undefined ? -1 : compareOrder(lastSigned.prepare, vote);
  return order > 0 || (order === 0 && lastSigned?.prepare.hash === vote.hash);
}

/** A vote, and a VIEW-CHANGE for a later view that does not know of it. */
function prepareLogLoss(it: Case): Finding {
  const [vote, change] = [own(it, 0, isVote), own(it, 1, isKind('VIEW-CHANGE'))];
  if (vote === undefined || change === undefined || it.evidence.messages.length !== 2) return WRONG_FORM;
  if (vote.kind === 'COMMITTED') return WRONG_FORM;
  if (change.view <= vote.view) return 'the VIEW-CHANGE is for no later view';
  if (showsVote(change, vote)) return 'the VIEW-CHANGE shows the vote, or a later one';
  const last = change.lastSigned?.prepare;
  const shown = last === undefined ? 'no vote' : `view ${last.view}, height ${last.height}, ${last.hash}`;
  return { view: change.view, what: `${at(vote)}, and then a VIEW-CHANGE whose last vote is ${shown}` };
}

/** The vote by which its signer says that the certificate is in its log. */
export function isWord({ kind }: Vote, groupSize: number): boolean {
  return kind === 'COMMITTED' || (groupSize === 2 && kind === 'COMMIT') || (groupSize === 1 && kind === 'PREPARE');
}

/** The head of a VIEW-CHANGE is not below what its sender has said to be certified. */
export function showsWord({ head }: ViewChange, word: Vote): boolean {
  return head !== undefined && compareOrder(head, word) >= 0;
}

function commitLogLoss(it: Case): Finding {
  const [word, change] = [own(it, 0, isVote), own(it, 1, isKind('VIEW-CHANGE'))];
  if (word === undefined || change === undefined || it.evidence.messages.length !== 2) return WRONG_FORM;
  if (!isWord(word, it.context.schedule.t + 1)) return `a ${word.kind} says nothing of certificates`;
  if (change.view <= word.view) return 'the VIEW-CHANGE is for no later view';
  const { head } = change;
  if (showsWord(change, word)) return 'the VIEW-CHANGE shows the certificate, or a later one';
  const shown = head === undefined ? 'none' : `that of view ${head.view}, height ${head.height}`;
  return { view: change.view, what: `${at(word)}, and then a VIEW-CHANGE whose greatest certificate is ${shown}` };
}

/** The greatest certificate that a VC-FINAL shows. */
export function greatestIn({ viewChanges }: VcFinal): Certificate | undefined {
  let greatest: Certificate | undefined;
  for (const { head, final } of viewChanges) {
    for (const certificate of [head, final]) {
      if (certificate && (greatest === undefined || compareOrder(certificate, greatest) > 0)) greatest = certificate;
    }
  }
  return greatest;
}

/** Whether a vote was signed in a view that this NEW-VIEW opened, as its signer saw it. */
function accepted({ verifier }: Case, newView: NewView, vote: Vote): boolean {
  return vote.view === newView.view && vote.viewCertificate === verifier.openedBy(newView);
}

/**
 * A NEW-VIEW, its own or one it accepted, below the greatest certificate in the culprit's VC-FINAL. What it accepted its
 * own vote names: `viewCertificate` is the hash of head and VC-FINALs.
 */
function badNewView(it: Case): Finding {
  const { messages, culprit } = it.evidence;
  const [final, newView, vote] = [own(it, 0, isKind('VC-FINAL')), messages[1], own(it, 2, isVote)];
  if (final === undefined || newView?.kind !== 'NEW-VIEW' || final.view !== newView.view) return WRONG_FORM;
  if (messages.length !== (newView.signer === culprit ? 2 : 3)) return WRONG_FORM;
  if (newView.signer !== culprit && (vote === undefined || !accepted(it, newView, vote)))
    return 'nothing shows that the NEW-VIEW was accepted';
  const greatest = greatestIn(final);
  const bad = it.verifier.vcFinal(final);
  if (bad) return `the VC-FINAL is not valid: ${bad}`;
  const head = newView.head ?? { view: -1, ...it.context.config.root };
  if (greatest === undefined || compareOrder(head, greatest) >= 0)
    return 'the head adopted is not below the greatest known';
  const known = `view ${greatest.view}, height ${greatest.height}`;
  return {
    view: final.view,
    what: `a head of view ${head.view}, height ${head.height} for view ${final.view}, and a VC-FINAL that shows ${known}`,
  };
}

function twoFaced(it: Case): Finding {
  const { messages, culprit } = it.evidence;
  const [a, b] = messages;
  if (a?.signer !== culprit) return WRONG_FORM;
  if (messages.length === 1) return isVote(a) ? unopened(a) : WRONG_FORM;
  if (messages.length === 3) return unnamed(it);
  if (b === undefined || b.signer !== culprit) return WRONG_FORM;
  if (a.incarnation !== b.incarnation) {
    return { view: b.view, what: `a ${a.kind} as ${a.incarnation} and a ${b.kind} as ${b.incarnation}` };
  }
  if (a.view !== b.view) return 'the two messages are of different views';
  if (isVote(a) && isVote(b)) {
    if (a.viewCertificate === b.viewCertificate) return 'both votes name one opening of the view';
    return { view: a.view, what: `${at(a)} and ${at(b)} name two openings of the view` };
  }
  if (a.kind === 'NEW-VIEW' && isVote(b)) {
    if (accepted(it, a, b)) return 'the vote names the NEW-VIEW';
    return { view: a.view, what: `a NEW-VIEW, and a ${at(b)} that names another opening of the view` };
  }
  const once = a.kind === 'VIEW-CHANGE' || a.kind === 'VC-FINAL' || a.kind === 'NEW-VIEW';
  if (!once || a.kind !== b.kind) return WRONG_FORM;
  const [one, other] = [a, b].map((message) => keccakHash(statementDigest(it.context.config, message)));
  return one === other ? 'both messages say the same' : { view: a.view, what: `two different ${a.kind}s` };
}

/** View 0 needs no opening, every other view one. */
function unopened(vote: Vote): Finding {
  if ((vote.view === 0) === (vote.viewCertificate === '')) return 'the vote names what it has to';
  return {
    view: vote.view,
    what: `${at(vote)} that names ${vote.viewCertificate === '' ? 'no' : 'an'} opening of the view`,
  };
}

/** A vote in a view whose NEW-VIEW names a VC-FINAL of the culprit's that is not the one it sent. */
function unnamed(it: Case): Finding {
  const { messages, culprit } = it.evidence;
  const [final, newView, vote] = [own(it, 0, isKind('VC-FINAL')), messages[1], own(it, 2, isVote)];
  if (final === undefined || newView?.kind !== 'NEW-VIEW' || vote === undefined) return WRONG_FORM;
  if (final.view !== newView.view || !accepted(it, newView, vote))
    return 'nothing shows that the NEW-VIEW was accepted';
  const place = it.context.schedule.groupOf(final.view).indexOf(culprit);
  const named = newView.digests[place];
  if (named === undefined) return WRONG_FORM;
  if (named === vcFinalDigest(it.context.config, final)) return 'the NEW-VIEW names this VC-FINAL';
  return { view: final.view, what: `a VC-FINAL, and a ${at(vote)} after a NEW-VIEW that names another one of its` };
}

function badMessage(it: Case): Finding {
  const { messages, headers } = it.evidence;
  const [message] = messages;
  if (messages.length !== 1 || message?.signer !== it.evidence.culprit) return WRONG_FORM;
  if (isVote(message)) return aboveClosing(it, message);
  if (headers.length > 0) return WRONG_FORM;
  if (message.kind === 'VIEW-CHANGE') return invalid(message, it.verifier.viewChange(message));
  if (message.kind !== 'VC-FINAL') return WRONG_FORM;
  const foreign = message.viewChanges.some(({ epoch, view }) => epoch !== message.epoch || view !== message.view);
  return foreign ? 'the VIEW-CHANGEs in the VC-FINAL were altered' : invalid(message, it.verifier.vcFinal(message));
}

function invalid(message: ViewChange | VcFinal, bad: string | undefined): Finding {
  if (bad === undefined) return `the ${message.kind} is valid`;
  return { view: message.view, what: `an invalid ${message.kind}: ${bad}` };
}

/** A vote for a block above the one that closed the epoch: headers from that block down to the closing one. */
function aboveClosing(it: Case, vote: Vote): Finding {
  const { config, isClosing } = it.context;
  const chain = chainDown(it, vote.hash, vote.height);
  const closing = chain?.at(-1);
  if (chain === undefined || closing === undefined || chain.length < 2 || closing.height <= config.root.height)
    return 'the headers do not lead from the block down to one below it in this epoch';
  const changes = closing.members !== undefined && closing.members !== config.membershipHash;
  if (!changes && isClosing?.(closing.hash) !== true)
    return `nothing shows that block ${closing.height} closed the epoch`;
  return { view: vote.view, what: `${at(vote)}, above closing block ${closing.height}` };
}

function badBlock(it: Case): Finding {
  const { messages, block } = it.evidence;
  const vote = own(it, 0, isVote);
  if (vote === undefined || messages.length !== 1 || block === undefined) return WRONG_FORM;
  const { readBlock, blockFault } = it.context;
  if (readBlock(block)?.hash !== vote.hash) return 'the block is not the one that was signed';
  const fault = blockFault === undefined ? 'unknown' : blockFault(block);
  if (fault === undefined) return 'the block follows from its parent';
  if (fault === 'unknown') return "it takes the parent's state to tell, and that is not here";
  return { view: vote.view, what: `${at(vote)} for a block that does not follow from its parent: ${fault}` };
}
