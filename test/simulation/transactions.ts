/**
 * Real signed transfers for the simulated clients. What a transaction says depends only on its account, nonce and
 * variant, never on the run, so that each is signed and decoded once per process however many runs use it. And calls of
 * the governance contract, for operators.
 */
import { governanceGas } from '../../ledger/governance/contract.ts';
import { decodeTransaction, type TransactionResult } from '../../ledger/transaction.ts';
import { hexBytes, toHex, utf8 } from '../../primitives/bytes.ts';
import { type Address, type Bytes, GOVERNANCE_ADDRESS } from '../../primitives/ids.ts';
import { keccak256 } from '../../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../../primitives/rlp.ts';
import { privateKeyAddress, sign } from '../../primitives/secp256k1.ts';
import { signTransaction } from '../../primitives/sign-transaction.ts';
import { IDENTITIES } from './keys.ts';

export const CHAIN_ID = 4242;
export const BASE_FEE = 7n;
export const GAS_LIMIT = 100_000_000;
export const START_BALANCE = 10n ** 18n;
const ACCOUNTS_MAX = 8;

const secrets = Array.from({ length: ACCOUNTS_MAX }, (_, index) => keccak256(utf8(`simulated account ${index}`)));
export const ACCOUNTS: readonly Address[] = secrets.map(privateKeyAddress);

/** Every account that has coins in block 0: the clients', the operators' and, for READYs, the validators'. */
export const FUNDED: readonly Address[] = [
  ...ACCOUNTS,
  ...IDENTITIES.flatMap(({ validator, operator }) => [validator, operator]),
];

/**
 * `plain` is valid; `rival` is valid too, at the same nonce with other content and a higher fee; the others must be
 * refused: more value than the account has, another chain's id, a signature that does not fit.
 */
export type Variant = 'plain' | 'rival' | 'unfunded' | 'other-chain' | 'forged';
export const REFUSED: readonly Variant[] = ['unfunded', 'other-chain', 'forged'];

function scalar(bytes: Bytes): Bytes {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return bytes.subarray(start);
}

function make(account: number, nonce: number, variant: Variant): Bytes {
  const to = ACCOUNTS[(account + 1 + (nonce % (ACCOUNTS_MAX - 1))) % ACCOUNTS_MAX]!;
  const value = variant === 'unfunded' ? START_BALANCE * 100n : BigInt(1 + ((nonce * 7919) % 1000));
  const chainId = variant === 'other-chain' ? CHAIN_ID + 1 : CHAIN_ID;
  const tip = variant === 'rival' ? 50n : BigInt(1 + (nonce % 5));
  const legacy = nonce % 3 === 0;
  const price = (BASE_FEE + tip) * 2n;
  const fields: RlpInput[] = legacy
    ? [nonce, price, 21_000, to, value, '0x']
    : [chainId, nonce, tip, price, 21_000, to, value, '0x', []];
  const unsigned = legacy
    ? rlpEncode([...fields, chainId, 0, 0])
    : Buffer.concat([Uint8Array.of(2), rlpEncode(fields)]);
  const signature = sign(keccak256(unsigned), secrets[account]!);
  if (variant === 'forged') signature.fill(0xee, 32, 64); // s in the upper half: refused by EIP-2
  const v = legacy ? chainId * 2 + 35 + signature[64]! : signature[64]!;
  const signed = rlpEncode([...fields, v, scalar(signature.subarray(0, 32)), scalar(signature.subarray(32, 64))]);
  return legacy ? signed : Buffer.concat([Uint8Array.of(2), signed]);
}

const made = new Map<string, Bytes>();

/** The bytes of one transaction. */
export function transaction(account: number, nonce: number, variant: Variant): Bytes {
  const key = `${account}/${nonce}/${variant}`;
  let raw = made.get(key);
  if (raw === undefined) {
    raw = make(account, nonce, variant);
    made.set(key, raw);
  }
  return raw;
}

/** A call of the governance contract by the account of a secret. */
export function governanceCall(secret: Bytes, nonce: number, data: Bytes): Bytes {
  const { raw } = signTransaction(
    {
      chainId: CHAIN_ID,
      nonce,
      maxPriorityFeePerGas: 2n,
      maxFeePerGas: 2n * BASE_FEE,
      gasLimit: 400_000 + governanceGas(data),
      to: GOVERNANCE_ADDRESS,
      value: 0n,
      data: toHex(data),
    },
    secret,
  );
  return hexBytes(raw);
}

const decoded = new Map<string, TransactionResult>();

/** The ledger's own decoder, remembering what it said. */
export function decode(raw: Bytes): TransactionResult {
  const key = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1');
  let result = decoded.get(key);
  if (result === undefined) {
    result = decodeTransaction(Uint8Array.from(raw), { chainId: CHAIN_ID });
    if (decoded.size > 200_000) decoded.clear();
    decoded.set(key, result);
  }
  return result;
}
