/** What a transaction pays per gas: the node's constant base fee and the tip it suggests. */
import { bigQuantity, type RpcClient } from './rpc-client.ts';

export type Fees = { readonly maxFeePerGas: bigint; readonly maxPriorityFeePerGas: bigint };

/** The base fee never moves on a chain, so that paying exactly it plus the tip always suffices. */
export async function suggestedFees(rpc: RpcClient): Promise<Fees> {
  const [head, tip] = await Promise.all([
    rpc.call('eth_getBlockByNumber', ['latest', false]),
    rpc.call('eth_maxPriorityFeePerGas'),
  ]);
  const baseFee = bigQuantity((head as { baseFeePerGas?: unknown } | null)?.baseFeePerGas ?? '0x0');
  const maxPriorityFeePerGas = bigQuantity(tip);
  return { maxFeePerGas: baseFee + maxPriorityFeePerGas, maxPriorityFeePerGas };
}
