/**
 * The loop around the replica: events in from network, clock, log and ledger; effects out to them (style.md, "the core").
 * Everything it touches is a port, so the simulator runs this very object over virtual time, network and disk. One event
 * at a time: what an effect causes is queued, never called back into the replica.
 */
import { encodeCertificate } from '../consensus/certificate-codec.ts';
import type { EpochConfig } from '../consensus/config.ts';
import { type Durable, emptyDurable, foldRecord, snapshotRecords } from '../consensus/durable.ts';
import type { Effect, Trace } from '../consensus/effect.ts';
import type { Event } from '../consensus/event.ts';
import type { Certificate, Message } from '../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../consensus/message-codec.ts';
import type { Ports } from '../consensus/ports.ts';
import { decodeRecord, encodeRecord } from '../consensus/record-codec.ts';
import { Replica, type ReplicaStatus } from '../consensus/replica.ts';
import { readBlockId } from '../ledger/block.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Pool } from '../ledger/pool.ts';
import type { TransactionResult } from '../ledger/transaction.ts';
import type { Channel } from '../p2p/transport.ts';
import { EMPTY } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { Outbox } from './outbox.ts';
import { replayFinal } from './replay.ts';
import { serveBodies, serveFinal } from './serve.ts';
import { type SubmitOutcome, TransactionRelay } from './transaction-relay.ts';

/** What the host needs of the write-ahead log. */
export type HostLog = {
  append(records: readonly Bytes[], options: { readonly sync: boolean }): number;
  onDurable(listener: (sequence: number) => void): void;
  rotate(snapshot: readonly Bytes[]): number;
  readonly bytesSinceSnapshot: number;
};

export type HostSettings = {
  readonly batchBytesMax: number;
  readonly batchTransactionsMax: number;
  readonly maxDriftMs: number;
  readonly requestTimeoutMs: number;
  /** Bytes of log after which it is cut. */
  readonly logBytesMax: number;
};

export type HostOptions = {
  readonly config: EpochConfig;
  /** Operator accounts by validator index: who a block's fees go to. */
  readonly operators: readonly Address[];
  /** Index in the validator list, -1 for an observer. */
  readonly self: number;
  readonly incarnation: string;
  readonly signer: Pick<Ports, 'sign' | 'recover'>;
  readonly ledger: Ledger;
  readonly pool: Pool;
  readonly decodeTransaction: (raw: Bytes) => TransactionResult;
  readonly log: HostLog;
  readonly network: {
    readonly send: (to: number, channel: Channel, payload: Bytes) => boolean;
    /** To every peer that is no validator. */
    readonly toObservers?: (channel: Channel, payload: Bytes) => void;
  };
  readonly clock: {
    readonly monotonicMs: () => number;
    readonly wallMs: () => number;
    /** Runs the callback soon, after what is already waiting. */
    readonly defer: (callback: () => void) => void;
  };
  readonly settings: HostSettings;
  /** Random number that tells this start's questions from an earlier one's. */
  readonly nonce: number;
  readonly onTrace: (trace: Trace) => void;
  /** A finality proof as it is delivered. */
  readonly onProof?: (proof: Certificate) => void;
};

const GREETING_MS = 1000;

const CHANNEL_OF: Partial<Record<Message['kind'], Channel>> = {
  PROPOSAL: 'blocks',
  FINAL: 'blocks',
  BLOCKS: 'sync',
  'FETCH-FINAL': 'sync',
  'FETCH-BODIES': 'sync',
};

export class Host {
  readonly #options: HostOptions;
  readonly #outbox = new Outbox();
  readonly #events: Event[] = [];
  readonly relay: TransactionRelay;
  #replica: Replica | undefined;
  #durable: Durable;
  #running = false;
  #stopped = false;
  #poolState: { readonly waiting: boolean; readonly full: boolean } | undefined;
  #rotating = false;
  #greetedAt = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#durable = emptyDurable(options.config.epoch);
    this.relay = new TransactionRelay({
      pool: options.pool,
      decode: options.decodeTransaction,
      send: (to, payload) => options.network.send(to, 'transactions', payload),
      validators: options.config.validators.map((_, index) => index).filter((index) => index !== options.self),
      defer: options.clock.defer,
      now: options.clock.monotonicMs,
      requestTimeoutMs: options.settings.requestTimeoutMs,
      deltaMs: options.config.parameters.deltaMs,
      nonceOf: (address) => options.ledger.account(address, { tip: true })?.nonce ?? 0,
      onPoolChanged: () => this.#notePool(),
    });
    options.log.onDurable((sequence) => this.#onDurable(sequence));
    options.ledger.onFinal((block) => {
      options.pool.onFinal(block.transactions);
      this.#notePool();
    });
  }

