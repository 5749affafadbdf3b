/**
 * Damage to any file of a real data folder (P27): the node refuses in one sentence, or serves exactly what the others do,
 * and never contradicts what it signed. `QUORATE_FUZZ_RUNS=10` and another `QUORATE_FUZZ_SEED` sweep over more of it.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUZZ_RUNS, FUZZ_SEED } from '../fuzz/effort.ts';
import { Rng } from '../simulation/rng.ts';
import { COIN, fund, randomSenders } from './accounts.ts';
import { agreedChain, blocksOf, untilLevel } from './agreement.ts';
import { flipBit, keepCopy, zeroPages } from './damage.ts';
import { Devnet, type Node } from './devnet.ts';
import { run } from './processes.ts';
import { report } from './report.ts';
import type { Rpc } from './rpc.ts';
import { until } from './until.ts';

let devnet: Devnet;
let truth: Truth;

/** The validator that is damaged; passive in view 0, so that the others need no view change. */
const VICTIM = 2;
const CASES = 10 * FUZZ_RUNS;
const LATE = { timeoutMs: 90_000 };

beforeAll(async () => {
  devnet = await Devnet.start();
  const { chainId, accounts } = devnet.line;
  for (let i = 0; i < 12; i++) await fund(devnet.rpc(i % 3), accounts, randomSenders(8), { chainId, value: COIN });
  await untilLevel(devnet.rpcs);
  // Its log is made a table at a start.
  await devnet.stopNode(VICTIM);
  await devnet.restart(VICTIM);
  await untilLevel(devnet.rpcs);
  truth = await truthOf(devnet.rpc(0));
});

afterAll(async () => {
  await devnet?.stop();
});

type Truth = {
  readonly height: number;
  readonly calls: readonly (readonly [string, readonly unknown[]])[];
  readonly answers: readonly unknown[];
};

/** Everything worth asking a node about the chain up to a block, with the answers of a good one. */
async function truthOf(rpc: Rpc): Promise<Truth> {
  const height = await rpc.blockNumber();
  const heights = Array.from({ length: height + 1 }, (_, i) => '0x' + i.toString(16));
  const hashes = (await blocksOf(rpc, 0, height)).flatMap(({ transactions }) => transactions);
  const newest = heights.at(-1)!;
  const calls: [string, unknown[]][] = [
    ...heights.map((at): [string, unknown[]] => ['eth_getBlockByNumber', [at, true]]),
    ...heights.map((at): [string, unknown[]] => ['eth_getBlockReceipts', [at]]),
    ...hashes.map((hash): [string, unknown[]] => ['eth_getTransactionByHash', [hash]]),
    ...hashes.map((hash): [string, unknown[]] => ['eth_getTransactionReceipt', [hash]]),
    ...devnet.line.accounts.flatMap(({ address }): [string, unknown[]][] => [
      ['eth_getBalance', [address, newest]],
      ['eth_getTransactionCount', [address, newest]],
      ['eth_getBalance', [address, heights[Math.floor(height / 2)]]],
    ]),
  ];
  const answers = await rpc.batch(calls);
  expect(answers.filter((answer) => answer === null || answer instanceof Error)).toEqual([]);
  return { height, calls, answers };
}

/** One sentence, exit code 1, no stack. */
function expectRefusal(node: Node, where: string): void {
  const errors = node.log.split('\n').filter((line) => line.startsWith('error: '));
  expect(errors, `${where}: ${node.log}`).toHaveLength(1);
  expect(node.log, where).not.toMatch(/\n\s+at .*:\d+:\d+/);
  expect([where, node.program.ended]).toEqual([where, 1]);
}

/** Refused, or as far as the others with the same answers to everything. */
async function outcome(node: Node, where: string): Promise<'refused' | 'served'> {
  const how = await until(
    `it has refused, or has caught up (${where})`,
    async () => {
      if (node.program.ended !== undefined) return 'refused';
      return (await node.rpc.blockNumber(2000)) >= truth.height && 'served';
    },
    LATE,
  );
  if (how === 'refused') expectRefusal(node, where);
  else expect(await node.rpc.batch(truth.calls), where).toEqual(truth.answers);
  return how;
}

