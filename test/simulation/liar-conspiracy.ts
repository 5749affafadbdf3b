/**
 * What the liars of a run have in common: all they have read of the others' traffic, the certificates that can be put
 * together from it, each other's keys, and the plan. They hold back, behave as they should, until a moment comes that they
 * wait for; then all of them lie, to the same chosen machines, for a while.
 */
import { type EpochConfig, faultThreshold } from '../../consensus/config.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type { Certificate, Message, Seal, SignedMessage, ViewChange, Vote } from '../../consensus/message.ts';
import { sealType, statementDigest } from '../../consensus/statement.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import type { SplitOptions } from './anarchy-options.ts';
import type { Channel } from './network.ts';
import type { ProcessEnvironment, Standing } from './process.ts';
import type { Rng } from './rng.ts';
import type { SchemeOptions, StrikeMoment } from './scheme-options.ts';

/** A liar's process: what it sees of the world, and where its (first) host is. */
export type Mind = { readonly env: ProcessEnvironment; readonly standing: () => Standing };

/** A message that is on its way, as somebody sees who taps the line. */
export type Traffic = {
  readonly at: number;
  readonly from: number;
  readonly message: Message;
  readonly payload: Bytes;
};

type Parties = {
  readonly liars: readonly number[];
  readonly machines: number;
  readonly split?: SplitOptions | undefined;
};

const CERTIFICATES_MAX = 60;
const POSITIONS_MAX = 1000;
const FRAMES_MAX = 300;

/** Keeps a map from growing for ever: what came first goes first. */
function trim(map: Map<unknown, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}

export class Conspiracy {
  readonly #scheme: SchemeOptions;
  readonly #rng: Rng;
  readonly #honest: readonly number[];
  readonly #minds = new Map<number, Mind>();
  readonly #onStrike = new Map<number, () => void>();
  /** Seals by vote type and position, by signer. */
  readonly #seals = new Map<string, Map<number, Seal>>();
  #now = 0;
  #view = 0;
  #epoch = 0;
  #height = 0;
  #until = 0;
  #restUntil = 0;
  /** Valid certificates, the newest last. */
  readonly certificates: Certificate[] = [];
  /** What others said, for replays. */
  readonly frames: { readonly channel: Channel; readonly payload: Bytes }[] = [];
  /** The other block of a pair, by the hash of the one that is shown to the rest. */
  readonly rivals = new Map<Hash, { readonly hash: Hash; readonly block: Bytes }>();
  /** Honest machines that are lied to. */
  marks: ReadonlySet<number> = new Set();
  strikes = 0;
  readonly split: SplitOptions | undefined;
  /** Which host of a liar said something, so that another liar's host on the same side hears it, and only that one. */
  readonly hostOf = new WeakMap<Bytes, number>();

  constructor(scheme: SchemeOptions, rng: Rng, parties: Parties) {
    this.#scheme = scheme;
    this.split = parties.split;
    this.#rng = rng;
    const all = Array.from({ length: parties.machines }, (_, index) => index);
    this.#honest = all.filter((index) => !parties.liars.includes(index));
  }

  /** When it last heard anything: liars have no clock in common. */
  get now(): number {
    return this.#now;
  }

  get isOn(): boolean {
    return this.#now < this.#until;
  }

  /** The newest view that anybody spoke of in the newest epoch. */
  get view(): number {
    return this.#view;
  }

  join(mind: Mind, onStrike: () => void): void {
    this.#minds.set(mind.env.self, mind);
    this.#onStrike.set(mind.env.self, onStrike);
  }

  /** Signs another version of what one of the liars said; undefined when its signer is none of them. */
  signAs(config: EpochConfig, change: ViewChange): ViewChange | undefined {
    for (const { env, standing } of this.#minds.values()) {
      const { self, config: own } = standing();
      if (self !== change.signer || own.epoch !== config.epoch) continue;
      const told = { ...change, incarnation: env.incarnation };
      return { ...told, signature: env.sign(statementDigest(config, told)) };
    }
    return undefined;
  }

