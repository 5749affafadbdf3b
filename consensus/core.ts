/**
 * The state every mechanism works on, grouped by lifetime, and the few helpers that all of them need: sealing under the
 * sign guard, sending, persisting, tracing. A mechanism is a file of functions over this record; replica.ts dispatches.
 */
import { assert } from '../primitives/errors.ts';
import type { Bytes, Hash, Height, View } from '../primitives/ids.ts';
import type { EpochConfig } from './config.ts';
import type { DurableRecord } from './durable.ts';
import type { Effect, Trace } from './effect.ts';
import type { PersistToken } from './event.ts';
import type { EvidenceBook } from './evidence-book.ts';
import type { Group, Schedule } from './groups.ts';
import {
  type Certificate,
  compareOrder,
  type EvidenceKind,
  type Message,
  type NewView,
  type Row,
  type Seal,
  type SignedMessage,
  type Suspect,
  type VcFinal,
  type ViewCertificate,
  type ViewChange,
  type Vote,
} from './message.ts';
import type { BlockId, Ports } from './ports.ts';
import type { RejectReason } from './reject.ts';
import { type Statement, statementDigest } from './statement.ts';
import type { Timeouts } from './timeouts.ts';
import type { Verifier } from './verify.ts';

/** One height in the current view. Votes may come before the proposal; they are matched against it when it is there. */
export type Entry = {
  readonly height: Height;
  prepare: Vote | undefined;
  parent: Hash | undefined;
  /** Undefined for a head adopted from an earlier view: everybody who signs it has fetched it. */
  block: Bytes | undefined;
  readonly commits: Map<number, Vote>;
  readonly committeds: Map<number, Vote>;
  /** This replica signed its PREPARE or COMMIT here. */
  voted: boolean;
  certificate: Certificate | undefined;
  certificateDurable: boolean;
  /** Tick since which the votes of others are waited for. */
  since: number;
};

/** A chain position. */
export type Link = { readonly height: Height; readonly hash: Hash };

/** An executed block: what it builds on, and whether it ends the epoch. */
export type ExecutedLink = Link & { readonly parent: Hash; readonly closes: boolean };

/** What is gathered on the way into the current view (consensus.md section 5). Dropped with the view. */
export type ViewChangeState = {
  readonly enteredAt: number;
  /** When the chain was pushed (its record is durable): the 2Δ wait counts from here, and starts again after a pause. */
  waitFrom: number | undefined;
  /** When n-t VIEW-CHANGEs were in: only from here on is anybody late. */
  quorumAt: number | undefined;
  /** VIEW-CHANGEs heard from their senders: these count towards n-t. */
  readonly direct: Map<number, ViewChange>;
  /** All VIEW-CHANGEs known, by sender and digest: both of a two-faced sender's are kept. */
  readonly union: Map<string, ViewChange>;
  readonly vcFinals: Map<number, VcFinal>;
  /** When the last of the t+1 VC-FINALs came in. */
  completeAt: number | undefined;
  newView: NewView | undefined;
  /** Since when NEW-VIEW is known to name another VC-FINAL of somebody than this replica got from that one. */
  disputedAt: number | undefined;
  /** The head to adopt, once it is known, and who certified it; its chain may still have to be fetched and executed. */
  adopting: (Link & { readonly seals?: readonly Seal[] }) | undefined;
  /** Bodies on the way to it, by hash, and the question that is out for more. */
  readonly bodies: Map<Hash, Learnt>;
  asked: BodiesAsked | undefined;
};

/** `tries`: how often this body was asked for before; `answered`: in vain, so another may be asked at once. */
type BodiesAsked = {
  readonly peer: number;
  readonly nonce: number;
  readonly hash: Hash;
  readonly at: number;
  readonly tries: number;
  readonly answered: boolean;
};

export type Learnt = BlockId & { readonly block: Bytes; readonly proof: Certificate | undefined };

/** `proven`: a verified proof of it, or of a block above it that came with it, is known. */
export type Pending = Learnt & { readonly proven: boolean };

