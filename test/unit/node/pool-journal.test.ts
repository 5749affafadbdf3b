/** The pool's journal: what it gives back, and what becomes of a write that fails. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PoolJournal } from '../../../node/pool-journal.ts';
import type { QuorateError } from '../../../primitives/errors.ts';

let dataDir: string;
let failures: QuorateError[];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'quorate-journal-'));
  failures = [];
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const open = () => PoolJournal.open(dataDir, (error) => failures.push(error));
const raw = (text: string) => Uint8Array.from(Buffer.from(text));
const texts = (raws: readonly Uint8Array[]) => raws.map((bytes) => Buffer.from(bytes).toString());

test('gives back what was appended and rewritten, up to a cut end', () => {
  const { journal, raws } = open();
  expect(raws).toEqual([]);
  journal.rewrite([raw('one')]);
  journal.append([raw('two'), raw('three')]);
  journal.close();
  appendFileSync(join(dataDir, 'pool.journal'), Buffer.of(0, 0, 0, 9, 1, 2));
  const again = open();
  expect(texts(again.raws)).toEqual(['one', 'two', 'three']);
  again.journal.close();
  expect(failures).toEqual([]);
});

test('a write that fails is told, once each, as a failed disk', () => {
  const { journal } = open();
  rmSync(dataDir, { recursive: true });
  journal.rewrite([raw('one')]);
  expect(failures).toMatchObject([{ code: 'DISK_FAILED', message: expect.stringMatching(/pool\.journal.*ENOENT/) }]);
  journal.close();
  journal.append([raw('two')]);
  expect(failures).toHaveLength(2);
});
