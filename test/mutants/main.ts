/**
 * `npm run mutants -- [id …] [--seeds N] [--from S]`: looks anew for what finds each mutant and prints the table of
 * docs/testing.md. Those found by the simulator get seeds from S (1) on, N (500) at most; for the others all tests of the
 * recorded file are run. Exit code 1: one was not found.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { MUTANTS } from './catalogue.ts';
import { huntBySeeds, huntByTests, jobOf } from './hunt.ts';
import type { Mutant } from './mutation.ts';
import { IMPOSSIBLE } from './zoo-storage.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '500' }, from: { type: 'string', default: '1' } },
});

function* seeds(): Generator<number> {
  for (let i = 0; i < Number(values.seeds); i++) yield Number(values.from) + i;
}

type Row = { readonly id: string; readonly name: string; readonly found: string; readonly after: string };

async function hunt({ id, name, edits, killer }: Mutant): Promise<Row> {
  if ('test' in killer) {
    const [first, ...others] = await huntByTests({ id, edits }, { test: killer.test });
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    const found = first === undefined ? 'NOT FOUND' : `\`${killer.test}\`: ${first}${more}`;
    return { id, name, found, after: '' };
  }
  const result = await huntBySeeds({ id, edits }, { seeds: seeds(), ...jobOf(killer) });
  if (result === undefined) return { id, name, found: 'NOT FOUND', after: values.seeds };
  const odd = killer.caughtBy.includes(result.property) ? '' : ' (not expected)';
  return { id, name, found: `${result.property}${odd}: ${result.message}`, after: String(result.seeds) };
}

const wanted = MUTANTS.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
const rows: Row[] = [];
const queue = [...wanted];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { id, name } = next;
      const row = await hunt(next).catch((error: unknown) => ({ id, name, found: `NOT RUN: ${error}`, after: '' }));
      rows.push(row);
      process.stderr.write(`${row.id} ${row.found} ${row.after}\n`);
    }
  }),
);
process.stdout.write('| | the rule as it is in the mutant | found by | seeds |\n| --- | --- | --- | --- |\n');
for (const { id } of wanted) {
  const { name, found, after } = rows.find((row) => row.id === id)!;
  process.stdout.write(`| ${id} | ${name} | ${found.replaceAll('|', '\\|').slice(0, 160)} | ${after} |\n`);
}
if (positionals.length === 0)
  for (const { id, name, because } of IMPOSSIBLE)
    process.stdout.write(`| ${id} | ${name} | cannot be: ${because} | |\n`);
process.exitCode = rows.some(({ found }) => found.startsWith('NOT ')) ? 1 : 0;
