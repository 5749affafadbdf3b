/**
 * The replica: events in, effects out (consensus.md section 12). This file only dispatches; each mechanism has its own.
 * Handlers change the state, and `settle` then takes, in a fixed order and until nothing moves, every step that has
 * become possible. No clock, randomness, socket or disk: the same object runs in the node and in the simulator.
 */
import type { Hash, Height } from '../primitives/ids.ts';
import { onBodies } from './adoption.ts';
import { answerWithChain, sendChain } from './chain.ts';
import {
  certifyNext,
  checkNext,
  executeVoted,
  finalizeReady,
  onCertificateDurable,
  onCut,
  onProposal,
  onProposalRefused,
  onVote,
  proposeNext,
} from './common-case.ts';
import { type Core, isOver, type Phase, reject } from './core.ts';
import type { Effect } from './effect.ts';
import type { Event, PersistToken } from './event.ts';
import { accuseProven, observe, onEvidence } from './fault-detection.ts';
import { deliverReady, onFinality } from './finality.ts';
import { askIfBehind, learnNext, onBlocks, onFinal, onLearntRefused } from './learning.ts';
import type { EvidenceKind, Message, SignedMessage } from './message.ts';
import { heartbeat, onHeartbeat, resend } from './resend.ts';
import { type ReplicaOptions, restoreCore } from './restore.ts';
import { onAnswer, onAsk, onReached, startupDone } from './startup.ts';
import { actOnAccusation, checkTimeouts, onOverdue, onSuspects, resumeSuspicion } from './suspicion.ts';
import { suspectedBy } from './suspicion-rows.ts';
import { advanceViewChange, onNewView, onVcFinal, onViewChange, resumeViewChange } from './view-change.ts';

export type PeerStatus = {
  readonly sinceHeardMs: number;
  /** It has said where it is, in this epoch and this life: before that, the rest is a guess. */
  readonly isKnown: boolean;
  readonly view: number;
  readonly final: number;
};

/** What status pages and tests may look at. */
export type ReplicaStatus = {
  readonly phase: Phase;
  readonly epoch: number;
  readonly view: number;
  readonly group: readonly number[];
  readonly installed: boolean;
  readonly final: { readonly height: number; readonly hash: Hash };
  readonly head: { readonly view: number; readonly height: number; readonly hash: Hash };
  readonly peers: ReadonlyMap<number, PeerStatus>;
  readonly suspicionMs: number;
  /** Validators with a proven fault in this epoch. */
  readonly proven: ReadonlyMap<number, EvidenceKind>;
  /** By validator: who suspects it in this generation. */
  readonly suspectedBy: ReadonlyMap<number, readonly number[]>;
};

/** What one that signs nothing more still takes. */
const STILL_HEARD: ReadonlySet<Message['kind']> = new Set(['ASK', 'EVIDENCE']);
/** Peers of other epochs whose word about final blocks is kept. */
const GUESTS_MAX = 64;

export class Replica {
  readonly #core: Core;

  constructor(options: ReplicaOptions) {
    this.#core = restoreCore(options);
  }

  /** Effects that bring the restored state to life: executions of logged blocks. Call once, before any event. */
  start(): Effect[] {
    this.#settle();
    return this.#take();
  }

  step(event: Event): Effect[] {
    const core = this.#core;
    // One that has stopped signing still says what it saw others sign.
    const answers = event.kind === 'tick' || (event.kind === 'message' && STILL_HEARD.has(event.message.kind));
    if (!isOver(core) || answers) this.#handle(event);
    this.#settle();
    return this.#take();
  }

  get status(): ReplicaStatus {
    const core = this.#core;
    const { phase, installed, delivered, head, final, config, peers, now, schedule } = core;
    // Who only follows is told of views by their blocks.
    const view = phase === 'learner' ? Math.max(this.#core.view, final?.view ?? 0) : this.#core.view;
    return {
      phase,
      epoch: config.epoch,
      view,
      group: schedule.groupOf(view),
      installed,
      final: delivered,
      head: head ?? { view: -1, ...config.root },
      // Made only for those who look: the host asks for the rest several times per tick.
      get peers() {
        const known = [...peers].map(([index, { lastHeard, tick, ...peer }]): [number, PeerStatus] => [
          index,
          { sinceHeardMs: now - lastHeard, isKnown: tick > 0, view: peer.view, final: peer.final },
        ]);
        return new Map(known);
      },
      suspicionMs: this.#core.timeouts.suspicion,
      proven: this.#core.proven,
      get suspectedBy() {
        return suspectedBy(core);
      },
    };
  }

  #take(): Effect[] {
    const effects = this.#core.out;
    this.#core.out = [];
    return effects;
  }

