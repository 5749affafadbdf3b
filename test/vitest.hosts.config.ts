/** The long runs over bad networks (`npm run hosts`): real processes, minutes of them, so `npm test` leaves them out. */
import { defineConfig } from 'vitest/config';
import e2e from './vitest.e2e.config.ts';

export default defineConfig({
  test: { ...e2e.test, include: ['test/hosts/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 300_000 },
});
