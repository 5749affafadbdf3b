/** Blocks and receipts: hashes as Ethereum's, strict wire form, and every rule of execution. */
import { encodeRlp, keccak256 as ethersKeccak } from 'ethers';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Block,
  decodeBlock,
  decodeHeader,
  encodeExtraData,
  encodeHeader,
  type Header,
  headerEpoch,
  headerHash,
  headerTimeMs,
  makeBlock,
  readBlockId,
} from '../../../ledger/block.ts';
import { readWholeBlockId } from '../../../ledger/block-body.ts';
import type { BlockRefusal } from '../../../ledger/block-rules.ts';
import { transactionsRoot } from '../../../ledger/executor.ts';
import type { Ledger } from '../../../ledger/ledger.ts';
import { EMPTY_ROOT } from '../../../ledger/ordered-root.ts';
import { bloomOf, encodeReceipt, type Receipt } from '../../../ledger/receipt.ts';
import { decodeTransaction, type Transaction } from '../../../ledger/transaction.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import { rlpDecode, rlpEncode } from '../../../primitives/rlp.ts';
import { build, CHAIN_ID, COIN, GENESIS_MS, KEYS, MINER, openLedger, signTransfer, transfer } from './fixtures.ts';

const EXPECT = {};
const [A, B] = [KEYS[0]!, KEYS[1]!];
const resolve = (raw: Uint8Array) => decodeTransaction(raw, { chainId: CHAIN_ID });

// Ethereum mainnet's first London block, 12965000, as published.
const LONDON: Header = {
  parentHash: '0x3de6bb3849a138e6ab0b83a3a00dc7433f1e83f7fd488e4bba78f2fe2631a633',
  sha3Uncles: '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347',
  miner: '0x7777788200b672a42421017f65ede4fc759564c8',
  stateRoot: '0x41cf6e8e60fd087d2b00360dc29e5bfb21959bce1f4c242fd1ad7c4da968eb87',
  transactionsRoot: '0xdfcb68d3a3c41096f4a77569db7956e0a0e750fad185948e54789ea0e51779cb',
  receiptsRoot: '0x8a8865cd785e2e9dfce7da83aca010b10b9af2abbd367114b236f149534c821d',
  logsBloom: fromHex(
    '0x24e74ad77d9a2b27bdb8f6d6f7f1cffdd8cfb47fdebd433f011f7dfcfbb7db638fadd5ff66ed134ede2879ce61149797fbcdf7b74f6b7de153ec61bdaffeeb7b59c3ed771a2fe9eaed8ac70e335e63ff2bfe239eaff8f94ca642fdf7ee5537965be99a440f53d2ce057dbf9932be9a7b9a82ffdffe4eeee1a66c4cfb99fe4540fbff936f97dde9f6bfd9f8cefda2fc174d23dfdb7d6f7dfef5f754fe6a7eec92efdbff779b5feff3beafebd7fd6e973afebe4f5d86f3aafb1f73bf1e1d0cdd796d89827edeffe8fb6ae6d7bf639ec5f5ff4c32f31f6b525b676c7cdf5e5c75bfd5b7bd1928b6f43aac7fa0f6336576e5f7b7dfb9e8ebbe6f6efe2f9dfe8b3f56',
  )!,
  difficulty: 7_742_494_561_645_080,
  number: 12_965_000,
  gasLimit: 30_029_122,
  gasUsed: 30_025_257,
  timestamp: 1_628_166_822,
  extraData: fromHex('0x68747470733a2f2f7777772e6b7279707465782e6f7267')!,
  mixHash: '0x9620b46a81a4795cf4449d48e3270419f58b09293a5421205f88179b563f815a',
  nonce: fromHex('0xb223da049adf2216')!,
  baseFeePerGas: 1_000_000_000n,
};

