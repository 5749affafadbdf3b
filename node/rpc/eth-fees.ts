/**
 * Fees. The base fee is constant (the genesis gas price floor), so the suggested tip is zero unless the newest block is
 * crowded with bids, which a permissioned chain never rewards: the floor is what is suggested.
 */
import type { Block } from '../../ledger/block.ts';
import type { Height } from '../../primitives/ids.ts';
import { type BlockParam, finalHeight, parseBlockNumber } from './block-param.ts';
import { quantity } from './format.ts';
import { INVALID_PARAMS, REFUSED, RpcError } from './jsonrpc.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, invalid, parseCount } from './params.ts';
import type { BlockReceipts } from './receipt-cache.ts';

const BLOCKS_MAX = 1024;
/** With rewards every transaction is looked at. */
const REWARDED_BLOCKS_MAX = 128;
const PERCENTILES_MAX = 100;

export function feeMethods(services: Services): MethodGroup {
  const { backend } = services;
  return {
    eth_gasPrice: () => quantity(backend.baseFee),
    eth_maxPriorityFeePerGas: () => '0x0',
    eth_blobBaseFee: () => {
      throw new RpcError(REFUSED, 'blob transactions are not supported on this chain');
    },
    eth_feeHistory: (params) => {
      const [count, newest, percentiles] = args(params, 2, 3);
      // JSON numbers and decimal strings are legal here alone (geth's DecimalOrHex).
      const decimal = typeof count === 'string' && /^[0-9]{1,6}$/.test(count) ? Number(count) : count;
      const blocks = parseCount(decimal, 'argument 0');
      const last = parseBlockNumber(newest, 'argument 1');
      return feeHistory(services, blocks, last, parsePercentiles(percentiles));
    },
  };
}

function parsePercentiles(value: unknown): readonly number[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid('argument 2', 'expected an array of percentiles');
  if (value.length > PERCENTILES_MAX) throw invalid('argument 2', `more than ${PERCENTILES_MAX} percentiles`);
  value.forEach((percentile: unknown, i) => {
    if (typeof percentile !== 'number' || percentile < 0 || percentile > 100) {
      throw new RpcError(
        INVALID_PARAMS,
        `invalid reward percentile: argument 2, item ${i} is not a number from 0 to 100`,
      );
    }
    if (i > 0 && percentile < (value[i - 1] as number)) {
      throw new RpcError(INVALID_PARAMS, `invalid reward percentile: argument 2, item ${i} is below the one before`);
    }
  });
  return value as number[];
}

async function feeHistory(
  services: Services,
  wanted: number,
  newest: BlockParam,
  percentiles: readonly number[],
): Promise<Record<string, unknown>> {
  const { backend, scheduler } = services;
  const last = finalHeight(backend, newest);
  if (last === undefined) {
    const height = newest.kind === 'height' ? newest.height : 0;
    throw new RpcError(REFUSED, `request beyond head block: requested ${height}, head ${backend.head().height}`);
  }
  const most = percentiles.length === 0 ? BLOCKS_MAX : REWARDED_BLOCKS_MAX;
  const count = Math.min(wanted, most, last + 1);
  if (count === 0) return { oldestBlock: '0x0', baseFeePerGas: null, gasUsedRatio: null };
  const oldest = last - count + 1;
  const gasUsedRatio: number[] = [];
  const baseFeePerGas: string[] = [];
  const reward: string[][] = [];
  for (let height = oldest; height <= last; height++) {
    const pause = scheduler.breathe();
    if (pause !== undefined) await pause;
    const entry = backend.headerByHeight(height);
    if (entry === undefined) throw new RpcError(REFUSED, `block ${height} is pruned on this node`);
    const { header } = entry;
    gasUsedRatio.push(header.gasLimit === 0 ? 0 : header.gasUsed / header.gasLimit);
    baseFeePerGas.push(quantity(header.baseFeePerGas));
    if (percentiles.length > 0) reward.push(blockRewards(services, height, percentiles));
  }
  baseFeePerGas.push(quantity(backend.baseFee));
  return {
    oldestBlock: quantity(oldest),
    baseFeePerGas,
    gasUsedRatio,
    ...(percentiles.length === 0 ? {} : { reward }),
  };
}

function blockRewards(services: Services, height: Height, percentiles: readonly number[]): string[] {
  const block = services.backend.blockByHeight(height);
  const receipts = block === undefined ? undefined : services.receipts.of(block.hash);
  if (block === undefined || receipts === undefined)
    throw new RpcError(REFUSED, `block ${height} is pruned on this node`);
  return rewards(block, receipts, percentiles).map(quantity);
}

/** Tips at percentiles of the block's gas: the transactions sorted by tip, each as wide as the gas it used. */
function rewards(block: Block, { receipts }: BlockReceipts, percentiles: readonly number[]): readonly bigint[] {
  const { baseFeePerGas, gasUsed } = block.header;
  const paid = receipts.map((receipt) => ({ tip: receipt.effectiveGasPrice - baseFeePerGas, gas: receipt.gasUsed }));
  if (paid.length === 0) return percentiles.map(() => 0n);
  paid.sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
  let at = 0;
  let sum = paid[0]!.gas;
  return percentiles.map((percentile) => {
    const threshold = Math.floor((gasUsed * percentile) / 100);
    while (sum < threshold && at < paid.length - 1) {
      at++;
      sum += paid[at]!.gas;
    }
    return paid[at]!.tip;
  });
}
