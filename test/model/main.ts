/**
 * Command line of the model checker.
 *
 *   npm run model                         every scope, one after the other
 *   npm run model -- --scope NAME         one of them
 *   npm run model -- --mutants            what it must find in validators that break a rule
 */
import { parseArgs } from 'node:util';
import { MUTANTS } from './mutants.ts';
import { type Result, runScope } from './run.ts';
import { SCOPES, type ScopeName } from './scopes.ts';

const { values } = parseArgs({
  options: { scope: { type: 'string' }, mutants: { type: 'boolean', default: false } },
});

function say(line: string): void {
  process.stdout.write(line + '\n');
}

function report(name: string, result: Result, seconds: number): void {
  const { states, depth, complete, broken, path, places, parcels, steps } = result;
  const end = broken !== undefined ? 'BROKEN' : complete ? 'complete' : 'cut off';
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

let failed = false;
if (values.mutants) {
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
    report(name, result, seconds);
    failed ||= result.broken !== undefined || !result.complete;
  }
}
process.exitCode = failed ? 1 : 0;
