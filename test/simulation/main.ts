/**
 * Command line of the simulator: one run, again and again the same.
 *
 *   npm run simulate -- --seed N [--validators n] [--pace k] [--epochs] [--anarchy] [--without kind,kind] [--only kind:1,kind:3] [--safety-ms M] [--honest | --lying | --habits habit,habit] [--real-crypto true] [--verbose] [--shrink]
 *
 * `--without epochs` keeps the validators as they are at first, `--epochs` has them change. `--shrink` looks for a smaller
 * run that fails alike.
 */
import { parseArgs } from 'node:util';
import { OVERRIDES, overridesOf, say, usage, whole } from './arguments.ts';
import { replayCommand, runSeed } from './run.ts';
import { readable, shrink } from './shrink.ts';

const { values } = parseArgs({
  options: {
    ...OVERRIDES,
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
  },
});

const overrides = overridesOf(values);
const seed = whole(values.seed, 'seed') ?? usage('give --seed N; many at once: npm run swarm');
const started = performance.now();
const result = await runSeed(seed, { ...overrides, print: values.verbose ? say : undefined });
const realMs = performance.now() - started;
const { failure, stats } = result;
if (failure !== undefined) {
  if (!values.verbose) for (const line of result.transcript) say(line);
  say(`\nseed ${seed} [n=${result.options.validators}] broke ${failure.property}: ${failure.message}`);
  if (failure.stack !== undefined) say(failure.stack);
  const smaller = values.shrink ? await shrink(seed, overrides) : undefined;
  if (smaller !== undefined) {
    say(`\nsmallest run found, of ${smaller.runs}:`);
    for (const line of readable(smaller.transcript)) say(line);
  }
  say(`replay: ${replayCommand(seed, smaller?.overrides ?? overrides)}`);
}
say(JSON.stringify(result.options));
say(JSON.stringify(stats));
say(`hash ${result.hash}, ${realMs.toFixed(0)} ms`);
process.exitCode = failure === undefined ? 0 : 1;
