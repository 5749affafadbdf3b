/**
 * The loop around the replica: events in from network, clock, log and ledger; effects out to them (style.md, "the core").
 * Everything it touches is a port, so the simulator runs this very object over virtual time, network and disk. One event
 * at a time: what an effect causes is queued, never called back into the replica.
 */
import { encodeCertificate } from '../consensus/certificate-codec.ts';
import type { EpochConfig } from '../consensus/config.ts';
import { type Durable, type DurableRecord, foldRecord, foldStored, snapshotRecords } from '../consensus/durable.ts';
import type { Effect } from '../consensus/effect.ts';
import type { Event } from '../consensus/event.ts';
import { epochOf, type Message } from '../consensus/message.ts';
import { encodeMessage } from '../consensus/message-codec.ts';
import { decodeRecord, encodeRecord } from '../consensus/record-codec.ts';
import { Replica, type ReplicaStatus } from '../consensus/replica.ts';
import type { Origin } from '../consensus/restore.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Channel } from '../p2p/transport.ts';
import { EMPTY } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Bytes, Epoch, Hash } from '../primitives/ids.ts';
import { policyTiming } from '../primitives/policy.ts';
import { BLOCK_PORTS } from './block-ports.ts';
import { BlockWork } from './block-work.ts';
import { channelOf } from './channel.ts';
import { EpochPeers, epochConfig, indexIn } from './epoch-peers.ts';
import { beginEpoch, restoreLog } from './epoch-start.ts';
import { decodeProof } from './finality-view.ts';
import { Followers } from './followers.ts';
import { Greeting } from './greeting.ts';
import { HandOver } from './hand-over.ts';
import type { HostOptions, LogState } from './host-options.ts';
import { LogCutter } from './log-cutter.ts';
import { OldEpochs } from './old-epochs.ts';
import { Outbox } from './outbox.ts';
import { decodeAny, PeerLimits, type Speaker } from './peer-limits.ts';
import type { Standing } from './readiness.ts';
import { readinessOf } from './readiness-input.ts';
import { replayFinal } from './replay.ts';
import { proofAt, serveBodies, serveFinal } from './serve.ts';
import { type SubmitOutcome, TransactionRelay } from './transaction-relay.ts';

/** The epoch a host is in. */
type Present = {
  readonly info: EpochInfo;
  readonly config: EpochConfig;
  readonly self: number;
  readonly peers: EpochPeers;
  readonly durable: Durable;
  /** Final blocks are followed that this node's own log is beyond: nothing of it is logged again. */
  readonly isPast: boolean;
  readonly replica: Replica;
};

