import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { peersFile } from '../../../node/peers-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quorate-peers-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('nothing was saved in a new folder', async () => {
  expect(await peersFile(folder).load()).toBeUndefined();
});

test('what is saved is there for the next process, alone and private', async () => {
  await peersFile(folder).save('first');
  await peersFile(folder).save('second');
  expect(await peersFile(folder).load()).toBe('second');
  expect(await readdir(folder)).toEqual(['peers.json']);
  if (process.platform !== 'win32') expect((await stat(join(folder, 'peers.json'))).mode & 0o777).toBe(0o600);
});

test('a save that was cut short leaves the old text', async () => {
  await peersFile(folder).save('first');
  await writeFile(join(folder, 'peers.json.next'), 'half of a te');
  expect(await peersFile(folder).load()).toBe('first');
  await peersFile(folder).save('second');
  expect(await readFile(join(folder, 'peers.json'), 'utf8')).toBe('second');
});

test('a folder that is gone is an error for the caller to log', async () => {
  const gone = peersFile(join(folder, 'gone'));
  await expect(gone.save('text')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await gone.load()).toBeUndefined();
});
