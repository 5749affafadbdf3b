/**
 * Command line of the model checker.
 *
 *   npm run model                         every scope, one after the other
 *   npm run model -- --scope NAME         one of them
 *   npm run model -- --mutants            what it must find in validators that break a rule
 *   npm run model -- --walks MINUTES      random walks of five validators; --seed N begins there, one walk without --walks
 */
import { parseArgs } from 'node:util';
import { MUTANTS } from './mutants.ts';
import { type Result, runScope, runWalks } from './run.ts';
import { SCOPES, type Scope, type ScopeName } from './scopes.ts';

const { values } = parseArgs({
  options: {
    scope: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    walks: { type: 'string' },
    seed: { type: 'string' },
  },
});

function say(line: string): void {
  process.stdout.write(line + '\n');
}

function report(name: string, result: Result, seconds: number, depthMax?: number): void {
  const { states, depth, complete, broken, path, places, parcels, steps } = result;
  const end =
    broken !== undefined
      ? 'BROKEN'
      : !complete
        ? 'cut off'
        : depth === depthMax
          ? `all up to ${depth} moves`
          : 'complete';
  const work = `${states} states, depth ${depth}, ${places.join('+')} local states, ${parcels} messages, ${steps} steps`;
  say(`${name}: ${end}: ${work}, ${seconds.toFixed(1)} s`);
  if (broken !== undefined) say(`  ${broken}`);
  for (const [index, line] of path.entries()) say(`  ${index + 1}. ${line}`);
}

function timed(run: () => Result): [Result, number] {
  const from = performance.now();
  const result = run();
  return [result, (performance.now() - from) / 1000];
}

function walks(): boolean {
  const end = performance.now() + 60_000 * Number(values.walks ?? 0);
  const first = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed);
  const result = runWalks(first, (done) => (values.walks === undefined ? done < 1 : performance.now() < end));
  const { broken, path, final, installed, moves } = result;
  say(
    `${result.walks} walks from seed ${first}, ${moves} moves; in ${final} a block final, in ${installed} a view installed`,
  );
  if (broken !== undefined) say(`BROKEN: ${broken}`);
  for (const [index, line] of path.entries()) say(`  ${index + 1}. ${line}`);
  return broken !== undefined;
}

let failed = false;
if (values.walks !== undefined || values.seed !== undefined) failed = walks();
else if (values.mutants) {
  for (const mutant of MUTANTS) {
    const [result, seconds] = timed(() => runScope(mutant.scope, mutant));
    report(`${mutant.name} (${mutant.scope})`, result, seconds);
    failed ||= !mutant.says.test(result.broken ?? '');
  }
} else {
  const names = Object.keys(SCOPES) as ScopeName[];
  if (values.scope !== undefined && !names.includes(values.scope as ScopeName)) {
    say(`--scope: there is no ${values.scope}; there are ${names.join(', ')}`);
    process.exit(2);
  }
  for (const name of values.scope === undefined ? names : [values.scope as ScopeName]) {
    say(`${name}: ${SCOPES[name].about}`);
    const [result, seconds] = timed(() => runScope(name));
    const scope: Scope = SCOPES[name];
    report(name, result, seconds, scope.depthMax);
    failed ||= result.broken !== undefined || !result.complete;
  }
}
process.exitCode = failed ? 1 : 0;
