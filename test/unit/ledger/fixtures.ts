/** Keys, signed transfers and small chains for the ledger's tests. */

import type { GenesisInput } from '../../../ledger/chain-rules.ts';
import { Ledger, type LedgerOptions } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { decodeTransaction, type Transaction } from '../../../ledger/transaction.ts';
import { hexBytes, toHex } from '../../../primitives/bytes.ts';
import type { Address, Bytes } from '../../../primitives/ids.ts';
import { keccak256 } from '../../../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../../../primitives/rlp.ts';
import { privateKeyAddress, sign } from '../../../primitives/secp256k1.ts';

export const CHAIN_ID = 1337;
export const RULES = { chainId: CHAIN_ID, gasLimit: 100_000_000, baseFee: 0n };
export const COIN = 10n ** 18n;
export const MINER: Address = '0x' + 'ee'.repeat(20);
export const MIX_HASH = '0x' + '11'.repeat(32);

export type Key = { readonly secret: Bytes; readonly address: Address };

/** The n-th test key: keccak256 of its number. */
export function key(n: number): Key {
  const secret = keccak256(Buffer.from(`key ${n}`));
  return { secret, address: privateKeyAddress(secret) };
}

export const KEYS: readonly Key[] = Array.from({ length: 8 }, (_, n) => key(n));

export type Transfer = {
  readonly from: Key;
  readonly nonce: number;
  readonly to?: Address;
  readonly value?: bigint;
  readonly gasLimit?: number;
  readonly fee?: bigint;
  readonly tip?: bigint;
  readonly data?: Bytes;
};

/** Signs an EIP-1559 transaction and returns its bytes. */
export function signTransfer(transfer: Transfer): Bytes {
  const { from, nonce, to = KEYS[0]!.address, value = 1n, gasLimit = 21_000, fee = 0n, tip = 0n } = transfer;
  const fields: RlpInput[] = [CHAIN_ID, nonce, tip, fee, gasLimit, to, value, transfer.data ?? new Uint8Array(0), []];
  const digest = keccak256(Buffer.concat([Buffer.of(2), rlpEncode(fields)]));
  const signature = sign(digest, from.secret);
  const r = BigInt(toHex(signature.subarray(0, 32)));
  const s = BigInt(toHex(signature.subarray(32, 64)));
  return Buffer.concat([Buffer.of(2), rlpEncode([...fields, signature[64]!, r, s])]);
}

export function transfer(options: Transfer): Transaction {
  const result = decodeTransaction(signTransfer(options), { chainId: CHAIN_ID });
  if (!result.ok) throw new Error(result.message);
  return result.transaction;
}

export function genesis(
  alloc: ReadonlyMap<Address, bigint> = new Map(KEYS.map((k) => [k.address, 1000n * COIN])),
): GenesisInput {
  return { extraData: hexBytes('0x' + '22'.repeat(32)), mixHash: MIX_HASH, timestamp: 1_700_000_000, alloc };
}

export const GENESIS_MS = 1_700_000_000_000;

export async function openLedger(options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return await Ledger.open({ ...RULES, store: new MemoryStore(), genesis: genesis(), ...options });
}

/** Builds on the given parent, the tip by default. */
export function build(
  ledger: Ledger,
  transactions: Iterable<Transaction>,
  more: { parent?: string; timeMs?: number; miner?: Address } = {},
) {
  return ledger.build({
    parent: more.parent ?? ledger.tip.hash,
    timeMs: more.timeMs ?? GENESIS_MS + ledger.tip.height * 100 + 100,
    epoch: 0,
    mixHash: MIX_HASH,
    miner: more.miner ?? MINER,
    candidates: transactions,
    bytesMax: 1_000_000,
    transactionsMax: 10_000,
  });
}

export function commit(ledger: Ledger, hash: string, proof: Bytes = Buffer.from('proof')): Promise<void> {
  return new Promise((resolve, reject) => ledger.commit(hash, proof, (error) => (error ? reject(error) : resolve())));
}

/** Builds a block on the tip and makes it final. */
export async function extend(ledger: Ledger, transactions: Iterable<Transaction>) {
  const block = build(ledger, transactions);
  ledger.setTip(block.hash);
  await commit(ledger, block.hash);
  return block;
}
