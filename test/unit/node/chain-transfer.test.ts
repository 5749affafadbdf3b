/** `quorate chain export` and `import` between data folders: what arrives, what is refused, and what is left untouched. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exportChain, importChain } from '../../../node/chain-transfer.ts';
import { acquireLock } from '../../../node/lock.ts';
import { verifyChain } from '../../../node/verify-chain.ts';
import { KEYS } from '../ledger/fixtures.ts';
import { extendChain, makeDataDir, RAW_GENESIS, withStore } from './proven-chain.ts';

let root: string;
const at = (name: string): string => join(root, name);
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'quorate-transfer-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const everyThird = { proven: (height: number) => height % 3 === 0 };

const headOf = (dataDir: string): Promise<{ height: number; hash: string }> =>
  withStore(dataDir, ({ head }) => ({ height: head.height, hash: head.hash }));

describe('export and import', () => {
  test('an empty folder ends up with the same chain, proofs where they were, and verifies', async () => {
    const source = await makeDataDir(at('source'), 12, everyThird);
    const exported = await exportChain({ dataDir: source, out: at('chain') });
    expect(exported).toMatchObject({ from: 1, to: 12, blocks: 12, ...(await headHash(source)) });
    expect((await readFile(at('chain'))).length).toBe(exported.bytes);

    const target = await makeDataDir(at('target'));
    const imported = await importChain({ dataDir: target, file: at('chain') });
    expect(imported).toEqual({ imported: 12, head: 12, hash: exported.hash });
    // Durable: the store knows that it may not come back shorter.
    expect(await readFile(join(target, 'store', 'INITIALIZED'), 'utf8')).toBe('12\n');
    expect(await verifyChain({ dataDir: target })).toEqual(await verifyChain({ dataDir: source }));
    expect((await verifyChain({ dataDir: target })).proofs).toBe(4);
    await withStore(target, (ledger) => {
      expect(ledger.account(KEYS[0]!.address, { final: true })?.nonce).toBe(12);
      expect([2, 3].map((height) => ledger.proof(height) !== undefined)).toEqual([false, true]);
      // History too, not only the newest state.
      expect(ledger.account(KEYS[0]!.address, { height: 5 })).toMatchObject({ nonce: 5 });
    });
  });

  test('a shorter store is continued, a file that is known changes nothing, and none shortens the chain', async () => {
    const source = await makeDataDir(at('source'), 5);
    await exportChain({ dataDir: source, out: at('first') });
    await withStore(source, (ledger) => extendChain(ledger, 9));
    await exportChain({ dataDir: source, out: at('all') });
    const target = await makeDataDir(at('target'));
    expect((await importChain({ dataDir: target, file: at('first') })).imported).toBe(5);
    expect(await importChain({ dataDir: target, file: at('all') })).toMatchObject({ imported: 4, head: 9 });
    expect(await importChain({ dataDir: target, file: at('all') })).toMatchObject({ imported: 0, head: 9 });
    expect(await importChain({ dataDir: target, file: at('first') })).toMatchObject({ imported: 0, head: 9 });
    expect(await headOf(target)).toEqual(await headOf(source));
  });

  test('a range goes to the next block with a proof, or back to the last one', async () => {
    const source = await makeDataDir(at('source'), 11, everyThird);
    const range = async (name: string, from: number, to: number) => {
      const { from: first, to: last } = await exportChain({ dataDir: source, out: at(name), from, to });
      return [first, last];
    };
    expect(await range('up', 2, 4)).toEqual([2, 6]);
    expect(await range('exact', 4, 6)).toEqual([4, 6]);
    expect(await range('back', 7, 11)).toEqual([7, 9]);
    expect(await range('zero', 0, 3)).toEqual([1, 3]);
    await expect(exportChain({ dataDir: source, out: at('none'), from: 10 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('blocks 10 to 11 have no finality proof'),
    });
  });

  test('parts are imported in order; one that leaves a gap names the block it needs', async () => {
    const source = await makeDataDir(at('source'), 9);
    await exportChain({ dataDir: source, out: at('low'), to: 4 });
    await exportChain({ dataDir: source, out: at('high'), from: 5 });
    const target = await makeDataDir(at('target'));
    await expect(importChain({ dataDir: target, file: at('high') })).rejects.toMatchObject({
      code: 'VERIFY_FAILED',
      message: expect.stringMatching(/begins at block 5 and this folder ends at block 0; import .* block 1 or below/),
    });
    await importChain({ dataDir: target, file: at('low') });
    expect(await importChain({ dataDir: target, file: at('high') })).toMatchObject({ imported: 5, head: 9 });
  });

  test('a folder that does not exist is made with the genesis given, and verifies without naming it again', async () => {
    const source = await makeDataDir(at('source'), 3);
    await exportChain({ dataDir: source, out: at('chain') });
    const genesisPath = join(source, 'genesis.json');
    await expect(importChain({ dataDir: at('new'), file: at('chain') })).rejects.toMatchObject({
      code: 'GENESIS_INVALID',
    });
    await importChain({ dataDir: at('new'), file: at('chain'), genesisPath });
    expect(await verifyChain({ dataDir: at('new') })).toMatchObject({ head: 3, proofs: 3 });
    expect(await readFile(join(at('new'), 'genesis.json'))).toEqual(await readFile(genesisPath));
  });
});

async function headHash(dataDir: string): Promise<{ hash: string }> {
  return { hash: (await headOf(dataDir)).hash };
}

describe('import touches nothing but the store', () => {
  test('keys, guard and marker of a validator are as they were', async () => {
    const source = await makeDataDir(at('source'), 3);
    await exportChain({ dataDir: source, out: at('chain') });
    const target = await makeDataDir(at('target'));
    await mkdir(join(target, 'guard'));
    const files = ['guard/0000', 'guard-empty', 'validator-key.json', 'node-key.json', 'pool'];
    for (const file of files) await writeFile(join(target, file), `content of ${file}`);
    const before = await readdir(target);
    await importChain({ dataDir: target, file: at('chain') });
    for (const file of files) expect(await readFile(join(target, file), 'utf8')).toBe(`content of ${file}`);
    expect(await readdir(join(target, 'guard'))).toEqual(['0000']);
    const added = (await readdir(target)).filter((name) => !before.includes(name) && !name.startsWith('lock.'));
    expect(added).toEqual(['store']);
  });

  test('a file of another chain is refused before anything is made', async () => {
    const source = await makeDataDir(at('source'), 3);
    await exportChain({ dataDir: source, out: at('chain') });
    const other = at('other');
    await mkdir(other);
    await writeFile(join(other, 'genesis.json'), JSON.stringify({ ...RAW_GENESIS, chainId: 4242 }));
    await expect(importChain({ dataDir: other, file: at('chain') })).rejects.toMatchObject({
      code: 'GENESIS_MISMATCH',
    });
    expect(await readdir(other)).toEqual(['genesis.json']);
  });

  test('a proven chain that differs from the one here is refused, whole', async () => {
    const source = await makeDataDir(at('source'), 6);
    await exportChain({ dataDir: source, out: at('chain') });
    const target = await makeDataDir(at('target'), 4, { value: 2n });
    const before = await headOf(target);
    await expect(importChain({ dataDir: target, file: at('chain') })).rejects.toMatchObject({
      code: 'VERIFY_FAILED',
      message: expect.stringMatching(/block 1 of the chain file is not the block 1 .* ends at block 4$/),
    });
    expect(await headOf(target)).toEqual(before);
    // One that begins right above does not follow either.
    await exportChain({ dataDir: source, out: at('above'), from: 5 });
    await expect(importChain({ dataDir: target, file: at('above') })).rejects.toMatchObject({
      message: expect.stringContaining('block 5 of the chain file does not follow block 4'),
    });
    expect(await headOf(target)).toEqual(before);
  });
});

describe('a file that was damaged on the way', () => {
  test('what is proven before the end of a cut file stays, and the whole file goes on from there', async () => {
    const source = await makeDataDir(at('source'), 12, everyThird);
    await exportChain({ dataDir: source, out: at('chain') });
    const bytes = await readFile(at('chain'));
    await writeFile(at('cut'), bytes.subarray(0, Math.floor(bytes.length * 0.6)));
    const target = await makeDataDir(at('target'));
    await expect(importChain({ dataDir: target, file: at('cut') })).rejects.toMatchObject({
      code: 'CHAIN_FILE_INVALID',
      message: expect.stringMatching(/ends within block 8 of 1 to 12; copy .*; this folder's chain ends at block 6$/),
    });
    expect(await verifyChain({ dataDir: target })).toMatchObject({ head: 6, proofs: 2 });
    expect(await importChain({ dataDir: target, file: at('chain') })).toMatchObject({ imported: 6, head: 12 });
    await verifyChain({ dataDir: target });
  });

  test('what is no chain file, not there, or a folder, is said so before the folder is touched', async () => {
    const target = await makeDataDir(at('target'));
    await writeFile(at('text'), 'hello');
    await writeFile(at('empty'), '');
    for (const [name, code] of [
      ['text', 'CHAIN_FILE_INVALID'],
      ['empty', 'CHAIN_FILE_INVALID'],
      ['absent', 'NOT_FOUND'],
      ['target', 'NOT_FOUND'],
    ] as const) {
      await expect(importChain({ dataDir: target, file: at(name) })).rejects.toMatchObject({ code });
    }
    expect(await readdir(target)).toEqual(['genesis.json']);
  });
});

describe('export writes a whole file or none', () => {
  test('an existing file is never overwritten, and nothing is left beside it', async () => {
    const source = await makeDataDir(at('source'), 2);
    await writeFile(at('chain'), 'precious');
    await expect(exportChain({ dataDir: source, out: at('chain') })).rejects.toMatchObject({ code: 'USAGE' });
    expect(await readFile(at('chain'), 'utf8')).toBe('precious');
    expect((await readdir(root)).sort()).toEqual(['chain', 'source']);
  });

  test('an export under way to the same name is left alone', async () => {
    const source = await makeDataDir(at('source'), 2);
    await writeFile(at('chain.partial'), 'half');
    await expect(exportChain({ dataDir: source, out: at('chain') })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('chain.partial is there already; remove it'),
    });
    expect(await readFile(at('chain.partial'), 'utf8')).toBe('half');
  });

  test('a place that cannot be written to is named', async () => {
    const source = await makeDataDir(at('source'), 2);
    await expect(exportChain({ dataDir: source, out: at('nowhere/chain') })).rejects.toMatchObject({
      code: 'DISK_FAILED',
      message: expect.stringContaining('nowhere/chain'),
    });
  });

  test('a range outside the chain is wrong use, an empty chain has nothing, and no store is made up', async () => {
    const source = await makeDataDir(at('source'), 4);
    const attempt = (range: { from?: number; to?: number }) =>
      expect(exportChain({ dataDir: source, out: at('chain'), ...range })).rejects;
    await attempt({ to: 5 }).toMatchObject({ code: 'USAGE', message: expect.stringContaining('newest block 4') });
    await attempt({ from: 5 }).toMatchObject({ code: 'USAGE' });
    await attempt({ from: 3, to: 2 }).toMatchObject({ code: 'USAGE' });
    const fresh = await makeDataDir(at('fresh'));
    await expect(exportChain({ dataDir: fresh, out: at('chain') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await readdir(fresh)).toEqual(['genesis.json']);
    await withStore(fresh, () => undefined);
    await expect(exportChain({ dataDir: fresh, out: at('chain') })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await readdir(root)).filter((name) => name.startsWith('chain'))).toEqual([]);
  });
});

test('neither works while a node runs on the folder, and both give it back', async () => {
  const source = await makeDataDir(at('source'), 2);
  await exportChain({ dataDir: source, out: at('chain') });
  const lock = await acquireLock(source);
  await expect(exportChain({ dataDir: source, out: at('again') })).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await expect(importChain({ dataDir: source, file: at('chain') })).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
  await lock.release();
  await exportChain({ dataDir: source, out: at('again') });
  await importChain({ dataDir: source, file: at('again') });
  expect(await readFile(at('again'))).toEqual(await readFile(at('chain')));
});

describe('a chain of two epochs', () => {
  test('is carried over and verified, each proof by the validators of its own epoch', async () => {
    const source = await makeDataDir(at('source'), 12, { closing: 6, ...everyThird });
    await exportChain({ dataDir: source, out: at('chain') });
    const target = await makeDataDir(at('target'));
    expect(await importChain({ dataDir: target, file: at('chain') })).toMatchObject({ imported: 12, head: 12 });
    expect(await verifyChain({ dataDir: target })).toMatchObject({ head: 12, proofs: 4 });
    await withStore(target, (ledger) => {
      expect(ledger.epochAfter(ledger.head.hash)).toMatchObject({ epoch: 1, root: { height: 6 } });
    });
  });

  test('does not verify without a proof of the block between them', async () => {
    const gap = (height: number) => height !== 6;
    const source = await makeDataDir(at('source'), 9, { closing: 6, proven: gap });
    await expect(verifyChain({ dataDir: source })).rejects.toMatchObject({
      code: 'VERIFY_FAILED',
      message: expect.stringContaining('block 6 closes an epoch and has no finality proof of its own'),
    });
  });
});
