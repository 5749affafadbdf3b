/**
 * One simulated network: machines with their disks and clocks, the network between them, clients, operators, faults, and
 * the checkers that watch every event. Everything in it follows from the options, and those from the seed.
 */
import type { Message } from '../../consensus/message.ts';
import { decodeMessage } from '../../consensus/message-codec.ts';
import { WIRE_LIMITS } from '../../consensus/wire-numbers.ts';
import type { Chain } from '../../node/epoch-peers.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { AnarchyOracle } from './checkers/anarchy.ts';
import { ChainChecker } from './checkers/chain.ts';
import { EpochBook } from './checkers/epochs.ts';
import { SignatureChecker } from './checkers/signatures.ts';
import { Clients, type SubmitResult } from './clients.ts';
import { SimClock } from './clock.ts';
import { SimDisk, type WalDefect } from './disk.ts';
import { Faults } from './faults.ts';
import { beginsEpoch, momentOf } from './hand-over-faults.ts';
import { IDENTITIES } from './keys.ts';
import type { Traffic } from './liar-conspiracy.ts';
import { Machine, type MachinePart } from './machine.ts';
import { type Channel, SimNetwork } from './network.ts';
import { Operators } from './operators.ts';
import { machineCount, type Options } from './options.ts';
import type { About, OpenProcess, ProcessEnvironment } from './process.ts';
import { Rng } from './rng.ts';
import { RollingHash } from './rolling-hash.ts';
import type { Shared } from './setting.ts';
import { startSplit } from './split.ts';
import { Timeline } from './timeline.ts';
import { ACCOUNTS, CHAIN_ID } from './transactions.ts';
import type { Transcript } from './transcript.ts';
import { PROMISED, type Property, Violation } from './violation.ts';

/** What a run is made of besides its options. */
export type Setting = {
  readonly shared: Shared;
  readonly open: OpenProcess;
  /** Somebody reads what correct replicas say to each other. */
  readonly onTraffic?: (traffic: Traffic) => void;
};

/** Traces that no run without a lying replica may ever show. */
const NEVER = new Set(['amnesia', 'halted', 'conflict', 'proven']);
const ANY_EPOCH = { validators: WIRE_LIMITS.validators };

export class World {
  readonly options: Options;
  readonly timeline = new Timeline();
  readonly machines: readonly Machine[];
  readonly network: SimNetwork;
  readonly clients: Clients;
  /** Only where epochs end. */
  readonly operators: Operators | undefined;
  readonly faults: Faults;
  readonly book: EpochBook;
  readonly chain: ChainChecker;
  readonly signatures: SignatureChecker;
  readonly hash = new RollingHash();
  readonly rng: Rng;
  readonly liars: ReadonlySet<number>;
  readonly oracle: AnarchyOracle;
  readonly traces = new Map<string, number>();
  failure: Violation | undefined;
  /** What broke in anarchy, where it is no failure. */
  readonly expected = new Map<Property, number>();
  /** Machines that a correct replica called liars for what they signed. */
  readonly convicted = new Set<number>();
  events = 0;
  readonly #setting: Setting;
  readonly #transcript: Transcript;
  readonly #chain: Chain;
  #opening = 0;
  #lastPayload: Bytes | undefined;

