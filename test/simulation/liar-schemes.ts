/**
 * Lies that are aimed: at the machines that the liars have agreed on, at the moment they have waited for. Everything is
 * signed by the liar itself or by another liar; certificates are real, put together from what others signed.
 */
import { type EpochConfig, faultThreshold } from '../../consensus/config.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import type {
  Certificate,
  Message,
  NewView,
  Proposal,
  Row,
  Suspect,
  VcFinal,
  ViewChange,
  Vote,
} from '../../consensus/message.ts';
import { encodeMessage } from '../../consensus/message-codec.ts';
import { type Statement, statementDigest, viewCertificate } from '../../consensus/statement.ts';
import { generationOf, jumpFrom } from '../../consensus/suspicion-graph.ts';
import { readBlockId } from '../../ledger/block.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { rivalOf, spoiled } from './liar-blocks.ts';
import { Conspiracy, type Mind } from './liar-conspiracy.ts';
import { garbled } from './liar-frames.ts';
import type { Habit, Options } from './options.ts';
import type { Rng } from './rng.ts';
import { decode } from './transactions.ts';

/** Views that a storm of SUSPECTs names at most. */
const STORM_MAX = 40;

export class Schemer {
  readonly #conspiracy: Conspiracy;
  readonly #rng: Rng;
  readonly #habits: ReadonlySet<Habit>;
  readonly #options: Options;
  readonly #machines: number;

  constructor(conspiracy: Conspiracy, rng: Rng, options: Options, machines: number) {
    this.#conspiracy = conspiracy;
    this.#rng = rng;
    this.#habits = new Set(options.liars?.habits);
    this.#options = options;
    this.#machines = machines;
  }

  get isOn(): boolean {
    return this.#conspiracy.isOn;
  }

  join(mind: Mind): void {
    this.#conspiracy.join(mind, () => this.act(mind));
  }

  learn(message: Message): void {
    this.#conspiracy.learn(message);
  }

