/** `quorate chain verify` on a real node's folder: passes as it was left, and fails when anything in it was touched. */
import { join } from 'node:path';
import { Level } from 'level';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COIN, fund, randomSenders } from './accounts.ts';
import { agreedChain } from './agreement.ts';
import { Devnet } from './devnet.ts';
import { run, runJson } from './processes.ts';

let devnet: Devnet;

beforeAll(async () => {
  devnet = await Devnet.start();
  const { chainId, accounts } = devnet.line;
  for (let i = 0; i < 5; i++) await fund(devnet.rpc(i % 3), accounts, randomSenders(20), { chainId, value: COIN });
});

afterAll(async () => {
  await devnet?.stop();
});

const verify = (index: number): string[] => ['chain', 'verify', '--data-dir', devnet.dataDir(index), '--json'];

test('it refuses while the node runs', async () => {
  const { code, stderr } = await run(verify(1));
  expect(code).toBe(1);
  expect(stderr).toMatch(/process \d+ is running/);
});

test("it passes on every validator's folder, after SIGTERM as after SIGKILL, and says the same of all", async () => {
  const chain = await agreedChain(devnet.rpcs);
  await devnet.stopNode(0);
  await devnet.kill(1, 2);
  const reports = await Promise.all(devnet.indices.map((index) => runJson<Record<string, unknown>>(verify(index))));
  for (const [index, report] of reports.entries()) {
    // A killed node's store may end a little earlier; its log has the rest.
    expect(report['head']).toBeLessThanOrEqual(chain.length - 1);
    expect(report['head']).toBeGreaterThan(0);
    expect(report['hash']).toBe(chain[report['head'] as number]!.hash);
    if (index === 0) expect(report).toMatchObject({ head: chain.length - 1, transactions: 100 });
  }
});

type Database = Level<Buffer, Buffer>;

/** Runs `act` on the database of a stopped node. */
async function onDatabase<T>(act: (database: Database) => Promise<T>): Promise<T> {
  const path = join(devnet.dataDir(0), 'store', 'db');
  const database = new Level<Buffer, Buffer>(path, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  await database.open({ createIfMissing: false } as object);
  try {
    return await act(database);
  } finally {
    await database.close();
  }
}

test('it fails when one record of any kind is changed or gone, and passes again when it is put back', async () => {
  const kinds = await onDatabase(async (database) => {
    const found = new Map<string, [Buffer, Buffer][]>();
    for await (const [key, value] of database.iterator()) {
      const letter = String.fromCharCode(key[0]!);
      found.set(letter, [...(found.get(letter) ?? []), [Buffer.from(key), Buffer.from(value)]]);
    }
    return found;
  });
  // Account nodes, blocks, governance, marks, block hashes, proofs, receipts, undo records, transactions (ledger/records.ts).
  expect([...kinds.keys()].sort()).toEqual(['a', 'b', 'g', 'm', 'n', 'p', 'r', 'u', 'x']);
  for (const [letter, records] of kinds) {
    const [key, value] = records[Math.floor(records.length / 2)]!;
    const changed = Buffer.from(value);
    changed[changed.length - 1]! ^= 1;
    await onDatabase((database) => database.put(key, changed));
    const { code, stderr } = await run(verify(0));
    expect([letter, code, stderr]).toEqual([letter, 1, expect.stringMatching(/^error: .*(does not verify|damaged)/m)]);
    await onDatabase((database) => database.put(key, value));
  }
  for (const letter of ['b', 'r', 'x', 'a']) {
    const [key, value] = kinds.get(letter)!.at(-1)!;
    await onDatabase((database) => database.del(key));
    const { code } = await run(verify(0));
    expect([letter, code]).toEqual([letter, 1]);
    await onDatabase((database) => database.put(key, value));
  }
  await runJson(verify(0));
});

test('the node serves again from a folder that verified', async () => {
  await Promise.all(devnet.indices.map((index) => devnet.restart(index)));
  await agreedChain(devnet.rpcs);
});