/** From a height on, or (`hash`) the body of one block and of those below it. */
type FinalAsked = {
  readonly peer: number;
  readonly nonce: number;
  readonly from: Height;
  readonly hash?: Hash;
  readonly at: number;
};

/** Final blocks learnt from others and not delivered yet, and the question that is out (learning.ts). */
export type Learning = {
  readonly pending: Map<Height, Pending>;
  asked: FinalAsked | undefined;
  nonce: number;
  /** Since when this replica has known to be behind without getting anywhere. */
  behindSince: number | undefined;
  /** Peers that answered badly or not at all, and the tick until which they are passed over. */
  readonly avoid: Map<number, number>;
};

/** Why a block is being executed. */
export type Wanted = 'proposal' | 'learnt' | 'adopted' | 'restored';

/** What is known of another validator. */
export type Peer = {
  lastHeard: number;
  /** In this life of the process, in this epoch. */
  isHeard: boolean;
  view: View;
  final: Height;
  /** When its final height last rose: a primary that is catching up is not a silent one. */
  finalAt: number;
  /** Its last heartbeat's tick, and when it came: for the echo that lets it measure the round trip. */
  tick: number;
  tickAt: number;
  /** No second answer with the chain before this tick. */
  chainAnswerAfter: number;
};

/** The question every validator asks before its first signature (startup.ts). */
export type Startup = {
  readonly nonce: number;
  /** Answers needed: none with a log that ends cleanly after a signature, n-t-1 otherwise. */
  readonly required: number;
  /** Tick of the first question: from then on it listens. */
  since: number | undefined;
  askedAt: number | undefined;
  readonly answers: Set<number>;
  /** Peers whose link came up meanwhile. */
  readonly reached: Set<number>;
};

export type Phase =
  /** Asking whether anybody holds a signature this log does not know (section 7): nothing is signed. */
  | 'starting'
  /** Takes part. */
  | 'running'
  /** Observer, or a validator that forgot what it signed: follows final blocks, signs nothing. */
  | 'learner'
  /** The epoch's closing block is final here: signs nothing more, the next epoch has a replica of its own. */
  | 'ended'
  /** Something that only anarchy explains: signs nothing more. */
  | 'halted';

