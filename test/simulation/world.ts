/**
 * One simulated network: machines with their disks and clocks, the network between them, clients, faults, and the
 * checkers that watch every event. Everything in it follows from the options, and those from the seed.
 */
import { type EpochConfig, faultThreshold } from '../../consensus/config.ts';
import { makeSchedule, type Schedule } from '../../consensus/groups.ts';
import { decodeMessage } from '../../consensus/message-codec.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import { ChainChecker } from './checkers/chain.ts';
import { SignatureChecker } from './checkers/signatures.ts';
import { Clients } from './clients.ts';
import { SimClock } from './clock.ts';
import { SimDisk, type WalDefect } from './disk.ts';
import { Faults } from './faults.ts';
import type { Keys } from './keys.ts';
import { Machine, type MachinePart } from './machine.ts';
import { type Channel, SimNetwork } from './network.ts';
import type { Options } from './options.ts';
import type { OpenProcess, ProcessEnvironment } from './process.ts';
import { Rng } from './rng.ts';
import { RollingHash } from './rolling-hash.ts';
import type { SimStoreDisk } from './store.ts';
import { Timeline } from './timeline.ts';
import { ACCOUNTS, CHAIN_ID } from './transactions.ts';
import type { Transcript } from './transcript.ts';
import { Violation } from './violation.ts';

/** What a run is made of besides its options. */
export type Setting = {
  readonly keys: Keys;
  readonly genesisHash: Hash;
  readonly membershipHash: Hash;
  /** A fresh disk that holds block 0. */
  readonly makeStore: () => SimStoreDisk;
  readonly open: OpenProcess;
  readonly defect?: WalDefect | undefined;
};

/** Traces that no run without a lying replica may ever show. */
const NEVER = new Set(['amnesia', 'halted', 'conflict']);

export class World {
  readonly options: Options;
  readonly timeline = new Timeline();
  readonly schedule: Schedule;
  readonly config: EpochConfig;
  readonly machines: readonly Machine[];
  readonly network: SimNetwork;
  readonly clients: Clients;
  readonly faults: Faults;
  readonly chain: ChainChecker;
  readonly signatures: SignatureChecker;
  readonly hash = new RollingHash();
  readonly rng: Rng;
  readonly liars: ReadonlySet<number>;
  readonly traces = new Map<string, number>();
  failure: Violation | undefined;
  events = 0;
  readonly #setting: Setting;
  readonly #transcript: Transcript;
  #opening = 0;
  #lastPayload: Bytes | undefined;

