import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type AddressRecord,
  encodeAddressRecord,
  encodeAsk,
  parseAddressRecord,
  parseAsk,
  signAddressRecord,
  verifyAddressRecord,
} from '../../../p2p/address-record.ts';
import { ADDRESS_BYTES_MAX, CONTROL_LIMITS, RECORD_ADDRESSES_MAX } from '../../../p2p/limits.ts';
import { fromHex, toHex, utf8 } from '../../../primitives/bytes.ts';
import { keccak256, keccakHash } from '../../../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../../../primitives/rlp.ts';
import { publicKey, randomPrivateKey, sign } from '../../../primitives/secp256k1.ts';

/** The chain and the first key of docs/wire.md. */
const domain = { chainId: 4242, genesisHash: keccakHash(utf8('genesis')) };
const privateKey = Uint8Array.from({ length: 32 }, (_, i) => +(i === 31));
const content = { sequence: 1_700_000_000_000, addresses: ['/ip4/10.0.0.7/tcp/30300', '/dns/node.example/tcp/30300'] };
const record = signAddressRecord(content, privateKey, domain);

function refusal(payload: Uint8Array): string {
  const parsed = parseAddressRecord(payload);
  return parsed.ok ? 'accepted' : parsed.reason;
}

/** A record with these fields instead, encoded without any check. */
function raw(fields: Partial<Record<'nodeKey' | 'sequence' | 'addresses' | 'signature', RlpInput>>): Uint8Array {
  const { nodeKey, sequence, addresses, signature } = { ...record, addresses: record.addresses.map(utf8), ...fields };
  return rlpEncode([nodeKey, sequence, addresses, signature]);
}

describe('an address record', () => {
  test('is read as it was written, and its signature holds', () => {
    expect(parseAddressRecord(encodeAddressRecord(record))).toEqual({ ok: true, record });
    expect(verifyAddressRecord(record, domain)).toBe(true);
  });

  test('is for one chain and one genesis', () => {
    expect(verifyAddressRecord(record, { ...domain, chainId: 1 })).toBe(false);
    expect(verifyAddressRecord(record, { ...domain, genesisHash: keccakHash(utf8('other')) })).toBe(false);
  });

  test.each<[string, (own: AddressRecord) => AddressRecord]>([
    ['another key', (own) => ({ ...own, nodeKey: toHex(publicKey(randomPrivateKey())) })],
    ['another sequence', (own) => ({ ...own, sequence: own.sequence + 1 })],
    ['other addresses', (own) => ({ ...own, addresses: own.addresses.slice(1) })],
    ['addresses in another order', (own) => ({ ...own, addresses: own.addresses.toReversed() })],
    ['a signature of nothing', (own) => ({ ...own, signature: new Uint8Array(65) })],
    ["a key that is no point and the signature of the zero key's address", (own) => ({ ...own, nodeKey: '0x02' + 'ff'.repeat(32) })], // biome-ignore format: one case
  ])('does not hold with %s', (_name, change) => {
    expect(verifyAddressRecord(change(record), domain)).toBe(false);
  });

  test('a signature over the same fields under another domain is not one', () => {
    const { nodeKey, sequence, addresses } = record;
    const fields = [domain.chainId, domain.genesisHash, nodeKey, sequence, addresses.map(utf8)];
    const foreign = sign(keccak256(rlpEncode([utf8('quorate/READY/1'), ...fields])), privateKey);
    expect(verifyAddressRecord({ ...record, signature: foreign }, domain)).toBe(false);
    const ours = sign(keccak256(rlpEncode([utf8('quorate/ADDRESS/1'), ...fields])), privateKey);
    expect(ours).toEqual(record.signature);
  });

  test('may name no address at all, and at the most fits a control frame', () => {
    const none = signAddressRecord({ sequence: 0, addresses: [] }, privateKey, domain);
    expect(parseAddressRecord(encodeAddressRecord(none))).toEqual({ ok: true, record: none });
    const name = (i: number) => `/dns/${i}${'a'.repeat(57)}.${'b'.repeat(ADDRESS_BYTES_MAX - 74)}/tcp/30300`;
    const addresses = Array.from({ length: RECORD_ADDRESSES_MAX }, (_, i) => name(i));
    expect(addresses.map((text) => text.length)).toEqual(addresses.map(() => ADDRESS_BYTES_MAX));
    const full = signAddressRecord({ sequence: Number.MAX_SAFE_INTEGER, addresses }, privateKey, domain);
    const encoded = encodeAddressRecord(full);
    expect(parseAddressRecord(encoded)).toEqual({ ok: true, record: full });
    expect(encoded.length).toBeLessThanOrEqual(CONTROL_LIMITS.frameBytesMax);
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'truncated'],
    ['no list', Uint8Array.of(0x80), 'expected a list'],
    ['a fifth field', rlpEncode([record.nodeKey, 1, [], record.signature, 0]), 'expected 4 fields'],
    ['trailing bytes', Uint8Array.of(...encodeAddressRecord(record), 0), 'trailing'],
    ['a short key', raw({ nodeKey: '0x02' }), 'node key'],
    ['a sequence with a leading zero', raw({ sequence: Uint8Array.of(0, 1) }), 'leading zero'],
    ['a sequence above 2^53', raw({ sequence: new Uint8Array(8).fill(0xff) }), 'above 2^53'],
    ['a short signature', raw({ signature: new Uint8Array(64) }), 'signature'],
    ['addresses that are no list', raw({ addresses: utf8('/ip4/10.0.0.7/tcp/1') }), 'addresses'],
    ['an address that is a list', raw({ addresses: [[]] }), 'address'],
    ['an empty address', raw({ addresses: [utf8('')] }), 'not canonical'],
    ['an address with a peer id', raw({ addresses: [utf8('/ip4/10.0.0.7/tcp/1/p2p/16Uiu2')] }), 'not canonical'],
    ['an address in another spelling', raw({ addresses: [utf8('/ip6/2001:DB8::1/tcp/1')] }), 'not canonical'],
    ['an address beyond ASCII', raw({ addresses: [utf8('/dns/ö/tcp/1')] }), 'not canonical'],
    ['an address too long', raw({ addresses: [utf8(`/dns/${'a'.repeat(200)}/tcp/1`)] }), 'an address of 211 bytes'],
    ['an address twice', raw({ addresses: [utf8('/ip4/1.2.3.4/tcp/1'), utf8('/ip4/1.2.3.4/tcp/1')] }), 'named twice'],
    ['nine addresses', raw({ addresses: Array.from({ length: 9 }, (_, i) => utf8(`/ip4/1.2.3.4/tcp/${i + 1}`)) }), '9 addresses'], // biome-ignore format: one case
  ])('%s is refused', (_name, payload, reason) => expect(refusal(payload)).toContain(reason));
});

