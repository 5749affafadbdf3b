/** Every test that needs no real process, socket or clock of its own. */
import { defineConfig } from 'vitest/config';
import { FUZZ_RUNS } from './fuzz/effort.ts';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/hosts/**', 'node_modules/**', 'dist/**'],
    setupFiles: ['test/fuzz/setup.ts'],
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 60_000 * FUZZ_RUNS,
  },
});
