/**
 * Execution of one transaction: nonce, funds, gas, fees (yellow paper section 6, EIP-1559), and a transfer of value or a
 * call of the governance contract. The base fee is constant and burnt, the tip goes to the block's miner. There is no
 * other contract yet: calldata to an account costs its gas and does nothing. Refusals carry geth's texts, which clients
 * recognise.
 */
import { type Address, GOVERNANCE_ADDRESS, type Hash, type Height } from '../primitives/ids.ts';
import { EMPTY_BLOOM } from './block.ts';
import type { BlockState } from './block-state.ts';
import type { ChainRules } from './chain-rules.ts';
import { callGovernance, governanceGas } from './governance/contract.ts';
import type { GovernanceState } from './governance/state.ts';
import { bloomOf, type Log, type Receipt } from './receipt.ts';
import { CREATION_REFUSED, type Transaction } from './transaction.ts';

export type ExecutionContext = {
  readonly rules: ChainRules;
  readonly genesisHash: Hash;
  readonly miner: Address;
  readonly number: Height;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Hash of an ancestor of the block. */
  readonly hashAt: (height: Height) => Hash | undefined;
  /** Gas used by the block so far. */
  gasUsed: number;
  /** As the transactions so far left it. */
  governance: GovernanceState;
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

  const { status, gasUsed, logs } =
    to === GOVERNANCE_ADDRESS ? callContract(transaction, context) : plainTransfer(transaction);
  const { baseFee } = context.rules;
  const price = effectiveGasPrice(transaction, baseFee);
  const gas = BigInt(gasUsed);
  const moved = status === 1 ? value : 0n;
  sender.nonce++;
  sender.balance -= price === 0n ? moved : gas * price + moved;
  if (moved !== 0n) state.account(to!).balance += moved;
  if (price > baseFee) state.account(context.miner).balance += gas * (price - baseFee);
  context.gasUsed += gasUsed;
  return {
    type: transaction.type,
    status,
    cumulativeGasUsed: context.gasUsed,
    gasUsed,
    effectiveGasPrice: price,
    logsBloom: logs.length === 0 ? EMPTY_BLOOM : bloomOf(logs),
    logs,
  };
}

type Done = { readonly status: 0 | 1; readonly gasUsed: number; readonly logs: readonly Log[] };

const NO_LOGS: readonly Log[] = [];

function plainTransfer(transaction: Transaction): Done {
  return { status: 1, gasUsed: transaction.intrinsicGas, logs: NO_LOGS };
}

/** A call that fails changes nothing but what it costs; one without enough gas costs all it brought. */
function callContract(transaction: Transaction, context: ExecutionContext): Done {
  const { from, value, data, gasLimit, intrinsicGas } = transaction;
  const gasUsed = intrinsicGas + governanceGas(data);
  if (gasUsed > gasLimit) return { status: 0, gasUsed: gasLimit, logs: NO_LOGS };
  const { chainId, judgeEvidence } = context.rules;
  const block = { ...context, chainId, judgeEvidence };
  const result = callGovernance(context.governance, { from, value, data }, { view: block, transaction: block });
  if (!result.ok) return { status: 0, gasUsed, logs: NO_LOGS };
  context.governance = result.state;
  return { status: 1, gasUsed, logs: result.logs };
}