  constructor(options: Options, setting: Setting, transcript: Transcript) {
    this.options = options;
    this.#setting = setting;
    this.#transcript = transcript;
    this.rng = new Rng(options.seed, 'world');
    this.liars = new Set(options.liars?.members);
    const n = options.validators;
    const { keys, genesisHash, membershipHash } = setting;
    this.schedule = makeSchedule(n);
    this.config = {
      chainId: CHAIN_ID,
      genesisHash,
      epoch: 0,
      validators: keys.addresses,
      membershipHash,
      root: { height: 0, hash: genesisHash },
      parameters: options.parameters,
    };
    const report = (violation: Violation): void => this.fail(violation);
    this.signatures = new SignatureChecker(this.schedule, report, this.liars, (certificate) =>
      this.chain.onCertificate(certificate),
    );
    this.chain = new ChainChecker({ config: this.config, schedule: this.schedule, keys }, report, {
      onGlobal: (block) => {
        for (const tx of block.transactions) this.clients.onFinal(ACCOUNTS.indexOf(tx.from), tx.nonce);
      },
      onProof: ({ view, height, hash }) => this.signatures.onFinal(view, height, hash),
    });
    this.network = new SimNetwork(n, options.network, this.timeline, this.rng.stream('network'), {
      onMessage: (to, from, channel, payload) => this.#onMessage(to, from, channel, payload),
      onConnected: (at, peer) => this.machines[at]!.run(() => this.machines[at]!.process?.onConnected(peer)),
      isRunning: (replica) => this.machines[replica]!.status === 'running',
    });
    this.machines = Array.from({ length: n }, (_, index) => this.#makeMachine(index));
    this.clients = new Clients(options.load, this.timeline, this.rng.stream('clients'), {
      n,
      submit: (replica, raw) => this.#submit(replica, raw),
    });
    const note = (text: string): void => this.note(text);
    const { timeline, machines, network } = this;
    const targets = machines.filter(({ index }) => !this.isSpared(index));
    this.faults = new Faults({ options, timeline, machines, targets, network, note, rng: this.rng.stream('faults') });
  }

  /** Beside liars only the drawn victims may be hit by anything: what is more is anarchy. */
  isSpared(index: number): boolean {
    const { liars } = this.options;
    return liars !== undefined && !liars.members.includes(index) && !liars.victims.includes(index);
  }

  get t(): number {
    return faultThreshold(this.options.validators);
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
      disk: new SimDisk(
        options.disk,
        rng.stream(`disk ${index}`),
        this.liars.has(index) && options.liars?.habits.includes('forgets') ? 'forgets-last' : this.#setting.defect,
      ),
      storeDisk: this.#setting.makeStore(),
      open: this.#setting.open,
      hooks: {
        environment: (machine) => this.#environment(machine),
        onStarted: (machine, floor) => {
          if (!this.liars.has(index)) this.chain.onStart(index, machine.process!.head(), floor);
          this.#transcript.add(timeline.now, index, `starts at height ${machine.process!.head().height}`);
          for (const peer of this.machines) this.network.connect(index, peer.index);
        },
        onRan: () => {
          if (!this.liars.has(index)) this.chain.checkProven(index);
        },
        onStopped: () => this.network.resetAll(index),
        onThrown: (machine, error) => this.#onThrown(machine, error),
        onOpening: (change) => {
          this.#opening += change;
        },
      },
    });
  }

  #environment(machine: Machine): Omit<ProcessEnvironment, MachinePart> {
    const { keys } = this.#setting;
    const { index } = machine;
    return {
      self: index,
      config: this.config,
      incarnation: '0x' + (index + 1).toString(16).padStart(32, '0'),
      nonce: 1 + machine.starts * 1000 + index,
      clock: machine.clock,
      settings: this.options.host,
      send: (to, channel, payload) => this.#send(machine, to, channel, payload),
      sign: (digest) => {
        const signature = keys.sign(index, digest);
        machine.disk.noteSignature(signature);
        this.signatures.onSigned(signature);
        return signature;
      },
      recover: keys.recover,
      log: (name, text, about) => this.#onLog(machine, { name, text, about }),
      onDeliver: (block, proof) => {
        if (machine.isDoomed || this.liars.has(index)) return;
        this.hash.text(block.hash);
        this.chain.onDeliver({ replica: index, block, proof });
      },
    };
  }

  #send(machine: Machine, to: number, channel: Channel, payload: Bytes): boolean {
    if (machine.isDoomed || to === machine.index || to < 0 || to >= this.options.validators) return false;
    if (!this.liars.has(machine.index)) this.#watch(machine, payload, channel);
    this.hash.number(to);
    this.hash.bytes(payload);
    const sent = this.network.send(machine.index, to, channel, payload);
    machine.spring('send');
    return sent;
  }

  /** Every payload once, however many it is sent to. */
  #watch(machine: Machine, payload: Bytes, channel: Channel): void {
    if (machine.disk.unsyncedIn(payload)) {
      this.fail(new Violation('durability', `replica ${machine.index} sends a signature that is not durable`));
    }
    if (channel === 'transactions' || payload === this.#lastPayload) return;
    this.#lastPayload = payload;
    const decoded = decodeMessage(payload, { validators: this.options.validators });
    if (decoded.ok) this.signatures.onMessage(decoded.message);
    else this.fail(new Violation('crash', `replica ${machine.index} sends what does not decode: ${decoded.reason}`));
  }

  #onMessage(to: number, from: number, channel: Channel, payload: Bytes): void {
    const machine = this.machines[to]!;
    this.hash.number(this.timeline.now);
    machine.run(() => machine.process?.onMessage(from, channel, payload));
  }

  #submit(replica: number, raw: Bytes): { ok: true } | { ok: false; message: string } | undefined {
    const machine = this.machines[replica]!;
    if (machine.status !== 'running') return undefined;
    let result: { ok: true } | { ok: false; message: string } | undefined;
    machine.run(() => {
      result = machine.process?.submit(raw);
    });
    if (result?.ok === false)
      this.#transcript.add(this.timeline.now, replica, `refuses a transaction: ${result.message}`);
    return result;
  }

  #onLog(machine: Machine, entry: { name: string; text: string; about: number | undefined }): void {
    const { name, text, about } = entry;
    if (machine.isDoomed) return;
    this.traces.set(name, (this.traces.get(name) ?? 0) + 1);
    this.hash.text(name);
    this.#transcript.add(this.timeline.now, machine.index, text);
    const excused = this.liars.has(machine.index) || (about !== undefined && this.liars.has(about));
    if (NEVER.has(name) && !excused) this.fail(new Violation('accuracy', `replica ${machine.index}: ${text}`));
    this.faults.onTrace(name);
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

  note(text: string): void {
    this.#transcript.add(this.timeline.now, 'world', text);
  }

  fail(violation: Violation): void {
    if (this.failure !== undefined) return;
    this.failure = violation;
    this.note(`VIOLATION ${violation.property}: ${violation.message}`);
  }

  start(): void {
    for (const machine of this.machines) this.timeline.after(this.rng.exponential(200), () => machine.start());
    const spared = this.machines.filter(({ index }) => this.isSpared(index));
    for (const machine of spared) machine.disk.calm();
    if (spared.length > 0) {
      const { liars } = this.options;
      this.note(`liars ${liars?.members} (${liars?.habits}), victims ${liars?.victims}`);
      this.network.calm(new Set(spared.map(({ index }) => index)), this.options.parameters.deltaMs * 0.3);
    }
    this.clients.start();
    this.faults.start();
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
