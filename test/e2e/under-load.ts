/** A devnet with constant load on it, and somebody who watches what becomes final. */
import { COIN, fund, randomSenders, untilFinal } from './accounts.ts';
import { agreedChain, type BlockLine } from './agreement.ts';
import type { Devnet, DevnetLine } from './devnet.ts';
import { FinalWatch } from './final-watch.ts';
import { Load } from './load.ts';
import type { Rpc } from './rpc.ts';
import { until } from './until.ts';

export type UnderLoad = { readonly load: Load; readonly watch: FinalWatch };

/** Some hundred transfers per second on a quiet machine. */
const SENDERS = 12;
const EVERY_MS = 50;

/** A devnet, or whatever else has nodes and rich accounts. */
type Loaded = { readonly line: Pick<DevnetLine, 'chainId' | 'accounts'>; readonly rpcs: readonly Rpc[] };

export async function beginLoad(
  devnet: Loaded,
  { count = SENDERS, everyMs = EVERY_MS }: { readonly count?: number; readonly everyMs?: number } = {},
): Promise<UnderLoad> {
  const { chainId, accounts } = devnet.line;
  const senders = randomSenders(count);
  const funding = await fund(devnet.rpcs[0]!, accounts, senders, { chainId, value: COIN });
  for (const rpc of devnet.rpcs) await untilFinal(rpc, funding);
  const watch = new FinalWatch(devnet.rpcs);
  const load = new Load({ rpcs: devnet.rpcs, chainId, senders, everyMs });
  await untilMoreBlocks(watch, 10);
  return { load, watch };
}

/** Waits for so many more final blocks. */
export async function untilMoreBlocks(watch: FinalWatch, count: number, timeoutMs = 60_000): Promise<void> {
  const from = watch.height;
  await until(`${count} more blocks than ${from}`, () => watch.height >= from + count, { timeoutMs, everyMs: 20 });
}

/** Waits until a validator signs again, if it is active, and is no further behind than what is on its way. */
export async function untilBack(devnet: Devnet, index: number, timeoutMs = 60_000): Promise<void> {
  await until(
    `validator ${index} is back`,
    async () => {
      const own = await devnet.status(index);
      const others = await Promise.all(devnet.indices.filter((i) => i !== index).map((i) => devnet.status(i)));
      const newest = Math.max(...others.map(({ final }) => final));
      const seen = others.every(({ margin, t }) => margin === t);
      const behind = own.phase !== 'running' || own.final < newest - 20 || !seen;
      if (behind) throw new Error(`phase ${own.phase}, block ${own.final} of ${newest}, seen by all: ${seen}`);
      return true;
    },
    { timeoutMs },
  );
}

/**
 * Stops the load and holds the nodes to it: every transfer that a node took has a receipt on all of them, all blocks are
 * the same, nothing seen final before has changed. Returns the chain.
 */
export async function endLoad(
  { rpcs }: { readonly rpcs: readonly Rpc[] },
  { load, watch }: UnderLoad,
  timeoutMs?: number,
): Promise<BlockLine[]> {
  await load.stop();
  const hashes = [...load.accepted.keys()];
  for (const rpc of rpcs) await untilFinal(rpc, hashes, timeoutMs);
  const chain = await agreedChain(rpcs, timeoutMs);
  await watch.stop();
  if (watch.contradictions.length > 0) throw new Error(watch.contradictions.join('; '));
  for (const { height, hash } of watch.blocks) {
    if (chain[height]?.hash !== hash)
      throw new Error(`block ${height} was final as ${hash} and is ${chain[height]?.hash}`);
  }
  const included = new Set(chain.flatMap(({ transactions }) => transactions));
  const count = chain.reduce((sum, { transactions }) => sum + transactions.length, 0);
  if (included.size !== count) throw new Error(`${count - included.size} transactions stand in two blocks`);
  return chain;
}
