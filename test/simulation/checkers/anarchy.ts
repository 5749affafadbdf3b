/**
 * The anarchy oracle (consensus.md section 1): whether, at some moment of the run, somebody was non-crash faulty and
 * together with the crashed and the partitioned they were more than t. It knows the truth: who lies, who runs, which
 * messages come late or never. For each epoch it counts with that epoch's n and t, as long as a correct member is in it.
 *
 * Partitioned are those outside the largest set of correct replicas that are all in touch with each other. A replica that
 * was crashed or out of touch at any moment of a view change counts as such for the whole of it, from the first entry
 * into the view to the last VC-FINAL of it. So each view change gathers who was hit and which pairs were out of touch, and
 * is judged whenever a correct active sends its VC-FINAL.
 *
 * In touch are two machines whose messages take up to 0.6Δ and whose writes take up to 0.2Δ: the way there, a write that
 * waits for another, and the way back fit into 2Δ.
 */
import { faultThreshold } from '../../../consensus/config.ts';
import type { EpochTruth } from './epochs.ts';

const MESSAGE_PART = 0.6;
const WRITE_PART = 0.2;
/** Lost messages are sent again after about Δ. */
const LOST_FOR = 2;

export type AnarchyContext = {
  readonly machines: number;
  readonly deltaMs: number;
  readonly liars: ReadonlySet<number>;
  readonly now: () => number;
  readonly newest: () => EpochTruth;
  readonly at: (epoch: number) => EpochTruth | undefined;
  /** Runs and takes part: not down, paused, asking its way after a start, or without a right to sign. */
  readonly isUp: (machine: number) => boolean;
  readonly onAnarchy: (why: string) => void;
};

/** Who was hit and which pairs (of machines, the lower first) were out of touch. */
type Toll = { readonly down: Set<number>; readonly apart: Set<number> };
type ViewChange = Toll & { readonly epoch: number; readonly view: number; readonly final: Set<number> };

export class AnarchyOracle {
  readonly #context: AnarchyContext;
  /** When each pair is in touch again; infinite while nothing goes through at all. */
  readonly #apartUntil: number[];
  /** Pairs that were in touch before: the run begins with everybody on the way. */
  readonly #met: boolean[];
  readonly #cuts: number[];
  readonly #slowUntil: number[];
  readonly #down = new Set<number>();
  /** Epoch each machine is in. */
  readonly #epochs: number[];
  readonly #views: number[];
  readonly #viewChanges = new Map<string, ViewChange>();
  since: number | undefined;
  why = '';

  constructor(context: AnarchyContext) {
    this.#context = context;
    const { machines } = context;
    this.#apartUntil = new Array<number>(machines * machines).fill(0);
    this.#met = new Array<boolean>(machines * machines).fill(false);
    this.#cuts = new Array<number>(machines * machines).fill(0);
    this.#slowUntil = new Array<number>(machines).fill(0);
    this.#epochs = new Array<number>(machines).fill(0);
    this.#views = new Array<number>(machines).fill(0);
  }

  /** Agreement, progress and the like are promised. */
  get isSafe(): boolean {
    return this.since === undefined;
  }

