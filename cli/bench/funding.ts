/** Gives every account of a run what it spends, from one that has coins. */
import { setTimeout as sleep } from 'node:timers/promises';
import { QuorateError } from '../../primitives/errors.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { privateKeyAddress } from '../../primitives/secp256k1.ts';
import { signTransaction } from '../../primitives/sign-transaction.ts';
import { formatCoins } from '../amount.ts';
import { bigQuantity, quantity, type RpcClient } from '../rpc-client.ts';
import { type BenchAccount, type Terms, TRANSFER_GAS } from './workload.ts';

const BATCH = 100;
const TIMEOUT_MS = 60_000;
const POLL_MS = 50;

async function checkBalance(rpc: RpcClient, from: string, needed: bigint): Promise<void> {
  const balance = bigQuantity(await rpc.call('eth_getBalance', [from, 'latest']));
  if (balance >= needed) return;
  const message = `${from} has ${formatCoins(balance)} of the ${formatCoins(needed)} coins the run needs; name another account with --key`;
  throw new QuorateError('USAGE', message);
}

/** Sends `each` wei to all accounts and waits until that is final. */
export async function fundAccounts(
  rpc: RpcClient,
  funder: Bytes,
  accounts: readonly BenchAccount[],
  terms: Terms,
  each: bigint,
): Promise<void> {
  const from = privateKeyAddress(funder);
  const fee = BigInt(TRANSFER_GAS) * terms.maxFeePerGas;
  await checkBalance(rpc, from, BigInt(accounts.length) * (each + fee));
  const first = quantity(await rpc.call('eth_getTransactionCount', [from, 'pending']));
  const signed = accounts.map((account, i) => {
    const fields = { ...terms, nonce: first + i, gasLimit: TRANSFER_GAS, to: account.address, value: each, data: '0x' };
    return signTransaction(fields, funder);
  });
  for (let at = 0; at < signed.length; at += BATCH) {
    const raws = signed.slice(at, at + BATCH).map((transaction) => transaction.raw);
    const answers = (await rpc.call('xft_sendRawTransactions', [raws])) as readonly unknown[];
    const refused = answers.find((answer) => typeof answer !== 'string') as { message?: string } | undefined;
    if (refused !== undefined) {
      throw new QuorateError('RPC_ERROR', `the node refused to fund the accounts of the run: ${refused.message}`);
    }
  }
  for (const end = Date.now() + TIMEOUT_MS; ; await sleep(POLL_MS)) {
    const count = quantity(await rpc.call('eth_getTransactionCount', [from, 'latest']));
    if (count >= first + accounts.length) return;
    if (Date.now() > end)
      throw new QuorateError('TIMEOUT', 'funding the accounts is not final yet; is the network running?');
  }
}