describe('block', () => {
  it('hashes a mainnet London header to its published hash', () => {
    expect(headerHash(LONDON)).toBe('0x9b83c12c69edb74f6c8dd5d052765c1adf940e320bd1291696e6fa07829eee71');
  });

  it.each([
    ['empty lists', []],
    ['single bytes', Uint8Array.of(1)],
  ])('millions of %s in place of transactions are refused before they are items', (_, item) => {
    const body = new Array<typeof item>(1_000_000).fill(item);
    const bytes = rlpEncode([rlpDecode(encodeHeader(LONDON)), body]);
    const before = process.memoryUsage().heapUsed;
    expect(readWholeBlockId(bytes)).toBeUndefined();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(40 * 1024 * 1024);
    expect(decodeBlock(bytes, resolve)).toEqual({ ok: false, reason: 'too many items' });
  });

  it('a header survives encoding, and its time and epoch are in the extra data', () => {
    const header: Header = { ...LONDON, extraData: encodeExtraData(1_700_000_000_123, 9) };
    expect(decodeHeader(encodeHeader(header))).toEqual({
      ...header,
      extraData: Uint8Array.from(header.extraData),
      logsBloom: Uint8Array.from(header.logsBloom),
      nonce: Uint8Array.from(header.nonce),
    });
    expect(headerTimeMs(header)).toBe(1_700_000_000_123);
    expect(headerEpoch(header)).toBe(9);
    expect(headerTimeMs(LONDON)).toBe(LONDON.timestamp * 1000);
  });

  it('the hash is that of the header alone, also by an independent encoder', () => {
    const block = makeBlock(LONDON, [transfer({ from: A, nonce: 0 })]);
    const [header] = rlpDecode(block.bytes) as [Uint8Array[], Uint8Array[]];
    expect(ethersKeccak(encodeRlp(header))).toBe(block.hash);
  });

  it('the wire form decodes back, and any other bytes are refused without a throw', () => {
    const block = makeBlock(LONDON, [transfer({ from: A, nonce: 0 }), transfer({ from: B, nonce: 4 })]);
    const back = decodeBlock(block.bytes, resolve);
    expect(back.ok && back.block.transactions.map((t) => t.hash)).toEqual(block.transactions.map((t) => t.hash));
    expect(back.ok && back.block.hash).toBe(block.hash);
    expect(readBlockId(block.bytes)).toEqual({ hash: block.hash, parentHash: LONDON.parentHash, height: 12_965_000 });
    for (let length = 0; length < block.bytes.length; length++) {
      expect(decodeBlock(block.bytes.subarray(0, length), resolve).ok).toBe(false);
      expect(readBlockId(block.bytes.subarray(0, length))).toBeUndefined();
    }
    void fc.assert(
      fc.property(fc.nat(block.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const broken = Uint8Array.from(block.bytes);
        broken[at]! ^= change;
        readBlockId(broken);
        const result = decodeBlock(broken, resolve);
        if (result.ok) expect(result.block.bytes).toBe(broken);
      }),
      { numRuns: 1000 },
    );
    void fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        expect(decodeBlock(bytes, resolve).ok).toBe(false);
      }),
    );
  });
});

describe('receipt', () => {
  const plain = (cumulativeGasUsed: number, type: 0 | 1 | 2): Receipt => ({
    type,
    status: 1,
    cumulativeGasUsed,
    gasUsed: 0,
    effectiveGasPrice: 0n,
    logsBloom: new Uint8Array(256),
    logs: [],
  });

  it('without logs is encoded by hand as the general encoder does', () => {
    for (const gas of [
      0,
      1,
      127,
      128,
      255,
      256,
      21_000,
      65_535,
      65_536,
      16_777_215,
      16_777_216,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 40,
    ]) {
      for (const type of [0, 1, 2] as const) {
        for (const status of [0, 1] as const) {
          const general = rlpEncode([status, gas, new Uint8Array(256), []]);
          const expected = type === 0 ? toHex(general) : toHex(Buffer.concat([Buffer.of(type), general]));
          expect(toHex(encodeReceipt({ ...plain(gas, type), status }))).toBe(expected);
        }
      }
    }
  });

  it('the bloom has the bits of a known log', () => {
    // The bloom of address 0x22341ae42d6dd7384bc8584e50419ea3ac75b83f with topic 0x04491edc…, from Hyperledger Besu's tests.
    const bloom = bloomOf([
      {
        address: '0x22341ae42d6dd7384bc8584e50419ea3ac75b83f',
        topics: ['0x04491edcd115127caedbd478e2e7895ed80c7847e903431f94f9cfa579cad47f'],
        data: new Uint8Array(0),
      },
    ]);
    const set = [...bloom].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
    expect(set).toBe(6);
    const bits = [
      '0x22341ae42d6dd7384bc8584e50419ea3ac75b83f',
      '0x04491edcd115127caedbd478e2e7895ed80c7847e903431f94f9cfa579cad47f',
    ].flatMap((item) => {
      const digest = fromHex(ethersKeccak(item))!;
      return [0, 2, 4].map((i) => (digest[i]! * 256 + digest[i + 1]!) % 2048);
    });
    const asNumber = BigInt(toHex(bloom));
    for (const bit of bits) expect((asNumber >> BigInt(bit)) & 1n).toBe(1n);
  });
});

