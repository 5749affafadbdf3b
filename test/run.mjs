/**
 * `npm test`: builds what the end-to-end tests start, runs every test, and ends with one line, `N passed, N failed`. A
 * suite that runs no test at all fails: silence is not success. Words after `--` select files by part of their path.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';

const SUITES = [
  { name: 'unit, paper, compliance, fuzz and simulation', config: 'test/vitest.config.ts' },
  { name: 'end to end', config: 'test/vitest.e2e.config.ts' },
];

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const filters = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: [] };

/** Counts the tests of one run, and as a failure each file that could not be loaded and each error outside a test. */
function count(modules, errors) {
  const run = { passed: 0, failed: errors.length, skipped: [] };
  for (const module of modules) {
    run.failed += module.errors().length;
    for (const suite of module.children.allSuites()) run.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state, note } = test.result();
      if (state === 'passed') run.passed += 1;
      else if (state === 'failed') run.failed += 1;
      else run.skipped.push(`${module.relativeModuleId}: ${test.fullName}: ${note ?? 'no reason given'}`);
    }
  }
  return run;
}

async function runSuite({ name, config }) {
  process.stdout.write(`\n${name}\n`);
  let run = { passed: 0, failed: 1, skipped: [] };
  const tally = {
    onTestRunEnd: (modules, errors) => {
      run = count(modules, errors);
    },
  };
  const options = { config, run: true, watch: false, passWithNoTests: true, reporters: ['default', tally] };
  try {
    const vitest = await startVitest('test', filters, options);
    await vitest.close();
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.stack : error}\n`);
    run.failed += 1;
  }
  if (run.passed + run.failed === 0 && filters.length === 0) {
    process.stdout.write(`${name}: no test ran\n`);
    run.failed += 1;
  }
  total.passed += run.passed;
  total.failed += run.failed;
  total.skipped.push(...run.skipped);
}

/** Always, because tests of yesterday's build prove nothing. */
function build() {
  const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
  if (status === 0) return true;
  process.stdout.write('the build failed\n');
  total.failed += 1;
  return false;
}

process.once('SIGINT', () => process.exit(130));
if (build()) for (const suite of SUITES) await runSuite(suite);
if (total.passed + total.failed === 0) total.failed += 1;
for (const line of total.skipped) process.stdout.write(`skipped: ${line}\n`);
const skipped = total.skipped.length > 0 ? `, ${total.skipped.length} skipped` : '';
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed${skipped}\n`, () => {
  process.exit(total.failed === 0 ? 0 : 1);
});