  isLiar(config: EpochConfig, signer: number): boolean {
    return [...this.#minds.values()].some(({ standing }) => {
      const { self, config: own } = standing();
      return self === signer && own.epoch === config.epoch;
    });
  }

  hear({ at, message, payload }: Traffic): void {
    this.#now = Math.max(this.#now, at);
    this.learn(message);
    if (this.#rng.chance(0.1)) {
      this.frames.push({ channel: 'consensus', payload });
      if (this.frames.length > FRAMES_MAX) this.frames.splice(this.#rng.int(FRAMES_MAX), 1);
    }
    const moments = this.#momentsOf(message);
    if (this.isOn || this.#now < this.#restUntil) return;
    if (moments.some((moment) => this.#scheme.moments.includes(moment)) && this.#rng.chance(0.5)) this.#strike();
  }

  #strike(): void {
    const { strikeMs, restMs, marksMax } = this.#scheme;
    const rng = this.#rng;
    this.strikes++;
    this.#until = this.#now + rng.exponential(strikeMs);
    this.#restUntil = this.#until + rng.exponential(restMs);
    this.marks = new Set(rng.shuffle(this.#honest).slice(0, 1 + rng.int(marksMax)));
    this.rivals.clear();
    for (const act of this.#onStrike.values()) act();
  }

  #momentsOf(message: Message): StrikeMoment[] {
    switch (message.kind) {
      case 'PROPOSAL': {
        const isNew = message.prepare.height > this.#height;
        this.#height = Math.max(this.#height, message.prepare.height);
        return isNew ? ['any', 'proposal'] : [];
      }
      case 'COMMIT':
      case 'COMMITTED':
        return ['any', 'vote'];
      case 'SUSPECT':
      case 'CHAIN':
        return ['any', 'accusation'];
      case 'VIEW-CHANGE':
        return ['any', 'view change'];
      case 'VC-FINAL':
      case 'NEW-VIEW':
        return ['any', message.kind];
      case 'ASK':
        return ['any', 'restart'];
      case 'START-EPOCH':
      case 'EPOCH-STARTED':
        return ['any', 'hand-over'];
      default:
        return ['any'];
    }
  }

  /** What is worth knowing of a message, a liar's own included. */
  learn(message: Message): void {
    switch (message.kind) {
      case 'PROPOSAL':
        this.#vote(message.prepare);
        return;
      case 'COMMIT':
      case 'COMMITTED':
        this.#vote(message);
        return;
      case 'VIEW-CHANGE':
        this.#follow(message);
        this.#keep(message.head);
        this.#keep(message.final);
        return;
      case 'NEW-VIEW':
        this.#follow(message);
        this.#keep(message.head);
        this.#vote(message.prepare);
        return;
      case 'FINALITY':
      case 'FINAL':
      case 'START-EPOCH':
        this.#keep(message.proof);
        return;
      default:
    }
  }

  #follow({ epoch, view }: Pick<SignedMessage, 'epoch' | 'view'>): void {
    if (epoch > this.#epoch) {
      this.#epoch = epoch;
      this.#view = 0;
    }
    if (epoch === this.#epoch) this.#view = Math.max(this.#view, view);
  }

  #vote(vote: Vote): void {
    this.#follow(vote);
    const { epoch, view, viewCertificate, height, hash, signer, incarnation, signature } = vote;
    const position = (kind: Vote['kind']): string => `${kind} ${epoch}/${view} ${viewCertificate} ${height} ${hash}`;
    const seals = this.#seals.get(position(vote.kind)) ?? new Map<number, Seal>();
    seals.set(signer, { signer, incarnation, signature });
    this.#seals.set(position(vote.kind), seals);
    trim(this.#seals, POSITIONS_MAX);
    const [mind] = this.#minds.values();
    const config = mind?.standing().config;
    if (config === undefined || config.epoch !== epoch) return;
    const group = makeSchedule(config.validators.length).groupOf(view);
    for (const kind of ['QC', 'FP'] as const) {
      const all = group.map((member, place) =>
        this.#seals.get(position(sealType(kind, place, group.length)))?.get(member),
      );
      if (!all.every((seal): seal is Seal => seal !== undefined)) continue;
      this.#keep({ kind, epoch, view, viewCertificate, height, hash, seals: all });
    }
  }

  #keep(certificate: Certificate | undefined): void {
    if (certificate === undefined) return;
    const { kind, epoch, view, height, hash } = certificate;
    const isKnown = this.certificates.some(
      (known) =>
        known.kind === kind &&
        known.epoch === epoch &&
        known.view === view &&
        known.height === height &&
        known.hash === hash,
    );
    if (isKnown) return;
    this.certificates.push(certificate);
    if (this.certificates.length > CERTIFICATES_MAX) this.certificates.shift();
  }

  /** Least number of senders that a VC-FINAL of this epoch needs. */
  static senders({ validators }: EpochConfig): number {
    return validators.length - faultThreshold(validators.length);
  }
}
