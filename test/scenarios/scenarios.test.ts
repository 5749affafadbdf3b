/**
 * Golden transcripts (style of etcd raft's interaction tests): what the replicas do in a situation, line by line. After a
 * change that is meant, `UPDATE_SCENARIOS=1 npx vitest run --config test/vitest.config.ts test/scenarios` writes them anew;
 * read the difference.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseScenario, playScenario } from './scenario.ts';

const folder = new URL('.', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));

describe('scenarios', () => {
  it('are there', () => expect(files.length).toBeGreaterThan(5));

  for (const name of files) {
    it(name.replace('.txt', '').replaceAll('-', ' '), async () => {
      const url = new URL(name, folder);
      const scenario = parseScenario(readFileSync(url, 'utf8'));
      const lines = await playScenario(scenario);
      if (process.env['UPDATE_SCENARIOS'] === '1') {
        writeFileSync(url, `${scenario.script}\n----\n${lines.join('\n')}\n`);
        return;
      }
      expect(lines).toEqual(scenario.golden);
    });
  }
});
