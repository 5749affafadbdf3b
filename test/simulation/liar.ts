/**
 * Replicas that lie. A liar runs the production host too, perhaps twice under one key (Twins, Bano et al. 2021), and
 * tampers with what goes out and comes in: it says one thing to some and another to others, leaves out what it signed,
 * forgets, accuses at will, repeats itself. It has its own key and nobody else's, so everything it makes up is signed by
 * it. How many there may be beside crashed and cut-off replicas is decided where the options are drawn.
 */
import { faultThreshold } from '../../consensus/config.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type { Certificate, Message, NewView, SignedMessage, Vote } from '../../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../../consensus/message-codec.ts';
import { type Statement, sealDigest, sealType, statementDigest, viewCertificate } from '../../consensus/statement.ts';
import { EMPTY } from '../../primitives/bytes.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import { SimDisk } from './disk.ts';
import type { Channel } from './network.ts';
import type { Habit, Options } from './options.ts';
import type { OpenProcess, ProcessEnvironment, SimProcess } from './process.ts';
import { Rng } from './rng.ts';
import type { Platform, Shared } from './setting.ts';
import type { SimStoreDisk } from './store.ts';

type Sent = { readonly to: number; readonly channel: Channel; readonly payload: Bytes };

const REPLAYED_MAX = 200;
const HOSTS = 2;

/** One liar, for the length of a run: what it keeps across its restarts. */
class Liar {
  readonly #options: Options;
  readonly #rng: Rng;
  readonly #habits: ReadonlySet<Habit>;
  readonly #sent: Sent[] = [];
  readonly #hashes: Hash[] = [];
  readonly #certificates: Certificate[] = [];
  readonly twinDisk: SimDisk;
  readonly twinStore: SimStoreDisk;
  #view = 0;
  /** Per peer: which of the twins it talks to; both when they overlap. */
  #audience: number[] = [];
  /** Per peer: kinds of messages it does not get for now. */
  #withheld = new Map<number, ReadonlySet<string>>();

