import { describe, expect, test } from 'vitest';
import { announcedAddresses, canonicalAddress, hostOfAddress } from '../../../p2p/address.ts';
import { ADDRESS_BYTES_MAX, RECORD_ADDRESSES_MAX } from '../../../p2p/limits.ts';
import { peerIdOfPrivateKey } from '../../../p2p/peers.ts';
import { randomPrivateKey } from '../../../primitives/secp256k1.ts';

const peer = peerIdOfPrivateKey(randomPrivateKey());
const other = peerIdOfPrivateKey(randomPrivateKey());

describe('the canonical spelling of an address', () => {
  test.each([
    ['/ip4/10.0.0.7/tcp/30300'],
    ['/ip4/127.0.0.1/tcp/1'],
    ['/ip6/::1/tcp/65535'],
    ['/ip6/2001:db8::7/tcp/30300'],
    ['/dns/node.example/tcp/30300'],
    ['/dns4/node-0.quorate.svc/tcp/30300'],
    ['/dns6/localhost/tcp/30300'],
  ])('%s is itself', (text) => {
    expect(canonicalAddress(text)).toBe(text);
    expect(canonicalAddress(`${text}/p2p/${peer}`, peer)).toBe(text);
  });

  test.each([
    ['/ip6/2001:DB8:0:0::7/tcp/30300', '/ip6/2001:db8::7/tcp/30300'],
    ['/ip4/10.0.0.7/tcp/30300/', '/ip4/10.0.0.7/tcp/30300'],
  ])('%s has another', (text, canonical) => expect(canonicalAddress(text)).toBe(canonical));

  test.each([
    ['of nobody in particular with a peer id', `/ip4/10.0.0.7/tcp/1/p2p/${peer}`],
    ['empty', ''],
    ['a URL', 'http://10.0.0.7:1'],
    ['without a port', '/ip4/10.0.0.7'],
    ['without a host', '/tcp/1'],
    ['over UDP', '/ip4/10.0.0.7/udp/1'],
    ['over WebSocket', '/ip4/10.0.0.7/tcp/1/ws'],
    ['through a relay', `/ip4/10.0.0.7/tcp/1/p2p/${other}/p2p-circuit`],
    ['with a zone', '/ip6zone/eth0/ip6/fe80::1/tcp/1'],
    ['of a socket file', '/unix/%2Ftmp%2Fsock'],
    ['with port 0', '/ip4/10.0.0.7/tcp/0'],
    ['with a port too large', '/ip4/10.0.0.7/tcp/65536'],
    ['of all interfaces', '/ip4/0.0.0.0/tcp/1'],
    ['of all IPv6 interfaces', '/ip6/::/tcp/1'],
    ['of a group', '/ip4/224.0.0.1/tcp/1'],
    ['of an IPv6 group', '/ip6/ff02::1/tcp/1'],
    ['with a space in its name', '/dns/node example/tcp/1'],
    ['with an escape in its name', '/dns/node\u001b[2J/tcp/1'],
    ['with an encoded slash in its name', '/dns/a%2fb/tcp/1'],
    ['with a name beyond ASCII', '/dns/nöde/tcp/1'],
    ['too long', `/dns/${'a.'.repeat(ADDRESS_BYTES_MAX / 2)}b/tcp/1`],
  ])('there is none for an address %s', (_name, text) => expect(canonicalAddress(text)).toBeUndefined());

  test('there is none for an address that names somebody else', () => {
    expect(canonicalAddress(`/ip4/10.0.0.7/tcp/1/p2p/${other}`, peer)).toBeUndefined();
  });

  test('its host is its second part', () => {
    expect(hostOfAddress('/ip4/10.0.0.7/tcp/1')).toBe('10.0.0.7');
    expect(hostOfAddress('nonsense')).toBe('');
  });
});

describe('what a node announces', () => {
  const announced = (listenHost: string, bound: string[], announce?: string[]) =>
    announcedAddresses({ peer, announce, listenHost, bound: bound.map((text) => `${text}/p2p/${peer}`) });

  test('what it listens on, when that is one address', () => {
    expect(announced('127.0.0.1', ['/ip4/127.0.0.1/tcp/7'])).toEqual(['/ip4/127.0.0.1/tcp/7']);
    expect(announced('10.0.0.7', ['/ip4/10.0.0.7/tcp/7'])).toEqual(['/ip4/10.0.0.7/tcp/7']);
  });

  test.each([['0.0.0.0'], ['::']])('of %s only the public addresses', (host) => {
    const ip4 = ['127.0.0.1', '10.0.0.7', '172.17.0.1', '192.168.1.2', '169.254.1.1', '100.64.0.1', '203.0.113.9'];
    const ip6 = ['::1', 'fe80::1', 'fd00::1', '2001:4860::8888'];
    const bound = [...ip4.map((at) => `/ip4/${at}/tcp/7`), ...ip6.map((at) => `/ip6/${at}/tcp/7`)];
    expect(announced(host, bound)).toEqual(['/ip4/203.0.113.9/tcp/7', '/ip6/2001:4860::8888/tcp/7']);
    expect(announced(host, bound.slice(0, 3))).toEqual([]);
  });

  test('no more than a record holds', () => {
    const bound = Array.from({ length: 20 }, (_, i) => `/ip4/203.0.113.${i + 1}/tcp/7`);
    expect(announced('0.0.0.0', bound)).toEqual(bound.slice(0, RECORD_ADDRESSES_MAX));
  });

  test('what is configured instead of all that, in its canonical spelling, each once', () => {
    const announce = [`/dns/node.example/tcp/1/p2p/${peer}`, '/ip6/2001:DB8::1/tcp/2', '/dns/node.example/tcp/1'];
    expect(announced('0.0.0.0', ['/ip4/203.0.113.9/tcp/7'], announce)).toEqual([
      '/dns/node.example/tcp/1',
      '/ip6/2001:db8::1/tcp/2',
    ]);
    expect(announced('127.0.0.1', ['/ip4/127.0.0.1/tcp/7'], [])).toEqual([]);
  });

  test.each([
    ['of another peer', [`/ip4/10.0.0.7/tcp/1/p2p/${other}`], 'cannot be announced'],
    ['without a port', ['/ip4/10.0.0.7'], 'cannot be announced'],
    ['of all interfaces', ['/ip4/0.0.0.0/tcp/1'], 'cannot be announced'],
    ['and eight more', Array.from({ length: 9 }, (_, i) => `/ip4/10.0.0.${i + 1}/tcp/1`), 'names 9 addresses'],
  ])('an address %s is an error of the configuration', (_name, announce, message) => {
    expect(() => announced('127.0.0.1', [], announce)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
    );
  });
});
