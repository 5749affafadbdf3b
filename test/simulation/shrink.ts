/**
 * Makes a failing run smaller, as long as it breaks the same property: fewer validators and habits, no epochs, whole
 * kinds of faults left out, then single faults (delta debugging, Zeller and Hildebrandt 2002), a shorter run. What is left
 * is short enough to be read.
 */
import { FAULT_KINDS, type Overrides } from './options.ts';
import { type RunResult, runSeed } from './run.ts';

export type Shrunk = {
  readonly overrides: Overrides;
  /** All lines of the smallest run, or of the failing one when nothing could be left out. */
  readonly transcript: readonly string[];
  readonly runs: number;
};

type Found = { readonly overrides: Overrides; readonly result: RunResult };

class Shrinker {
  readonly #seed: number;
  readonly #property: string;
  readonly #ends: number;
  best: Found;
  runs = 0;

  constructor(seed: number, first: Found, budgetMs: number) {
    this.#seed = seed;
    this.#property = first.result.failure!.property;
    this.#ends = performance.now() + budgetMs;
    this.best = first;
  }

  get isOver(): boolean {
    return performance.now() >= this.#ends;
  }

  /** Keeps what is tried if the same property breaks. */
  async attempt(change: Overrides): Promise<boolean> {
    if (this.isOver) return false;
    const overrides = { ...this.best.overrides, ...change };
    this.runs++;
    const result = await runSeed(this.#seed, overrides);
    if (result.failure?.property !== this.#property) return false;
    this.best = { overrides, result };
    return true;
  }

  async fewerParts(): Promise<void> {
    const { options } = this.best.result;
    if (options.epochs !== undefined) {
      const without = [...(this.best.overrides.without ?? []), 'epochs' as const];
      await this.attempt({ epochs: undefined, without });
    }
    if (options.liars !== undefined && !(await this.attempt({ honest: true, lying: undefined, habits: undefined }))) {
      for (const habit of options.liars.habits) {
        const habits = (this.best.result.options.liars?.habits ?? []).filter((other) => other !== habit);
        if (habits.length > 0) await this.attempt({ habits });
      }
    }
    for (const size of [3, 4, 5]) {
      if (size < this.best.result.options.validators && (await this.attempt({ validators: size }))) break;
    }
  }

  async fewerKinds(): Promise<void> {
    for (const kind of FAULT_KINDS) {
      if (this.best.result.options.faults[kind] === undefined) continue;
      await this.attempt({ without: [...(this.best.overrides.without ?? []), kind] });
    }
  }

  /** Leaves out one of ever more parts of the faults that are left, until no single one can be spared. */
  async fewerFaults(): Promise<void> {
    let parts = 2;
    for (;;) {
      const faults = this.best.result.stats.happened;
      if (faults.length === 0 || this.isOver) return;
      const size = Math.ceil(faults.length / parts);
      let spared = false;
      for (let at = 0; at < faults.length && !spared; at += size) {
        spared = await this.attempt({ only: faults.filter((_, index) => index < at || index >= at + size) });
      }
      if (spared) parts = Math.max(2, parts - 1);
      else if (size === 1) return;
      else parts = Math.min(faults.length, parts * 2);
    }
  }

  async shorter(): Promise<void> {
    for (;;) {
      const { safetyMs } = this.best.result.options;
      if (safetyMs < 500 || !(await this.attempt({ safetyMs: Math.round(safetyMs / 2) }))) return;
    }
  }
}

/** Undefined when the run does not fail. */
export async function shrink(seed: number, overrides: Overrides, budgetMs = 120_000): Promise<Shrunk | undefined> {
  const first = { overrides, result: await runSeed(seed, overrides) };
  if (first.result.failure === undefined) return undefined;
  const shrinker = new Shrinker(seed, first, budgetMs);
  await shrinker.fewerParts();
  await shrinker.fewerKinds();
  await shrinker.shorter();
  await shrinker.fewerFaults();
  await shrinker.shorter();
  const { best, runs } = shrinker;
  const transcript: string[] = [];
  await runSeed(seed, { ...best.overrides, print: (line) => transcript.push(line) });
  return { overrides: best.overrides, transcript, runs };
}

const LINES_MAX = 200;
/** What is said all the time and seldom explains anything. */
const NOISE = /^ *[\d.]+ \S+ +(?:rejects|refuses a transaction|proposed|certified)/;

/** A transcript for people: without the noise, and if it is long still, faults from the beginning and the end in full. */
export function readable(transcript: readonly string[]): string[] {
  const lines = transcript.filter((line) => !NOISE.test(line));
  if (lines.length <= LINES_MAX) return lines;
  const end = lines.slice(-LINES_MAX / 2);
  const faults = lines.slice(0, -LINES_MAX / 2).filter((line) => / world /.test(line));
  return [...faults.slice(-LINES_MAX / 2), '...', ...end];
}