export type Core = {
  // Fixed for the epoch.
  readonly config: EpochConfig;
  readonly schedule: Schedule;
  readonly self: number;
  readonly incarnation: string;
  readonly ports: Ports;
  readonly verifier: Verifier;
  readonly timeouts: Timeouts;
  /** Everybody but this replica. */
  readonly others: readonly number[];
  /** Of the epoch's last block, when the epoch was broken off: final whatever its kind, and nothing above it is. */
  readonly last: Certificate | undefined;

  // For the epoch.
  phase: Phase;
  startup: Startup | undefined;
  /** The host's clock at the last tick. Only heartbeats use it. */
  clock: number;
  /**
   * Running time: the clock without pauses. A tick counts for Δ/2 at most, so that a process that was stopped, or a
   * machine that slept, does not wake up accusing everybody.
   */
  now: number;
  readonly peers: Map<number, Peer>;
  /** Peers that are no validators of this epoch but know of a later one, and the final height they spoke of. */
  readonly guests: Map<number, Height>;
  readonly pins: Map<number, string>;
  /** The accepted SUSPECTs that led here, one from the target of the other. Written when a view is entered. */
  readonly chain: Suspect[];
  /** SUSPECTs of views not reached yet. Written by suspicion, dropped when their target is reached. */
  suspectsAhead: Suspect[];
  /** Suspicions of this generation, this replica's own row first; its own of the next one just before that begins. */
  rows: readonly Row[];
  lastSigned: { readonly prepare: Vote; readonly commit: Vote | undefined } | undefined;
  readonly marks: Map<SignedMessage['kind'], { readonly view: View; readonly height: Height }>;
  head: Certificate | undefined;
  /** Newest finality proof known; may be ahead of what is delivered. */
  final: Certificate | undefined;
  delivered: Link;
  /** Executed blocks above `delivered`, by hash. Written by `executed` events, pruned by delivery. */
  readonly executed: Map<Hash, ExecutedLink>;
  /** Executions asked for and not answered. */
  readonly executing: Map<Hash, { readonly link: BlockId; readonly judgeTime: boolean; readonly wanted: Set<Wanted> }>;
  readonly learning: Learning;
  /** Newest signed messages by others' keys: what an ASK is answered with. */
  readonly seen: Map<string, SignedMessage>;
  /** What others' messages are held against. Written by fault detection. */
  readonly book: EvidenceBook;
  /** Culprit and kind of every fault proven, and each culprit with what was proven first. Written by fault detection. */
  readonly convicted: Set<string>;
  readonly proven: Map<number, EvidenceKind>;
  /** Peers whose evidence proved nothing, and the tick until which no more of it is looked at; guests are one. */
  readonly unheard: Map<number, number>;

  // For the view.
  view: View;
  group: Group;
  viewCertificate: ViewCertificate;
  /** The view's head is adopted: the common case runs. */
  installed: boolean;
  /** No longer signs in this view: an accusation waits to be acted on, or has been. */
  suspected: boolean;
  accusation: { readonly accused: readonly number[]; readonly reason: string } | undefined;
  viewChange: ViewChange | undefined;
  vc: ViewChangeState;
  readonly entries: Map<Height, Entry>;
  /** The block signed last in this view; the head at first. Also what the primary builds on. */
  signedTip: Link;
  /** Highest height whose certificate, and all below it in this view, is formed. */
  certified: Height;

  // The primary's batching.
  cutting: boolean;
  poolWaiting: boolean;
  poolFull: boolean;
  /** A block became final since the last cut, so a part-filled batch may go although others are in flight. */
  cutCredit: boolean;
  lastCutAt: number;

  // Timers.
  /** When anything last became final, or the view was installed. */
  progressAt: number;
  lastResend: number;
  lastHeartbeat: number;

  out: Effect[];
};

export function isPrimary(core: Core): boolean {
  return core.group[0] === core.self;
}

export function isActive(core: Core): boolean {
  return core.self >= 0 && core.group.includes(core.self);
}

/** The other actives of the current view. */
export function otherActives(core: Core): number[] {
  return core.group.filter((member) => member !== core.self);
}

/** A finality proof of the current view, or of a later one, is known: nobody needs a VIEW-CHANGE for it any more. */
export function established(core: Core): boolean {
  return (core.final?.view ?? -1) >= core.view;
}

/** Nothing more happens here: halted, or the epoch has ended. */
export function isOver(core: Core): boolean {
  return core.phase === 'halted' || core.phase === 'ended';
}

/** A later view has a finality proof: this one is over, although what leads out of it is still on its way. */
export function overtaken(core: Core): boolean {
  return (core.final?.view ?? -1) > core.view;
}

/** May sign in the current view: running, active, the view's head adopted, and no later view known to be established. */
export function inCommonCase(core: Core): boolean {
  return core.phase === 'running' && core.installed && isActive(core) && !overtaken(core);
}

export function trace(core: Core, entry: Trace): void {
  core.out.push({ kind: 'trace', trace: entry });
}

export function reject(core: Core, from: number, message: Message['kind'], reason: RejectReason): void {
  trace(core, { name: 'rejected', from, message, reason });
}

export function send(core: Core, to: readonly number[], message: Message): void {
  if (to.length > 0) core.out.push({ kind: 'send', to, message });
}

export function persist(core: Core, records: readonly DurableRecord[], token?: PersistToken): void {
  core.out.push({ kind: 'persist', records, sync: true, token });
}

/** Written with the next synced record: nothing that leaves the node depends on it. */
export function persistLater(core: Core, records: readonly DurableRecord[]): void {
  core.out.push({ kind: 'persist', records, sync: false, token: undefined });
}

/**
 * Signs a statement. The guard is the rule that nothing is signed twice at one position nor below one already signed,
 * and no vote in a view that was left; breaking it is a bug here, whatever the input, so it stops the process.
 */
