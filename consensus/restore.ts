/**
 * A replica made from what its log says (consensus.md section 10): the view and the way there, what it signed in it, its
 * certificates. Votes of others that a certificate does not hold are sent again by their signers. An empty log makes the
 * replica of a fresh epoch.
 */
import type { EpochConfig } from './config.ts';
import { type Core, type Entry, entryAt, execute, freshViewChange, type Learnt, type Link, type Peer } from './core.ts';
import type { Durable, DurableEntry } from './durable.ts';
import { EvidenceBook } from './evidence-book.ts';
import { makeSchedule } from './groups.ts';
import type { Certificate, Vote } from './message.ts';
import { convictionKey, type Evidence } from './message.ts';
import type { Ports } from './ports.ts';

import { votesOf } from './statement.ts';
import { keepRow } from './suspicion-rows.ts';

import { Timeouts } from './timeouts.ts';
import { Verifier } from './verify.ts';
import { unionKey } from './view-change.ts';

export type ReplicaOptions = {
  readonly config: EpochConfig;
  readonly ports: Ports;
  /** Index in the validator list, or -1 for an observer. */
  readonly self: number;
  /** Random 16 bytes as 0x hex, made with the log. */
  readonly incarnation: string;
  readonly durable: Durable;
  /** Newest final block in the ledger. */
  readonly delivered: Link;
  /**
   * The certificate of the block at which the operators broke the epoch off: their word makes it final, though it may be
   * no finality proof. For replicas that follow; what is verified here is who signed it, elsewhere what the operators say.
   */
  readonly last?: Certificate | undefined;
  /** Final blocks of the log above a gap in the ledger, ascending. */
  readonly ahead?: readonly Learnt[];
  /** Whether the log ended cleanly; an empty or torn one needs the peers' word before anything is signed. */
  readonly logClean: boolean;
  /** It took part in the epoch before until its end, in this very life: it need not ask what it signed in this one. */
  readonly live?: boolean;
  /** Whose faults in this epoch were proven before. */
  readonly proven?: readonly Pick<Evidence, 'culprit' | 'kind'>[];
  /** Random number that tells this start's questions from an earlier one's. */
  readonly nonce: number;
};

/** Where a replica starts from. */
export type Origin = Pick<ReplicaOptions, 'delivered' | 'ahead' | 'logClean' | 'live'>;

function peersOf(others: readonly number[], root: Link): Map<number, Peer> {
  const fresh = {
    lastHeard: 0,
    isHeard: false,
    view: 0,
    final: root.height,
    finalAt: 0,
    tick: 0,
    tickAt: 0,
    chainAnswerAfter: 0,
  };
  return new Map(others.map((index) => [index, { ...fresh }]));
}

function restoreEntry(core: Core, entry: Entry, logged: DurableEntry, blocks: Durable['blocks']): void {
  const { prepare, commit, committed, certificate } = logged;
  const block = prepare === undefined ? undefined : blocks.get(prepare.hash)?.bytes;
  entry.prepare = prepare;
  entry.block = block;
  entry.parent = block === undefined ? undefined : core.ports.readBlock(block)?.parent;
  const votes: Vote[] = certificate === undefined ? [] : votesOf(certificate);
  for (const vote of [...votes, commit, committed]) {
    if (vote?.kind === 'COMMIT') entry.commits.set(vote.signer, vote);
    if (vote?.kind === 'COMMITTED') entry.committeds.set(vote.signer, vote);
  }
  const primary = core.group[0] === core.self;
  entry.voted = primary ? prepare?.signer === core.self : commit !== undefined;
  const ownWord = core.group.length === 2 && !primary ? commit : committed;
  // A certificate without this replica's word on it was torn off the log's end: it is formed again from the votes.
  if (certificate !== undefined && ownWord !== undefined) {
    entry.certificate = certificate;
    entry.certificateDurable = true;
  }
}