  constructor(options: Options, self: number, genesisStore: SimStoreDisk) {
    this.#options = options;
    this.#rng = new Rng(options.seed, `liar ${self}`);
    this.#habits = new Set(options.liars?.habits ?? []);
    this.twinDisk = new SimDisk(options.disk, this.#rng.stream(`twin disk ${self}`));
    this.twinStore = genesisStore.clone();
    this.#changeMind();
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
    this.#audience = Array.from({ length: this.#options.validators }, () => rng.int(HOSTS + 1));
    this.#withheld = new Map();
    for (let peer = 0; peer < this.#options.validators; peer++) {
      if (rng.chance(0.5)) this.#withheld.set(peer, new Set(rng.shuffle(kinds).slice(0, 1 + rng.int(4))));
    }
  }

  /** Wakes up now and then: changes its mind, accuses, repeats what it said long ago. */
  live(env: ProcessEnvironment): void {
    const rng = this.#rng;
    env.after(rng.exponential(4 * this.#options.parameters.deltaMs), () => {
      if (rng.chance(0.3)) this.#changeMind();
      if (this.has('accuses') && rng.chance(0.5)) this.#accuse(env);
      if (this.has('forges') && rng.chance(0.3)) this.#forge(env);
      if (this.has('repeats') && this.#sent.length > 0) {
        const { channel, payload } = rng.pick(this.#sent);
        env.send(rng.int(this.#options.validators), channel, payload);
      }
      this.live(env);
    });
  }

  #accuse(env: ProcessEnvironment): void {
    const view = Math.max(0, this.#view - this.#rng.int(2));
    const group = makeSchedule(this.#options.validators).groupOf(view);
    const others = group.filter((member) => member !== env.self);
    if (others.length === 0 || others.length === group.length) return;
    const accused = this.#rng.shuffle(others).slice(0, 1 + this.#rng.int(faultThreshold(this.#options.validators)));
    const suspect = this.#sign(env, {
      kind: 'SUSPECT',
      epoch: 0,
      view,
      target: view + 1,
      accused,
      rows: [],
      signer: env.self,
      incarnation: env.incarnation,
    });
    const payload = encodeMessage(suspect);
    for (let to = 0; to < this.#options.validators; to++) if (this.#rng.chance(0.6)) env.send(to, 'consensus', payload);
  }

  #sign(env: ProcessEnvironment, statement: Statement): SignedMessage {
    return { ...statement, signature: env.sign(statementDigest(env.config, statement)) } as SignedMessage;
  }

  /** Whether this host (of twins) hears what a peer says, and is heard by it. */
  talksTo(host: number, peer: number): boolean {
    return !this.has('twins') || this.#audience[peer] === HOSTS || this.#audience[peer] === host;
  }

  /** What comes in; false when the host is not to hear of it. */
  hears(payload: Bytes, channel: Channel): boolean {
    if (channel === 'transactions') return true;
    const decoded = decodeMessage(payload, { validators: this.#options.validators });
    if (!decoded.ok) return true;
    const { message } = decoded;
    if ('view' in message) this.#view = Math.max(this.#view, message.view);
    if ('hash' in message) this.#hashes.push(message.hash);
    if (this.#hashes.length > 50) this.#hashes.shift();
    if (message.kind === 'FINALITY' || message.kind === 'FINAL') this.#certificates.push(message.proof);
    if (message.kind === 'VIEW-CHANGE' && message.head !== undefined) this.#certificates.push(message.head);
    if (this.#certificates.length > 20) this.#certificates.shift();
    // It does not want to be told what it has forgotten.
    return !(message.kind === 'ANSWER' && (this.has('forgets') || this.has('twins')));
  }

  send(env: ProcessEnvironment, host: number, sent: Sent): boolean {
    if (!this.talksTo(host, sent.to)) return true;
    if (sent.channel === 'transactions') return env.send(sent.to, sent.channel, sent.payload);
    const decoded = decodeMessage(sent.payload, { validators: this.#options.validators });
    if (!decoded.ok) return env.send(sent.to, sent.channel, sent.payload);
    const { message } = decoded;
    if (this.has('withholds') && this.#withheld.get(sent.to)?.has(message.kind) === true) return true;
    const told = this.#distort(env, message);
    const payload = told === message ? sent.payload : encodeMessage(told);
    if (this.#rng.chance(0.1)) this.#remember({ ...sent, payload });
    return env.send(sent.to, sent.channel, payload);
  }

  /** A NEW-VIEW that is sound in itself but adopts an older head. */
  #lowerNewView(env: ProcessEnvironment, message: NewView): Message {
    const older = this.#certificates.filter(
      ({ view, height }) => view < message.view && height < message.prepare.height,
    );
    const head = older.length === 0 ? undefined : this.#rng.pick(older);
    const link = head ?? { view: -1, ...env.config.root };
    const opened = viewCertificate({ view: message.view, digests: message.digests, head: link });
    const { height, hash } = link;
    const prepare = this.#sign(env, { ...message.prepare, viewCertificate: opened, height, hash }) as Vote;
    return this.#sign(env, { ...message, head, prepare });
  }

  /** Claims that something is final, with signatures of its own under everybody's name. */
  #forge(env: ProcessEnvironment): void {
    const known = this.#certificates.at(-1);
    if (known === undefined || this.#hashes.length === 0) return;
    const height = known.height + this.#rng.int(3);
    const hash = this.#rng.pick(this.#hashes);
    const about = { epoch: 0, view: known.view, viewCertificate: known.viewCertificate, height, hash };
    const seals = known.seals.map(({ signer, incarnation }, place) => {
      const type = sealType('FP', place, known.seals.length);
      const signature = env.sign(sealDigest(env.config, about, type, { signer, incarnation, signature: EMPTY }));
      return { signer: this.#rng.chance(0.5) ? signer : env.self, incarnation, signature };
    });
    const payload = encodeMessage({ kind: 'FINALITY', proof: { kind: 'FP', ...about, seals } });
    for (let to = 0; to < this.#options.validators; to++) if (this.#rng.chance(0.6)) env.send(to, 'consensus', payload);
  }

  #remember(sent: Sent): void {
    this.#sent.push(sent);
    if (this.#sent.length > REPLAYED_MAX) this.#sent.splice(this.#rng.int(REPLAYED_MAX), 1);
  }

  #distort(env: ProcessEnvironment, message: Message): Message {
    const rng = this.#rng;
    switch (message.kind) {
      case 'VIEW-CHANGE':
        if (!this.has('hides') || rng.chance(0.4)) return message;
        return this.#sign(env, {
          ...message,
          ...rng.pick([{ head: message.final }, { head: undefined, final: undefined }]),
          lastSigned: undefined,
        });
      case 'NEW-VIEW':
        return this.has('hides') && rng.chance(0.5) ? this.#lowerNewView(env, message) : message;
      case 'VC-FINAL':
        if (!this.has('hides') || rng.chance(0.6)) return message;
        return this.#sign(env, {
          ...message,
          viewChanges: rng
            .shuffle(message.viewChanges)
            .slice(1)
            .sort((a, b) => a.signer - b.signer),
        });
      case 'COMMIT':
      case 'COMMITTED':
        if (!this.has('swaps') || this.#hashes.length === 0 || rng.chance(0.7)) return message;
        return this.#sign(env, { ...message, hash: rng.pick(this.#hashes) });
      case 'PROPOSAL':
        if (!this.has('swaps') || this.#hashes.length === 0 || rng.chance(0.8)) return message;
        return {
          ...message,
          prepare: this.#sign(env, { ...message.prepare, hash: rng.pick(this.#hashes) }) as typeof message.prepare,
        };
      case 'HEARTBEAT':
        if (!this.has('boasts') || rng.chance(0.5)) return message;
        return { ...message, final: message.final + rng.int(100), head: message.head + rng.int(100) };
      default:
        return message;
    }
  }
}

/** The platform's process on the honest machines, liars on the others. */
export function withLiars(platform: Platform, options: Options, shared: Shared): OpenProcess {
  const members = new Set(options.liars?.members ?? []);
  if (members.size === 0) return platform.open;
  const liars = new Map([...members].map((index) => [index, new Liar(options, index, shared.genesisStore)]));
  return (env) => {
    const liar = liars.get(env.self);
    return liar === undefined ? platform.open(env) : openLiar(platform, liar, env);
  };
}

async function openLiar(
  platform: Platform,
  liar: Liar,
  env: ProcessEnvironment,
): Promise<SimProcess & { start: () => void }> {
  const hostEnvironment = (host: number, own: Partial<ProcessEnvironment>): ProcessEnvironment => ({
    ...env,
    ...own,
    send: (to, channel, payload) => liar.send(env, host, { to, channel, payload }),
  });
  const hosts = [await platform.open(hostEnvironment(0, {}))];
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
      liar.live(env);
    },
    tick: () => both((host) => host.tick()),
    onConnected: (peer) => both((host) => host.onConnected(peer)),
    onMessage: (from, channel, payload) => {
      if (!liar.hears(payload, channel)) return;
      for (const [index, host] of hosts.entries())
        if (liar.talksTo(index, from)) host.onMessage(from, channel, payload);
    },
    submit: (raw) => hosts[0]!.submit(raw),
    head: () => hosts[0]!.head(),
    account: (address) => hosts[0]!.account(address),
  };
}
