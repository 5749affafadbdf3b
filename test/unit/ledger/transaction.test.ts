/** The transaction decoder against ethers, and against everything that is almost a transaction. */
import { Transaction as EthersTransaction, SigningKey } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFinalTransaction, decodeTransaction, TRANSACTION_BYTES_MAX } from '../../../ledger/transaction.ts';
import { TransactionCache } from '../../../ledger/transaction-cache.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { type RlpInput, rlpDecode, rlpEncode } from '../../../primitives/rlp.ts';
import { CHAIN_ID, KEYS, signTransfer } from './fixtures.ts';

const SECRET = new SigningKey(toHex(KEYS[1]!.secret));
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const hex = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(toHex);
const amount = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 64n), fc.bigInt(0n, 2n ** 256n - 1n));
const accessList = fc.array(fc.record({ address: hex(20), storageKeys: fc.array(hex(32), { maxLength: 3 }) }), {
  maxLength: 3,
});
const fields = fc.record({
  type: fc.constantFrom(0 as const, 1 as const, 2 as const),
  chainId: fc.constantFrom(1, 1337, 2 ** 31),
  nonce: fc.oneof(fc.nat(300), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 1 })),
  gasLimit: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.bigInt(0n, 2n ** 53n - 1n)),
  to: fc.option(hex(20)),
  value: amount,
  data: fc.oneof(fc.constant('0x'), fc.uint8Array({ maxLength: 300 }).map(toHex)),
  gasPrice: amount,
  maxFeePerGas: amount,
  maxPriorityFeePerGas: amount,
  accessList,
});

type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never;

/** ethers refuses to make a tip above the cap. */
function tipOf(f: Fields): bigint {
  if (f.maxPriorityFeePerGas > f.maxFeePerGas) return f.maxFeePerGas;
  return f.maxPriorityFeePerGas;
}

function signed(f: Fields): EthersTransaction {
  const { type, chainId, nonce, gasLimit, to, value, data } = f;
  const common = { type, chainId, nonce, gasLimit, to, value, data };
  const fees = type === 2 ? { maxFeePerGas: f.maxFeePerGas, maxPriorityFeePerGas: tipOf(f) } : { gasPrice: f.gasPrice };
  const transaction = EthersTransaction.from({
    ...common,
    ...fees,
    ...(type === 0 ? {} : { accessList: f.accessList }),
  });
  transaction.signature = SECRET.sign(transaction.unsignedHash);
  return transaction;
}

/** Gas by the words of EIP-2028 and EIP-2930, said another way. */
function gasOf(f: Fields): number {
  const data = [...fromHex(f.data)!];
  const zeros = data.filter((byte) => byte === 0).length;
  const list = f.type === 0 ? [] : f.accessList;
  const keys = list.flatMap((entry) => entry.storageKeys).length;
  return (
    21_000 + (f.to === null ? 32_000 : 0) + zeros * 4 + (data.length - zeros) * 16 + list.length * 2400 + keys * 1900
  );
}

function refusal(raw: Bytes, chainId = CHAIN_ID): string | undefined {
  const result = decodeTransaction(raw, { chainId });
  return result.ok ? undefined : result.message;
}

/** A signed type 2 transfer with some of its twelve fields changed, signature and all. */
function altered(change: (items: RlpInput[]) => void): Bytes {
  const items = rlpDecode(signTransfer({ from: KEYS[0]!, nonce: 3 }).subarray(1)) as RlpInput[];
  change(items);
  return Buffer.concat([Buffer.of(2), rlpEncode(items)]);
}

