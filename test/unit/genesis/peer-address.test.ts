import { privateKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { getAddress } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksumAddress, parseAddress } from '../../../genesis/address.ts';
import { multiaddrOf, parseMultiaddr, parseNodeKey, peerIdOf } from '../../../genesis/peer-address.ts';
import { toHex } from '../../../primitives/bytes.ts';
import { Problems } from '../../../primitives/parse.ts';
import { isPrivateKey, publicKey } from '../../../primitives/secp256k1.ts';

const privateKeys = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter(isPrivateKey);

describe('peer ids', () => {
  it('are those of libp2p', () => {
    fc.assert(
      fc.property(privateKeys, (key) => {
        expect(peerIdOf(toHex(publicKey(key)))).toBe(peerIdFromPrivateKey(privateKeyFromRaw(key)).toString());
      }),
      { numRuns: 20 },
    );
  });
});

describe('multiaddrs', () => {
  const nodeKey = toHex(publicKey(new Uint8Array(32).fill(1)));

  it.each(['10.0.0.7', '::1', 'node.example'])('of the host %s are read back, by libp2p too', (host) => {
    const text = multiaddrOf({ host, port: 30300, nodeKey });
    const problems = new Problems();
    expect(parseMultiaddr(text, 'x', nodeKey, problems)).toBe(text);
    expect(problems.list).toEqual([]);
    expect(multiaddr(text).toString()).toBe(text);
  });

  it.each([
    '/ip4/10.0.0/tcp/1',
    '/ip4/10.0.0.1/tcp/0',
    '/ip4/10.0.0.1/tcp/65536',
    '/ip4/10.0.0.1/udp/1',
    '/ip6/10.0.0.1/tcp/1',
    '/dns/a..b/tcp/1',
    '/dns/-a/tcp/1',
    'http://x',
    7,
  ])('such as %s are refused', (text) => {
    const problems = new Problems();
    expect(parseMultiaddr(text, 'x', undefined, problems)).toBeUndefined();
    expect(problems.list[0]).toMatch(/^x: expected a multiaddr/);
  });
});

describe('node keys', () => {
  it.each([`0x${'00'.repeat(33)}`, `0x02${'ff'.repeat(32)}`, '0x02', 'x', undefined])(
    'such as %s are refused',
    (text) => {
      const problems = new Problems();
      expect(parseNodeKey(text, 'x', problems)).toBeUndefined();
      expect(problems.list).toHaveLength(1);
    },
  );
});

describe('addresses', () => {
  it('have the checksum of EIP-55, as ethers has it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
        const address = toHex(bytes);
        expect(checksumAddress(address)).toBe(getAddress(address));
        expect(parseAddress(getAddress(address), 'x', new Problems())).toBe(address);
      }),
    );
  });

  it('of upper case only are accepted, having no checksum', () => {
    expect(parseAddress(`0x${'AB'.repeat(20)}`, 'x', new Problems())).toBe(`0x${'ab'.repeat(20)}`);
  });

  it('with one letter in the wrong case are refused', () => {
    const problems = new Problems();
    expect(parseAddress('0x70997970c51812dc3A010C7d01b50e0d17dc79C8', 'x', problems)).toBeUndefined();
    expect(problems.list[0]).toContain('wrong checksum');
  });
});