  #handle(event: Event): void {
    const core = this.#core;
    switch (event.kind) {
      case 'message':
        this.#onMessage(event.from, event.message);
        return;
      case 'tick':
        this.#onTick(event.now);
        return;
      case 'ahead':
        this.#onAhead(event.from, event.final);
        return;
      case 'connected':
        this.#onConnected(event.peer);
        return;
      case 'persisted':
        this.#onPersisted(event.token);
        return;
      case 'executed':
        this.#onExecuted(event);
        return;
      case 'cut':
        onCut(core, event.parent, event.block);
        return;
      case 'pool':
        core.poolWaiting = event.waiting;
        core.poolFull = event.full;
        return;
      case 'overdue':
        onOverdue(core, event.view);
        return;
    }
  }

  #onTick(clock: number): void {
    const core = this.#core;
    const gap = Math.max(0, clock - core.clock);
    const { delta } = core.timeouts;
    core.clock = Math.max(core.clock, clock);
    core.now += Math.min(gap, delta / 2);
    // A pause may have hidden a VIEW-CHANGE in the input queue: the wait starts again (consensus.md section 5, step 2).
    if (gap > delta / 2 && core.vc.waitFrom !== undefined) core.vc.waitFrom = core.now;
    if (isOver(core)) return;
    if (startupDone(core)) {
      core.phase = 'running';
      core.startup = undefined;
      for (const peer of core.peers.values()) peer.lastHeard = core.now;
      resumeSuspicion(core);
      resumeViewChange(core);
      core.progressAt = core.now;
    }
    checkTimeouts(core);
    askIfBehind(core);
    resend(core);
    heartbeat(core);
  }

  #onConnected(peer: number): void {
    const core = this.#core;
    const known = core.peers.get(peer);
    if (known !== undefined) onReached(core, peer);
    if (known === undefined || core.phase !== 'running') return;
    known.lastHeard = core.now;
    sendChain(core, peer, known.view);
    core.lastResend = Math.min(core.lastResend, core.now - core.timeouts.resend);
  }

  #onPersisted(token: PersistToken): void {
    const core = this.#core;
    if (token.of === 'view') {
      if (token.view === core.view && !core.installed) core.vc.waitFrom = core.now;
    } else if (token.of === 'certificate') onCertificateDurable(core, token.view, token.height);
  }

  #onExecuted(event: Extract<Event, { kind: 'executed' }>): void {
    const core = this.#core;
    const { hash } = event;
    const failure = event.ok ? undefined : (event.reason ?? 'refused');
    const execution = core.executing.get(hash);
    if (execution === undefined) return;
    core.executing.delete(hash);
    const { link, judgeTime, wanted } = execution;
    if (failure === undefined) {
      if (link.height > core.delivered.height) {
        core.executed.set(hash, { ...link, closes: event.closes === true });
      }
      return;
    }
    if (wanted.has('proposal')) onProposalRefused(core, hash, failure);
    // Out of the log blocks come without what is below them: such a failure says nothing, and they are tried again.
    if (judgeTime || wanted.has('restored')) return;
    if (wanted.has('learnt') || wanted.has('adopted')) onLearntRefused(core, hash, failure);
  }

  /** What a peer of a later epoch has is fetched from it, whoever it is: every block is checked. */
  #onAhead(from: number, final: Height): void {
    const core = this.#core;
    const peer = core.peers.get(from);
    if (peer !== undefined) peer.final = Math.max(peer.final, final);
    else if (core.guests.has(from) || core.guests.size < GUESTS_MAX) core.guests.set(from, final);
  }

  /** Who is no validator of this epoch has blocks to give at most, those asked for or proven, and evidence. */
  #onGuest(from: number, message: Message): void {
    const core = this.#core;
    if (message.kind === 'FINAL' || message.kind === 'START-EPOCH') onFinal(core, from, message);
    else if (message.kind === 'BLOCKS' && message.nonce !== 0) onBlocks(core, from, message);
    else if (message.kind === 'EVIDENCE') onEvidence(core, from, message);
  }

  /** A message of this epoch, whose view decides whether it is late, early or now. */
  #onMessage(from: number, message: Message): void {
    const core = this.#core;
    const peer = core.peers.get(from);
    if (peer === undefined) {
      this.#onGuest(from, message);
      return;
    }
    peer.lastHeard = core.now;
    peer.isHeard = true;
    switch (message.kind) {
      case 'HEARTBEAT':
        onHeartbeat(core, from, message);
        answerWithChain(core, from, message.view);
        return;
      case 'ASK':
        onAsk(core, from, message);
        return;
      case 'ANSWER':
        onAnswer(core, from, message);
        return;
      case 'EVIDENCE':
        onEvidence(core, from, message);
        return;
      case 'FETCH-FINAL':
      case 'FETCH-BODIES':
        return; // served by the host, from its store
      default:
    }
    // What is final may be learnt before anything may be signed: others may have gone on to the next epoch meanwhile.
    switch (message.kind) {
      case 'BLOCKS':
        if (!onBodies(core, from, message)) onBlocks(core, from, message);
        return;
      case 'FINAL':
      case 'START-EPOCH':
        onFinal(core, from, message);
        return;
      case 'FINALITY':
        onFinality(core, from, message);
        return;
      case 'EPOCH-STARTED':
        return; // heard: that is all it says
      default:
    }
    if (core.phase === 'starting') return;
    switch (message.kind) {
      case 'CHAIN':
        onSuspects(core, from, message.suspects);
        return;
      case 'SUSPECT':
        answerWithChain(core, from, message.view);
        onSuspects(core, from, [message]);
        return;
      case 'PROPOSAL':
        if (this.#inView(from, message.prepare)) onProposal(core, from, message);
        return;
      default:
        if (this.#inView(from, message)) this.#onSigned(from, message);
    }
  }

  /** Messages of a lower view are answered with the chain; those of a higher one wait for it: they are sent again. */
  #inView(from: number, message: SignedMessage): boolean {
    const core = this.#core;
    if (core.phase !== 'running' || message.epoch !== core.config.epoch) {
      observe(core, message);
      return false;
    }
    if (message.view < core.view) {
      answerWithChain(core, from, message.view);
      observe(core, message);
      return false;
    }
    if (message.view > core.view) {
      reject(core, from, message.kind, 'future-view');
      return false;
    }
    // A VC-FINAL may be another's, shown to the primary: its signature says whose it is.
    return (message.signer === from || message.kind === 'VC-FINAL') && this.#pinned(from, message);
  }

  /** One key, one life of its log per epoch: what another life signed counts for nothing. */
  #pinned(from: number, message: SignedMessage): boolean {
    const core = this.#core;
    const pinned = core.pins.get(message.signer);
    if (pinned === undefined || pinned === message.incarnation) return true;
    observe(core, message);
    reject(core, from, message.kind, 'foreign-incarnation');
    return false;
  }

  #onSigned(from: number, message: SignedMessage): void {
    const core = this.#core;
    switch (message.kind) {
      case 'COMMIT':
      case 'COMMITTED':
        onVote(core, from, message);
        break;
      case 'VIEW-CHANGE':
        onViewChange(core, from, message);
        break;
      case 'VC-FINAL':
        onVcFinal(core, from, message);
        break;
      case 'NEW-VIEW':
        onNewView(core, from, message);
        break;
      default:
        reject(core, from, message.kind, 'unexpected');
    }
  }

  #settle(): void {
    const core = this.#core;
    let before: number;
    do {
      before = core.out.length;
      accuseProven(core);
      // What a restart left unformed first: the COMMIT of a follower of two says that the certificate is in the log.
      certifyNext(core);
      if (core.phase === 'running') actOnAccusation(core);
      advanceViewChange(core);
      executeVoted(core);
      checkNext(core);
      certifyNext(core);
      finalizeReady(core);
      deliverReady(core);
      learnNext(core);
      proposeNext(core);
    } while (core.out.length !== before);
  }
}