describe('transaction', () => {
  it('decodes every field as ethers does, of all three types', () => {
    void fc.assert(
      fc.property(fields, (f) => {
        const theirs = signed(f);
        const result = decodeTransaction(fromHex(theirs.serialized)!, { chainId: f.chainId, allowCreation: true });
        if (!result.ok) throw new Error(result.message);
        const ours = result.transaction;
        expect(ours.hash).toBe(theirs.hash);
        expect(ours.from).toBe(theirs.from!.toLowerCase());
        expect(ours.type).toBe(f.type);
        expect(ours.nonce).toBe(f.nonce);
        expect(BigInt(ours.gasLimit)).toBe(theirs.gasLimit);
        expect(ours.to ?? null).toBe(f.to);
        expect(ours.value).toBe(f.value);
        expect(toHex(ours.data)).toBe(f.data);
        expect(ours.maxFeePerGas).toBe(f.type === 2 ? f.maxFeePerGas : f.gasPrice);
        expect(ours.maxPriorityFeePerGas).toBe(f.type === 2 ? tipOf(f) : f.gasPrice);
        expect(ours.accessList).toEqual(f.type === 0 ? [] : f.accessList);
        expect(ours.intrinsicGas).toBe(gasOf(f));
        expect(ours.yParity).toBe(theirs.signature!.yParity);
        expect(ours.r).toBe(BigInt(theirs.signature!.r));
        expect(ours.s).toBe(BigInt(theirs.signature!.s));
        const v = f.type === 0 ? BigInt(toHex((rlpDecode(ours.raw) as Bytes[])[6]!)) : BigInt(ours.yParity);
        expect(ours.v).toBe(v);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses every byte string that is not exactly one transaction, and never throws', () => {
    const raw = signTransfer({
      from: KEYS[0]!,
      nonce: 3,
      data: Buffer.from('some calldata of a usual length'),
      gasLimit: 30_000,
    });
    expect(refusal(raw)).toBeUndefined();
    for (let length = 0; length < raw.length; length++) expect(refusal(raw.subarray(0, length))).toBeTypeOf('string');
    expect(refusal(Buffer.concat([raw, Buffer.of(0)]))).toBe('rlp: input contains more than one value');
    const sender = KEYS[0]!.address;
    void fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const broken = Uint8Array.from(raw);
        broken[at]! ^= change;
        const result = decodeTransaction(broken, { chainId: CHAIN_ID });
        // A change that still decodes is another transaction, signed by someone else.
        if (result.ok) expect(result.transaction.from).not.toBe(sender);
        else expect(result.code).toBe(-32000);
      }),
      { numRuns: 2000 },
    );
    void fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeTransaction(bytes, { chainId: CHAIN_ID }).ok).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses the mirrored signature, which recovers to the same sender', () => {
    const raw = altered((items) => {
      items[9] = (items[9] as Bytes).length === 0 ? 1 : 0;
      items[11] = ORDER - BigInt(toHex(items[11] as Bytes));
    });
    expect(refusal(raw)).toBe('invalid sender: invalid transaction v, r, s values');
  });

  it.each<[string, Bytes, RegExp]>([
    ['no bytes', new Uint8Array(0), /^typed transaction too short$/],
    ['a lone type byte', Buffer.of(2), /^typed transaction too short$/],
    ['an unknown type', Buffer.of(3, 0xc0), /^transaction type not supported$/],
    ['another chain', altered((i) => (i[0] = 5)), /^invalid sender: invalid chain id for signer: have 5 want 1337$/],
    ['a nonce with a leading zero', altered((i) => (i[1] = Buffer.of(0, 7))), /leading zero/],
    ['a zero that is not the empty string', altered((i) => (i[1] = Buffer.of(0))), /leading zero/],
    ['a nonce of nine bytes', altered((i) => (i[1] = 2n ** 64n)), /too long for uint64/],
    ['the greatest nonce', altered((i) => (i[1] = 2n ** 64n - 1n)), /^nonce has max value$/],
    ['a value of 33 bytes', altered((i) => (i[6] = Buffer.alloc(33, 1))), /too long for uint256/],
    ['a recipient of 19 bytes', altered((i) => (i[5] = Buffer.alloc(19, 1))), /wrong size for common.Address/],
    ['no recipient', altered((i) => (i[5] = Buffer.alloc(0))), /contract creation is not supported/],
    ['a list for calldata', altered((i) => (i[7] = [])), /expected input string or byte/],
    ['a string for the access list', altered((i) => (i[8] = Buffer.alloc(0))), /expected List/],
    ['a short access list address', altered((i) => (i[8] = [[Buffer.alloc(19), []]])), /access list address/],
    ['yParity 2', altered((i) => (i[9] = 2)), /invalid transaction v, r, s values/],
    ['r of zero', altered((i) => (i[10] = 0)), /invalid transaction v, r, s values/],
    ['s of zero', altered((i) => (i[11] = 0)), /invalid transaction v, r, s values/],
    ['r above the order', altered((i) => (i[10] = 2n ** 256n - 1n)), /invalid transaction v, r, s values/],
    ['eleven fields', altered((i) => i.pop()), /too few elements for types.DynamicFeeTx/],
    ['thirteen fields', altered((i) => i.push(1)), /too many elements for types.DynamicFeeTx/],
    [
      'more than 128 KiB',
      Buffer.alloc(TRANSACTION_BYTES_MAX + 1, 0xc0),
      /^oversized data: transaction size 131073, limit 131072$/,
    ],
  ])('refuses %s with a text clients know', (_name, raw, message) => {
    expect(refusal(raw)).toMatch(message);
  });

  it('refuses a legacy transaction that names no chain', () => {
    const transaction = EthersTransaction.from({
      type: 0,
      nonce: 0,
      gasLimit: 21000,
      gasPrice: 0,
      to: KEYS[0]!.address,
      value: 1,
    });
    transaction.signature = SECRET.sign(transaction.unsignedHash);
    const raw = fromHex(transaction.serialized)!;
    expect(refusal(raw)).toBe('only replay-protected (EIP-155) transactions allowed over RPC');
  });

  it('the cache recovers a transaction once and stays within its bound', () => {
    const cache = new TransactionCache({ chainId: CHAIN_ID, size: 10 });
    const raws = Array.from({ length: 40 }, (_, nonce) => signTransfer({ from: KEYS[0]!, nonce }));
    const first = cache.decode(raws[0]!);
    expect(cache.decode(Uint8Array.from(raws[0]!))).toEqual(first);
    const hashes = raws.map((raw) => {
      const result = cache.decode(raw);
      return result.ok ? result.transaction.hash : '';
    });
    const held = hashes.filter((hash) => cache.get(hash) !== undefined);
    expect(held).toEqual(hashes.slice(-held.length));
    expect(held.length).toBeGreaterThanOrEqual(10);
    expect(held.length).toBeLessThanOrEqual(20);
  });

  it('a stored transaction gives the same sender when asked', () => {
    const result = decodeFinalTransaction(signTransfer({ from: KEYS[2]!, nonce: 0 }), CHAIN_ID);
    expect(result.ok && result.transaction.from).toBe(KEYS[2]!.address);
  });
});