  /**
   * Folds the log, brings the ledger up to the newest proof in it, and starts the replica. `logClean` is false for an
   * empty log and for one with a torn tail.
   */
  start(records: readonly Bytes[], logClean: boolean): void {
    const { config, signer, self, incarnation, ledger, nonce } = this.#options;
    const decoded = records.map(decodeRecord);
    for (const record of decoded) foldRecord(this.#durable, record, self);
    const { delivered, ahead } = replayFinal(ledger, decoded, (executed) => this.#expectation(executed));
    this.#dropBodies(delivered.height);
    this.#replica = new Replica({
      config,
      ports: { ...signer, readBlock },
      self,
      incarnation,
      durable: this.#durable,
      delivered,
      ahead,
      logClean,
      nonce,
    });
    this.#run(this.#replica.start());
    this.#drain();
    this.tick();
  }

  get status(): ReplicaStatus {
    assert(this.#replica !== undefined, 'host: not started');
    return this.#replica.status;
  }

  get final(): Certificate | undefined {
    return this.#durable.final;
  }

  /** The replica takes no further event: used before the process or the simulated machine goes away. */
  stop(): void {
    this.#stopped = true;
  }

  // --- input

  onMessage(from: number, channel: Channel, payload: Bytes): void {
    if (channel === 'transactions') {
      this.relay.onBatch(payload, false);
      return;
    }
    const decoded = decodeMessage(payload, { validators: this.#options.config.validators.length });
    if (!decoded.ok) {
      this.#options.onTrace({ name: 'rejected', from, message: 'undecodable', reason: decoded.reason });
      return;
    }
    const { message } = decoded;
    if (message.kind === 'FETCH-FINAL' || message.kind === 'FETCH-BODIES') {
      this.#send([from], this.#serve(message));
      return;
    }
    this.#event({ kind: 'message', from, message });
  }

  /** A request from a peer that is no validator: answered, or undefined when observers have no business with it. */
  onObserverMessage(channel: Channel, payload: Bytes): Bytes | undefined {
    if (channel === 'transactions') {
      this.relay.onBatch(payload, true);
      return undefined;
    }
    const decoded = decodeMessage(payload, { validators: this.#options.config.validators.length });
    if (!decoded.ok) return undefined;
    const { message } = decoded;
    const served = message.kind === 'FETCH-FINAL' || message.kind === 'FETCH-BODIES';
    return served ? encodeMessage(this.#serve(message)) : undefined;
  }

  #serve(message: Extract<Message, { kind: 'FETCH-FINAL' | 'FETCH-BODIES' }>): Message {
    const { ledger } = this.#options;
    return message.kind === 'FETCH-FINAL'
      ? serveFinal(ledger, message)
      : serveBodies(ledger, this.#durable.blocks, message);
  }

  onConnected(peer: number): void {
    this.#event({ kind: 'connected', peer });
    this.relay.onConnected(peer);
  }

  submit(raw: Bytes): SubmitOutcome {
    return this.relay.submit(raw);
  }

  tick(): void {
    if (this.#stopped) return;
    this.#event({ kind: 'tick', now: Math.floor(this.#options.clock.monotonicMs()) });
    const { view, group, installed, suspicionMs } = this.status;
    const primary = group[0]!;
    const follower = installed && primary !== this.#options.self && group.includes(this.#options.self);
    if (this.relay.overdue({ primary, judged: follower, patienceMs: suspicionMs }))
      this.#event({ kind: 'overdue', view });
    this.#greetObservers();
    this.#cutLog();
  }

  /** Observers hear by this how far the chain is, should gossip have lost a block. */
  #greetObservers(): void {
    const { network, self, config, clock } = this.#options;
    const now = clock.monotonicMs();
    if (self < 0 || network.toObservers === undefined || now - this.#greetedAt < GREETING_MS) return;
    this.#greetedAt = now;
    const { view, final, head } = this.status;
    const heartbeat: Message = {
      kind: 'HEARTBEAT',
      epoch: config.epoch,
      view,
      generation: 0,
      final: final.height,
      head: head.height,
      tick: Math.floor(now),
      echo: 0,
      row: EMPTY,
    };
    network.toObservers('consensus', encodeMessage(heartbeat));
  }

  // --- the loop

  #event(event: Event): void {
    if (this.#stopped) return;
    this.#events.push(event);
    this.#drain();
  }

  #drain(): void {
    if (this.#running || this.#replica === undefined) return;
    this.#running = true;
    try {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
        this.#run(this.#replica.step(event));
      }
    } finally {
      this.#running = false;
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
        this.#outbox.push(() => this.#send(effect.to, effect.message));
        return;
      case 'execute':
        this.#execute(effect);
        return;
      case 'cut':
        this.#cut(effect);
        return;
      case 'tip':
        this.#options.ledger.setTip(effect.hash);
        this.#notePool();
        return;
      case 'deliver':
        this.#deliver(effect);
        return;
      case 'trace':
        if (effect.trace.name === 'view-installed') this.relay.onViewInstalled(this.status);
        this.#options.onTrace(effect.trace);
        return;
    }
  }

  #persist(effect: Extract<Effect, { kind: 'persist' }>): void {
    for (const record of effect.records) foldRecord(this.#durable, record, this.#options.self);
    const sequence = this.#options.log.append(effect.records.map(encodeRecord), { sync: effect.sync });
    if (!effect.sync) return;
    this.#outbox.raise(sequence);
    // In the outbox, so that the replica hears of it after what had to go out first.
    if (effect.token) {
      const event: Event = { kind: 'persisted', token: effect.token };
      this.#outbox.push(() => this.#event(event));
    }
  }

  #onDurable(sequence: number): void {
    if (!this.#stopped) this.#outbox.onDurable(sequence);
  }

  #send(to: readonly number[], message: Message): void {
    if (this.#stopped) return;
    const payload = encodeMessage(message);
    const channel = CHANNEL_OF[message.kind] ?? 'consensus';
    // A refused frame is a lost one: the protocol sends again what matters.
    for (const peer of to) this.#options.network.send(peer, channel, payload);
  }

  #expectation(mayBeOld: boolean): { epoch: number; mixHash: Hash; miner?: Address } {
    const { config, operators } = this.#options;
    const expected = { epoch: config.epoch, mixHash: config.membershipHash };
    if (mayBeOld) return expected;
    // A new block carries its primary's operator; one certified again in a later view keeps the first one's.
    return { ...expected, miner: operators[this.status.group[0]!]! };
  }

  #execute(effect: Extract<Effect, { kind: 'execute' }>): void {
    const { ledger, clock, settings } = this.#options;
    const { hash } = effect;
    const decoded = ledger.decodeBlock(effect.block);
    if (!decoded.ok) {
      this.#events.push({ kind: 'executed', hash, ok: false, reason: decoded.reason });
      return;
    }
    const judge = effect.judgeTime ? { nowMs: clock.wallMs(), maxDriftMs: settings.maxDriftMs } : undefined;
    const result = ledger.execute(decoded.block, judge, this.#expectation(!effect.judgeTime));
    if (result.ok) {
      this.relay.onBlock(decoded.block.transactions);
      this.#events.push({ kind: 'executed', hash, ok: true });
    } else this.#events.push({ kind: 'executed', hash, ok: false, reason: `${result.reason}: ${result.detail}` });
  }

  #cut(effect: Extract<Effect, { kind: 'cut' }>): void {
    const { ledger, pool, clock, settings, config, operators, self } = this.#options;
    const { parent } = effect;
    this.#poolState = undefined;
    if (pool.executableCount === 0 && !effect.allowEmpty) {
      this.#events.push({ kind: 'cut', parent, block: undefined });
      return;
    }
    const block = ledger.build({
      parent,
      timeMs: clock.wallMs(),
      epoch: config.epoch,
      mixHash: config.membershipHash,
      miner: operators[self]!,
      candidates: pool.candidates((address) => ledger.account(address, { block: parent })?.nonce ?? 0),
      bytesMax: settings.batchBytesMax,
      transactionsMax: settings.batchTransactionsMax,
    });
    const wanted = block.transactions.length > 0 || effect.allowEmpty;
    const { hash, bytes } = block;
    const cut = wanted ? { hash, height: block.header.number, bytes } : undefined;
    this.#events.push({ kind: 'cut', parent, block: cut });
  }

  /**
   * Needs no wait of its own: a proof is made of statements whose certificates are durable where they were signed, this
   * replica's among them.
   */
  #deliver(effect: Extract<Effect, { kind: 'deliver' }>): void {
    const proof = effect.proof === undefined ? EMPTY : encodeCertificate(effect.proof);
    this.#dropBodies(effect.height);
    this.#options.ledger.commit(effect.hash, proof, (error) => {
      if (error) throw error;
      if (effect.proof && !this.#stopped) this.#options.onProof?.(effect.proof);
    });
  }

  /** What is final in the ledger need not be kept here. */
  #dropBodies(upTo: number): void {
    const { blocks } = this.#durable;
    for (const [hash, { height }] of blocks) if (height <= upTo) blocks.delete(hash);
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

  // --- the log's length

  /** Cuts the log once the store holds durably what it would have to give back. */
  #cutLog(): void {
    const { log, ledger, settings } = this.#options;
    if (this.#rotating || log.bytesSinceSnapshot < settings.logBytesMax || this.status.phase === 'starting') return;
    this.#rotating = true;
    const synced = ledger.head.height;
    ledger.sync((error) => {
      this.#rotating = false;
      if (error) throw error;
      if (this.#stopped) return;
      log.rotate([...this.#finalSince(synced), ...snapshotRecords(this.#durable).map(encodeRecord)]);
    });
  }

  /** Final blocks the store may not hold durably yet, as records. */
  #finalSince(height: number): Bytes[] {
    const { ledger } = this.#options;
    const records: Bytes[] = [];
    for (let at = height + 1; at <= this.status.final.height; at++) {
      const block = ledger.blockByHeight(at) ?? ledger.unfinal().find((unfinal) => unfinal.header.number === at);
      if (block === undefined) continue;
      records.push(encodeRecord({ kind: 'block', hash: block.hash, height: at, bytes: block.bytes }));
    }
    return records;
  }
}

function readBlock(bytes: Bytes): { hash: Hash; parent: Hash; height: number } | undefined {
  const id = readBlockId(bytes);
  return id && { hash: id.hash, parent: id.parentHash, height: id.height };
}