  constructor(options: Options, setting: Setting, transcript: Transcript) {
    this.options = options;
    this.#setting = setting;
    this.#transcript = transcript;
    this.rng = new Rng(options.seed, 'world');
    this.liars = new Set(options.liars?.members);
    const count = machineCount(options);
    const { keys, genesisHash, founding, machines: identities } = setting.shared;
    this.#chain = { chainId: CHAIN_ID, genesisHash, parameters: options.parameters };
    const report = (violation: Violation): void => this.fail(violation);
    this.book = new EpochBook(this.#chain, founding, identities);
    this.signatures = new SignatureChecker({
      book: this.book,
      report,
      liars: this.liars,
      firstIncarnation: Machine.firstIncarnation,
      onCertificate: (certificate) => {
        if (!this.isForked) this.chain.onCertificate(certificate);
      },
    });
    this.oracle = this.#makeOracle(count);
    this.chain = new ChainChecker({ book: this.book, keys, machines: count }, report, {
      onGlobal: (block) => {
        for (const tx of block.transactions) {
          this.clients.onFinal(ACCOUNTS.indexOf(tx.from), tx.nonce);
          this.operators?.onFinal(tx.from, tx.nonce);
        }
      },
      onProof: (certificate) => this.signatures.onFinal(certificate),
    });
    this.network = new SimNetwork(count, options.network, this.timeline, this.rng.stream('network'), {
      onMessage: (to, from, channel, payload) => this.#onMessage(to, from, channel, payload),
      onConnected: (at, peer) => this.machines[at]!.run(() => this.machines[at]!.process?.onConnected(peer)),
      isRunning: (replica) => this.machines[replica]!.status === 'running',
      watch: this.oracle,
    });
    this.machines = Array.from({ length: count }, (_, index) => this.#makeMachine(index));
    this.clients = new Clients(options.load, this.timeline, this.rng.stream('clients'), {
      n: count,
      submit: (replica, raw) => this.submit(replica, raw),
    });
    this.operators = this.#makeOperators();
    this.faults = this.#makeFaults();
  }

  #makeOperators(): Operators | undefined {
    const { epochs, validators, load, liars } = this.options;
    if (epochs === undefined) return undefined;
    const founders = Array.from({ length: validators }, (_, index) => index);
    return new Operators({
      options: epochs,
      timeline: this.timeline,
      rng: this.rng.stream('operators'),
      machines: this.machines.length,
      retryMs: load.retryMs,
      kept: new Set(liars === undefined ? [] : founders.filter((index) => this.isSpared(index))),
      governance: (machine) => this.machines[machine]!.process?.governance(),
      isRunning: (machine) => this.machines[machine]!.status === 'running',
      submit: (machine, raw) => this.submit(machine, raw),
      note: (text) => this.note(text),
    });
  }

  #makeOracle(machines: number): AnarchyOracle {
    return new AnarchyOracle({
      machines,
      deltaMs: this.options.parameters.deltaMs,
      liars: this.liars,
      now: () => this.timeline.now,
      newest: () => this.book.newest,
      at: (epoch) => this.book.at(epoch),
      isUp: (index) => {
        const { status, process } = this.machines[index]!;
        return status === 'running' && process?.takesPart() === true;
      },
      onAnarchy: (why) => {
        this.note(`ANARCHY ${why}`);
        if (this.options.anarchy === undefined) this.fail(new Violation('anarchy', `a fault too many: ${why}`));
      },
    });
  }

  /** Final blocks disagree, so there is no one chain any more to hold anybody to. */
  get isForked(): boolean {
    return this.expected.has('agreement');
  }

