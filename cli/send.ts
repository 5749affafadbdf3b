/** A transaction from signing to finality: what `quorate tx send` and the votes of `quorate validator` share. */
import { setTimeout as sleep } from 'node:timers/promises';
import { QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { privateKeyAddress } from '../primitives/secp256k1.ts';
import { signTransaction } from '../primitives/sign-transaction.ts';
import { suggestedFees } from './fees.ts';
import { progress } from './output.ts';
import { quantity, type RpcClient, toQuantity } from './rpc-client.ts';
import { findSignerKey } from './signer-key.ts';

export type Receipt = Readonly<
  Record<'blockNumber' | 'blockHash' | 'status' | 'gasUsed' | 'effectiveGasPrice', string>
> & { readonly logs?: unknown };

/** Finality takes milliseconds; polling starts fast and slows down for a chain that stands still. */
const POLL_FIRST_MS = 20;
const POLL_MAX_MS = 500;
const SAID_AFTER_MS = 1000;

/** The key of `--key` or the variable. Throws USAGE when there is none. */
export async function requireSignerKey(options: {
  readonly key?: string | undefined;
  readonly passwordFile?: string | undefined;
}): Promise<Bytes> {
  const privateKey = await findSignerKey(options);
  if (privateKey !== undefined) return privateKey;
  throw new QuorateError('USAGE', 'no key to sign with: give --key FILE, or set QUORATE_PRIVATE_KEY');
}

export type Sending = {
  readonly privateKey: Bytes;
  readonly to: Address;
  readonly value: bigint;
  readonly data: string;
  /** Default: the next one. */
  readonly nonce?: number | undefined;
};

/** Signs here and submits; the hash. Throws what the node refuses it for. */
export async function sendTransaction(rpc: RpcClient, sending: Sending): Promise<string> {
  const { privateKey, to, value, data } = sending;
  const from = privateKeyAddress(privateKey);
  const [chainId, nonce, gas, fees] = await Promise.all([
    rpc.call('eth_chainId'),
    sending.nonce === undefined ? rpc.call('eth_getTransactionCount', [from, 'pending']) : toQuantity(sending.nonce),
    rpc.call('eth_estimateGas', [{ from, to, value: toQuantity(value), data }]),
    suggestedFees(rpc),
  ]);
  const fields = { chainId: quantity(chainId), nonce: quantity(nonce), gasLimit: quantity(gas), to, value, data };
  const { raw, hash } = signTransaction({ ...fields, ...fees }, privateKey);
  await rpc.call('eth_sendRawTransaction', [raw]);
  return hash;
}

/** Throws TIMEOUT. */
export async function waitForReceipt(rpc: RpcClient, hash: string, timeoutS: number): Promise<Receipt> {
  const start = Date.now();
  for (let pause = POLL_FIRST_MS; ; pause = Math.min(POLL_MAX_MS, pause * 1.3)) {
    const receipt = await rpc.call('eth_getTransactionReceipt', [hash]);
    if (receipt !== null) return receipt as Receipt;
    const waited = Date.now() - start;
    if (waited > timeoutS * 1000) {
      throw new QuorateError('TIMEOUT', `${hash} is not final after ${timeoutS} s; look again with quorate tx show`);
    }
    if (waited > SAID_AFTER_MS) progress(`waiting for ${hash} to be final`);
    await sleep(pause);
  }
}