describe('executing a block', () => {
  let ledger: Ledger;
  let good: Block;
  beforeAll(async () => {
    ledger = await openLedger();
    const other = await openLedger();
    good = build(other, [transfer({ from: A, nonce: 0, to: B.address, value: 5n, fee: 2n, tip: 1n })]);
  });

  /** A block that claims something else than `good` does. */
  const claim = (change: Partial<Header>, transactions: readonly Transaction[] = good.transactions) =>
    makeBlock({ ...good.header, transactionsRoot: transactionsRoot(transactions), ...change }, transactions);

  it('is known by its hash with its own body only', () => {
    const others = [transfer({ from: A, nonce: 1, to: B.address, value: 5n, fee: 2n, tip: 1n })];
    const id = { hash: good.hash, parentHash: good.header.parentHash, height: 1 };
    expect(readWholeBlockId(good.bytes)).toEqual(id);
    for (const body of [[], others, [...good.transactions, ...others]]) {
      const swapped = makeBlock(good.header, body);
      expect(swapped.hash).toBe(good.hash);
      expect(readWholeBlockId(swapped.bytes)).toBeUndefined();
    }
  });

  const outcome = (block: Block, judge?: { nowMs: number; maxDriftMs: number }) => {
    const result = ledger.execute(block, judge, EXPECT);
    return result.ok ? 'ok' : result.reason;
  };

  it.each<[string, Partial<Header>, BlockRefusal]>([
    ['an unknown parent', { parentHash: '0x' + '33'.repeat(32) }, 'unknown-parent'],
    ['a wrong number', { number: 2 }, 'number'],
    [
      'a time before the parent',
      { timestamp: 1_699_999_999, extraData: encodeExtraData(1_699_999_999_999, 0) },
      'time',
    ],
    ['seconds that are not those of its milliseconds', { timestamp: 1_700_000_001 }, 'time'],
    ['milliseconds past 2^53', { timestamp: 0, extraData: Buffer.alloc(16, 0xff) }, 'time'],
    ['extra data of another length', { extraData: new Uint8Array(8) }, 'constant-field'],
    ['another epoch', { extraData: encodeExtraData(GENESIS_MS + 100, 1) }, 'epoch'],
    ['another validator list', { mixHash: '0x' + '44'.repeat(32) }, 'mix-hash'],
    ['another gas limit', { gasLimit: 1 }, 'constant-field'],
    ['another base fee', { baseFeePerGas: 1n }, 'constant-field'],
    ['a difficulty', { difficulty: 1 }, 'constant-field'],
    ['a nonce', { nonce: Buffer.alloc(8, 1) }, 'constant-field'],
    ['uncles', { sha3Uncles: EMPTY_ROOT }, 'constant-field'],
    ['a wrong transactions root', { transactionsRoot: EMPTY_ROOT }, 'transactions-root'],
    ['a wrong state root', { stateRoot: EMPTY_ROOT }, 'state-root'],
    ['a wrong receipts root', { receiptsRoot: EMPTY_ROOT }, 'receipts-root'],
    ['a wrong bloom', { logsBloom: Buffer.alloc(256, 1) }, 'logs-bloom'],
    ['wrong gas', { gasUsed: 42_000 }, 'gas-used'],
    ['fees to someone else', { miner: B.address }, 'state-root'],
  ])('refuses %s', (_name, change, reason) => {
    expect(outcome(claim(change))).toBe(reason);
  });

  it.each<[string, () => Transaction[], RegExp]>([
    ['a nonce too high', () => [transfer({ from: A, nonce: 1 })], /nonce too high/],
    ['a nonce used twice', () => [transfer({ from: A, nonce: 0 }), transfer({ from: A, nonce: 0 })], /nonce too low/],
    [
      'more value than funds',
      () => [transfer({ from: A, nonce: 0, value: 1001n * COIN })],
      /insufficient funds for gas \* price \+ value/,
    ],
    [
      'funds for the value and not the fee',
      () => [transfer({ from: A, nonce: 0, value: 1000n * COIN, fee: 1n })],
      /insufficient funds/,
    ],
    [
      'too little gas for its calldata',
      () => [transfer({ from: A, nonce: 0, data: Buffer.of(1) })],
      /intrinsic gas too low: gas 21000, minimum needed 21016/,
    ],
    [
      'more gas than a block has',
      () => [transfer({ from: A, nonce: 0, gasLimit: 100_000_001 })],
      /exceeds block gas limit/,
    ],
    [
      'more gas than the block has left',
      () => [transfer({ from: A, nonce: 0 }), transfer({ from: B, nonce: 0, gasLimit: 99_990_000 })],
      /gas limit reached/,
    ],
    [
      'a tip above the cap',
      () => [transfer({ from: A, nonce: 0, fee: 1n, tip: 2n })],
      /max priority fee per gas higher than max fee per gas/,
    ],
  ])('refuses a transaction with %s', (_name, transactions, detail) => {
    const result = ledger.execute(claim({}, transactions()), undefined, EXPECT);
    expect(result).toMatchObject({ ok: false, reason: 'transaction' });
    expect(result.ok ? '' : result.detail).toMatch(detail);
  });

  it('judges the time against the clock only when asked to', () => {
    expect(outcome(good, { nowMs: GENESIS_MS - 2000, maxDriftMs: 2000 })).toBe('time');
    expect(ledger.executed(good.hash)).toBe(false);
    expect(outcome(good, { nowMs: GENESIS_MS - 1900, maxDriftMs: 2000 })).toBe('ok');
    expect(ledger.executed(good.hash)).toBe(true);
    expect(outcome(good)).toBe('ok');
  });

  it('an empty block is a block', async () => {
    const fresh = await openLedger();
    const empty = build(fresh, []);
    expect(empty.header.transactionsRoot).toBe(EMPTY_ROOT);
    expect(empty.header.stateRoot).toBe(fresh.head.header.stateRoot);
    expect(outcome(empty)).toBe('ok');
  });

  it('a refused transaction while building is passed over, with those after it of the same sender', async () => {
    const fresh = await openLedger();
    const fits = [transfer({ from: A, nonce: 0 }), transfer({ from: B, nonce: 0, value: 3n })];
    const block = build(fresh, [
      fits[0]!,
      transfer({ from: A, nonce: 2 }),
      transfer({ from: KEYS[3]!, nonce: 0, value: 1001n * COIN }),
      transfer({ from: KEYS[3]!, nonce: 1 }),
      fits[1]!,
    ]);
    expect(block.transactions).toEqual(fits);
    expect(outcome(block)).toBe('ok');
  });

  it('zero value to nobody makes no account, and self-payment and the miner as sender add up', async () => {
    const nobody = '0x' + '99'.repeat(20);
    const fresh = await openLedger();
    const block = build(
      fresh,
      [
        transfer({ from: A, nonce: 0, to: nobody, value: 0n }),
        transfer({ from: A, nonce: 1, to: A.address, value: 10n }),
        transfer({ from: B, nonce: 0, to: A.address, value: 0n, fee: 5n, tip: 5n }),
      ],
      { miner: B.address },
    );
    fresh.setTip(block.hash);
    expect(fresh.account(nobody, { tip: true })).toBeUndefined();
    expect(fresh.account(A.address, { tip: true })).toMatchObject({ nonce: 2, balance: 1000n * COIN });
    expect(fresh.account(B.address, { tip: true })).toMatchObject({ nonce: 1, balance: 1000n * COIN });
    expect(fresh.account(MINER, { tip: true })).toBeUndefined();
  });

  it('the base fee is burnt and only the tip is paid to the miner', async () => {
    const chain = { baseFee: 7n };
    const fresh = await openLedger(chain);
    const block = build(fresh, [
      transfer({ from: A, nonce: 0, value: 0n, fee: 100n, tip: 3n }),
      transfer({ from: A, nonce: 1, value: 0n, fee: 8n, tip: 3n }),
      transfer({ from: A, nonce: 2, value: 0n, fee: 6n, tip: 3n }),
    ]);
    fresh.setTip(block.hash);
    expect(block.transactions).toHaveLength(2);
    expect(fresh.account(MINER, { tip: true })?.balance).toBe(21_000n * (3n + 1n));
    expect(fresh.account(A.address, { tip: true })?.balance).toBe(1000n * COIN - 21_000n * (10n + 8n));
    expect(fresh.receipts(block.hash)?.map((r) => r.effectiveGasPrice)).toEqual([10n, 8n]);
  });

  it('no bytes make it throw', async () => {
    const bytes = good.bytes;
    const fresh = await openLedger();
    void fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const broken = Uint8Array.from(bytes);
        broken[at]! ^= change;
        const decoded = fresh.decodeBlock(broken);
        if (!decoded.ok || !fresh.execute(decoded.block, undefined, EXPECT).ok) return;
        // The time is the builder's to choose; with any other change the claims are wrong.
        const { extraData, timestamp } = good.header;
        expect(headerHash({ ...decoded.block.header, extraData, timestamp })).toBe(good.hash);
      }),
      { numRuns: 1500 },
    );
  });

  it('a raw transaction in a block must be a string of its own bytes', () => {
    const raw = signTransfer({ from: A, nonce: 0 });
    const header = rlpDecode(encodeHeader(good.header)) as Uint8Array[];
    expect(decodeBlock(rlpEncode([header, [raw]]), resolve).ok).toBe(true);
    expect(decodeBlock(rlpEncode([header, [[raw]]]), resolve).ok).toBe(false);
    expect(decodeBlock(rlpEncode([header, [raw], []]), resolve).ok).toBe(false);
  });
});
