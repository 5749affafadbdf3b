/** One suite that every key-value store must pass. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LevelStore } from '../../ledger/level-store.ts';
import { MemoryStore } from '../../ledger/memory-store.ts';
import type { KeyValueStore, WriteBatch } from '../../ledger/store.ts';
import type { Bytes } from '../../primitives/ids.ts';

const b = (text: string): Bytes => Buffer.from(text, 'latin1');
const text = (bytes: Bytes | undefined) => bytes && Buffer.from(bytes).toString('latin1');

function write(store: KeyValueStore, batch: Partial<WriteBatch>, sync = false): Promise<void> {
  return new Promise((resolve, reject) =>
    store.write({ put: [], del: [], ...batch }, { sync }, (error) => (error ? reject(error) : resolve())),
  );
}

async function entries(store: KeyValueStore, from: string, to: string, options = {}): Promise<string[]> {
  const out: string[] = [];
  for await (const [key, value] of store.range(b(from), b(to), options)) out.push(`${text(key)}=${text(value)}`);
  return out;
}

const STORES = {
  memory: () => Promise.resolve(new MemoryStore()),
  level: (folder: string) => LevelStore.open(folder),
};

describe.each(Object.entries(STORES))('%s store', (_name, openStore) => {
  let folder: string;
  let store: KeyValueStore;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quorate-store-'));
    store = await openStore(folder);
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  it('gives back what was put, as bytes, and nothing for other keys', async () => {
    await write(store, { put: [[b('key\x00\xff'), b('value\x00\xff')]] });
    expect(text(store.get(b('key\x00\xff')))).toBe('value\x00\xff');
    expect(store.get(b('key'))).toBeUndefined();
  });

  it('keeps a copy: later changes to the caller’s bytes do not show', async () => {
    const value = Buffer.from('before');
    const done = write(store, { put: [[b('k'), value]] });
    await done;
    value.fill(0);
    expect(text(store.get(b('k')))).toBe('before');
  });

  it('calls back later, once per batch, in the order of the batches', async () => {
    const seen: string[] = [];
    const all = ['first', 'second', 'third'].map(
      (name, i) =>
        new Promise<void>((resolve) =>
          store.write({ put: [[b('k'), b(name)]], del: [] }, { sync: i === 1 }, () => {
            seen.push(name);
            resolve();
          }),
        ),
    );
    expect(seen).toEqual([]);
    await Promise.all(all);
    expect(seen).toEqual(['first', 'second', 'third']);
    expect(text(store.get(b('k')))).toBe('third');
  });

  it('deletes, also what is not there', async () => {
    await write(store, {
      put: [
        [b('a'), b('1')],
        [b('c'), b('3')],
      ],
    });
    await write(store, { del: [b('a'), b('b')] });
    expect(store.get(b('a'))).toBeUndefined();
    expect(text(store.get(b('c')))).toBe('3');
  });

  it('ranges in key order by bytes, half open, backwards and limited', async () => {
    await write(store, { put: ['a', 'b\x00', 'b\xff', 'c', 'b'].map((key) => [b(key), b(key)] as const) });
    expect(await entries(store, 'b', 'c')).toEqual(['b=b', 'b\x00=b\x00', 'b\xff=b\xff']);
    expect(await entries(store, 'a', 'd', { reverse: true, limit: 2 })).toEqual(['c=c', 'b\xff=b\xff']);
    expect(await entries(store, 'x', 'y')).toEqual([]);
  });

  it('a snapshot shows what was there when it was taken, whatever is written or deleted after', async () => {
    await write(store, {
      put: [
        [b('a'), b('1')],
        [b('c'), b('3')],
      ],
    });
    const snapshot = store.snapshot();
    await write(
      store,
      {
        put: [
          [b('a'), b('2')],
          [b('b'), b('new')],
        ],
        del: [b('c')],
      },
      true,
    );
    expect(['a', 'b', 'c'].map((key) => text(snapshot.get(b(key))))).toEqual(['1', undefined, '3']);
    expect(['a', 'b', 'c'].map((key) => text(store.get(b(key))))).toEqual(['2', 'new', undefined]);
    const later = store.snapshot();
    expect(text(later.get(b('a')))).toBe('2');
    await snapshot.close();
    expect(text(later.get(b('b')))).toBe('new');
    await later.close();
  });

  it('remembers the greatest floor', async () => {
    expect(store.floor).toBe(-1);
    for (const height of [0, 7, 3]) {
      await new Promise<void>((resolve, reject) => store.raiseFloor(height, (e) => (e ? reject(e) : resolve())));
    }
    expect(store.floor).toBe(7);
  });
});