describe('a request for records', () => {
  test('is read as it was written', () => {
    const nodeKeys = [record.nodeKey, toHex(publicKey(randomPrivateKey()))];
    expect(parseAsk(encodeAsk(nodeKeys), 2)).toEqual({ ok: true, nodeKeys });
  });

  test.each([
    ['for none', encodeAsk([])],
    ['for more than allowed', encodeAsk(Array(3).fill(record.nodeKey))],
    ['for a short key', encodeAsk(['0x02'])],
    ['that is no list', Uint8Array.of(0x80)],
  ])('%s is refused', (_name, payload) => expect(parseAsk(payload, 2).ok).toBe(false));
});

describe('docs/wire.md', () => {
  const page = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8');
  const shown = (name: string) => {
    const fence = new RegExp('^```link ' + name + '\\n([^`]*)^```$', 'm').exec(page);
    return fromHex(fence?.[1]?.replaceAll(/\s/g, '') ?? '');
  };

  test('shows the record that key 1 signs on its chain', () => {
    expect(shown('ADDRESS')).toEqual(Uint8Array.from(encodeAddressRecord(record)));
  });

  test('shows what that signature covers', () => {
    const { nodeKey, sequence, addresses } = record;
    const statement = rlpEncode([
      utf8('quorate/ADDRESS/1'),
      domain.chainId,
      domain.genesisHash,
      nodeKey,
      sequence,
      addresses.map(utf8),
    ]);
    expect(shown('statement ADDRESS')).toEqual(Uint8Array.from(statement));
  });

  test('shows the request for that record', () => {
    expect(shown('ASK')).toEqual(Uint8Array.from(encodeAsk([record.nodeKey])));
  });
});
