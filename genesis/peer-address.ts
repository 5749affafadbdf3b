/**
 * Where a peer is found: its libp2p peer id, which is its node key in another spelling (libp2p "Peer IDs" specification:
 * base58btc of the identity multihash of the protobuf public key), and multiaddrs such as /ip4/10.0.0.7/tcp/30300.
 * Computed here so that genesis, configuration and the command line need not load the network library.
 */
import { isIP, isIPv4 } from 'node:net';
import { concat, fromHex } from '../primitives/bytes.ts';
import type { Bytes } from '../primitives/ids.ts';
import type { Problems } from '../primitives/parse.ts';
import { isPublicKey } from '../primitives/secp256k1.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function base58(bytes: Bytes): string {
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  let out = '';
  for (; value > 0n; value /= 58n) out = BASE58[Number(value % 58n)]! + out;
  for (let i = 0; bytes[i] === 0; i++) out = '1' + out;
  return out;
}

/** Identity multihash (0x00) of 37 bytes (0x25): protobuf field 1 = key type 2 (secp256k1), field 2 = 33 bytes. */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x25, 0x08, 0x02, 0x12, 0x21);

/** The peer id (`16Uiu2…`) of a 33-byte compressed node key given as 0x hex. */
export function peerIdOf(nodeKey: string): string {
  return base58(concat(PEER_ID_PREFIX, fromHex(nodeKey)!));
}

/** A host and port as a multiaddr; `nodeKey` adds the identity expected there. */
export function multiaddrOf(at: { readonly host: string; readonly port: number; readonly nodeKey?: string }): string {
  const kind = isIP(at.host) === 0 ? 'dns' : isIPv4(at.host) ? 'ip4' : 'ip6';
  const identity = at.nodeKey === undefined ? '' : `/p2p/${peerIdOf(at.nodeKey)}`;
  return `/${kind}/${at.host}/tcp/${at.port}${identity}`;
}

const MULTIADDR = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/([1-9A-HJ-NP-Za-km-z]+))?$/;
const HOST_NAME = /^(?=.{1,253}$)[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62})(\.[a-zA-Z0-9_-]{1,63})*\.?$/;

function hostFits(kind: string, host: string): boolean {
  if (kind === 'ip4') return isIP(host) === 4;
  if (kind === 'ip6') return isIP(host) === 6;
  return HOST_NAME.test(host);
}

/** A TCP multiaddr; one that names another identity than `nodeKey` is refused. */
export function parseMultiaddr(
  value: unknown,
  path: string,
  nodeKey: string | undefined,
  problems: Problems,
): string | undefined {
  const what = 'a multiaddr such as /ip4/10.0.0.7/tcp/30300 or /dns/node.example/tcp/30300';
  const match = typeof value === 'string' ? MULTIADDR.exec(value) : null;
  if (match === null) return problems.expected(path, what, value);
  const [text, kind, host, port, peerId] = match;
  const portNumber = Number(port);
  if (!hostFits(kind!, host!) || portNumber < 1 || portNumber > 65_535) return problems.expected(path, what, value);
  if (peerId !== undefined && nodeKey !== undefined && peerId !== peerIdOf(nodeKey)) {
    return problems.add(path, `names the peer ${peerId}, but the node key's peer id is ${peerIdOf(nodeKey)}`);
  }
  return text;
}

/** A node key: a 33-byte compressed point on secp256k1, as lower-case 0x hex. */
export function parseNodeKey(value: unknown, path: string, problems: Problems): string | undefined {
  const bytes = typeof value === 'string' ? fromHex(value) : undefined;
  if (bytes === undefined || !isPublicKey(bytes)) {
    return problems.expected(path, 'a node key (0x and 66 hex digits, a compressed secp256k1 public key)', value);
  }
  return (value as string).toLowerCase();
}