  #makeFaults(): Faults {
    const { options, timeline, machines, network } = this;
    return new Faults({
      options,
      timeline,
      machines,
      targets: machines.filter(({ index }) => !this.isSpared(index)),
      network,
      note: (text) => this.note(text),
      rng: this.rng.stream('faults'),
      moved: () => {
        const { newest } = this.book;
        const before = this.book.at(newest.config.epoch - 1)?.machines ?? [];
        return {
          leavers: before.filter((machine) => !newest.machines.includes(machine)),
          newcomers: newest.machines.filter((machine) => !before.includes(machine)),
        };
      },
      lost: () => this.lost().length,
    });
  }

  /** Beside liars only the drawn victims may be hit by anything: what is more is anarchy. */
  isSpared(index: number): boolean {
    const { liars } = this.options;
    return liars !== undefined && !liars.members.includes(index) && !liars.victims.includes(index);
  }

  /** Machines whose log was lost and that no closing block has taken in anew since, or that have not heard of it. */
  lost(): number[] {
    const { lives, config } = this.book.newest;
    const isLost = ({ index, losses, incarnation, process }: Machine): boolean => {
      const known = lives.get(IDENTITIES[index]!.validator) === incarnation;
      return losses > 0 && !(known && (process?.head().height ?? 0) >= config.root.height);
    };
    return this.machines.filter(isLost).map(({ index }) => index);
  }

  #defectOf(index: number): WalDefect | undefined {
    const { liars } = this.options;
    if (!this.liars.has(index)) return undefined;
    if (liars?.habits.includes('forgets')) return 'forgets-last';
    return liars?.habits.includes('restores') ? 'restores-backup' : undefined;
  }

  #makeDisk(index: number, rng: Rng): SimDisk {
    const disk = new SimDisk(this.options.disk, rng.stream(`disk ${index}`), this.#defectOf(index));
    disk.onWrite = (delayMs) => this.oracle.onWrite(index, delayMs);
    return disk;
  }

  #makeMachine(index: number): Machine {
    const { options, timeline } = this;
    const rng = this.rng.stream(`machine ${index}`);
    const { driftPpm, offsetMs } = options.clock;
    const clock = new SimClock(timeline, {
      driftPpm: rng.between(-driftPpm, driftPpm),
      offsetMs: rng.between(-offsetMs / 2, offsetMs / 2),
      bootMs: rng.int(1_000_000),
    });
    return new Machine({
      index,
      options,
      timeline,
      rng,
      clock,
      disk: this.#makeDisk(index, rng),
      makeStore: () => this.#setting.shared.genesisStore.clone(),
      open: this.#setting.open,
      hooks: {
        environment: (machine) => this.#environment(machine),
        onStarted: (machine, floor) => {
          if (!this.liars.has(index) && !this.isForked) this.chain.onStart(index, machine.process!.head(), floor);
          this.#transcript.add(timeline.now, index, `starts at height ${machine.process!.head().height}`);
          for (const peer of this.machines) this.network.connect(index, peer.index);
        },
        onRan: () => {
          if (!this.liars.has(index) && !this.isForked) this.chain.checkProven(index);
        },
        onStopped: () => {
          this.oracle.onDown(index);
          this.network.resetAll(index);
        },
        onPaused: () => this.oracle.onDown(index),
        onAppend: (machine, records) => {
          if (this.faults.awaits('record written') && beginsEpoch(records))
            this.faults.onMoment('record written', machine);
        },
        onThrown: (machine, error) => this.#onThrown(machine, error),
        onOpening: (change) => {
          this.#opening += change;
        },
      },
    });
  }

  #environment(machine: Machine): Omit<ProcessEnvironment, MachinePart> {
    const { keys, machines, founding } = this.#setting.shared;
    const { index } = machine;
    const { epochs, host } = this.options;
    return {
      self: index,
      machines,
      chain: this.#chain,
      founding,
      nonce: 1 + machine.starts * 1000 + index,
      clock: machine.clock,
      settings: host,
      send: (to, channel, payload) => this.#send(machine, to, channel, payload),
      sign: (digest) => {
        const signature = keys.sign(index, digest);
        machine.disk.noteSignature(signature);
        this.signatures.onSigned(signature);
        return signature;
      },
      recover: keys.recover,
      validatorSecret: epochs && IDENTITIES[index]!.validatorSecret,
      gossips: epochs?.gossip === true,
      log: (name, text, about = {}) => this.#onLog(machine, { name, text, about }),
      onClosing: (block) => {
        if (machine.isDoomed) return;
        this.signatures.onClosing(block.hash);
        this.faults.onMoment('closing block executed', machine);
      },
      onDeliver: (block, proof) => {
        if (machine.isDoomed || this.liars.has(index)) return;
        this.hash.text(block.hash);
        if (!this.isForked) this.chain.onDeliver({ replica: index, block, proof });
      },
    };
  }

  #send(machine: Machine, to: number, channel: Channel, payload: Bytes): boolean {
    if (machine.isDoomed || to === machine.index || this.machines[to] === undefined) return false;
    if (this.liars.has(machine.index)) this.#watchLiar(payload, channel);
    else this.#watch(machine, payload, channel);
    if (machine.isDoomed) return false;
    this.hash.number(to);
    this.hash.bytes(payload);
    const sent = this.network.send(machine.index, to, channel, payload);
    machine.spring('send');
    return sent;
  }

  /** A client would believe a proof whoever shows it, so liars must not come by one of another chain either. */
  #watchLiar(payload: Bytes, channel: Channel): void {
    if (channel === 'transactions' || payload === this.#lastPayload || this.isForked) return;
    this.#lastPayload = payload;
    const decoded = decodeMessage(payload, ANY_EPOCH);
    if (decoded.ok && 'proof' in decoded.message) this.chain.onCertificate(decoded.message.proof);
  }

  /** Every payload once, however many it is sent to. */
  #watch(machine: Machine, payload: Bytes, channel: Channel): void {
    if (machine.disk.unsyncedIn(payload)) {
      this.fail(new Violation('durability', `replica ${machine.index} sends a signature that is not durable`));
    }
    if (channel === 'transactions' || payload === this.#lastPayload) return;
    this.#lastPayload = payload;
    const decoded = decodeMessage(payload, ANY_EPOCH);
    if (!decoded.ok) {
      this.fail(new Violation('crash', `replica ${machine.index} sends what does not decode: ${decoded.reason}`));
      return;
    }
    this.#setting.onTraffic?.({ at: this.timeline.now, from: machine.index, message: decoded.message, payload });
    this.signatures.onMessage(decoded.message);
    if (decoded.message.kind === 'VC-FINAL')
      this.oracle.onVcFinal(machine.index, decoded.message.epoch, decoded.message.view);
    this.#tellMoment(machine, decoded.message);
  }

  #tellMoment(machine: Machine, message: Message): void {
    if (this.options.epochs === undefined) return;
    const { config } = machine.process!.standing();
    const moment = config.epoch === 0 ? undefined : momentOf(message, config.root.height);
    if (moment !== undefined) this.faults.onMoment(moment, machine);
  }

  #onMessage(to: number, from: number, channel: Channel, payload: Bytes): void {
    const machine = this.machines[to]!;
    this.hash.number(this.timeline.now);
    machine.run(() => machine.process?.onMessage(from, channel, payload));
  }

  /** Hands a transaction to a machine; undefined when it does not answer. */
  submit(replica: number, raw: Bytes): SubmitResult | undefined {
    const machine = this.machines[replica]!;
    if (machine.status !== 'running') return undefined;
    let result: SubmitResult | undefined;
    machine.run(() => {
      result = machine.process?.submit(raw);
    });
    if (result?.ok === false)
      this.#transcript.add(this.timeline.now, replica, `refuses a transaction: ${result.message}`);
    return result;
  }

  #onLog(machine: Machine, entry: { name: string; text: string; about: About }): void {
    const { name, text, about } = entry;
    if (machine.isDoomed) return;
    this.traces.set(name, (this.traces.get(name) ?? 0) + 1);
    this.hash.text(name);
    this.#transcript.add(this.timeline.now, machine.index, text);
    const isLiar = this.liars.has(machine.index);
    if (!isLiar) this.#watchTrace(machine.index, name, about);
    const isHalted = name === 'halted' && !this.oracle.isSafe;
    const excused = isLiar || isHalted || (about.machine !== undefined && this.liars.has(about.machine));
    if (NEVER.has(name) && !excused) this.fail(new Violation('accuracy', `replica ${machine.index}: ${text}`));
    this.faults.onTrace(name);
    if (about.block !== undefined && this.signatures.isClosing(about.block))
      this.faults.onMoment('closing block certified', machine);
    if (name === 'epoch-ended') this.faults.onMoment('closing block final', machine);
    if (name === 'epoch') this.faults.onMoment('epoch begun', machine);
  }

  #watchTrace(machine: number, name: string, { epoch, view, machine: named }: About): void {
    if (epoch !== undefined) this.oracle.onEpoch(machine, epoch);
    if (view !== undefined) this.oracle.onViewEntered(machine, view);
    if (name === 'proven' && named !== undefined && this.liars.has(named)) this.convicted.add(named);
  }

  #onThrown(machine: Machine, error: unknown): void {
    if (this.liars.has(machine.index)) {
      this.note(`r${machine.index}, a liar, tripped over its own lies`);
      machine.crash(1000);
      return;
    }
    const text = error instanceof Error ? error.message : String(error);
    this.fail(
      error instanceof Violation ? error : new Violation('crash', `replica ${machine.index} threw: ${text}`, error),
    );
  }

  /** With a machine's validator key, for what it did not sign itself. */
  signAs(machine: number, digest: Bytes): Bytes {
    return this.#setting.shared.keys.sign(machine, digest);
  }

  note(text: string): void {
    this.#transcript.add(this.timeline.now, 'world', text);
  }

  fail(violation: Violation): void {
    if (this.failure !== undefined) return;
    const { property } = violation;
    if (!this.oracle.isSafe && PROMISED.has(property)) {
      if (!this.isForked) this.note(`broken in anarchy, ${property}: ${violation.message}`);
      this.expected.set(property, (this.expected.get(property) ?? 0) + 1);
      return;
    }
    this.failure = violation;
    this.note(`VIOLATION ${violation.property}: ${violation.message}`);
  }

  /** Who may join later may also be there only later, unless it must be as healthy as everybody beside liars. */
  #startsAfterMs({ index }: Machine): number {
    const { epochs, validators, liars } = this.options;
    if (index < validators || epochs === undefined || liars !== undefined) return this.rng.exponential(200);
    const rng = this.rng.stream(`late ${index}`);
    return rng.exponential(rng.pick([200, 200, 5000, 20_000]));
  }

  start(): void {
    for (const machine of this.machines) this.timeline.after(this.#startsAfterMs(machine), () => machine.start());
    const spared = this.machines.filter(({ index }) => this.isSpared(index));
    for (const machine of spared) machine.disk.calm();
    if (spared.length > 0) {
      const { liars } = this.options;
      this.note(`liars ${liars?.members} (${liars?.habits}), victims ${liars?.victims}`);
      this.network.calm(new Set(spared.map(({ index }) => index)), this.options.parameters.deltaMs * 0.3);
    }
    this.clients.start();
    this.operators?.start();
    this.faults.start();
    if (this.options.anarchy?.split !== undefined) startSplit(this.options.anarchy.split, this);
  }

  /** Runs until a virtual time, or until `done` holds (asked now and then), or until something is wrong. */
  async runUntil(untilMs: number, done?: () => boolean): Promise<boolean> {
    while (this.failure === undefined) {
      // Opening a ledger takes promises, which settle here and nowhere else: between two events, all of them.
      if (this.#opening > 0) await new Promise(setImmediate);
      const run = this.timeline.next(untilMs);
      if (run === undefined) {
        if (this.#opening === 0) return false;
        continue;
      }
      run();
      this.events++;
      if (done !== undefined && (this.events & 15) === 0 && done()) return true;
    }
    return false;
  }
}
