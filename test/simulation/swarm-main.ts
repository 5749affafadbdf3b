/**
 * Command line of the swarm: many runs on all cores, each drawn anew.
 *
 *   npm run swarm -- --minutes M | --seeds A..B [--workers W] [--failures F] [--json file] [overrides of `simulate`]
 *
 * Kinds of runs come in the proportions of mix.ts; what the overrides say holds in all of them. At the end stands what was
 * exercised, as text and (`--json`) for programs, and of the first failure a run as small as could be found.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { OVERRIDES, overridesOf, say, usage, whole } from './arguments.ts';
import { planOf } from './mix.ts';
import { replayCommand } from './run.ts';
import { readable, shrink } from './shrink.ts';
import { type Job, runSwarm } from './swarm.ts';

const { values } = parseArgs({
  options: {
    ...OVERRIDES,
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    workers: { type: 'string' },
    failures: { type: 'string' },
    json: { type: 'string' },
  },
});

const given = overridesOf(values);

function* jobs(range: string | undefined): Generator<Job> {
  const [, from, to] = /^(\d+)(?:\.\.(\d+))?$/.exec(range ?? '') ?? [];
  if (range !== undefined && from === undefined) usage(`--seeds: expected A..B, found ${range}`);
  const start = from === undefined ? Math.floor(Math.random() * 1e9) : Number(from);
  const end = to === undefined ? Number.MAX_SAFE_INTEGER : Number(to);
  for (let seed = start; seed <= end; seed++) {
    const { without, ...planned } = planOf(seed).overrides;
    const overrides = { ...planned, ...(given.epochs === true ? {} : { without }), ...given };
    yield { ...planOf(seed), seed, overrides };
  }
}

const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
if (values.seeds === undefined && minutes === undefined) usage('give --seeds A..B or --minutes M');
if (minutes !== undefined && !(minutes > 0)) usage(`--minutes: expected a number above 0, found ${values.minutes}`);

const started = performance.now();
const summary = await runSwarm({
  jobs: jobs(values.seeds),
  workers: whole(values.workers, 'workers') ?? availableParallelism(),
  budgetMs: minutes === undefined ? Number.MAX_SAFE_INTEGER : minutes * 60_000,
  failuresMax: whole(values.failures, 'failures') ?? 10,
  onResult: ({ seed, failure, options }, { overrides }) => {
    if (failure === undefined) return;
    say(`seed ${seed} [n=${options.validators}] broke ${failure.property}: ${failure.message}`);
    say(`  replay: ${replayCommand(seed, overrides)}`);
  },
});
const realMs = performance.now() - started;
const [first] = summary.failures;
if (first !== undefined) {
  const smaller = await shrink(first.seed, first.overrides);
  say(`\nseed ${first.seed}, the smallest run found:`);
  for (const line of readable(smaller?.transcript ?? first.transcript)) say(line);
  say(`replay: ${replayCommand(first.seed, smaller?.overrides ?? first.overrides)}\n`);
}
say(summary.text(realMs));
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(summary.json(realMs), undefined, 2) + '\n');
process.exitCode = summary.failures.length === 0 ? 0 : 1;
