/** Adds up what many runs exercised, so that a swarm that silently tests nothing is seen. */
import type { FaultKind, Habit, Overrides } from './options.ts';
import { type AnarchyStats, type RunResult, replayCommand } from './run.ts';
import type { Job } from './swarm.ts';

export type Failure = Pick<RunResult, 'seed' | 'failure' | 'transcript'> & {
  readonly validators: number;
  readonly overrides: Overrides;
};

function bump<K>(counts: Map<K, number>, key: K, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function sorted<K extends string | number>(counts: ReadonlyMap<K, number>): Record<string, number> {
  const order = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(order);
}

function listed(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.join(', ') || 'none';
}

export class Summary {
  seeds = 0;
  virtualMs = 0;
  events = 0;
  blocks = 0;
  transactions = 0;
  viewChanges = 0;
  starts = 0;
  messages = 0;
  statements = 0;
  handOvers = 0;
  rejoined = 0;
  /** Seeds in which epochs ended. */
  changing = 0;
  /** Runs that were in anarchy, those of them in which final blocks disagreed, and in how many of these a liar is proven. */
  readonly anarchy = { runs: 0, forked: 0, proven: 0 };
  /** Seeds with real signatures. */
  realCrypto = 0;
  /** Seeds that were run a second time. */
  twice = 0;
  readonly faults = new Map<FaultKind, number>();
  /** Runs of each kind; none when the mix is not the swarm's. */
  readonly kinds = new Map<string, number>();
  readonly sizes = new Map<number, number>();
  /** Runs in which somebody had the habit. */
  readonly habits = new Map<Habit, number>();
  readonly failures: Failure[] = [];
  /** Seeds whose runs were given up because time was over. */
  readonly unfinished: number[] = [];

  add(result: RunResult, { kind, overrides, twice }: Job): void {
    const { stats, options, failure, seed, transcript } = result;
    this.seeds++;
    this.virtualMs += stats.virtualMs;
    this.events += stats.events;
    this.blocks += stats.blocks;
    this.transactions += stats.transactions;
    this.viewChanges += stats.viewChanges;
    this.starts += stats.starts;
    this.messages += stats.messages;
    this.statements += stats.statements;
    this.handOvers += stats.handOvers;
    this.rejoined += stats.rejoined;
    this.changing += Number(stats.handOvers > 0);
    if (stats.anarchy !== undefined) this.#addAnarchy(stats.anarchy);
    this.realCrypto += Number(options.realCrypto);
    this.twice += Number(twice === true);
    for (const [name, count] of Object.entries(stats.faults) as [FaultKind, number][]) bump(this.faults, name, count);
    for (const habit of options.liars?.habits ?? []) bump(this.habits, habit);
    if (kind !== undefined) bump(this.kinds, kind);
    bump(this.sizes, options.validators);
    if (failure !== undefined)
      this.failures.push({ seed, failure, transcript, validators: options.validators, overrides });
  }

  #addAnarchy({ broken, convicted }: AnarchyStats): void {
    const isForked = (broken.agreement ?? 0) > 0;
    this.anarchy.runs++;
    this.anarchy.forked += Number(isForked);
    this.anarchy.proven += Number(isForked && convicted > 0);
  }

  get virtualHours(): number {
    return this.virtualMs / 3_600_000;
  }

  text(realMs: number): string {
    const rate = (1000 * this.seeds) / Math.max(1, realMs);
    return [
      `${this.seeds} seeds in ${(realMs / 1000).toFixed(0)} s (${rate.toFixed(1)}/s), ${this.virtualHours.toFixed(1)} virtual hours`,
      `${this.blocks} blocks, ${this.transactions} transactions handed in, ${this.viewChanges} views entered, ${this.starts} starts`,
      `${this.messages} messages, ${this.statements} signed statements, ${this.events} events`,
      `${this.anarchy.runs} in anarchy; final blocks disagreed in ${this.anarchy.forked}, a liar is proven in ${this.anarchy.proven} of these`,
      `${this.handOvers} hand-overs in ${this.changing} seeds, ${this.rejoined} of them for a validator that lost its log`,
      ...(this.kinds.size === 0
        ? []
        : [`kinds: ${listed(sorted(this.kinds))}; ${this.realCrypto} with real signatures, ${this.twice} run twice`]),
      `sizes: ${listed(sorted(new Map([...this.sizes].map(([n, count]) => [`n=${n}`, count]))))}`,
      `faults: ${listed(sorted(this.faults))}`,
      `habits of liars, runs: ${listed(sorted(this.habits))}`,
      ...(this.unfinished.length === 0 ? [] : [`given up as time was over: seeds ${this.unfinished.join(', ')}`]),
      `${this.failures.length} failed`,
    ].join('\n');
  }

  /** The same for programs. */
  json(realMs: number): unknown {
    const { seeds, blocks, transactions, viewChanges, starts, messages, statements, events, handOvers, rejoined } =
      this;
    return {
      node: process.version,
      seconds: Math.round(realMs / 1000),
      seeds,
      virtualHours: Number(this.virtualHours.toFixed(2)),
      blocks,
      transactions,
      viewChanges,
      starts,
      messages,
      statements,
      events,
      handOvers,
      rejoined,
      anarchy: this.anarchy,
      realCrypto: this.realCrypto,
      twice: this.twice,
      kinds: sorted(this.kinds),
      validators: sorted(this.sizes),
      faults: sorted(this.faults),
      habits: sorted(this.habits),
      unfinished: this.unfinished,
      failures: this.failures.map(({ seed, failure, overrides }) => ({
        seed,
        property: failure!.property,
        message: failure!.message,
        replay: replayCommand(seed, overrides),
      })),
    };
  }
}
