/** Tests over mutated sources (test/mutants/): what is changed stands in the file named by QUORATE_MUTATION. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { defineConfig } from 'vitest/config';

let texts: Record<string, string> | undefined;

export default defineConfig({
  plugins: [
    {
      name: 'mutation',
      enforce: 'pre',
      load: (id) => {
        texts ??= JSON.parse(readFileSync(process.env['QUORATE_MUTATION']!, 'utf8')) as Record<string, string>;
        return texts[pathToFileURL(id).href];
      },
    },
  ],
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/fuzz/setup.ts'],
    pool: 'threads',
    maxWorkers: 1,
    testTimeout: 30_000,
  },
});
