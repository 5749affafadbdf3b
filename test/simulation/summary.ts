/** Adds up what many runs exercised, so that a swarm that silently tests nothing is seen. */
import type { FaultKind } from './options.ts';
import type { RunResult } from './run.ts';

export type Failure = Pick<RunResult, 'seed' | 'failure' | 'transcript'> & { readonly validators: number };

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
  readonly faults = new Map<FaultKind, number>();
  readonly sizes = new Map<number, number>();
  readonly failures: Failure[] = [];

  add(result: RunResult): void {
    const { stats, options } = result;
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
    for (const [kind, count] of Object.entries(stats.faults) as [FaultKind, number][]) {
      this.faults.set(kind, (this.faults.get(kind) ?? 0) + count);
    }
    this.sizes.set(options.validators, (this.sizes.get(options.validators) ?? 0) + 1);
    if (result.failure !== undefined) {
      const { seed, failure, transcript } = result;
      this.failures.push({ seed, failure, transcript, validators: options.validators });
    }
  }

  text(realMs: number): string {
    const faults = [...this.faults].sort().map(([kind, count]) => `${kind} ${count}`);
    const sizes = [...this.sizes].sort(([a], [b]) => a - b).map(([n, count]) => `n=${n} ${count}`);
    const rate = (1000 * this.seeds) / Math.max(1, realMs);
    return [
      `${this.seeds} seeds in ${(realMs / 1000).toFixed(0)} s (${rate.toFixed(1)}/s), ${(this.virtualMs / 3_600_000).toFixed(1)} virtual hours`,
      `${this.blocks} blocks, ${this.transactions} transactions handed in, ${this.viewChanges} views entered, ${this.starts} starts`,
      `${this.messages} messages, ${this.statements} signed statements, ${this.events} events`,
      `${this.handOvers} hand-overs in ${this.changing} seeds, ${this.rejoined} of them for a validator that lost its log`,
      `sizes: ${sizes.join(', ')}`,
      `faults: ${faults.join(', ') || 'none'}`,
      `${this.failures.length} failed`,
    ].join('\n');
  }
}
