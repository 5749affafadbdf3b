/**
 * `npm run fuzz`: the tests that draw their cases, with a seed that was not tried before.
 *
 *   npm run fuzz                                              a fresh seed
 *   QUORATE_FUZZ_RUNS=20 npm run fuzz                         twenty times as many cases
 *   QUORATE_FUZZ_SEED=N QUORATE_FUZZ_RUNS=20 npm run fuzz     the same cases again
 *   npm run fuzz -- trie                                      only files whose path contains a word
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FUZZ_RUNS, wholeOr } from './effort.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const words = process.argv.slice(2);

/** The tests that draw cases, by what they import, so that a new one is not forgotten. */
function drawingTests(): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.startsWith('e2e'))
    .map((path) => join('test', path))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
    .filter((path) => /from '(?:fast-check|[./]+effort\.ts)'/.test(readFileSync(join(root, path), 'utf8')))
    .toSorted();
}

const seed = wholeOr(randomInt(2 ** 31), 'QUORATE_FUZZ_SEED', process.env['QUORATE_FUZZ_SEED'], 0);
const files = drawingTests();
if (files.length === 0) {
  process.stdout.write(`no test that draws cases has ${words.join(' or ')} in its path\n`);
  process.exit(2);
}
process.stdout.write(`seed ${seed}, ${FUZZ_RUNS} times the cases, ${files.length} files\n`);
const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', 'test/vitest.config.ts', ...files], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, QUORATE_FUZZ_SEED: String(seed) },
});
const chosen = words.length === 0 ? '' : ` -- ${words.join(' ')}`;
process.stdout.write(
  `${status === 0 ? 'passed' : 'failed'}; the same cases again, at this commit:\n` +
    `QUORATE_FUZZ_SEED=${seed} QUORATE_FUZZ_RUNS=${FUZZ_RUNS} npm run fuzz${chosen}\n`,
);
process.exitCode = status === 0 ? 0 : 1;