  /** Whether transactions of an account are kept out of blocks: of every other one. */
  censors(raw: Bytes): boolean {
    if (!this.#habits.has('censors') || !this.isOn) return false;
    const decoded = decode(raw);
    return decoded.ok && Number.parseInt(decoded.transaction.from.slice(-1), 16) % 2 === 0;
  }

  /** Sends a message as the plan has it. */
  send(mind: Mind, to: number, message: Message, payload: Bytes): boolean {
    const { env } = mind;
    const isMarked = this.#conspiracy.marks.has(to);
    if (!this.isOn || mind.standing().self < 0) return env.send(to, 'consensus', payload);
    const told = this.#tell(mind, message, isMarked);
    let frame = told === message ? payload : encodeMessage(told);
    if (this.#habits.has('garbles') && this.#rng.chance(0.1)) frame = garbled(this.#rng, frame);
    if (!isMarked || !this.#habits.has('delays') || this.#rng.chance(0.3)) return env.send(to, 'consensus', frame);
    const { deltaMs, suspicionTimeoutMs } = this.#options.parameters;
    const lateMs = this.#rng.pick([0.5, 0.9, 1.5, 1.9, 2.1, 4, 6]) * deltaMs;
    env.after(this.#rng.chance(0.1) ? suspicionTimeoutMs : lateMs, () => env.send(to, 'consensus', frame));
    return true;
  }

  /** What all liars do when a strike begins, each in its way, and now and then while it lasts. */
  act(mind: Mind, strike = this.#conspiracy.strikes): void {
    if (!this.isOn || strike !== this.#conspiracy.strikes || mind.env.isDead()) return;
    if (mind.standing().self >= 0) {
      if (this.#habits.has('storms')) this.#storm(mind);
      if (this.#habits.has('replays')) this.#replay(mind);
    }
    if (this.#habits.has('garbles')) this.#babble(mind);
    mind.env.after(this.#rng.exponential(2 * this.#options.parameters.deltaMs), () => this.act(mind, strike));
  }

  #tell(mind: Mind, message: Message, isMarked: boolean): Message {
    switch (message.kind) {
      case 'PROPOSAL':
        return isMarked ? this.#proposal(mind, message) : message;
      case 'COMMIT':
      case 'COMMITTED':
        return isMarked && this.#habits.has('equivocates') ? this.#rivalVote(mind, message) : message;
      case 'VIEW-CHANGE':
        return this.#viewChange(mind, message, isMarked);
      case 'VC-FINAL':
        return this.#vcFinal(mind, message, isMarked);
      case 'NEW-VIEW':
        return isMarked && this.#habits.has('deceives') ? this.#newView(mind, message) : message;
      default:
        return message;
    }
  }

  #sign<S extends Statement>({ env, standing }: Mind, statement: S): S {
    return { ...statement, signature: env.sign(statementDigest(standing().config, statement)) };
  }

  #proposal(mind: Mind, message: Proposal): Proposal {
    const { prepare, block } = message;
    if (this.#habits.has('equivocates')) {
      const { rivals } = this.#conspiracy;
      const parent = readBlockId(block)?.parentHash;
      const rival = rivals.get(prepare.hash) ?? rivalOf(block, parent && rivals.get(parent)?.hash);
      if (rival !== undefined) {
        rivals.set(prepare.hash, rival);
        return { ...message, prepare: this.#sign(mind, { ...prepare, hash: rival.hash }), block: rival.block };
      }
    }
    if (!this.#habits.has('spoils') || this.#rng.chance(0.5)) return message;
    const made = spoiled(block, this.#rng);
    return { ...message, prepare: this.#sign(mind, { ...prepare, hash: made.hash }), block: made.block };
  }

  #rivalVote(mind: Mind, vote: Vote): Vote {
    const rival = this.#conspiracy.rivals.get(vote.hash);
    return rival === undefined ? vote : this.#sign(mind, { ...vote, hash: rival.hash });
  }

  /** Certificates of earlier views, which is what may be brought into one. */
  #earlier({ epoch, view }: { readonly epoch: number; readonly view: number }): Certificate[] {
    return this.#conspiracy.certificates.filter((known) => known.epoch === epoch && known.view < view);
  }

  /** Sound in itself, but of an earlier day. */
  #stale<M extends ViewChange>(message: M): M {
    const earlier = this.#earlier(message);
    const proofs = earlier.filter(({ kind }) => kind === 'FP');
    return {
      ...message,
      lastSigned: undefined,
      head: earlier.length === 0 || this.#rng.chance(0.3) ? undefined : this.#rng.pick(earlier),
      final: proofs.length === 0 || this.#rng.chance(0.3) ? undefined : this.#rng.pick(proofs),
    };
  }

  #viewChange(mind: Mind, message: ViewChange, isMarked: boolean): ViewChange {
    if (!this.#habits.has('loses') && !(isMarked && this.#habits.has('deceives'))) return message;
    return this.#sign(mind, this.#stale(message));
  }

  #vcFinal(mind: Mind, message: VcFinal, isMarked: boolean): VcFinal {
    const { config } = mind.standing();
    if (this.#habits.has('empties') && this.#rng.chance(0.3)) {
      const [first, ...others] = message.viewChanges;
      const forged = first && { ...first, head: undefined, lastSigned: undefined };
      const viewChanges = this.#rng.pick([
        [],
        others,
        first && forged ? [forged, ...others] : [],
        first ? message.viewChanges.map(() => first) : [],
        message.viewChanges.map((change) => ({ ...change, view: change.view + 1 })),
      ]);
      return this.#sign(mind, { ...message, viewChanges });
    }
    if (!isMarked || !this.#habits.has('deceives')) return message;
    return this.#sign(mind, { ...message, viewChanges: this.#poorer(config, message.viewChanges) });
  }

  /** As few as will do, without the greatest heads, and with other versions of what liars said. */
  #poorer(config: EpochConfig, viewChanges: readonly ViewChange[]): ViewChange[] {
    const rank = ({ head, final }: ViewChange): number =>
      Math.max((head?.view ?? -1) * 1e6 + (head?.height ?? 0), (final?.view ?? -1) * 1e6 + (final?.height ?? 0));
    const isLiar = ({ signer }: ViewChange): boolean => this.#conspiracy.isLiar(config, signer);
    return [...viewChanges]
      .sort((a, b) => Number(isLiar(b)) - Number(isLiar(a)) || rank(a) - rank(b))
      .slice(0, Conspiracy.senders(config))
      .map((change) => (isLiar(change) ? (this.#conspiracy.signAs(config, this.#stale(change)) ?? change) : change))
      .sort((a, b) => a.signer - b.signer);
  }

  #newView(mind: Mind, message: NewView): NewView {
    const earlier = this.#earlier(message);
    const head = earlier.length === 0 || this.#rng.chance(0.2) ? undefined : this.#rng.pick(earlier);
    const link = head ?? { view: -1, ...mind.standing().config.root };
    const opened = viewCertificate({ view: message.view, digests: message.digests, head: link });
    const { height, hash } = link;
    const prepare = this.#sign(mind, { ...message.prepare, viewCertificate: opened, height, hash });
    return this.#sign(mind, { ...message, head, prepare });
  }

  #marked(): number[] {
    return [...this.#conspiracy.marks];
  }

  /** SUSPECTs of this view and of those to come, with targets near and far. */
  #storm(mind: Mind): void {
    const { env, standing } = mind;
    const { config, self } = standing();
    const n = config.validators.length;
    const t = faultThreshold(n);
    if (t === 0) return;
    const schedule = makeSchedule(n);
    const said = { epoch: config.epoch, signer: self, incarnation: env.incarnation, signature: new Uint8Array(0) };
    const suspects: Suspect[] = [];
    const first = Math.max(0, this.#conspiracy.view - this.#rng.int(2));
    const count = 1 + this.#rng.int(STORM_MAX);
    for (let view = first; view < first + count; view++) {
      const others = schedule.groupOf(view).filter((member) => member !== self);
      if (others.length > t) continue;
      const accused = this.#rng.shuffle(others).slice(0, 1 + this.#rng.int(t));
      const members = [...accused].sort((a, b) => a - b);
      const row = this.#sign<Row>(mind, { kind: 'ROW', generation: generationOf(view), members, ...said });
      const rows = this.#rng.chance(0.9) ? [row] : [];
      const near = this.#rng.pick([view + 1, jumpFrom(schedule, view, rows).target]);
      const target = this.#rng.chance(0.8) ? near : view + 2 + this.#rng.int(20);
      suspects.push(this.#sign<Suspect>(mind, { kind: 'SUSPECT', view, target, accused, rows, ...said }));
    }
    for (const to of this.#marked()) {
      if (this.#rng.chance(0.3)) env.send(to, 'consensus', encodeMessage({ kind: 'CHAIN', suspects }));
      else for (const suspect of suspects) env.send(to, 'consensus', encodeMessage(suspect));
    }
  }

  /** What anybody said once, and what this liar says in other epochs and on other chains. */
  #replay(mind: Mind): void {
    const { env, standing } = mind;
    const { frames } = this.#conspiracy;
    for (let times = 1 + this.#rng.int(5); times > 0 && frames.length > 0; times--) {
      const { channel, payload } = this.#rng.pick(frames);
      env.send(this.#rng.int(this.#machines), channel, payload);
    }
    const vote = this.#conspiracy.certificates.at(-1);
    if (vote === undefined) return;
    const { config, self } = standing();
    const foreign = this.#rng.pick<Partial<EpochConfig>>([
      { chainId: config.chainId + 1 },
      { genesisHash: vote.hash },
      { membershipHash: vote.hash },
    ]);
    const { view, height, hash } = vote;
    const about = {
      kind: 'COMMITTED' as const,
      epoch: config.epoch,
      view,
      viewCertificate: vote.viewCertificate,
      height,
      hash,
    };
    const statement = { ...about, signer: self, incarnation: env.incarnation };
    const signature = env.sign(statementDigest({ ...config, ...foreign }, statement));
    const later = { ...statement, epoch: config.epoch + this.#rng.int(2), signature };
    for (const to of this.#marked()) env.send(to, 'consensus', encodeMessage(later));
  }

  #babble({ env }: Mind): void {
    const { frames } = this.#conspiracy;
    const frame = frames.length === 0 ? new Uint8Array(0) : this.#rng.pick(frames).payload;
    for (const to of this.#marked()) {
      const channel = this.#rng.pick(['consensus', 'consensus', 'transactions', 'gossip', 'sync', 'blocks'] as const);
      env.send(to, channel, garbled(this.#rng, frame));
    }
  }
}
