/** Address records, requests for them and saved ones, against any bytes, any change of a good one, and any text. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalAddress } from '../../p2p/address.ts';
import { AddressBook } from '../../p2p/address-book.ts';
import {
  encodeAddressRecord,
  encodeAsk,
  parseAddressRecord,
  parseAsk,
  signAddressRecord,
  verifyAddressRecord,
} from '../../p2p/address-record.ts';
import { formatRecords, parseRecords } from '../../p2p/address-store.ts';
import { ADDRESS_BYTES_MAX, ASKED_MAX, RECORD_ADDRESSES_MAX } from '../../p2p/limits.ts';
import { peerIdOfPrivateKey } from '../../p2p/peers.ts';

const domain = { chainId: 1, genesisHash: '0x' + '11'.repeat(32) };
const keyOf = (byte: number) => new Uint8Array(32).fill(byte);
const key = keyOf(1);
const good = encodeAddressRecord(
  signAddressRecord({ sequence: 7, addresses: ['/ip4/10.0.0.1/tcp/1', '/dns/node.example/tcp/2'] }, key, domain),
);

const address = fc.oneof(
  fc.tuple(fc.ipV4(), fc.nat(70_000)).map(([host, port]) => `/ip4/${host}/tcp/${port}`),
  fc.tuple(fc.ipV6(), fc.nat(70_000)).map(([host, port]) => `/ip6/${host}/tcp/${port}`),
  fc.tuple(fc.domain(), fc.nat(70_000)).map(([host, port]) => `/dns/${host}/tcp/${port}`),
  fc.tuple(fc.string(), fc.string()).map(([host, port]) => `/dns4/${host}/tcp/${port}`),
  fc.string({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
);

test('any text has one canonical spelling or none, and that one is its own', async () => {
  await fc.assert(
    fc.property(address, (text) => {
      const canonical = canonicalAddress(text);
      if (canonical === undefined) return;
      expect(canonicalAddress(canonical)).toBe(canonical);
      expect(canonical.length).toBeLessThanOrEqual(ADDRESS_BYTES_MAX);
      expect(canonical).toMatch(/^\/(?:ip4|ip6|dns|dns4|dns6)\/[0-9a-zA-Z._:-]+\/tcp\/[1-9]\d*$/);
    }),
    { numRuns: 2_000 },
  );
});

test('what is signed is read as it was meant', async () => {
  const addresses = fc.array(address, { maxLength: 20 }).map((texts) => {
    const canonical = texts.flatMap((text) => canonicalAddress(text) ?? []);
    return [...new Set(canonical)].slice(0, RECORD_ADDRESSES_MAX);
  });
  await fc.assert(
    fc.property(fc.maxSafeNat(), addresses, (sequence, told) => {
      const record = signAddressRecord({ sequence, addresses: told }, key, domain);
      expect(parseAddressRecord(encodeAddressRecord(record))).toEqual({ ok: true, record });
      expect(verifyAddressRecord(record, domain)).toBe(true);
      expect(parseRecords(formatRecords([record]))).toEqual({ records: [encodeAddressRecord(record)], problems: [] });
    }),
  );
});

test('any bytes are a record in its one encoding or give a reason', async () => {
  await fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const parsed = parseAddressRecord(bytes);
      if (parsed.ok) expect(Buffer.from(encodeAddressRecord(parsed.record))).toEqual(Buffer.from(bytes));
      else expect(parsed.reason.length).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});

test('a record with any byte changed, cut or added gives a reason or a signature that does not hold', async () => {
  const change = fc.oneof(
    fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
      const bytes = Buffer.from(good);
      bytes[at]! ^= flip;
      return bytes;
    }),
    fc.nat(good.length - 1).map((length) => Buffer.from(good.subarray(0, length))),
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((more) => Buffer.concat([good, more])),
  );
  await fc.assert(
    fc.property(change, (bytes) => {
      const parsed = parseAddressRecord(bytes);
      if (!parsed.ok) return;
      expect(Buffer.from(encodeAddressRecord(parsed.record))).toEqual(bytes);
      expect(verifyAddressRecord(parsed.record, domain)).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever a book is fed, it holds the newest record that was signed, and nothing else', async () => {
  const signers = [key, keyOf(2), keyOf(3)];
  const step = fc.record({
    by: fc.nat(2),
    sequence: fc.nat(20),
    port: fc.integer({ min: 1, max: 5 }),
    forge: fc.nat(3),
  });
  await fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const book = new AddressBook({ privateKey: keyOf(9), domain });
      const known = signers.slice(0, 2).map((signer) => peerIdOfPrivateKey(signer));
      book.setSubjects(known.map((peer) => ({ peer, named: 'validator' })));
      const newest = new Map<number, { sequence: number; addresses: readonly string[] }>();
      for (const { by, sequence, port, forge } of steps) {
        const record = signAddressRecord({ sequence, addresses: [`/ip4/10.0.0.1/tcp/${port}`] }, signers[by]!, domain);
        const isForged = forge === 0;
        book.take(encodeAddressRecord(isForged ? { ...record, sequence: sequence + 1 } : record));
        if (!isForged && sequence > (newest.get(by)?.sequence ?? -1)) newest.set(by, record);
      }
      for (const [index, peer] of known.entries()) {
        expect(book.addressesOf(peer)).toEqual(newest.get(index)?.addresses ?? []);
      }
      expect(book.records().length).toBe([...newest.keys()].filter((by) => by < 2).length);
    }),
    { numRuns: 30 },
  );
});

test('any bytes are a request in its one encoding or give a reason', async () => {
  const keys = fc.array(fc.uint8Array({ minLength: 33, maxLength: 33 }), { maxLength: 40 });
  const request = keys.map((list) => encodeAsk(list.map((bytes) => '0x' + Buffer.from(bytes).toString('hex'))));
  await fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), request), (bytes) => {
      const parsed = parseAsk(bytes, ASKED_MAX);
      if (parsed.ok) expect(Buffer.from(encodeAsk(parsed.nodeKeys))).toEqual(Buffer.from(bytes));
      else expect(parsed.reason.length).toBeGreaterThan(0);
    }),
    { numRuns: 1_000 },
  );
});

test('any text and any JSON reads back as records and problems, never an exception', async () => {
  const entry = fc.record(
    {
      nodeKey: fc.oneof(fc.string(), fc.constant('0x02' + '11'.repeat(32))),
      sequence: fc.oneof(fc.integer(), fc.double(), fc.string()),
      addresses: fc.oneof(fc.array(fc.oneof(fc.string(), fc.integer())), fc.string()),
      signature: fc.oneof(fc.string(), fc.constant('0x' + '22'.repeat(65))),
    },
    { requiredKeys: [] },
  );
  const records = fc.array(fc.oneof(fc.jsonValue(), entry), { maxLength: 5 });
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    records.map((list) => JSON.stringify({ records: list })),
  );
  await fc.assert(
    fc.property(text, (saved) => {
      const book = new AddressBook({ privateKey: keyOf(9), domain });
      for (const bytes of parseRecords(saved).records) expect(book.take(bytes).kind).not.toBe('kept');
    }),
    { numRuns: 1_000 },
  );
});
