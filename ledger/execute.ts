/**
 * Execution of one transaction: nonce, funds, gas, fees (yellow paper section 6, EIP-1559) and a transfer of value. The
 * base fee is constant and burnt, the tip goes to the block's miner. There is no contract code yet: calldata to an account
 * costs its gas and does nothing. Refusals carry geth's texts, which clients recognise.
 */
import type { Address } from '../primitives/ids.ts';
import { EMPTY_BLOOM } from './block.ts';
import type { BlockState } from './block-state.ts';
import type { ChainRules } from './chain-rules.ts';
import type { Receipt } from './receipt.ts';
import { CREATION_REFUSED, type Transaction } from './transaction.ts';

export type ExecutionContext = {
  readonly rules: ChainRules;
  readonly miner: Address;
  /** Gas used by the block so far. */
  gasUsed: number;
};

/** What one unit of gas costs the sender: the base fee and as much of the tip as the cap allows. */
export function effectiveGasPrice(transaction: Transaction, baseFee: bigint): bigint {
  const wanted = baseFee + transaction.maxPriorityFeePerGas;
  if (wanted > transaction.maxFeePerGas) return transaction.maxFeePerGas;
  return wanted;
}

/** What is wrong with a transaction whatever the state: fees, gas, creation. */
export function staticProblem(transaction: Transaction, rules: ChainRules): string | undefined {
  const { maxFeePerGas, maxPriorityFeePerGas, gasLimit, intrinsicGas } = transaction;
  if (transaction.to === undefined) return CREATION_REFUSED;
  if (maxPriorityFeePerGas > maxFeePerGas) {
    return `max priority fee per gas higher than max fee per gas: address ${transaction.from}, maxPriorityFeePerGas: ${maxPriorityFeePerGas}, maxFeePerGas: ${maxFeePerGas}`;
  }
  if (maxFeePerGas < rules.baseFee) {
    return `max fee per gas less than block base fee: address ${transaction.from}, maxFeePerGas: ${maxFeePerGas}, baseFee: ${rules.baseFee}`;
  }
  if (gasLimit > rules.gasLimit) return 'exceeds block gas limit';
  if (gasLimit < intrinsicGas) return `intrinsic gas too low: gas ${gasLimit}, minimum needed ${intrinsicGas}`;
  return undefined;
}

/** Applies a transaction, or changes nothing and says why it is invalid here. */
export function applyTransaction(
  state: BlockState,
  transaction: Transaction,
  context: ExecutionContext,
): Receipt | string {
  const problem = staticProblem(transaction, context.rules);
  if (problem !== undefined) return problem;
  const { to, value, gasLimit, nonce, maxFeePerGas } = transaction;
  const sender = state.account(transaction.from);
  if (nonce !== sender.nonce) {
    return `nonce too ${nonce < sender.nonce ? 'low' : 'high'}: address ${sender.address}, tx: ${nonce} state: ${sender.nonce}`;
  }
  const gasLeft = context.rules.gasLimit - context.gasUsed;
  if (gasLimit > gasLeft) return `gas limit reached: have ${gasLeft}, want ${gasLimit}`;
  const most = BigInt(gasLimit) * maxFeePerGas + value;
  if (sender.balance < most) {
    return `insufficient funds for gas * price + value: address ${sender.address} have ${sender.balance} want ${most}`;
  }

  const { baseFee } = context.rules;
  const price = effectiveGasPrice(transaction, baseFee);
  const gas = BigInt(transaction.intrinsicGas);
  sender.nonce++;
  sender.balance -= price === 0n ? value : gas * price + value;
  if (value !== 0n) state.account(to!).balance += value;
  if (price > baseFee) state.account(context.miner).balance += gas * (price - baseFee);
  context.gasUsed += transaction.intrinsicGas;
  return {
    type: transaction.type,
    status: 1,
    cumulativeGasUsed: context.gasUsed,
    gasUsed: transaction.intrinsicGas,
    effectiveGasPrice: price,
    logsBloom: EMPTY_BLOOM,
    logs: [],
  };
}
