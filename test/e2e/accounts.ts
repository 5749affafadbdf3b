/** Accounts that send: their keys, and transfers signed by them. */
import { SigningKey, Wallet } from 'ethers';
import { fromHex } from '../../primitives/bytes.ts';
import { signTransaction } from '../../primitives/sign-transaction.ts';
import type { AccountLine } from './devnet.ts';
import type { Rpc } from './rpc.ts';
import { until } from './until.ts';

export type Sender = { readonly address: string; readonly privateKey: string };
export type Transfer = { readonly raw: string; readonly hash: string };

export const COIN = 10n ** 18n;
const GAS = 21_000;

export function randomSenders(count: number): Sender[] {
  return Array.from({ length: count }, () => {
    const { address, privateKey } = Wallet.createRandom();
    return { address: address.toLowerCase(), privateKey };
  });
}

type TransferFields = { readonly chainId: number; readonly nonce: number; readonly to: string; readonly value: bigint };

/** A transfer on a chain with free gas, signed as the CLI signs. */
export function transfer(from: Sender, fields: TransferFields): Transfer {
  const fees = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n, gasLimit: GAS, data: '0x' };
  const signed = signTransaction({ ...fields, ...fees, to: fields.to.toLowerCase() }, fromHex(from.privateKey)!);
  return { raw: signed.raw, hash: signed.hash };
}

/** The same, signed by ethers, as a legacy transaction. */
export async function transferByEthers(from: Sender, fields: TransferFields): Promise<Transfer> {
  const wallet = new Wallet(new SigningKey(from.privateKey));
  const raw = await wallet.signTransaction({ ...fields, type: 0, gasLimit: GAS, gasPrice: 0n });
  return { raw, hash: (await import('ethers')).keccak256(raw) };
}

/** Gives every receiver so much and waits until that is final on the node. Returns the hashes. */
export async function fund(
  rpc: Rpc,
  from: readonly AccountLine[],
  to: readonly Sender[],
  { chainId, value }: { readonly chainId: number; readonly value: bigint },
): Promise<string[]> {
  const nonces = await Promise.all(
    from.map(({ address }) => rpc.number('eth_getTransactionCount', [address, 'pending'])),
  );
  const transfers = to.map(({ address }, i) => {
    const place = i % from.length;
    const nonce = nonces[place]!;
    nonces[place] = nonce + 1;
    return transfer(from[place]!, { chainId, nonce, to: address, value });
  });
  const answers = await rpc.call<unknown[]>('xft_sendRawTransactions', [transfers.map(({ raw }) => raw)]);
  const refused = answers.filter((answer) => typeof answer !== 'string');
  if (refused.length > 0) throw new Error(`funding refused: ${JSON.stringify(refused[0])}`);
  const hashes = transfers.map(({ hash }) => hash);
  await untilFinal(rpc, hashes);
  return hashes;
}

/** Waits until every transaction has a receipt on a node; returns the receipts in order. */
export async function untilFinal(rpc: Rpc, hashes: readonly string[], timeoutMs = 60_000): Promise<Receipt[]> {
  const receipts = new Map<string, Receipt>();
  await until(
    `${hashes.length} receipts at ${rpc.url}`,
    async () => {
      const missing = hashes.filter((hash) => !receipts.has(hash));
      const answers = await rpc.batch<Receipt | null>(missing.map((hash) => ['eth_getTransactionReceipt', [hash]]));
      for (const [i, answer] of answers.entries()) {
        if (answer instanceof Error) throw answer;
        if (answer !== null) receipts.set(missing[i]!, answer);
      }
      if (receipts.size < hashes.length) {
        throw new Error(
          `${hashes.length - receipts.size} have none, ${missing.find((hash) => !receipts.has(hash))} for one`,
        );
      }
      return true;
    },
    { timeoutMs, everyMs: 100 },
  );
  return hashes.map((hash) => receipts.get(hash)!);
}

export type Receipt = {
  readonly transactionHash: string;
  readonly blockHash: string;
  readonly blockNumber: string;
  readonly status: string;
  readonly gasUsed: string;
  readonly from: string;
  readonly to: string;
};
