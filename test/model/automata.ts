/**
 * The validators' local states and the messages between them, each under a number. A step of a replica is taken once for
 * each local state and action, however many global states it occurs in: the search itself works on numbers.
 */
import type { Trace } from '../../consensus/effect.ts';
import type { Message } from '../../consensus/message.ts';
import { nameOf } from './canonical.ts';
import { Menu } from './menu.ts';
import { type Facts, factsOf, misbehaviour } from './properties.ts';
import type { Setting } from './setting.ts';
import { type Action, type Local, type Outcome, type Sent, Validator } from './validator.ts';

export type Parcel = { readonly from: number; readonly to: number; readonly message: Message };

/** A local state, what its validator ever sent (numbers of parcels, ascending), and what follows from that. */
export type Place = {
  readonly id: number;
  readonly local: Local;
  readonly sent: readonly number[];
  /** The same by receiver. */
  readonly sentTo: readonly (readonly number[])[];
  /** Parcels that matter to the 2Δ wait and have come in. */
  readonly got: ReadonlySet<number>;
  readonly facts: Facts;
  /** Breaks a property by itself. */
  readonly broken: string | undefined;
  /** In a view past the bound: not followed any further. */
  readonly beyond: boolean;
  readonly next: Map<number, number>;
  /** Actions that need no message. */
  readonly own: readonly OwnAction[];
  /** How much of the 2Δ wait is over, in halves; undefined: it does not wait. */
  readonly waited: 0 | 1 | 2 | undefined;
};

export type OwnAction = Exclude<Action, { kind: 'deliver' }>;

/** Numbers of actions: those without a message by their place here, then each message. */
const OWN_MAX = 16;
/** Above every other number: the same steps without bounds. */
const OPEN = 1 << 24;

/** Refused for now: it is sent again until its view is over, so it still has to come in. */
function isEarly({ epoch, core }: Local, message: Message): boolean {
  return message.kind === 'VIEW-CHANGE' && (message.epoch > epoch || message.view > core.view);
}

/** Messages that lead others into a view, or count in it. */
const LEADING = new Set<Message['kind']>(['CHAIN', 'SUSPECT', 'VIEW-CHANGE']);

export class Automata {
  readonly setting: Setting;
  readonly parcels: Parcel[] = [];
  readonly leading: boolean[] = [];
  /** Places by machine and number. */
  readonly places: Place[][] = [];
  readonly #validators: readonly Validator[];
  readonly #menus: readonly (Menu | undefined)[];
  readonly #parcelIds = new Map<string, number>();
  readonly #placeIds: Map<string, number>[] = [];
  /** Steps that replicas were asked to take. */
  steps = 0;
  /** What the traces of these steps named, and how often. */
  readonly seen = new Map<string, number>();

