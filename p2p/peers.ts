/**
 * Peer ids and who dials whom. A peer id is the libp2p form of a node key (33-byte compressed secp256k1 public key):
 * one is computed from the other, both ways, so membership lists carry the key and the network the id.
 */
import './polyfill.ts';
import { privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { fromHex, toHex } from '../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { isPrivateKey, isPublicKey } from '../primitives/secp256k1.ts';

/** The node key as libp2p wants it. Throws KEY_INVALID. */
export function libp2pPrivateKey(privateKey: Bytes): PrivateKey {
  if (!isPrivateKey(privateKey)) {
    throw new QuorateError('KEY_INVALID', 'the node key is not a 32-byte secp256k1 private key; create a new one');
  }
  return privateKeyFromRaw(privateKey);
}

/** Peer id of a node's private key. Throws KEY_INVALID. */
export function peerIdOfPrivateKey(privateKey: Bytes): string {
  return peerIdFromPrivateKey(libp2pPrivateKey(privateKey)).toString();
}

/** Peer id of a node key (0x hex, 33 bytes); undefined when it is not a point of the curve. */
export function peerIdOfNodeKey(nodeKey: string): string | undefined {
  const bytes = fromHex(nodeKey);
  if (bytes === undefined || !isPublicKey(bytes)) return undefined;
  return peerIdFromPublicKey(publicKeyFromRaw(bytes)).toString();
}

/** Node key (0x hex) of a peer id; undefined when it is malformed or of another kind of key. */
export function nodeKeyOfPeerId(peer: string): string | undefined {
  try {
    const id = peerIdFromString(peer);
    return id.type === 'secp256k1' ? toHex(id.publicKey.raw) : undefined;
  } catch {
    return undefined; // not a peer id at all: the caller has a name for it
  }
}

/**
 * Of two validators the one with the lower peer id dials. Both sides know it without talking, so that a pair that
 * starts at the same moment does not end up with two connections.
 */
export function isDesignatedDialler(self: string, peer: string): boolean {
  return self < peer;
}

/** The multiaddr to dial, ending in the peer's id, or why it cannot be used. */
export function dialAddress(
  peer: string,
  address: string,
): { readonly ok: true; readonly address: Multiaddr } | { readonly ok: false; readonly reason: string } {
  try {
    const parsed = multiaddr(address);
    const components = parsed.getComponents();
    const named = components.findLast((component) => component.name === 'p2p')?.value;
    if (named !== undefined && named !== peer) {
      return { ok: false, reason: `${address} names another peer than ${peer}` };
    }
    if (!components.some((component) => component.name === 'tcp')) {
      return { ok: false, reason: `${address} is not a TCP address` };
    }
    return { ok: true, address: named === undefined ? parsed.encapsulate(`/p2p/${peer}`) : parsed };
  } catch (error) {
    return { ok: false, reason: `${address} is not a multiaddr: ${errorMessage(error)}` };
  }
}
