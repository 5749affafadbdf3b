/** `quorate chain …` on the command line: what is printed, and with which exit code. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDataDir } from '../node/proven-chain.ts';
import { run } from './run.ts';

let root: string;
const at = (name: string): string => join(root, name);
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quorate-chain-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

test('export, import and verify print the same head, as pairs or as one line of JSON', async () => {
  const source = await makeDataDir(at('source'), 3);
  const target = await makeDataDir(at('target'));
  const exported = await run(['chain', 'export', '--data-dir', source, '--out', at('chain'), '--json']);
  expect(exported).toMatchObject({ code: 0, err: '' });
  const { hash, ...report } = JSON.parse(exported.out) as Record<string, unknown>;
  expect(report).toMatchObject({ file: at('chain'), from: 1, to: 3, blocks: 3 });
  const imported = await run(['chain', 'import', '--data-dir', target, at('chain'), '--json']);
  expect(imported).toEqual({ code: 0, out: JSON.stringify({ imported: 3, head: 3, hash }) + '\n', err: '' });
  const again = await run(['chain', 'import', '--data-dir', target, at('chain')]);
  expect(again).toEqual({ code: 0, out: `imported  0\nhead      3\nhash      ${String(hash)}\n`, err: '' });
  const verified = await run(['chain', 'verify', '--data-dir', target, '--json']);
  expect(JSON.parse(verified.out)).toMatchObject({ head: 3, hash, proofs: 3 });
});

test('wrong use is exit code 2, a file that cannot be used is 1, each with one sentence', async () => {
  const source = await makeDataDir(at('source'), 2);
  const attempt = async (...args: string[]) => await run(['chain', ...args, '--data-dir', source]);
  expect((await attempt('export')).code).toBe(2);
  expect((await attempt('export', '--out', at('chain'), '--from', 'x')).code).toBe(2);
  expect(await attempt('export', '--out', at('chain'), '--to', '3')).toEqual({
    code: 2,
    out: '',
    err: 'error: --to 3 is above the newest block 2; give a lower one\n',
  });
  expect((await attempt('import')).code).toBe(2);
  const absent = await attempt('import', at('absent'));
  expect(absent.code).toBe(1);
  expect(absent.err).toMatch(/^error: cannot read .*absent.*; name a file that `quorate chain export` has written\n$/);
});

test('both are in the help, with examples', async () => {
  const group = await run(['chain', '--help']);
  expect(group.out).toMatch(/\n {2}export [\s\S]*\n {2}import /);
  expect((await run(['chain', 'export', '--help'])).out).toContain('Examples:\n  quorate chain export --data-dir');
  expect((await run(['chain', 'import', '--help'])).out).toContain('Examples:\n  quorate chain import --data-dir');
});