  constructor(setting: Setting) {
    this.setting = setting;
    this.#validators = setting.machines.map((machine) => new Validator(setting, machine));
    this.#menus = setting.machines.map((machine) =>
      setting.liars.has(machine) ? new Menu(setting, machine) : undefined,
    );
    for (const _ of setting.machines) {
      this.places.push([]);
      this.#placeIds.push(new Map());
    }
  }

  initial(): number[] {
    return this.setting.machines.map((machine) => {
      const outcome = this.#validators[machine]!.initial();
      const slanders = this.#menus[machine]?.slanders() ?? [];
      return this.#intern(machine, { ...outcome, sent: [...slanders, ...outcome.sent] }, [], new Set());
    });
  }

  place(machine: number, id: number): Place {
    return this.places[machine]![id]!;
  }

  /** Where a parcel leads its receiver; the same number when it changes nothing. */
  deliver(machine: number, id: number, parcel: number): number {
    const place = this.places[machine]![id]!;
    const code = OWN_MAX + parcel + (this.setting.isOpen ? OPEN : 0);
    const known = place.next.get(code);
    if (known !== undefined) return known;
    const { from, message } = this.parcels[parcel]!;
    const counts =
      this.leading[parcel]! && this.#counts(from) && this.#counts(machine) && !isEarly(place.local, message);
    const got = counts ? new Set([...place.got, parcel]) : place.got;
    const next = this.#take(machine, place, { kind: 'deliver', from, message }, got);
    place.next.set(code, next);
    return next;
  }

  /** Among those in touch while somebody lies it is kept track of what has come in. */
  #counts(machine: number): boolean {
    return this.setting.isTimed && this.setting.inTouch.includes(machine);
  }

  act(machine: number, id: number, action: OwnAction, code: number): number {
    const place = this.places[machine]![id]!;
    const number = code + (this.setting.isOpen ? OPEN : 0);
    const known = place.next.get(number);
    if (known !== undefined) return known;
    const next = this.#take(machine, place, action, place.got);
    place.next.set(number, next);
    return next;
  }

  #take(machine: number, place: Place, action: Action, got: ReadonlySet<number>): number {
    this.steps++;
    let outcome: Outcome;
    try {
      outcome = this.#validators[machine]!.step(place.local, action);
    } catch (error) {
      if (this.setting.liars.has(machine)) return place.id;
      const reason = error instanceof Error ? error.message : String(error);
      return this.#add(
        machine,
        { local: place.local, sent: place.sent, got },
        `stopped: ${reason}`,
        `${place.id} ${reason}`,
      );
    }
    for (const { name } of outcome.traces) this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    return this.#intern(machine, outcome, place.sent, got);
  }

  #intern(machine: number, outcome: Outcome, before: readonly number[], got: ReadonlySet<number>): number {
    const { local, traces } = outcome;
    const menu = this.#menus[machine];
    const saying = menu === undefined ? outcome.sent : outcome.sent.flatMap((sent) => [sent, ...menu.besides(sent)]);
    const fresh = saying.map((sent) => this.#parcel(machine, sent)).filter((id) => !before.includes(id));
    const sent = fresh.length === 0 ? before : [...new Set([...before, ...fresh])].sort((a, b) => a - b);
    const broken = menu === undefined ? this.#broken(machine, before, fresh, local, traces) : undefined;
    const got2 = [...got].sort((a, b) => a - b).join();
    const name = `${this.#validators[machine]!.nameOf(local)} ${sent.join()} ${got2} ${broken ?? ''}`;
    return this.#add(machine, { local, sent, got }, broken, name);
  }

  #broken(
    machine: number,
    before: readonly number[],
    fresh: readonly number[],
    local: Local,
    traces: readonly Trace[],
  ): string | undefined {
    const said = (ids: readonly number[]): Message[] => ids.map((id) => this.parcels[id]!.message);
    return misbehaviour(this.setting, machine, { before: said(before), fresh: said(fresh), local, traces });
  }

  #add(
    machine: number,
    { local, sent, got }: { local: Local; sent: readonly number[]; got: ReadonlySet<number> },
    broken: string | undefined,
    name: string,
  ): number {
    const ids = this.#placeIds[machine]!;
    const known = ids.get(name);
    if (known !== undefined) return known;
    const id = ids.size;
    ids.set(name, id);
    const sentTo = this.setting.machines.map((to) => sent.filter((parcel) => this.parcels[parcel]!.to === to));
    const messages = sent.map((parcel) => this.parcels[parcel]!.message);
    const { waited, own } = this.#options(machine, local);
    const facts = factsOf(this.setting, machine, local, messages);
    const beyond = local.core.view > this.setting.bounds.viewMax;
    this.places[machine]!.push({ id, local, sent, sentTo, got, facts, broken, beyond, next: new Map(), own, waited });
    return id;
  }

  /** What the validator may do without hearing anything. */
  #options(machine: number, local: Local): Pick<Place, 'waited' | 'own'> {
    const { bounds, isTimed, inTouch } = this.setting;
    const { core, held, crashes, tail } = local;
    const own: OwnAction[] = [];
    const running = core.phase === 'running';
    const index = this.setting.orders[local.epoch]!.indexOf(machine);
    const active = core.group.includes(index);
    if (
      running &&
      core.installed &&
      core.group[0] === index &&
      core.signedTip.height < this.setting.heightAt(core.view)
    ) {
      own.push({ kind: 'propose' });
    }
    const gathers =
      running && active && !core.installed && core.viewChange !== undefined && !core.vc.vcFinals.has(index);
    const waits = gathers && core.vc.waitFrom !== undefined;
    const timed = isTimed && inTouch.includes(machine);
    if (waits && !timed) own.push({ kind: 'wait' });
    const { suspicious } = bounds;
    const patient = suspicious !== undefined && (suspicious === 'primary') !== (core.group[0] === index);
    if (running && active && !patient && core.view < bounds.viewMax && !(timed && gathers))
      own.push({ kind: 'expire' });
    if (held.length > 0) own.push({ kind: 'sync' });
    if (crashes < (bounds.crashes?.[machine] ?? 0) && core.marks.size > 0) {
      for (let kept = 0; kept <= tail.length; kept++) own.push({ kind: 'crash', kept });
    }
    const ageMs = -(core.vc.waitFrom ?? 0);
    const waited = !waits || !timed || ageMs >= 200 ? undefined : ageMs >= 199 ? 2 : ageMs >= 100 ? 1 : 0;
    return { own, waited };
  }

  #parcel(from: number, { to, message }: Sent): number {
    const name = `${from}>${to} ${nameOf(message)}`;
    const known = this.#parcelIds.get(name);
    if (known !== undefined) return known;
    const id = this.parcels.length;
    this.#parcelIds.set(name, id);
    this.parcels.push({ from, to, message });
    this.leading.push(LEADING.has(message.kind));
    return id;
  }
}
