/** Keys, signed transfers and small chains for the ledger's tests. */

import type { Block } from '../../../ledger/block.ts';
import type { GenesisInput } from '../../../ledger/chain-rules.ts';
import { Ledger, type LedgerOptions } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { decodeTransaction, type Transaction } from '../../../ledger/transaction.ts';
import { hexBytes, toHex } from '../../../primitives/bytes.ts';
import type { Address, Bytes } from '../../../primitives/ids.ts';
import { keccak256 } from '../../../primitives/keccak.ts';
import type { Validator } from '../../../primitives/membership.ts';
import { DEFAULT_POLICY } from '../../../primitives/policy.ts';
import { type RlpInput, rlpEncode } from '../../../primitives/rlp.ts';
import { privateKeyAddress, publicKey, sign } from '../../../primitives/secp256k1.ts';

export const CHAIN_ID = 1337;
export const RULES = { chainId: CHAIN_ID, gasLimit: 100_000_000, baseFee: 0n, judgeEvidence: undefined };
export const COIN = 10n ** 18n;
export const MINER: Address = '0x' + 'ee'.repeat(20);

export type Key = { readonly secret: Bytes; readonly address: Address };

/** Made once: it takes a millisecond. */
const keys = new Map<number, Key>();
const members = new Map<number, Validator>();

/** The n-th test key: keccak256 of its number. */
export function key(n: number): Key {
  const known = keys.get(n);
  if (known !== undefined) return known;
  const secret = keccak256(Buffer.from(`key ${n}`));
  const made = { secret, address: privateKeyAddress(secret) };
  keys.set(n, made);
  return made;
}

export const KEYS: readonly Key[] = Array.from({ length: 8 }, (_, n) => key(n));

/** Keys of the n-th member: validator, node and operator. */
export function memberKeys(n: number) {
  return { validator: key(1000 + n), node: key(2000 + n), operator: key(3000 + n) };
}

export function member(n: number): Validator {
  const known = members.get(n);
  if (known !== undefined) return known;
  const { validator, node, operator } = memberKeys(n);
  const nodeKey = toHex(publicKey(node.secret));
  const made = { validator: validator.address, nodeKey, operator: operator.address };
  members.set(n, made);
  return made;
}

export const MEMBERS: readonly Validator[] = [0, 1, 2].map(member);

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
  const extraData = hexBytes('0x' + '22'.repeat(32));
  return { extraData, validators: MEMBERS, policy: DEFAULT_POLICY, timestamp: 1_700_000_000, alloc };
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
): Block {
  return ledger.build({
    parent: more.parent ?? ledger.tip.hash,
    timeMs: more.timeMs ?? GENESIS_MS + ledger.tip.height * 100 + 100,
    miner: more.miner ?? MINER,
    candidates: transactions,
    bytesMax: 1_000_000,
    transactionsMax: 10_000,
  }).block;
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
