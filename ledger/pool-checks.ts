/**
 * Checks of a transaction that need no more than the chain's constants and the sender's account, cheapest first. The
 * texts are geth's (core/txpool, core/error.go): client libraries recognise them by pattern.
 */

import type { PoolLimits } from './pool-limits.ts';
import type { PoolEntry, SenderAccount } from './pool-sender.ts';
import type { Transaction } from './transaction.ts';

export type Refusal = { readonly ok: false; readonly code: number; readonly message: string };

export function refuse(message: string): Refusal {
  return { ok: false, code: -32000, message };
}

export type ChainTerms = {
  readonly chainId: number;
  readonly gasLimit: number;
  readonly baseFee: bigint;
  readonly limits: PoolLimits;
};

/** What the transaction itself gets wrong on this chain, whatever its sender's account is. */
export function checkTerms(tx: Transaction, terms: ChainTerms): Refusal | undefined {
  const { limits, baseFee } = terms;
  if (tx.raw.length > limits.transactionBytesMax) {
    return refuse(`oversized data: transaction size ${tx.raw.length}, limit ${limits.transactionBytesMax}`);
  }
  if (tx.chainId !== terms.chainId) {
    return refuse(`invalid chain id for signer: have ${tx.chainId} want ${terms.chainId}`);
  }
  if (tx.to === undefined) return refuse('contract creation is not supported on this chain yet');
  if (tx.gasLimit > terms.gasLimit) {
    return refuse(`exceeds block gas limit: gas ${tx.gasLimit}, block gas limit ${terms.gasLimit}`);
  }
  if (tx.maxPriorityFeePerGas > tx.maxFeePerGas) {
    return refuse(
      'max priority fee per gas higher than max fee per gas: ' +
        `maxPriorityFeePerGas: ${tx.maxPriorityFeePerGas}, maxFeePerGas: ${tx.maxFeePerGas}`,
    );
  }
  if (tx.maxFeePerGas < baseFee) {
    return tx.type === 2
      ? refuse(
          `max fee per gas less than block base fee: address ${tx.from}, maxFeePerGas: ${tx.maxFeePerGas}, baseFee: ${baseFee}`,
        )
      : refuse(`transaction underpriced: gas price ${tx.gasPrice}, minimum needed ${baseFee}`);
  }
  const needed = tx.intrinsicGas;
  if (tx.gasLimit < needed) return refuse(`intrinsic gas too low: gas ${tx.gasLimit}, minimum needed ${needed}`);
  return undefined;
}

/** What the sender's account forbids, the transactions it already has in the pool (`queued`) counted in. */
export function checkFunds(cost: bigint, account: SenderAccount, queued: bigint): Refusal | undefined {
  const { balance } = account;
  if (cost > balance) {
    return refuse(
      `insufficient funds for gas * price + value: balance ${balance}, tx cost ${cost}, overshot ${cost - balance}`,
    );
  }
  const sum = cost + queued;
  if (sum > balance) {
    return refuse(
      'insufficient funds for gas * price + value: ' +
        `balance ${balance}, queued cost ${queued}, tx cost ${cost}, overshot ${sum - balance}`,
    );
  }
  return undefined;
}

/** The least fee cap that replaces one of `old`: more by the bump, and by at least 1 wei. */
function bumped(old: bigint, percent: number): bigint {
  const bump = (old * BigInt(percent) + 99n) / 100n;
  return old + (bump > 0n ? bump : 1n);
}

/** A replacement must raise both the fee cap and the tip cap: a block may be full for either. */
export function checkReplacement(tx: Transaction, old: PoolEntry, percent: number): Refusal | undefined {
  const { maxFeePerGas, maxPriorityFeePerGas } = old.transaction;
  const enough =
    tx.maxFeePerGas >= bumped(maxFeePerGas, percent) &&
    tx.maxPriorityFeePerGas >= bumped(maxPriorityFeePerGas, percent);
  return enough ? undefined : refuse('replacement transaction underpriced');
}

/** What a transaction may cost its sender at most. */
export function costOf(tx: Transaction): bigint {
  return tx.maxFeePerGas === 0n ? tx.value : BigInt(tx.gasLimit) * tx.maxFeePerGas + tx.value;
}

/** What it pays the proposer per gas over a constant base fee. */
export function tipOf(tx: Transaction, baseFee: bigint): bigint {
  const room = tx.maxFeePerGas - baseFee;
  if (tx.maxPriorityFeePerGas > room) return room;
  return tx.maxPriorityFeePerGas;
}