export class Host {
  readonly #options: HostOptions;
  readonly #outbox = new Outbox();
  /** Each meant for the replica that was there when it came. */
  readonly #events: { readonly replica: Replica; readonly event: Event; readonly speaker: Speaker | undefined }[] = [];
  /** Whose message the present step is about. */
  #speaker: Speaker | undefined;
  readonly relay: TransactionRelay;
  readonly followers = new Followers();
  #present: Present | undefined;
  /** What the log holds of an epoch that the store has not reached again. */
  #ahead: Durable | undefined;
  /** How the log ended, which also counts when that epoch is reached. */
  #logClean = true;
  readonly #handOver: HandOver;
  readonly #blocks: BlockWork;
  readonly #oldEpochs: OldEpochs;
  readonly #logCutter: LogCutter;
  #running = false;
  #stopped = false;
  #poolState: { readonly waiting: boolean; readonly full: boolean } | undefined;
  readonly #greeting = new Greeting();
  readonly #limits: PeerLimits;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#limits = new PeerLimits({ now: options.clock.monotonicMs, onTrace: options.onTrace });
    this.relay = new TransactionRelay({
      pool: options.pool,
      decode: options.decodeTransaction,
      send: (to, payload) => options.network.send(to, 'transactions', payload),
      validators: () => this.#others(),
      defer: options.clock.defer,
      now: options.clock.monotonicMs,
      requestTimeoutMs: options.settings.requestTimeoutMs,
      nonceOf: (address) => options.ledger.account(address, { tip: true })?.nonce ?? 0,
      onPoolChanged: () => this.#notePool(),
    });
    this.#blocks = new BlockWork(options, (transactions) => this.relay.onBlock(transactions));
    this.#handOver = new HandOver({
      ledger: options.ledger,
      identity: options.identity,
      everyMs: options.chain.parameters.deltaMs,
      send: (to, message) => this.#outbox.push(() => this.#sendTo(to, message)),
    });
    this.#oldEpochs = new OldEpochs(options.ledger, options.chain.parameters.deltaMs / 2);
    this.#logCutter = new LogCutter({
      log: options.log,
      ledger: options.ledger,
      bytesMax: options.settings.logBytesMax,
      snapshot: () => this.#snapshot(),
      final: () => this.status.final.height,
    });
    options.log.onDurable((sequence) => this.#onDurable(sequence));
    options.ledger.onFinal((block) => {
      options.pool.onFinal(block.transactions);
      this.#notePool();
    });
  }

  /** Folds the log, brings the ledger up to the newest proof in it, and starts the replica of the epoch it is in. */
  start(records: readonly Bytes[], found: LogState): void {
    const { ledger, identity } = this.#options;
    const decoded = records.map(decodeRecord);
    const first = ledger.epochInfo(0);
    assert(first !== undefined, 'ledger without a first epoch');
    const durable = restoreLog(decoded, { first, identity, afterLoss: found.afterLoss });
    const { delivered, ahead } = replayFinal(ledger, decoded);
    const info = ledger.epochAfter(delivered.hash);
    if (durable.epoch > info.epoch) this.#ahead = durable;
    this.#logClean = found.clean;
    const origin = { delivered, ahead, logClean: found.clean, live: false };
    if (durable.epoch === info.epoch) this.#enter(info, durable, origin);
    else this.#begin(info, durable, origin);
    this.#handOver.onRestart(info);
    this.#drain();
    this.tick();
  }

  /** Makes the replica of an epoch from what is durable of it. */
  #enter(info: EpochInfo, durable: Durable, origin: Origin): void {
    const { chain, identity, signer, incarnation, nonce, ledger, onEpoch, evidence } = this.#options;
    const self = indexIn(info, identity);
    const isPast = this.#ahead !== undefined && this.#ahead !== durable;
    if (this.#ahead === durable) this.#ahead = undefined;
    const { height } = origin.delivered;
    foldStored(durable, { height, proof: proofAt(ledger, height) });
    const { policy } = ledger.governanceAfter(origin.delivered.hash);
    const config = epochConfig(chain, info, policyTiming(policy));
    const ports = { ...signer, ...BLOCK_PORTS };
    // Below what the log says nothing may be signed, whatever the list of that time says, nor in an epoch given up.
    const recovery = ledger.recoveries.find(({ epoch }) => epoch === info.epoch);
    const active = isPast || recovery !== undefined ? -1 : self;
    const last = recovery && decodeProof(recovery.certificate, info.members.length);
    const proven = evidence?.shelf.ofEpoch(info.epoch) ?? [];
    const replica = new Replica({ config, ports, self: active, incarnation, durable, nonce, last, proven, ...origin });
    this.#present = { info, config, self: active, peers: new EpochPeers(info), durable, isPast, replica };
    this.#poolState = undefined;
    onEpoch?.(info, active, config.parameters);
    if (active >= 0 && info.epoch > 0) this.#awaitStore();
    this.#run(replica.start());
    this.#onViewInstalled();
    this.#notePool();
  }

  /**
   * Who hears of this validator in its epoch may leave: the chain it stands on, most of which no log here holds, must
   * survive any crash before that (reliability.md, P37).
   */
  #awaitStore(): void {
    const open = this.#outbox.shut();
    this.#options.ledger.sync((error) => {
      if (error) throw error;
      if (!this.#stopped) open();
    });
  }

  /** Begins an epoch that the log holds nothing of yet, durably before anything is signed in it. */
  #begin(info: EpochInfo, before: Durable, origin: Origin): void {
    const { identity, incarnation, ledger } = this.#options;
    const { height, hash } = info.root;
    const { durable, records } = beginEpoch({
      info,
      identity,
      incarnation,
      // Not above the closing block: at a start the store may be further on. In one epoch they stay the same.
      lives: ledger.governanceAfter(origin.delivered.hash).lives,
      before,
      // From further back nothing is certain: a member may have begun a new life meanwhile.
      earlier: info.epoch === before.epoch + 1 ? ledger.epochInfo(before.epoch) : undefined,
      closing: before.final?.hash === hash ? before.final : proofAt(ledger, height),
    });
    if (this.#ahead === undefined) this.#append(records);
    this.#enter(info, durable, origin);
  }

  /** The closing block is final here: on to the next epoch. */
  #onEnded(effect: Extract<Effect, { kind: 'ended' }>): void {
    const { ledger } = this.#options;
    const { closing, live } = effect;
    const { info: old, durable, self, replica } = this.#here;
    const wasActive = replica.status.group.includes(self);
    const info = ledger.epochAfter(closing.hash);
    const origin = { delivered: info.root, ahead: [], logClean: true, live };
    const ahead = this.#ahead;
    if (ahead?.epoch === info.epoch) this.#enter(info, ahead, { ...origin, logClean: this.#logClean, live: false });
    else this.#begin(info, durable, origin);
    const members = new Set(old.members.map((member) => member.nodeKey));
    for (const peer of this.#others()) if (!members.has(peer)) this.relay.onConnected(peer);
    const ended = { old, next: info, closing, wasActive: live && wasActive };
    this.#handOver.onEnded(ended, this.#options.clock.monotonicMs());
  }

  #snapshot(): readonly DurableRecord[] | undefined {
    const { durable, replica } = this.#here;
    const isUnsure = replica.status.phase === 'starting' || this.#ahead !== undefined;
    return this.#stopped || isUnsure ? undefined : snapshotRecords(durable);
  }

  get #here(): Present {
    assert(this.#present !== undefined, 'host: not started');
    return this.#present;
  }

  /** Node keys of the other validators. */
  #others(): string[] {
    const { nodeKey } = this.#options.identity;
    return this.#here.info.members.map((member) => member.nodeKey).filter((peer) => peer !== nodeKey);
  }

  get status(): ReplicaStatus {
    return this.#here.replica.status;
  }

  /** What is final here is not what is final: just started, or some validator is more than the next block ahead. */
  get isBehind(): boolean {
    const { phase, peers, final } = this.status;
    return phase === 'starting' || [...peers.values()].some((peer) => peer.final > final.height + 1);
  }

  get epoch(): EpochInfo {
    return this.#here.info;
  }

  /** The same as the replica was given it, with the times that hold in it. */
  get config(): EpochConfig {
    return this.#here.config;
  }

  /** This node's index among the present validators, -1 when it only follows. */
  get self(): number {
    return this.#here.self;
  }

  /** The replica takes no further event: used before the process or the simulated machine goes away. */
  stop(): void {
    this.#stopped = true;
  }

  // --- input

  /** A frame from a peer, which is named by its node key. */
  onMessage(from: string, channel: Channel, payload: Bytes): void {
    const { peers, config } = this.#here;
    if (channel === 'transactions') {
      this.relay.onBatch(payload, { from, forward: !peers.isMember(from) });
      return;
    }
    const speaker = { peer: from, number: peers.number(from) };
    const message = this.#limits.read(speaker, payload);
    if (message === undefined) return;
    if (message.kind === 'FETCH-FINAL') this.followers.onAsked(from, message.from);
    if (message.kind === 'FETCH-FINAL' || message.kind === 'FETCH-BODIES') {
      this.#limits.onServed(from, this.#sendTo([from], this.#serve(message)));
      return;
    }
    const epoch = epochOf(message) ?? config.epoch;
    if (epoch < config.epoch && message.kind === 'EVIDENCE') this.#options.evidence?.onPast(from, message.evidence);
    else if (epoch < config.epoch) this.#onOld(from, epoch, message);
    else if (epoch > config.epoch) this.#onLater(from, message);
    else {
      if (epochOf(message) !== undefined) this.#handOver.onStarted(from);
      this.#event({ kind: 'message', from: speaker.number, message }, speaker);
    }
  }

  /** Who speaks in an epoch that is over is told how it ended; who tells this one of it, that it has begun. */
  #onOld(from: string, epoch: Epoch, message: Message): void {
    const { config, self } = this.#here;
    if (message.kind === 'START-EPOCH') {
      if (self < 0) return;
      const { epoch: present } = config;
      this.#outbox.push(() => this.#sendTo([from], { kind: 'EPOCH-STARTED', epoch: present }));
      return;
    }
    const answer = this.#oldEpochs.answer(from, epoch, this.#options.clock.monotonicMs());
    if (answer !== undefined) this.#sendTo([from], answer);
  }

  /** What a later epoch says cannot be judged here yet, but it tells where to catch up from. */
  #onLater(from: string, message: Message): void {
    this.#handOver.onStarted(from);
    this.#options.onLater?.(epochOf(message)!);
    const proven = message.kind === 'FINAL' || message.kind === 'FINALITY' || message.kind === 'START-EPOCH';
    const final = message.kind === 'HEARTBEAT' ? message.final : proven ? message.proof.height : undefined;
    if (final !== undefined) this.#event({ kind: 'ahead', from: this.#here.peers.number(from), final });
  }

  /** A block gossiped by its validators: it proves itself, so it does not matter who passed it on. */
  onGossipedBlock(payload: Bytes): void {
    const decoded = decodeAny(payload);
    if (!decoded.ok || decoded.message.kind !== 'FINAL') return;
    const { config, self } = this.#here;
    const signer = decoded.message.proof.seals[0]?.signer;
    const isPresent = decoded.message.proof.epoch === config.epoch;
    if (signer === undefined || !isPresent || signer === self || signer >= config.validators.length) return;
    this.#event({ kind: 'message', from: signer, message: decoded.message });
  }

  #serve(message: Extract<Message, { kind: 'FETCH-FINAL' | 'FETCH-BODIES' }>): Message {
    const { ledger } = this.#options;
    const logged = (hash: Hash) => (this.#here.durable.blocks.get(hash) ?? this.#ahead?.blocks.get(hash))?.bytes;
    return message.kind === 'FETCH-FINAL' ? serveFinal(ledger, message) : serveBodies(ledger, logged, message);
  }

  onConnected(peer: string): void {
    const { peers } = this.#here;
    if (!peers.isMember(peer)) return;
    this.#event({ kind: 'connected', peer: peers.number(peer) });
    for (const evidence of this.#options.evidence?.shelf.ofEpoch(this.#here.config.epoch) ?? [])
      this.#sendTo([peer], { kind: 'EVIDENCE', evidence });
    this.relay.onConnected(peer);
  }

  submit(raw: Bytes): SubmitOutcome {
    return this.relay.submit(raw);
  }

  tick(): void {
    if (this.#stopped) return;
    this.#event({ kind: 'tick', now: Math.floor(this.#options.clock.monotonicMs()) });
    const status = this.status;
    const { view, group, installed, suspicionMs } = status;
    const { self, peers, config } = this.#here;
    const judged = installed && group.indexOf(self) > 0; // a follower
    const { deltaMs } = config.parameters;
    if (this.relay.overdue({ primary: peers.peer(group[0]!)!, judged, patienceMs: suspicionMs, deltaMs }))
      this.#event({ kind: 'overdue', view });
    this.#greetObservers(status);
    this.#handOver.tick(this.#options.clock.monotonicMs());
    this.#options.readiness?.check(() => this.#standing());
    this.#logCutter.cut();
  }

  #standing(): Standing {
    const { ledger } = this.#options;
    const { durable, self, info, isPast } = this.#here;
    return readinessOf({ ledger, info, durable, self, isPast, status: this.status });
  }

  #greetObservers(status: ReplicaStatus): void {
    const { network, clock } = this.#options;
    if (this.#here.self < 0 || network.toObservers === undefined) return;
    const greeting = this.#greeting.due(status, clock.monotonicMs());
    if (greeting !== undefined) network.toObservers('consensus', encodeMessage(greeting));
  }

  // --- the loop

  #event(event: Event, speaker?: Speaker): void {
    this.#queue(event, speaker);
    this.#drain();
  }

  /** For the present replica: one of an epoch that is over has no use for it any more. */
  #queue(event: Event, speaker?: Speaker, to = this.#present?.replica): void {
    if (!this.#stopped && to !== undefined) this.#events.push({ replica: to, event, speaker });
  }

  #drain(): void {
    if (this.#running || this.#present === undefined) return;
    this.#running = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const { replica } = this.#present;
        this.#speaker = next.speaker;
        if (next.replica === replica) this.#run(replica.step(next.event));
      }
    } finally {
      this.#running = false;
      this.#options.log.flush();
    }
  }

  #run(effects: readonly Effect[]): void {
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        this.#persist(effect);
        return;
      case 'send':
        this.#send(effect.to, effect.message);
        return;
      case 'execute':
        this.#queue(this.#blocks.execute(effect, this.#here.info.members[this.status.group[0]!]!.operator));
        return;
      case 'cut':
        this.#poolState = undefined;
        this.#queue(this.#blocks.cut(effect, this.#here.info.members[this.#here.self]!.operator));
        return;
      case 'tip':
        this.#options.ledger.setTip(effect.hash);
        this.#notePool();
        return;
      case 'deliver':
        this.#deliver(effect);
        return;
      case 'trace':
        if (effect.trace.name === 'view-installed') this.#onViewInstalled();
        if (this.#speaker !== undefined) this.#limits.onTrace(this.#speaker, effect.trace);
        this.#options.onTrace(effect.trace);
        return;
      case 'ended':
        this.#onEnded(effect);
        return;
      case 'evidence':
        this.#options.evidence?.onProven(effect, this.#here.self < 0 ? undefined : this.#options.network);
        return;
    }
  }

  #onViewInstalled(): void {
    const { group } = this.status;
    this.relay.onViewInstalled(this.#here.peers.peer(group[0]!)!);
  }

  #persist(effect: Extract<Effect, { kind: 'persist' }>): void {
    const { durable, isPast, replica } = this.#here;
    for (const record of effect.records) foldRecord(durable, record);
    if (!isPast) {
      const sequence = this.#options.log.append(effect.records.map(encodeRecord), { sync: effect.sync });
      if (!effect.sync) return;
      this.#outbox.raise(sequence);
    }
    // In the outbox, so that the replica hears of it after what had to go out first.
    const { token } = effect;
    if (!token) return;
    this.#outbox.push(() => {
      this.#queue({ kind: 'persisted', token }, undefined, replica);
      this.#drain();
    });
  }

  /** Durable before anything is sent from now on. */
  #append(records: readonly DurableRecord[]): void {
    this.#outbox.raise(this.#options.log.append(records.map(encodeRecord), { sync: true }));
  }

  #onDurable(sequence: number): void {
    if (!this.#stopped) this.#outbox.onDurable(sequence);
  }

  /** To peers by the core's numbers, which are those of the present epoch: resolved now, sent when durable. */
  #send(to: readonly number[], message: Message): void {
    const { peers } = this.#here;
    const named = to.flatMap((number) => peers.peer(number) ?? []);
    this.#outbox.push(() => this.#sendTo(named, message));
  }

  #sendTo(to: readonly string[], message: Message): number {
    if (this.#stopped) return 0;
    const payload = encodeMessage(message);
    const channel = channelOf(message);
    // A refused frame is a lost one: the protocol sends again what matters.
    for (const peer of to) this.#options.network.send(peer, channel, payload);
    return payload.length;
  }

  /**
   * Needs no wait of its own: a proof is made of statements whose certificates are durable where they were signed, this
   * replica's among them.
   */
  #deliver(effect: Extract<Effect, { kind: 'deliver' }>): void {
    const proof = effect.proof === undefined ? EMPTY : encodeCertificate(effect.proof);
    foldStored(this.#here.durable, effect);
    this.#options.ledger.commit(effect.hash, proof, (error) => {
      if (error) throw error;
      if (effect.proof?.kind === 'FP' && !this.#stopped) this.#options.onProof?.(effect.proof);
    });
  }

  /** Tells the primary's batching when what the pool holds beyond the blocks in flight changes what it may do. */
  #notePool(): void {
    const { ledger, pool, settings } = this.#options;
    let inFlight = 0;
    for (const block of ledger.unfinal()) inFlight += block.transactions.length;
    const left = pool.executableCount - inFlight;
    const waiting = left > 0;
    const full = left >= settings.batchTransactionsMax || (waiting && pool.bytes >= 2 * settings.batchBytesMax);
    if (this.#poolState?.waiting === waiting && this.#poolState.full === full) return;
    this.#poolState = { waiting, full };
    this.#event({ kind: 'pool', waiting, full });
  }
}
