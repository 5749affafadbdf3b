/**
 * The transaction object of eth_call and eth_estimateGas, checked in geth's order (internal/ethapi/transaction_args.go,
 * core/state_transition.go). Unknown members are ignored: web3 sends some of its own.
 */
import { EMPTY } from '../../primitives/bytes.ts';
import { type Address, type Bytes, ZERO_ADDRESS } from '../../primitives/ids.ts';
import type { Backend } from './backend.ts';
import { REFUSED, RpcError } from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';
import { invalid, parseAddress, parseData, parseHash, parseObject, parseQuantity } from './params.ts';

export type CallArguments = {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly data: Bytes;
  /** As given; undefined when the caller left it open. */
  readonly gas: number | undefined;
  /** Highest price per gas the caller would pay; 0 when none was given. */
  readonly gasPrice: bigint;
  readonly intrinsicGas: number;
};

export function parseCall(value: unknown, what: string, backend: Backend, limits: RpcLimits): CallArguments {
  const object = parseObject(value, what);
  const optional = <T>(name: string, parse: (field: unknown, what: string) => T): T | undefined => {
    const field = object[name];
    return field === undefined || field === null ? undefined : parse(field, `${what}, ${name}`);
  };
  const bytes = (field: unknown, name: string) => parseData(field, name, limits.requestBytesMax);
  const from = optional('from', parseAddress) ?? ZERO_ADDRESS;
  const to = optional('to', parseAddress);
  const gas = optional('gas', parseQuantity);
  const chainId = optional('chainId', parseQuantity);
  const data = optional('data', bytes);
  const input = optional('input', bytes);
  optional('nonce', parseQuantity);
  const storageKeys = optional('accessList', parseAccessList) ?? { addresses: 0, keys: 0 };
  const fees = {
    gasPrice: optional('gasPrice', parseQuantity),
    cap: optional('maxFeePerGas', parseQuantity),
    tip: optional('maxPriorityFeePerGas', parseQuantity),
  };
  const payload = input ?? data ?? EMPTY;
  if (data !== undefined && input !== undefined && Buffer.compare(data, input) !== 0) {
    throw new RpcError(
      REFUSED,
      'both "data" and "input" are set and not equal. Please use "input" to pass transaction call data',
    );
  }
  if (chainId !== undefined && chainId !== BigInt(backend.chainId)) {
    throw new RpcError(REFUSED, `chainId does not match node's (have=${chainId}, want=${backend.chainId})`);
  }
  if (to === undefined) throw new RpcError(REFUSED, 'contract creation is not supported on this chain yet');
  return {
    from,
    to,
    value: optional('value', parseQuantity) ?? 0n,
    data: payload,
    gas: gas === undefined ? undefined : Number(gas < BigInt(limits.callGasMax) ? gas : BigInt(limits.callGasMax)),
    gasPrice: feeCap(fees, from, backend.baseFee),
    intrinsicGas: intrinsicGasOf(payload, storageKeys),
  };
}

type Fees = {
  readonly gasPrice: bigint | undefined;
  readonly cap: bigint | undefined;
  readonly tip: bigint | undefined;
};

function feeCap({ gasPrice, cap, tip }: Fees, from: Address, baseFee: bigint): bigint {
  if (gasPrice !== undefined && (cap !== undefined || tip !== undefined)) {
    throw new RpcError(REFUSED, 'both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified');
  }
  if (cap !== undefined && tip !== undefined && tip > cap) {
    throw new RpcError(
      REFUSED,
      `max priority fee per gas higher than max fee per gas: address ${from}, maxPriorityFeePerGas: ${tip}, maxFeePerGas: ${cap}`,
    );
  }
  const most = gasPrice ?? cap ?? 0n;
  // A price of zero in a dry run means "leave the fees out".
  if (most !== 0n && most < baseFee) {
    throw new RpcError(
      REFUSED,
      `max fee per gas less than block base fee: address ${from}, maxFeePerGas: ${most}, baseFee: ${baseFee}`,
    );
  }
  return most;
}

function parseAccessList(value: unknown, what: string): { readonly addresses: number; readonly keys: number } {
  if (!Array.isArray(value)) throw invalid(what, 'expected an array');
  let keys = 0;
  for (const item of value) {
    const { address, storageKeys } = parseObject(item, what);
    parseAddress(address, what);
    if (storageKeys === undefined || storageKeys === null) continue;
    if (!Array.isArray(storageKeys)) throw invalid(what, 'expected storageKeys to be an array');
    for (const key of storageKeys) parseHash(key, what);
    keys += storageKeys.length;
  }
  return { addresses: value.length, keys };
}

/** What a transfer with this calldata costs: EIP-2028 per byte, EIP-2930 per access list entry. */
function intrinsicGasOf(data: Bytes, list: { readonly addresses: number; readonly keys: number }): number {
  let zeros = 0;
  for (const byte of data) if (byte === 0) zeros++;
  return 21_000 + 4 * zeros + 16 * (data.length - zeros) + 2400 * list.addresses + 1900 * list.keys;
}
