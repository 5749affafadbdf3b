/**
 * eth_call and eth_estimateGas. Without an EVM a call to a plain account moves value and returns nothing; accounts with
 * behaviour (the governance contract) are the backend's. Funds are checked as in a real transaction.
 */
import { toHex } from '../../primitives/bytes.ts';
import type { Backend, CallResult, StateAt } from './backend.ts';
import { orPruned, parseBlock, stateAt } from './block-param.ts';
import { type CallArguments, parseCall } from './call-arguments.ts';
import { quantity } from './format.ts';
import { EXECUTION_REVERTED, INVALID_PARAMS, REFUSED, RpcError } from './jsonrpc.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, parseObject } from './params.ts';

function insufficientFunds(call: CallArguments, have: bigint, want: bigint): RpcError {
  return new RpcError(
    REFUSED,
    `insufficient funds for gas * price + value: address ${call.from} have ${have} want ${want}`,
  );
}

function refuseOverrides(value: unknown, what: string): void {
  if (value === undefined || value === null) return;
  if (Object.keys(parseObject(value, what)).length > 0) {
    throw new RpcError(INVALID_PARAMS, `invalid ${what}: state and block overrides are not supported by this node`);
  }
}

export function callMethods({ backend, limits }: Services): MethodGroup {
  const gasCap = Math.min(limits.callGasMax, backend.gasLimit);

  const prepare = (params: readonly unknown[]): { readonly call: CallArguments; readonly at: StateAt } => {
    const [object, block, overrides, blockOverrides] = args(params, 1, 4);
    refuseOverrides(overrides, 'argument 2');
    refuseOverrides(blockOverrides, 'argument 3');
    const call = parseCall(object, 'argument 0', backend, limits);
    return { call, at: stateAt(backend, parseBlock(block, 'argument 1')) };
  };

  return {
    eth_call: (params) => {
      const { call, at } = prepare(params);
      const { balance } = orPruned(backend.account(call.from, at), at);
      const gas = Math.min(call.gas ?? Math.max(call.intrinsicGas, affordable(call, balance, gasCap)), gasCap);
      const want = BigInt(gas) * call.gasPrice + call.value;
      if (want > balance) throw insufficientFunds(call, balance, want);
      if (gas < call.intrinsicGas) {
        throw new RpcError(
          REFUSED,
          `intrinsic gas too low: have ${gas}, want ${call.intrinsicGas} (supplied gas ${gas})`,
        );
      }
      const result = run(backend, call, gas, at);
      return result === undefined ? '0x' : toHex(result.data);
    },
    eth_estimateGas: (params) => {
      const { call, at } = prepare(params);
      const { balance } = orPruned(backend.account(call.from, at), at);
      const least = BigInt(call.intrinsicGas) * call.gasPrice + call.value;
      if (least > balance) throw insufficientFunds(call, balance, least);
      const gas = Math.min(call.gas ?? gasCap, affordable(call, balance, gasCap));
      const result = gas < call.intrinsicGas ? undefined : run(backend, call, gas, at);
      const needed = result === undefined ? call.intrinsicGas : result.gasUsed;
      if (needed > gas) throw new RpcError(REFUSED, `gas required exceeds allowance (${gas})`);
      return quantity(needed);
    },
  };
}

/** Gas the sender can pay for at its price, up to the cap. */
function affordable(call: CallArguments, balance: bigint, gasCap: number): number {
  if (call.gasPrice === 0n) return gasCap;
  const gas = balance > call.value ? (balance - call.value) / call.gasPrice : 0n;
  return gas < BigInt(gasCap) ? Number(gas) : gasCap;
}

/** Undefined: a plain account. */
function run(
  backend: Backend,
  call: CallArguments,
  gas: number,
  at: StateAt,
): Extract<CallResult, { ok: true }> | undefined {
  const { from, to, value, data, intrinsicGas } = call;
  const result = orPruned(backend.call({ from, to, value, data, gas, intrinsicGas }, at), at);
  if (result === undefined || result.ok) return result;
  throw new RpcError(
    EXECUTION_REVERTED,
    `execution reverted${result.message === '' ? '' : `: ${result.message}`}`,
    toHex(result.data),
  );
}
