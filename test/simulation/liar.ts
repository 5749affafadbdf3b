/**
 * Replicas that lie. A liar runs the production host too, perhaps twice under one key (Twins, Bano et al. 2021), and
 * tampers with what goes out and comes in: it says one thing to some and another to others, leaves out what it signed,
 * forgets, accuses at will, repeats itself, also what it said in epochs that are over. It has its own key and nobody
 * else's, so everything it makes up is signed by it, in the epoch its host is in. How many there may be beside crashed and
 * cut-off replicas is decided where the options are drawn.
 */
import { type Certificate, epochOf, type Message, type NewView, type Vote } from '../../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../../consensus/message-codec.ts';
import { type Statement, sealDigest, sealType, statementDigest, viewCertificate } from '../../consensus/statement.ts';
import { generationOf } from '../../consensus/suspicion-graph.ts';
import { WIRE_LIMITS } from '../../consensus/wire-numbers.ts';
import { decodeBatch, encodeBatch } from '../../node/transaction-relay.ts';
import { EMPTY } from '../../primitives/bytes.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import { Accuser, type Speaker } from './accuser.ts';
import { SimDisk } from './disk.ts';
import { Conspiracy, type Mind, type Traffic } from './liar-conspiracy.ts';
import { Schemer } from './liar-schemes.ts';
import type { Channel } from './network.ts';
import { type Habit, machineCount, type Options } from './options.ts';
import type { OpenProcess, ProcessEnvironment, SimProcess } from './process.ts';
import { Rng } from './rng.ts';
import type { Platform, Shared } from './setting.ts';
import { sideOf } from './split.ts';
import type { SimStoreDisk } from './store.ts';

type Sent = { readonly to: number; readonly channel: Channel; readonly payload: Bytes };

const REPLAYED_MAX = 200;
const HOSTS = 2;
const ANY_EPOCH = { validators: WIRE_LIMITS.validators };

/** One liar, for the length of a run: what it keeps across its restarts. */
class Liar {
  readonly #options: Options;
  readonly #rng: Rng;
  readonly #habits: ReadonlySet<Habit>;
  readonly #sent: Sent[] = [];
  readonly #hashes: Hash[] = [];
  readonly #certificates: Certificate[] = [];
  readonly #accuser: Accuser;
  readonly twinDisk: SimDisk;
  readonly twinStore: SimStoreDisk;
  #epoch = 0;
  #view = 0;
  readonly #machines: number;
  readonly #conspiracy: Conspiracy | undefined;
  readonly #schemer: Schemer | undefined;
  /** Per peer: which of the twins it talks to; both when they overlap. */
  #audience: number[] = [];
  /** Per peer: kinds of messages it does not get for now. */
  #withheld = new Map<number, ReadonlySet<string>>();

  constructor(options: Options, self: number, genesisStore: SimStoreDisk, conspiracy: Conspiracy | undefined) {
    this.#options = options;
    this.#machines = machineCount(options);
    this.#rng = new Rng(options.seed, `liar ${self}`);
    this.#habits = new Set(options.liars?.habits ?? []);
    this.#accuser = new Accuser(this.#rng.stream('accuser'));
    this.twinDisk = new SimDisk(options.disk, this.#rng.stream(`twin disk ${self}`));
    this.twinStore = genesisStore.clone();
    this.#conspiracy = conspiracy;
    this.#schemer =
      conspiracy && new Schemer(conspiracy, this.#rng.stream(`schemes of ${self}`), options, this.#machines);
    this.#changeMind();
  }

  /** Liars with a plan hold back until its moment has come. */
  get #isLying(): boolean {
    return this.#schemer?.isOn ?? true;
  }

  join(mind: Mind): void {
    this.#schemer?.join(mind);
  }

  has(habit: Habit): boolean {
    return this.#habits.has(habit);
  }

  #changeMind(): void {
    const rng = this.#rng;
    const kinds = [
      'PROPOSAL',
      'COMMIT',
      'COMMITTED',
      'VIEW-CHANGE',
      'VC-FINAL',
      'NEW-VIEW',
      'CHAIN',
      'BLOCKS',
      'HEARTBEAT',
    ];
    this.#audience = Array.from({ length: this.#machines }, () => rng.int(HOSTS + 1));
    this.#withheld = new Map();
    for (let peer = 0; peer < this.#machines; peer++) {
      if (rng.chance(0.5)) this.#withheld.set(peer, new Set(rng.shuffle(kinds).slice(0, 1 + rng.int(4))));
    }
  }

