/**
 * One validator as a deterministic automaton: the production replica with a log, a ledger and an outbox around it. A step
 * is an action taken in a local state; it gives the next local state and what was sent on the way. The replica is stepped
 * through its public interface only; its state is saved after each step and put back before the next.
 *
 * Time. The only wait that safety rests on is the 2Δ of a view change. Everything else that a clock decides may happen at
 * any moment: `expire` lets every time-out of a validator run out. So ages are erased between steps, but for that of the
 * 2Δ wait, which moves in two halves (`search.ts` says when each may pass).
 */
import { type Durable, type DurableRecord, emptyDurable, foldRecord, foldStored } from '../../consensus/durable.ts';
import type { Effect, Trace } from '../../consensus/effect.ts';
import type { Event } from '../../consensus/event.ts';
import { type Certificate, epochOf, type Message } from '../../consensus/message.ts';
import { Replica } from '../../consensus/replica.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import { BLOCK_PORTS, makeBlock, readBlock } from '../unit/consensus/test-block.ts';
import { freeze, nameOf } from './canonical.ts';
import { coreOf, load, type Snapshot, save } from './inside.ts';
import { DELTA_MS, type Setting } from './setting.ts';

export type Action =
  | { readonly kind: 'deliver'; readonly from: number; readonly message: Message }
  /** A transaction arrives at the primary, which cuts a block. */
  | { readonly kind: 'propose' }
  /** Every time-out runs out. */
  | { readonly kind: 'expire' }
  /** The 2Δ wait is over, whoever has been heard (`wait`), or half of it is (`half`), or it ends now (`end`). */
  | { readonly kind: 'wait' | 'half' | 'end' }
  /** What was written is durable. */
  | { readonly kind: 'sync' }
  /** Crashes and comes back with what is durable, and the first `kept` records of what is not. */
  | { readonly kind: 'crash'; readonly kept: number };

export type Final = {
  readonly height: number;
  readonly hash: Hash;
  readonly block: Bytes;
  readonly proof: Certificate | undefined;
  /** Epoch and view of the proof it was delivered under. */
  readonly epoch: number;
  readonly view: number;
};

/** What waits until the records before it are durable. */
type Held =
  | Extract<Effect, { kind: 'send' | 'deliver' | 'ended' }>
  | { readonly kind: 'persisted'; readonly token: Token };
type Token = NonNullable<Extract<Effect, { kind: 'persist' }>['token']>;

export type Local = {
  readonly epoch: number;
  readonly core: Snapshot;
  readonly finals: readonly Final[];
  /** Executed, and not final yet; gone with a crash. */
  readonly ledger: ReadonlyMap<Hash, Bytes>;
  /** Of the epoch; empty for those that never crash. */
  readonly log: readonly DurableRecord[];
  /** Written, and not durable yet. */
  readonly tail: readonly DurableRecord[];
  readonly held: readonly Held[];
  readonly crashes: number;
};

export type Sent = { readonly to: number; readonly message: Message };
export type Outcome = { readonly local: Local; readonly sent: readonly Sent[]; readonly traces: readonly Trace[] };

/** A replica to step in: which one, and its state in reach. */
type Vessel = { readonly replica: Replica; readonly core: ReturnType<typeof coreOf> };
type Draft = { -readonly [K in keyof Local]: Local[K] } & {
  vessel: Vessel;
  /** Blocks the pool has transactions for. */
  wants: number;
  readonly sent: Sent[];
  readonly traces: Trace[];
  readonly follow: Event[];
};

/** Ticks of Δ/2 after which nothing that waits for the clock waits on. */
const EXPIRED_TICKS = 64;

export class Validator {
  readonly machine: number;
  readonly #setting: Setting;
  readonly #vessels = new Map<string, Vessel>();
  readonly #crashes: number;

  constructor(setting: Setting, machine: number) {
    this.#setting = setting;
    this.machine = machine;
    this.#crashes = setting.bounds.crashes?.[machine] ?? 0;
  }

