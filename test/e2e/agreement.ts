/** What all nodes must say alike: every final block, its state root and its transactions. */
import type { Rpc } from './rpc.ts';
import { until } from './until.ts';

export type BlockLine = {
  readonly number: string;
  readonly hash: string;
  readonly parentHash: string;
  readonly stateRoot: string;
  readonly transactions: readonly string[];
};

/** Blocks `from` to `to` as one node shows them. */
export async function blocksOf(rpc: Rpc, from: number, to: number): Promise<BlockLine[]> {
  const numbers = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
  const answers = await rpc.batch<BlockLine | null>(
    numbers.map((number) => ['eth_getBlockByNumber', ['0x' + number.toString(16), false]]),
  );
  return answers.map((answer, i) => {
    if (answer instanceof Error) throw answer;
    if (answer === null) throw new Error(`${rpc.url} has no block ${numbers[i]}`);
    return answer;
  });
}

/** Waits until all nodes have the same newest block and nothing moves any more. */
export async function untilLevel(rpcs: readonly Rpc[], timeoutMs = 60_000): Promise<number> {
  return until(
    'all nodes are at the same height',
    async () => {
      const heights = await Promise.all(rpcs.map((rpc) => rpc.blockNumber(5000)));
      if (new Set(heights).size > 1) throw new Error(`heights ${heights.join(', ')}`);
      return heights[0]!;
    },
    { timeoutMs, everyMs: 100 },
  );
}

/** Compares every block up to the common height and returns the chain; throws at the first difference. */
export async function agreedChain(rpcs: readonly Rpc[], timeoutMs?: number): Promise<BlockLine[]> {
  const height = await untilLevel(rpcs, timeoutMs);
  const chains = await Promise.all(rpcs.map((rpc) => blocksOf(rpc, 0, height)));
  const [first = []] = chains;
  for (const [i, block] of first.entries()) {
    if (i > 0 && block.parentHash !== first[i - 1]!.hash) throw new Error(`block ${i} does not follow block ${i - 1}`);
    for (const [node, chain] of chains.entries()) {
      const other = chain[i]!;
      if (other.hash !== block.hash || other.stateRoot !== block.stateRoot) {
        throw new Error(`block ${i}: ${rpcs[0]!.url} has ${block.hash}, ${rpcs[node]!.url} has ${other.hash}`);
      }
    }
  }
  return first;
}