  /** Wakes up now and then: changes its mind, accuses, repeats what it said long ago. */
  live(mind: Mind): void {
    const rng = this.#rng;
    const { env } = mind;
    env.after(rng.exponential(4 * this.#options.parameters.deltaMs), () => {
      if (rng.chance(0.3)) this.#changeMind();
      if (!this.#isLying) {
        this.live(mind);
        return;
      }
      if (this.has('accuses') && rng.chance(0.5)) this.#accuse(mind);
      if (this.has('forges') && rng.chance(0.3)) this.#forge(mind);
      if (this.has('repeats') && this.#sent.length > 0) {
        const { channel, payload } = rng.pick(this.#sent);
        env.send(rng.int(this.#machines), channel, payload);
      }
      this.live(mind);
    });
  }

  #speaker(mind: Mind): Speaker {
    const { config, self } = mind.standing();
    return {
      self,
      epoch: config.epoch,
      validators: config.validators.length,
      incarnation: mind.env.incarnation,
      sign: (statement) => this.#sign(mind, statement),
    };
  }

  /** To many, or to one alone. */
  #accuse(mind: Mind): void {
    const rng = this.#rng;
    const speaker = this.#speaker(mind);
    if (speaker.self < 0) return;
    const suspect = this.#accuser.suspect(speaker, Math.max(0, this.#view - rng.int(rng.chance(0.7) ? 2 : 12)));
    if (suspect === undefined) return;
    const payload = encodeMessage(suspect);
    if (rng.chance(0.7)) this.#broadcast(mind, payload);
    else mind.env.send(rng.int(this.#machines), 'consensus', payload);
  }

  #broadcast({ env }: Mind, payload: Bytes): void {
    for (let to = 0; to < this.#machines; to++) if (this.#rng.chance(0.6)) env.send(to, 'consensus', payload);
  }

  #sign<S extends Statement>({ env, standing }: Mind, statement: S): S & { readonly signature: Uint8Array } {
    return { ...statement, signature: env.sign(statementDigest(standing().config, statement)) };
  }

  /** Whether this host (of twins) hears what a peer says. */
  hearsFrom(host: number, peer: number, payload: Bytes): boolean {
    const split = this.#conspiracy?.split;
    if (split === undefined || !this.has('twins')) return this.#isAudience(host, peer);
    const side = sideOf(split, peer, this.#conspiracy!.now) ?? this.#conspiracy!.hostOf.get(payload);
    return side === undefined || side === host;
  }

  /** Whether it is heard by one. Until a split begins the second of two is silent. */
  #speaksTo(host: number, peer: number, payload: Bytes): boolean {
    const conspiracy = this.#conspiracy;
    if (conspiracy?.split === undefined || !this.has('twins')) return this.#isAudience(host, peer);
    if (conspiracy.now < conspiracy.split.fromMs) return host === 0;
    conspiracy.hostOf.set(payload, host);
    return (sideOf(conspiracy.split, peer, conspiracy.now) ?? host) === host;
  }

  #isAudience(host: number, peer: number): boolean {
    return !this.has('twins') || this.#audience[peer] === HOSTS || this.#audience[peer] === host;
  }

  /** Whether it takes a transaction. */
  admits(raw: Bytes): boolean {
    return this.#schemer?.censors(raw) !== true;
  }

  /** What comes in, as the host is to hear it. */
  hears(payload: Bytes, channel: Channel): Bytes {
    if (channel === 'transactions') return encodeBatch(decodeBatch(payload).filter((raw) => this.admits(raw)));
    const decoded = decodeMessage(payload, ANY_EPOCH);
    if (!decoded.ok) return payload;
    const { message } = decoded;
    this.#follow(message);
    if ('view' in message) this.#view = Math.max(this.#view, message.view);
    this.#accuser.hear(message);
    if ('hash' in message) this.#hashes.push(message.hash);
    if (this.#hashes.length > 50) this.#hashes.shift();
    if (message.kind === 'FINALITY' || message.kind === 'FINAL') this.#certificates.push(message.proof);
    if (message.kind === 'VIEW-CHANGE' && message.head !== undefined) this.#certificates.push(message.head);
    if (this.#certificates.length > 20) this.#certificates.shift();
    // It does not want to be told what it has forgotten, or what its twin has said.
    const isDeaf = message.kind === 'ANSWER' && (this.has('forgets') || this.has('twins'));
    return isDeaf ? encodeMessage({ ...message, held: [] }) : payload;
  }

  /** Another epoch begins with view 0; what it knows of the one before it keeps, for lies. */
  #follow(message: Message): void {
    const epoch = epochOf(message) ?? this.#epoch;
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#view = 0;
  }

  send(mind: Mind, host: number, sent: Sent): boolean {
    const { env } = mind;
    if (!this.#speaksTo(host, sent.to, sent.payload)) return true;
    if (sent.channel === 'transactions') return env.send(sent.to, sent.channel, sent.payload);
    const decoded = decodeMessage(sent.payload, ANY_EPOCH);
    if (!decoded.ok) return env.send(sent.to, sent.channel, sent.payload);
    const { message } = decoded;
    this.#schemer?.learn(message);
    if (!this.#isLying) return env.send(sent.to, sent.channel, sent.payload);
    if (this.has('withholds') && this.#withheld.get(sent.to)?.has(message.kind) === true) return true;
    const told = this.#distort(mind, message);
    const payload = told === message ? sent.payload : encodeMessage(told);
    if (this.#rng.chance(0.1)) this.#remember({ ...sent, payload });
    if (this.#schemer !== undefined && sent.channel === 'consensus')
      return this.#schemer.send(mind, sent.to, told, payload);
    return env.send(sent.to, sent.channel, payload);
  }

  /** A NEW-VIEW that is sound in itself but adopts an older head. */
  #lowerNewView(mind: Mind, message: NewView): Message {
    const older = this.#certificates.filter(
      ({ epoch, view, height }) => epoch === message.epoch && view < message.view && height < message.prepare.height,
    );
    const head = older.length === 0 ? undefined : this.#rng.pick(older);
    const link = head ?? { view: -1, ...mind.standing().config.root };
    const opened = viewCertificate({ view: message.view, digests: message.digests, head: link });
    const { height, hash } = link;
    const prepare = this.#sign(mind, { ...message.prepare, viewCertificate: opened, height, hash }) as Vote;
    return this.#sign(mind, { ...message, head, prepare });
  }

  /** Claims that something is final, with signatures of its own under everybody's name. */
  #forge(mind: Mind): void {
    const { config, self } = mind.standing();
    const known = this.#certificates.at(-1);
    if (known === undefined || this.#hashes.length === 0 || self < 0) return;
    const height = known.height + this.#rng.int(3);
    const hash = this.#rng.pick(this.#hashes);
    const about = { epoch: config.epoch, view: known.view, viewCertificate: known.viewCertificate, height, hash };
    const seals = known.seals.map(({ signer, incarnation }, place) => {
      const type = sealType('FP', place, known.seals.length);
      const signature = mind.env.sign(sealDigest(config, about, type, { signer, incarnation, signature: EMPTY }));
      return { signer: this.#rng.chance(0.5) ? signer : self, incarnation, signature };
    });
    this.#broadcast(mind, encodeMessage({ kind: 'FINALITY', proof: { kind: 'FP', ...about, seals } }));
  }

  /** A head that was certified in an epoch that is over, if it knows one. */
  #outdated({ epoch }: { readonly epoch: number }): { readonly head?: Certificate } {
    const head = this.#certificates.find((certificate) => certificate.epoch < epoch);
    return head !== undefined && this.#rng.chance(0.5) ? { head } : {};
  }

  #remember(sent: Sent): void {
    this.#sent.push(sent);
    if (this.#sent.length > REPLAYED_MAX) this.#sent.splice(this.#rng.int(REPLAYED_MAX), 1);
  }

  #distort(mind: Mind, message: Message): Message {
    const rng = this.#rng;
    switch (message.kind) {
      case 'VIEW-CHANGE':
        if (!this.has('hides') || rng.chance(0.4)) return message;
        return this.#sign(mind, {
          ...message,
          ...rng.pick([{ head: message.final }, { head: undefined, final: undefined }]),
          ...this.#outdated(message),
          lastSigned: undefined,
        });
      case 'NEW-VIEW':
        return this.has('hides') && rng.chance(0.5) ? this.#lowerNewView(mind, message) : message;
      case 'VC-FINAL':
        if (!this.has('hides') || rng.chance(0.6)) return message;
        return this.#sign(mind, {
          ...message,
          viewChanges: rng
            .shuffle(message.viewChanges)
            .slice(1)
            .sort((a, b) => a.signer - b.signer),
        });
      case 'COMMIT':
      case 'COMMITTED':
        if (!this.has('swaps') || this.#hashes.length === 0 || rng.chance(0.7)) return message;
        return this.#sign(mind, { ...message, hash: rng.pick(this.#hashes) });
      case 'PROPOSAL':
        if (!this.has('swaps') || this.#hashes.length === 0 || rng.chance(0.8)) return message;
        return {
          ...message,
          prepare: this.#sign(mind, { ...message.prepare, hash: rng.pick(this.#hashes) }) as typeof message.prepare,
        };
      case 'HEARTBEAT':
        if (this.has('accuses') && rng.chance(0.1)) {
          const speaker = this.#speaker(mind);
          return speaker.self < 0
            ? message
            : { ...message, row: this.#accuser.row(speaker, generationOf(message.view), []) };
        }
        if (!this.has('boasts') || rng.chance(0.5)) return message;
        return {
          ...message,
          final: message.final + rng.int(100),
          head: message.head + rng.int(100),
          // Where there are several it may be in another one than it says.
          epoch: this.#epoch > 0 ? message.epoch + rng.int(3) : message.epoch,
        };
      default:
        return message;
    }
  }
}

/** What runs on the machines of a world, and what liars among them read of the traffic. */
export type Cast = { readonly open: OpenProcess; readonly onTraffic?: (traffic: Traffic) => void };

/** The platform's process on the honest machines, liars on the others. */
export function withLiars(platform: Platform, options: Options, shared: Shared): Cast {
  const { liars: drawn } = options;
  if (drawn === undefined || drawn.members.length === 0) return { open: platform.open };
  const parties = { liars: drawn.members, machines: machineCount(options), split: options.anarchy?.split };
  const conspiracy = drawn.scheme && new Conspiracy(drawn.scheme, new Rng(options.seed, 'conspiracy'), parties);
  const liars = new Map(
    drawn.members.map((index) => [index, new Liar(options, index, shared.genesisStore, conspiracy)]),
  );
  return {
    open: (env) => {
      const liar = liars.get(env.self);
      return liar === undefined ? platform.open(env) : openLiar(platform, liar, env);
    },
    ...(conspiracy && { onTraffic: (traffic) => conspiracy.hear(traffic) }),
  };
}

async function openLiar(
  platform: Platform,
  liar: Liar,
  env: ProcessEnvironment,
): Promise<SimProcess & { start: () => void }> {
  const hosts: (SimProcess & { start: () => void })[] = [];
  const mind: Mind = { env, standing: () => hosts[0]!.standing() };
  const hostEnvironment = (host: number, own: Partial<ProcessEnvironment>): ProcessEnvironment => ({
    ...env,
    ...own,
    send: (to, channel, payload) => liar.send(mind, host, { to, channel, payload }),
  });
  hosts.push(await platform.open(hostEnvironment(0, {})));
  if (liar.has('twins')) {
    liar.twinDisk.crash(false);
    liar.twinStore.crash(new Rng(env.nonce, 'twin'), false);
    const hooks = { after: env.after, isDead: env.isDead, delayMs: () => liar.twinDisk.syncDelayMs() };
    const wal = liar.twinDisk.open({ ...hooks, onAppend: () => undefined });
    const store = liar.twinStore.open(hooks);
    hosts.push(
      await platform.open(hostEnvironment(1, { wal, store, records: liar.twinDisk.records, walState: 'clean' })),
    );
  }
  const both = (act: (process: SimProcess) => void): void => hosts.forEach(act);
  return {
    start: () => {
      for (const host of hosts) host.start();
      liar.live(mind);
      liar.join(mind);
    },
    tick: () => both((host) => host.tick()),
    onConnected: (peer) => both((host) => host.onConnected(peer)),
    onMessage: (from, channel, sent) => {
      const payload = liar.hears(sent, channel);
      for (const [index, host] of hosts.entries())
        if (liar.hearsFrom(index, from, sent)) host.onMessage(from, channel, payload);
    },
    submit: (raw) => (liar.admits(raw) ? hosts[0]!.submit(raw) : { ok: false, message: 'left out' }),
    head: () => hosts[0]!.head(),
    account: (address) => hosts[0]!.account(address),
    governance: () => hosts[0]!.governance(),
    standing: mind.standing,
    takesPart: () => hosts[0]!.takesPart(),
  };
}
