/** Which files of a LevelDB database count, when they are looked at while nobody has it open. */
import { mkdtempSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDatabase } from '../../../ledger/level-check.ts';

let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-level-'));
  const database = new Level<Buffer, Buffer>(folder, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    writeBufferSize: 64 * 1024,
    compression: false,
  } as object);
  await database.open();
  // Written and deleted again and again, so that tables come and go and the manifest has many edits.
  for (let round = 0; round < 6; round++) {
    const batch = database.batch();
    for (let i = 0; i < 600; i++) batch.put(Buffer.from(`key ${i}`), Buffer.alloc(200, round));
    for (let i = 0; i < 300; i++) batch.del(Buffer.from(`key ${i}`));
    await batch.write();
  }
  await database.close();
  // What is only in the log becomes a table.
  await database.open();
  await database.close();
});

afterEach(() => rmSync(folder, { recursive: true }));

const tables = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.ldb'));

describe('a database that is whole', () => {
  it('has tables, and nothing to complain of', async () => {
    expect(tables().length).toBeGreaterThan(0);
    expect(await checkDatabase(folder)).toEqual([]);
  });

  it('stays so with a table that a compaction left unfinished when the process ended', async () => {
    writeFileSync(join(folder, '999990.ldb'), Buffer.alloc(5000, 7));
    writeFileSync(join(folder, '999991.ldb'), '');
    expect(await checkDatabase(folder)).toEqual([]);
    const database = new Level<Buffer, Buffer>(folder, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
    await database.open();
    expect((await database.get(Buffer.from('key 599')))?.length).toBe(200);
    await database.close();
    expect(tables()).not.toContain('999990.ldb');
  });
});

describe('a table in use', () => {
  it('that is cut off is told', async () => {
    const [table] = tables();
    truncateSync(join(folder, table!), 1000);
    expect(await checkDatabase(folder)).toEqual([{ file: table, problem: 'it has no footer' }]);
  });

  it('that is gone is told', async () => {
    const [table] = tables();
    renameSync(join(folder, table!), join(folder, 'elsewhere'));
    expect(await checkDatabase(folder)).toEqual([{ file: table, problem: 'it is gone' }]);
  });
});
