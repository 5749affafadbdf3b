/**
 * Addresses as signed records carry them: host and TCP port in one spelling, without the peer's id, since a record says
 * whose they are by its key. And which of our own are worth telling.
 */
import './polyfill.ts';
import { BlockList, isIP } from 'node:net';
import { multiaddr } from '@multiformats/multiaddr';
import { QuorateError } from '../primitives/errors.ts';
import { ADDRESS_BYTES_MAX, RECORD_ADDRESSES_MAX } from './limits.ts';

const HOST_NAME = /^[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_-]{1,63})*$/i;
const NAMES: readonly string[] = ['dns', 'dns4', 'dns6'];

/** Hosts that no other machine can dial, or that are another one in each network (IANA special-purpose registries). */
const PRIVATE_IPV4 = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE_IPV4.addSubnet(network, prefix, 'ipv4');
}

/** Global unicast; the rest is loopback, link-local, unique local, multicast or reserved. */
const PUBLIC_IPV6 = new BlockList();
PUBLIC_IPV6.addSubnet('2000::', 3, 'ipv6');

const UNDIALLABLE = new BlockList();
UNDIALLABLE.addAddress('0.0.0.0', 'ipv4');
UNDIALLABLE.addSubnet('224.0.0.0', 3, 'ipv4');
UNDIALLABLE.addAddress('::', 'ipv6');
UNDIALLABLE.addSubnet('ff00::', 8, 'ipv6');

function isUndiallable(host: string): boolean {
  return UNDIALLABLE.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

function isPublic(host: string): boolean {
  return isIP(host) === 6 ? PUBLIC_IPV6.check(host, 'ipv6') : !PRIVATE_IPV4.check(host, 'ipv4');
}

function isHost(kind: string, host: string): boolean {
  if (NAMES.includes(kind)) return HOST_NAME.test(host);
  return isIP(host) === (kind === 'ip4' ? 4 : 6) && !isUndiallable(host);
}

/**
 * The address in its one spelling, `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`. It may end in the id of `peer`. Undefined when
 * it is anything else, is too long, or cannot be dialled.
 */
export function canonicalAddress(text: string, peer?: string): string | undefined {
  const suffix = `/p2p/${peer}`;
  const bare = peer !== undefined && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  if (bare.length > ADDRESS_BYTES_MAX) return undefined;
  try {
    const [at, port, ...more] = multiaddr(bare).getComponents();
    if (at?.value === undefined || port?.value === undefined || more.length > 0) return undefined;
    if (![...NAMES, 'ip4', 'ip6'].includes(at.name) || port.name !== 'tcp') return undefined;
    return isHost(at.name, at.value) && port.value !== '0' ? `/${at.name}/${at.value}/tcp/${port.value}` : undefined;
  } catch {
    return undefined; // not a multiaddr at all
  }
}

/**
 * What this node tells the others: the configured addresses, else those it is bound to. A node that listens on every
 * interface tells only the public ones among them: whether a private address (a container's bridge, one side of a NAT)
 * means this machine to whoever reads it cannot be known here, and a wrong one costs every peer seconds at each attempt.
 * Throws CONFIG_INVALID for configured ones that cannot be told.
 */
export function announcedAddresses(own: {
  readonly peer: string;
  readonly announce: readonly string[] | undefined;
  readonly listenHost: string;
  /** Multiaddrs the node is bound to, every interface listed. */
  readonly bound: readonly string[];
}): readonly string[] {
  const { peer, announce, listenHost, bound } = own;
  if (announce !== undefined) return checkAnnounced(announce, peer);
  const addresses = bound.flatMap((text) => canonicalAddress(text, peer) ?? []);
  const everywhere = isIP(listenHost) !== 0 && isUndiallable(listenHost);
  const told = everywhere ? addresses.filter((text) => isPublic(hostOfAddress(text))) : addresses;
  return [...new Set(told)].slice(0, RECORD_ADDRESSES_MAX);
}

/** Host of a multiaddr in text: an IP address or a name. */
export function hostOfAddress(text: string): string {
  return text.split('/')[2] ?? '';
}

function checkAnnounced(announce: readonly string[], peer: string): readonly string[] {
  const addresses = announce.map((text) => {
    const address = canonicalAddress(text, peer);
    if (address !== undefined) return address;
    const form = `/ip4|ip6|dns/HOST/tcp/PORT of at most ${ADDRESS_BYTES_MAX} bytes`;
    throw new QuorateError('CONFIG_INVALID', `p2p.announce: ${text} cannot be announced; it must be ${form}`);
  });
  if (addresses.length > RECORD_ADDRESSES_MAX) {
    const message = `p2p.announce names ${addresses.length} addresses; ${RECORD_ADDRESSES_MAX} are the most`;
    throw new QuorateError('CONFIG_INVALID', message);
  }
  return [...new Set(addresses)];
}