  /** Nothing to find out: nobody lies, or the verdict is in. */
  get #isIdle(): boolean {
    return this.#context.liars.size === 0 || this.since !== undefined;
  }

  #pair(a: number, b: number): number {
    return Math.min(a, b) * this.#context.machines + Math.max(a, b);
  }

  // What happens to machines and links.

  onDown(machine: number): void {
    if (this.#isIdle) return;
    this.#down.add(machine);
    for (const change of this.#viewChanges.values()) change.down.add(machine);
    this.#judgeNow();
  }

  /** A write takes this long. */
  onWrite(machine: number, delayMs: number): void {
    const { now, deltaMs } = this.#context;
    if (this.#isIdle || delayMs <= WRITE_PART * deltaMs) return;
    this.#slowUntil[machine] = Math.max(this.#slowUntil[machine]!, now() + delayMs);
    for (const change of this.#viewChanges.values()) change.down.add(machine);
    this.#judgeNow();
  }

  /** A message is on its way; undefined: it is lost. */
  onMessage(from: number, to: number, delayMs: number | undefined): void {
    const { now, deltaMs } = this.#context;
    if (delayMs !== undefined && delayMs <= MESSAGE_PART * deltaMs) return;
    this.#part(from, to, now() + (delayMs ?? LOST_FOR * deltaMs));
  }

  onLink(a: number, b: number, isUp: boolean): void {
    const pair = this.#pair(a, b);
    if (isUp) {
      this.#met[pair] = true;
      if (this.#apartUntil[pair] === Number.POSITIVE_INFINITY) this.#apartUntil[pair] = 0;
    } else if (this.#met[pair]) this.#part(a, b, Number.POSITIVE_INFINITY);
  }

  onCut(from: number, to: number, isCut: boolean): void {
    const pair = this.#pair(from, to);
    this.#cuts[pair]! += isCut ? 1 : -1;
    if (isCut) this.#part(from, to, this.#apartUntil[pair]!);
  }

  #part(a: number, b: number, untilMs: number): void {
    if (this.#isIdle) return;
    const pair = this.#pair(a, b);
    this.#apartUntil[pair] = Math.max(this.#apartUntil[pair]!, untilMs);
    for (const change of this.#viewChanges.values()) change.apart.add(pair);
    this.#judgeNow();
  }

  // What correct replicas do.

  onEpoch(machine: number, epoch: number): void {
    if (epoch === this.#epochs[machine]) return;
    this.#epochs[machine] = epoch;
    this.#views[machine] = 0;
    if (this.#isIdle) return;
    this.#tidy();
    this.#judgeNow();
  }

  onViewEntered(machine: number, view: number): void {
    if (this.#isIdle) return;
    const epoch = this.#epochs[machine]!;
    this.#views[machine] = Math.max(this.#views[machine]!, view);
    const key = `${epoch}/${view}`;
    if (!this.#viewChanges.has(key)) {
      this.#viewChanges.set(key, { epoch, view, final: new Set(), ...this.#tollNow() });
    }
    this.#tidy();
  }

  onVcFinal(machine: number, epoch: number, view: number): void {
    const change = this.#viewChanges.get(`${epoch}/${view}`);
    if (change === undefined || change.final.has(machine)) return;
    change.final.add(machine);
    this.#judge(epoch, change, `in the change into view ${view}`);
    this.#tidy();
  }

  /** Forgets view changes in which no correct active has anything to say any more. */
  #tidy(): void {
    const { at, liars } = this.#context;
    for (const [key, { epoch, view, final }] of this.#viewChanges) {
      const truth = at(epoch);
      const isOpen = truth?.schedule.groupOf(view).some((member) => {
        const machine = truth.machines[member]!;
        if (liars.has(machine) || final.has(machine) || this.#epochs[machine]! > epoch) return false;
        return this.#epochs[machine]! < epoch || this.#views[machine]! <= view;
      });
      if (isOpen === false) this.#viewChanges.delete(key);
    }
  }

  // Counting.

  #tollNow(): Toll {
    const { now, isUp, machines } = this.#context;
    for (const machine of this.#down) if (isUp(machine)) this.#down.delete(machine);
    const down = new Set(this.#down);
    const apart = new Set<number>();
    for (let a = 0; a < machines; a++) {
      if (this.#slowUntil[a]! > now()) down.add(a);
      for (let b = a + 1; b < machines; b++) {
        const pair = this.#pair(a, b);
        if (this.#cuts[pair]! > 0 || this.#apartUntil[pair]! > now()) apart.add(pair);
      }
    }
    return { down, apart };
  }

  #judgeNow(): void {
    if (!this.isSafe) return;
    const toll = this.#tollNow();
    const { newest, liars } = this.#context;
    for (let epoch = newest().config.epoch; epoch >= 0; epoch--) {
      const { machines } = this.#context.at(epoch)!;
      const isOver = machines.every((machine) => liars.has(machine) || this.#epochs[machine]! > epoch);
      if (isOver) return;
      this.#judge(epoch, toll, 'at one moment');
    }
  }

  #judge(epoch: number, { down, apart }: Toll, when: string): void {
    const truth = this.#context.at(epoch);
    if (!this.isSafe || truth === undefined) return;
    const { liars, now, onAnarchy } = this.#context;
    const t = faultThreshold(truth.members.length);
    const faulty = truth.machines.filter((machine) => liars.has(machine));
    if (faulty.length === 0) return;
    const crashed = truth.machines.filter((machine) => !liars.has(machine) && down.has(machine));
    const left = truth.machines.filter((machine) => !liars.has(machine) && !down.has(machine));
    const pairs = left.flatMap((a, i) => left.slice(i + 1).map((b): [number, number] => [a, b]));
    const budget = t - faulty.length - crashed.length;
    const broken = pairs.filter(([a, b]) => apart.has(this.#pair(a, b)));
    if (budget >= 0 && isCovered(broken, budget)) return;
    this.since = now();
    const links = broken.map(([a, b]) => `${a}-${b}`);
    this.why = `epoch ${epoch}, t=${t}, ${when}: faulty ${faulty}; crashed ${crashed}; out of touch ${links}`;
    onAnarchy(this.why);
  }
}

/** Whether so many replicas can be left out that all pairs that are out of touch have one of them. */
function isCovered(pairs: readonly (readonly [number, number])[], budget: number): boolean {
  const [first] = pairs;
  if (first === undefined) return true;
  if (budget === 0) return false;
  return first.some((out) =>
    isCovered(
      pairs.filter(([a, b]) => a !== out && b !== out),
      budget - 1,
    ),
  );
}