  /** At the start of epoch 0, having signed nothing. */
  initial(): Outcome {
    const vessel = this.#make(0, this.#setting.config(0).root, undefined, true);
    const draft = this.#draft(
      {
        epoch: 0,
        core: save(vessel.core),
        finals: [],
        ledger: new Map(),
        log: [],
        tail: [],
        held: [],
        crashes: 0,
      },
      vessel,
    );
    this.#run(draft, vessel.replica.start());
    return this.#outcome(draft);
  }

  step(local: Local, action: Action): Outcome {
    const vessel = this.#vessel(local);
    load(vessel.core, local.core);
    const draft = this.#draft(local, vessel);
    switch (action.kind) {
      case 'deliver':
        this.#receive(draft, action.from, action.message);
        break;
      case 'propose':
        draft.wants = 1;
        this.#event(draft, { kind: 'pool', waiting: true, full: true });
        break;
      case 'sync':
        this.#sync(draft);
        break;
      case 'expire':
        this.#expire(draft);
        break;
      case 'wait':
        this.#ticks(draft, [50, 50, 50, 50]);
        break;
      case 'half':
        // The second half ends just before the time is up: what is due at that moment comes first.
        this.#ticks(draft, draft.vessel.core.now - (vessel.core.vc.waitFrom ?? 0) < DELTA_MS ? [50, 50] : [50, 49]);
        break;
      case 'end':
        this.#ticks(draft, [1]);
        break;
      case 'crash':
        return this.#crash(local, action.kept);
    }
    return this.#outcome(draft);
  }

  #draft(local: Local, vessel: Vessel): Draft {
    return { ...local, ledger: new Map(local.ledger), vessel, wants: 0, sent: [], traces: [], follow: [] };
  }

  #outcome(draft: Draft): Outcome {
    const { epoch, vessel, finals, ledger, log, tail, held, crashes, sent, traces } = draft;
    const keepsLog = crashes < this.#crashes;
    const local: Local = {
      epoch,
      core: save(vessel.core),
      finals,
      ledger,
      log: keepsLog ? log : [],
      tail: keepsLog || held.length > 0 ? tail : [],
      held,
      crashes,
    };
    return { local, sent, traces };
  }

  /** The name of a local state: two with one name do the same from here on. */
  nameOf(local: Local): string {
    const { epoch, core, finals, ledger, log, tail, held, crashes } = local;
    const blocks = [...ledger.keys()].sort();
    const shown = finals.map(({ hash, view }) => [hash, view]);
    const tails = log.length + tail.length === 0 ? [] : [this.#fold(epoch, log), this.#fold(epoch, [...log, ...tail])];
    const waiting = held.length === 0 ? [] : [held, tail];
    return nameOf([epoch, core, shown, blocks, tails, waiting, crashes]);
  }

  #fold(epoch: number, records: readonly DurableRecord[]): Durable {
    const durable = emptyDurable(epoch, this.#indexIn(epoch));
    for (const record of records) {
      if (this.#setting.mutant?.forgets?.(record) !== true) foldRecord(durable, record);
    }
    return durable;
  }

  #indexIn(epoch: number): number {
    return this.#setting.orders[epoch]!.indexOf(this.machine);
  }

  #make(
    epoch: number,
    root: { height: number; hash: Hash },
    durable: Durable | undefined,
    live: boolean,
    at = root,
  ): Vessel {
    const { keys } = this.#setting;
    const replica = new Replica({
      config: this.#setting.config(epoch, root),
      ports: { sign: (digest) => keys.sign(this.machine, digest), recover: keys.recover, ...BLOCK_PORTS },
      self: this.#indexIn(epoch),
      incarnation: this.#setting.incarnation(this.machine),
      durable: durable ?? emptyDurable(epoch, this.#indexIn(epoch)),
      delivered: { height: at.height, hash: at.hash },
      logClean: true,
      live,
      nonce: 1,
    });
    const vessel = { replica, core: coreOf(replica) };
    this.#vessels.set(`${epoch} ${root.hash}`, vessel);
    return vessel;
  }

  /** One replica for all states of an epoch that begins with the same block. */
  #vessel(local: Local): Vessel {
    const root = this.#rootOf(local);
    return this.#vessels.get(`${local.epoch} ${root.hash}`)!;
  }

  #rootOf({ epoch, finals }: Local): { height: number; hash: Hash } {
    if (epoch === 0) return this.#setting.config(0).root;
    return finals.find(({ height }) => height === this.#setting.bounds.closesAt)!;
  }

  #event(draft: Draft, event: Event): void {
    const { replica, core } = draft.vessel;
    const { mutant } = this.#setting;
    if (mutant === undefined || this.#setting.liars.has(this.machine)) {
      this.#run(draft, replica.step(event));
      return;
    }
    const heard = mutant.before?.(core, event) ?? event;
    const effects = replica.step(heard);
    this.#run(draft, mutant.after?.(effects, replica) ?? effects);
  }

  #ticks(draft: Draft, steps: readonly number[]): void {
    for (const step of steps) this.#event(draft, { kind: 'tick', now: draft.vessel.core.clock + step });
  }

  #expire(draft: Draft): void {
    const { view } = draft.vessel.core;
    for (let tick = 0; tick < EXPIRED_TICKS && draft.vessel.core.view === view; tick++) this.#ticks(draft, [50]);
  }

  #receive(draft: Draft, from: number, message: Message): void {
    const { orders } = this.#setting;
    if (message.kind === 'FETCH-FINAL' || message.kind === 'FETCH-BODIES') {
      const blocks = message.kind === 'FETCH-FINAL' ? finalFrom(draft, message.from) : bodiesOf(draft, message);
      this.#send(draft, from, { kind: 'BLOCKS', nonce: message.nonce, blocks });
      return;
    }
    const epoch = epochOf(message) ?? draft.epoch;
    if (epoch > draft.epoch) return;
    if (epoch < draft.epoch && message.kind !== 'START-EPOCH') {
      const closing = draft.finals.find(({ height }) => height === this.#setting.bounds.closesAt)!;
      this.#send(draft, from, { kind: 'START-EPOCH', block: closing.block, proof: closing.proof! });
      return;
    }
    this.#event(draft, { kind: 'message', from: orders[draft.epoch]!.indexOf(from), message });
  }

  #send(draft: Draft, to: number, message: Message): void {
    // Who starts with a clean log asks, and waits for no answer. Heartbeats only keep time-outs from running out, and a
    // proof comes with its block, or is made of votes.
    if (message.kind === 'ASK') return;
    if (!this.#setting.isOpen && (message.kind === 'HEARTBEAT' || message.kind === 'FINALITY')) return;
    // What is proven to one is, in time, to all; here it would only multiply the states.
    if (message.kind === 'EVIDENCE') return;
    draft.sent.push({ to, message: freeze(message) });
  }

  #run(draft: Draft, effects: readonly Effect[]): void {
    const from = draft.follow.length;
    for (const effect of effects) this.#perform(draft, effect);
    // What a step causes follows it at once, before anything else comes in.
    for (const event of draft.follow.splice(from)) this.#event(draft, event);
  }

  #perform(draft: Draft, effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        draft.tail = [...draft.tail, ...effect.records.map(freeze)];
        if (effect.sync) this.#written(draft, effect.token);
        return;
      case 'send':
      case 'deliver':
      case 'ended':
        if (draft.held.length > 0 && this.#setting.mutant?.hasty !== true) draft.held = [...draft.held, freeze(effect)];
        else this.#release(draft, effect);
        return;
      case 'execute':
        draft.follow.push({ kind: 'executed', hash: effect.hash, ...this.#execute(draft, effect) });
        return;
      case 'cut':
        draft.follow.push({
          kind: 'cut',
          parent: effect.parent,
          block: this.#cut(draft, effect.parent, effect.height),
        });
        return;
      case 'trace':
        draft.traces.push(effect.trace);
        return;
      case 'tip':
      case 'evidence':
        return;
    }
  }

  #written(draft: Draft, token: Token | undefined): void {
    if (this.#setting.bounds.slowDisks === true) {
      // Something must stand in the queue, or what follows would not wait.
      draft.held = [...draft.held, { kind: 'persisted', token: token ?? { of: 'view', view: -1 } }];
      return;
    }
    this.#durable(draft);
    if (token !== undefined) draft.follow.push({ kind: 'persisted', token });
  }

  #durable(draft: Draft): void {
    draft.log = [...draft.log, ...draft.tail];
    draft.tail = [];
  }

  #sync(draft: Draft): void {
    this.#durable(draft);
    // What these cause comes behind what was there before.
    for (let left = draft.held.length; left > 0; left--) {
      const [first, ...rest] = draft.held;
      draft.held = rest;
      if (first!.kind === 'persisted') this.#event(draft, first!);
      else this.#release(draft, first!);
    }
  }

  #release(draft: Draft, effect: Exclude<Held, { kind: 'persisted' }>): void {
    const order = this.#setting.orders[draft.epoch]!;
    if (effect.kind === 'send') {
      for (const to of effect.to) this.#send(draft, order[to]!, effect.message);
    } else if (effect.kind === 'deliver') this.#deliver(draft, effect);
    else this.#beginEpoch(draft, effect);
  }

  #execute(
    draft: Draft,
    { hash, parent, block, height }: Effect & { kind: 'execute' },
  ): { ok: boolean; closes?: boolean; reason?: string } {
    if (parent !== tipOf(draft).hash && !draft.ledger.has(parent)) return { ok: false, reason: 'unknown parent' };
    (draft.ledger as Map<Hash, Bytes>).set(hash, block);
    return { ok: true, closes: height === this.#setting.bounds.closesAt };
  }

  #cut(draft: Draft, parent: Hash, height: number): (Event & { kind: 'cut' })['block'] {
    const { closesAt } = this.#setting.bounds;
    const { view } = draft.vessel.core;
    if (draft.wants === 0 || height > this.#setting.heightAt(view)) return undefined;
    draft.wants = 0;
    const salt = `${draft.epoch}/${view}/${this.machine}/${draft.crashes}`;
    const bytes = this.#setting.made(makeBlock(parent, height, salt));
    const hash = keccakHash(bytes);
    (draft.ledger as Map<Hash, Bytes>).set(hash, bytes);
    return { hash, height, bytes, closes: height === closesAt };
  }

  #deliver(draft: Draft, { height, hash, proof }: Effect & { kind: 'deliver' }): void {
    const block = draft.ledger.get(hash);
    if (block === undefined || height !== tipOf(draft).height + 1) {
      throw new TypeError(`delivers block ${height} after ${tipOf(draft).height}${block ? '' : ', not executed'}`);
    }
    const view = proof?.view ?? draft.vessel.core.final?.view ?? -1;
    draft.finals = [...draft.finals, freeze({ height, hash, block, proof, epoch: draft.epoch, view })];
    const ledger = draft.ledger as Map<Hash, Bytes>;
    for (const [other, bytes] of ledger) if (readBlock(bytes)!.height <= height) ledger.delete(other);
  }

  /** As the host does: the next epoch is begun durably, its replica made, and everybody told. */
  #beginEpoch(draft: Draft, { closing, live }: Effect & { kind: 'ended' }): void {
    const { orders, machines } = this.#setting;
    const order = orders[draft.epoch]!;
    const next = draft.epoch + 1;
    const pins = [...draft.vessel.core.pins].map(([signer, incarnation]): DurableRecord => {
      return freeze({ kind: 'pin', signer: orders[next]!.indexOf(order[signer]!), incarnation });
    });
    const self = this.#indexIn(next);
    const begun = freeze({ kind: 'epoch', epoch: next, self, forgot: false, rolledBack: false } as const);
    const { block } = draft.finals.at(-1)!;
    draft.epoch = next;
    draft.log = [begun, ...pins];
    draft.tail = [];
    draft.ledger = new Map();
    const root = { height: closing.height, hash: closing.hash };
    draft.vessel = this.#make(next, root, this.#fold(next, draft.log), live);
    this.#run(draft, draft.vessel.replica.start());
    for (const to of machines) {
      if (to !== this.machine) this.#send(draft, to, { kind: 'START-EPOCH', block, proof: closing });
    }
  }

  /** Restarts, asks in vain what others hold of it, listens, and goes on. */
  #crash(local: Local, kept: number): Outcome {
    const log = [...local.log, ...local.tail.slice(0, kept)];
    const root = this.#rootOf(local);
    const at = local.finals.at(-1) ?? root;
    const durable = this.#fold(local.epoch, log);
    foldStored(durable, local.finals.at(-1) ?? { height: 0, proof: undefined });
    const vessel = this.#make(local.epoch, root, durable, false, at);
    const crashed: Local = { ...local, ledger: new Map(), log, tail: [], held: [], crashes: local.crashes + 1 };
    const draft = this.#draft({ ...crashed, core: save(vessel.core) }, vessel);
    this.#run(draft, vessel.replica.start());
    for (let tick = 0; tick < 8 && vessel.core.phase === 'starting'; tick++) this.#ticks(draft, [50]);
    return this.#outcome(draft);
  }
}

function tipOf(draft: Draft): { height: number; hash: Hash } {
  return draft.finals.at(-1) ?? draft.vessel.core.config.root;
}

function finalFrom(draft: Draft, from: number): { block: Bytes; proof: Certificate | undefined }[] {
  const blocks = draft.finals.filter(({ height }) => height >= from).map(({ block, proof }) => ({ block, proof }));
  while (blocks.length > 0 && blocks.at(-1)!.proof === undefined) blocks.pop();
  return blocks;
}

function bodiesOf(draft: Draft, wanted: { hash: Hash; height: number; floor: number }) {
  const blocks: { block: Bytes; proof: undefined }[] = [];
  let { hash } = wanted;
  for (let { height } = wanted; height >= wanted.floor; height--) {
    const block = draft.ledger.get(hash) ?? draft.finals.find((final) => final.hash === hash)?.block;
    if (block === undefined) break;
    blocks.unshift({ block, proof: undefined });
    hash = readBlock(block)!.parent;
  }
  return blocks;
}