/** Every file but those that people write and that have no way to tell damage from a change of mind. */
function filesOf(folder: string): string[] {
  return (readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[])
    .filter((name) => !/^(config\.json|password|node\.log|lock\..*|descriptor\.json|store.db.LO(G|CK).*)$/.test(name))
    .filter((name) => statSync(join(folder, name)).isFile() && statSync(join(folder, name)).size > 0)
    .sort();
}

test(
  'any file of a stopped validator damaged: it refuses, or serves what the others do',
  async () => {
    await devnet.kill(VICTIM);
    const data = devnet.dataDir(VICTIM);
    const copy = keepCopy(data);
    const rng = new Rng(FUZZ_SEED);
    const tally = { refused: 0, served: 0 };
    const files = filesOf(data);
    expect(files.some((name) => name.endsWith('.ldb'))).toBe(true);
    const start = rng.int(files.length);
    for (let i = 0; i < CASES; i++) {
      const name = files[(start + i) % files.length]!;
      const path = join(data, name);
      const { size } = statSync(path);
      const kind = rng.pick(['flip', 'flip', 'zero', 'cut', 'gone'] as const);
      const at = rng.int(size);
      if (kind === 'flip') flipBit(path, at);
      else if (kind === 'zero') zeroPages(path, [Math.floor(at / 4096)]);
      else if (kind === 'cut') truncateSync(path, at);
      else rmSync(path);
      const node = devnet.launchNode(VICTIM);
      tally[await outcome(node, `${name}: ${kind} at ${at}`)]++;
      if (node.program.ended === undefined) await devnet.kill(VICTIM);
      copy.restore();
    }
    copy.discard();
    report(`damaged files of a data folder: ${JSON.stringify(tally)}`);
    await devnet.restart(VICTIM);
    await agreedChain(devnet.rpcs);
    for (const rpc of [0, 1]) expect(devnet.log(rpc)).not.toMatch(/conflicting signatures/);
  },
  180_000 * FUZZ_RUNS,
);

test('a table damaged under a running node: whatever becomes of it, the next start names the file, and it can be rebuilt', async () => {
  const data = devnet.dataDir(VICTIM);
  const database = join(data, 'store', 'db');
  const tables = readdirSync(database).filter((name) => name.endsWith('.ldb'));
  for (const table of tables) {
    const pages = Math.ceil(statSync(join(database, table)).size / 4096);
    zeroPages(join(database, table), [...Array(pages - 1).keys()].slice(1));
  }
  // Wrong answers would show; an error and an end of the process are both right.
  const answers = await devnet
    .rpc(VICTIM)
    .batch(truth.calls)
    .catch(() => undefined);
  for (const [i, answer] of (answers ?? []).entries()) {
    if (!(answer instanceof Error) && answer !== null) expect(answer).toEqual(truth.answers[i]);
  }
  report(`a table zeroed under a running node: ${answers === undefined ? 'it was aborted' : 'it went on'}`);
  if (answers !== undefined) await devnet.kill(VICTIM);
  else await until('it is gone', () => devnet.isGone(VICTIM));
  const verify = await run(['chain', 'verify', '--data-dir', data]);
  expect(verify).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: .*damaged \(db\/\d+\.ldb: /m) });
  for (let again = 0; again < 2; again++) {
    const node = devnet.launchNode(VICTIM);
    await node.program.exit;
    expect(node.log).toMatch(/the last process did not close the store: checking it/);
    expect(node.log).toMatch(/error: .*damaged \(db\/\d+\.ldb: .*--rebuild-store/);
    expectRefusal(node, 'a zeroed table');
  }
  const rebuilt = devnet.launchNode(VICTIM, ['--rebuild-store']);
  expect(await outcome(rebuilt, 'rebuilt')).toBe('served');
  expect(rebuilt.log).toMatch(/the store is damaged: moved aside/);
  expect(existsSync(join(data, 'store.damaged', 'db'))).toBe(true);
  await until('it takes part', async () => (await devnet.status(VICTIM)).phase === 'running');
  await agreedChain(devnet.rpcs);
  // Sound, it stays where it is.
  await devnet.stopNode(VICTIM);
  expect(existsSync(join(data, 'store', 'IN-USE'))).toBe(false);
  const marker = readFileSync(join(data, 'store', 'INITIALIZED'), 'utf8');
  expect(Number(marker)).toBeGreaterThanOrEqual(truth.height);
  const sound = devnet.launchNode(VICTIM, ['--rebuild-store']);
  await sound.serving();
  expect(sound.log).not.toMatch(/moved aside/);
});
