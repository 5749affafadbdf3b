/**
 * Command line of the simulator.
 *
 *   npm run simulate -- --seed N [--validators n] [--epochs] [--without kind,kind] [--safety-ms M] [--honest | --habits habit,habit] [--verbose] [--shrink]
 *   npm run simulate -- [--seeds A..B] [--minutes M] [--workers W] [--failures F]
 *
 * `--without epochs` keeps the validators as they are at first, `--epochs` has them change. With one seed it prints what happened in the run; with many, what all of them exercised and how to replay a failure.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { HABITS, type Overrides, WITHOUT } from './options.ts';
import { replayCommand, runSeed } from './run.ts';
import { shrink } from './shrink.ts';
import { runSwarm } from './swarm.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    validators: { type: 'string' },
    without: { type: 'string' },
    'safety-ms': { type: 'string' },
    'real-crypto': { type: 'string' },
    minutes: { type: 'string' },
    workers: { type: 'string' },
    failures: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    habits: { type: 'string' },
    honest: { type: 'boolean', default: false },
    epochs: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
  },
});

function say(line: string): void {
  process.stdout.write(line + '\n');
}

function whole(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  say(`--${name}: expected a whole number, found ${text}`);
  process.exit(2);
}

/** A list out of `all`, or `all` of them. */
function named<T extends string>(text: string | undefined, all: readonly T[], name: string): readonly T[] | undefined {
  if (text === undefined) return undefined;
  const list = text === 'all' ? all : (text.split(',') as T[]);
  const unknown = list.find((word) => !all.includes(word));
  if (unknown === undefined) return list;
  say(`--${name}: there is no ${unknown}; there are ${all.join(', ')} (or all)`);
  process.exit(2);
}

function* range(text: string | undefined): Generator<number> {
  const [, from, to] = /^(\d+)(?:\.\.(\d+))?$/.exec(text ?? '') ?? [];
  const start = from === undefined ? Math.floor(Math.random() * 1e9) : Number(from);
  const end = to === undefined ? Number.MAX_SAFE_INTEGER : Number(to);
  for (let seed = start; seed <= end; seed++) yield seed;
}

async function runOne(seed: number, overrides: Overrides): Promise<boolean> {
  const started = performance.now();
  const result = await runSeed(seed, { ...overrides, print: values.verbose ? say : undefined });
  const realMs = performance.now() - started;
  const { failure, stats } = result;
  if (failure !== undefined) {
    if (!values.verbose) for (const line of result.transcript) say(line);
    say(`\nseed ${seed} [n=${result.options.validators}] broke ${failure.property}: ${failure.message}`);
    if (failure.stack !== undefined) say(failure.stack);
    const smaller = values.shrink ? await shrink(seed, overrides) : overrides;
    say(`replay: ${replayCommand(seed, smaller)}`);
  }
  say(JSON.stringify(result.options));
  say(JSON.stringify(stats));
  say(`hash ${result.hash}, ${realMs.toFixed(0)} ms`);
  return failure === undefined;
}

async function runMany(overrides: Overrides): Promise<boolean> {
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (values.seeds === undefined && minutes === undefined) {
    say('give --seed N, --seeds A..B or --minutes M');
    process.exit(2);
  }
  const started = performance.now();
  const summary = await runSwarm({
    seeds: range(values.seeds),
    workers: whole(values.workers, 'workers') ?? availableParallelism(),
    budgetMs: minutes === undefined ? Number.MAX_SAFE_INTEGER : minutes * 60_000,
    overrides,
    failuresMax: whole(values.failures, 'failures') ?? 10,
    onResult: ({ seed, failure, options }) => {
      if (failure === undefined) return;
      say(`seed ${seed} [n=${options.validators}] broke ${failure.property}: ${failure.message}`);
      say(`  replay: ${replayCommand(seed, overrides)}`);
    },
  });
  const [first] = summary.failures;
  if (first !== undefined) {
    say(`\nlast lines of seed ${first.seed}:`);
    for (const line of first.transcript.slice(-30)) say(line);
  }
  say(summary.text(performance.now() - started));
  return summary.failures.length === 0;
}

const overrides: Overrides = {
  validators: whole(values.validators, 'validators'),
  without: named(values.without, WITHOUT, 'without'),
  safetyMs: whole(values['safety-ms'], 'safety-ms'),
  honest: values.honest,
  epochs: values.epochs || undefined,
  habits: named(values.habits, HABITS, 'habits'),
  realCrypto: values['real-crypto'] === undefined ? undefined : values['real-crypto'] === 'true',
};
const seed = whole(values.seed, 'seed');
const passed = seed === undefined ? await runMany(overrides) : await runOne(seed, overrides);
process.exitCode = passed ? 0 : 1;