export function seal<S extends Exclude<Statement, { kind: 'ROW' }>>(
  core: Core,
  statement: Omit<S, keyof Seal>,
): S & Seal {
  assert(core.phase === 'running' && core.self >= 0, `signing ${statement.kind} while ${core.phase}`);
  const at = { view: statement.view, height: 'height' in statement ? (statement.height as Height) : 0 };
  const mark = core.marks.get(statement.kind);
  assert(mark === undefined || compareOrder(at, mark) > 0, `sign guard: ${statement.kind} at ${at.view}/${at.height}`);
  assert(at.view === core.view, `sign guard: ${statement.kind} for view ${at.view} in view ${core.view}`);
  core.marks.set(statement.kind, at);
  return sign<S>(core, statement);
}

function sign<S extends Statement>(core: Core, statement: Omit<S, keyof Seal>): S & Seal {
  const unsigned = { ...statement, signer: core.self, incarnation: core.incarnation } as unknown as S;
  const signature = core.ports.sign(statementDigest(core.config, unsigned));
  return { ...unsigned, signature } as S & Seal;
}

/** Signs a row. It must hold all of the one before in its generation: the guard of what has no place in the order. */
export function sealRow(core: Core, row: Omit<Row, keyof Seal>): Row {
  assert(core.phase === 'running' && core.self >= 0, `signing a row while ${core.phase}`);
  const before = core.rows.find(({ signer, generation }) => signer === core.self && generation === row.generation);
  assert(before?.members.every((member) => row.members.includes(member)) ?? true, 'sign guard: a row that shrinks');
  return sign<Row>(core, row);
}

export function makeVote(core: Core, kind: Vote['kind'], at: Link): Vote {
  const { config, view, viewCertificate } = core;
  return seal<Vote>(core, { kind, epoch: config.epoch, view, viewCertificate, height: at.height, hash: at.hash });
}

export function entryAt(core: Core, height: Height): Entry {
  const known = core.entries.get(height);
  if (known) return known;
  const entry: Entry = {
    height,
    prepare: undefined,
    parent: undefined,
    block: undefined,
    commits: new Map(),
    committeds: new Map(),
    voted: false,
    certificate: undefined,
    certificateDurable: false,
    since: core.now,
  };
  core.entries.set(height, entry);
  return entry;
}

export function freshViewChange(now: number): ViewChangeState {
  return {
    enteredAt: now,
    waitFrom: undefined,
    quorumAt: undefined,
    direct: new Map(),
    union: new Map(),
    vcFinals: new Map(),
    completeAt: undefined,
    newView: undefined,
    disputedAt: undefined,
    adopting: undefined,
    bodies: new Map(),
    asked: undefined,
  };
}

/** Refuses to go on in this view because of somebody in it. Only the first accusation in a view counts. */
export function accuse(core: Core, accused: readonly number[], reason: string): void {
  const others = accused.filter((member) => member !== core.self && core.group.includes(member));
  if (core.phase !== 'running' || core.suspected || !isActive(core) || others.length === 0) return;
  core.suspected = true;
  core.accusation = { accused: others, reason };
}

/** Asks the host to execute a block on top of its parent, once, whoever wants it. */
export function execute(core: Core, link: BlockId, block: Bytes, wanted: Wanted): void {
  const running = core.executing.get(link.hash);
  if (running !== undefined) {
    running.wanted.add(wanted);
    return;
  }
  if (core.executed.has(link.hash)) return;
  const judgeTime = wanted === 'proposal';
  const { hash, parent, height } = link;
  core.executing.set(hash, { link: { hash, parent, height }, judgeTime, wanted: new Set([wanted]) });
  core.out.push({ kind: 'execute', hash, parent, height, block, judgeTime });
}

/** Stops for good: only a broken promise of the fault model leads here (consensus.md section 5, step 8). */
export function halt(core: Core, reason: string): void {
  core.phase = 'halted';
  trace(core, { name: 'halted', reason });
}