/** Rebuilds the current view from the log. */
function restoreView(core: Core, durable: Durable): void {
  const { newView, viewChange, vcFinal } = durable;
  core.viewChange = viewChange;
  if (core.view > 0) {
    if (vcFinal !== undefined) {
      core.vc.vcFinals.set(core.self, vcFinal);
      for (const change of vcFinal.viewChanges) core.vc.union.set(unionKey(change), change);
      core.vc.quorumAt = 0;
    }
    // A follower whose COMMIT the end of the log lost has not adopted the head: VC-FINALs and NEW-VIEW come again.
    const adopted = newView?.signer === core.self || durable.marks.get('COMMIT')?.view === core.view;
    if (newView === undefined || !adopted) return;
    core.vc.newView = newView;
    core.viewCertificate = newView.prepare.viewCertificate;
  }
  const base = core.view === 0 ? core.config.root : (newView?.head ?? core.config.root);
  core.installed = true;
  core.signedTip = { height: base.height, hash: base.hash };
  core.certified = core.view === 0 ? base.height : base.height - 1;
  for (const [height, entry] of [...durable.entries].sort(([a], [b]) => a - b)) {
    const restored = entryAt(core, height);
    restoreEntry(core, restored, entry, durable.blocks);
    const { prepare } = restored;
    if (restored.voted && prepare !== undefined) core.signedTip = { height, hash: prepare.hash };
    if (restored.certificate !== undefined) core.certified = Math.max(core.certified, height);
  }
  const { final } = core;
  if (final?.view === core.view && core.group.includes(core.self))
    core.certified = Math.max(core.certified, final.height);
}

export function restoreCore(options: ReplicaOptions): Core {
  const { config, ports, self, incarnation, durable, delivered, logClean, live, nonce, last, proven = [] } = options;
  const schedule = makeSchedule(config.validators.length);
  const others = config.validators.map((_, index) => index).filter((index) => index !== self);
  // A log without any signature is a new key's, or a lost one's begun again: not even a clean end says which.
  const required = logClean && durable.marks.size > 0 ? 0 : schedule.n - schedule.t - 1;
  const follows = self < 0 || durable.forgot;
  const core: Core = {
    config,
    schedule,
    self,
    incarnation,
    ports,
    verifier: new Verifier(config, schedule, ports.recover),
    timeouts: new Timeouts(config.parameters, schedule.t),
    others,
    last,
    phase: follows ? 'learner' : live ? 'running' : 'starting',
    startup:
      follows || live
        ? undefined
        : { nonce, required, since: undefined, askedAt: undefined, answers: new Set(), reached: new Set() },
    clock: 0,
    now: 0,
    peers: peersOf(others, config.root),
    guests: new Map(),
    pins: new Map(durable.pins),
    chain: [...durable.chain],
    suspectsAhead: [],
    rows: durable.rows,
    lastSigned: durable.lastSigned,
    marks: new Map(durable.marks),
    head: durable.head,
    final: last ?? durable.final,
    delivered,
    executed: new Map(),
    executing: new Map(),
    learning: { pending: new Map(), asked: undefined, nonce: 1, behindSince: undefined, avoid: new Map() },
    seen: new Map(),
    book: new EvidenceBook(),
    convicted: new Set(proven.map(convictionKey)),
    unheard: new Map(),
    proven: new Map(proven.map(({ culprit, kind }) => [culprit, kind])),
    view: durable.view,
    group: schedule.groupOf(durable.view),
    viewCertificate: '',
    installed: false,
    suspected: false,
    accusation: undefined,
    viewChange: undefined,
    vc: freshViewChange(0),
    entries: new Map(),
    signedTip: config.root,
    certified: config.root.height,
    cutting: false,
    poolWaiting: false,
    poolFull: false,
    cutCredit: true,
    lastCutAt: 0,
    progressAt: 0,
    lastResend: 0,
    lastHeartbeat: 0,
    out: [],
  };
  if (durable.suspect?.view === core.view) core.suspectsAhead.push(durable.suspect);
  for (const suspect of durable.chain) for (const row of suspect.rows) keepRow(core, row);
  restoreView(core, durable);
  // On the way down from a proof that was verified before it was logged.
  for (const block of options.ahead ?? []) core.learning.pending.set(block.height, { ...block, proven: true });
  executeLogged(core, durable);
  return core;
}

/** Logged blocks above the ledger's head are executed again, parents first; those nobody follows any more may fail. */
function executeLogged(core: Core, durable: Durable): void {
  const blocks = [...durable.blocks.values()].sort((a, b) => a.height - b.height);
  for (const { height, bytes } of blocks) {
    const id = core.ports.readBlock(bytes);
    if (id !== undefined && height > core.delivered.height) execute(core, id, bytes, 'restored');
  }
}
