/**
 * The first frame on every link, both ways, on a protocol that does not name the genesis: two nodes of different chains
 * must be able to tell each other so, in words, instead of failing to negotiate a stream.
 */

import { toHex } from '../primitives/bytes.ts';
import { errorMessage } from '../primitives/errors.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { RlpError, rlpBytes, rlpDecode, rlpEncode, rlpList, rlpNumber } from '../primitives/rlp.ts';
import type { Role } from './transport.ts';

export const HELLO_PROTOCOL = '/quorate/hello/1';
export const HELLO_VERSION = 2;

export type Hello = {
  readonly version: number;
  readonly chainId: number;
  readonly genesisHash: Hash;
  /** What the sender holds itself to be: told for people, trusted for nothing. */
  readonly role: Role;
};

const ROLES: readonly Role[] = ['observer', 'validator'];

export function encodeHello(hello: Hello): Bytes {
  return rlpEncode([hello.version, hello.chainId, hello.genesisHash, ROLES.indexOf(hello.role)]);
}

export type ParsedHello =
  | { readonly ok: true; readonly hello: Hello }
  | { readonly ok: false; readonly reason: string };

/** Parses what a peer sent. Of another version only the version is read: the rest may look different. */
export function parseHello(payload: Bytes): ParsedHello {
  try {
    const fields = rlpList(rlpDecode(payload), 'hello');
    const version = rlpNumber(fields[0], 'version');
    if (version !== HELLO_VERSION) {
      return { ok: false, reason: `speaks network protocol version ${version} (instead of ${HELLO_VERSION})` };
    }
    rlpList(fields, 'hello', 4);
    const role = ROLES[rlpNumber(fields[3], 'role')];
    if (role === undefined) return { ok: false, reason: 'sent a malformed hello: unknown role' };
    const chainId = rlpNumber(fields[1], 'chain id');
    return { ok: true, hello: { version, chainId, genesisHash: toHex(rlpBytes(fields[2], 'genesis hash', 32)), role } };
  } catch (error) {
    if (!(error instanceof RlpError)) throw error;
    return { ok: false, reason: `sent a malformed hello: ${errorMessage(error)}` };
  }
}

/** Why the two cannot work together, as said of the peer; undefined when they can. */
export function helloMismatch(ours: Hello, theirs: Hello): string | undefined {
  if (theirs.genesisHash !== ours.genesisHash) {
    return `runs another genesis (${theirs.genesisHash} instead of ${ours.genesisHash})`;
  }
  if (theirs.chainId !== ours.chainId) return `runs chain id ${theirs.chainId} (instead of ${ours.chainId})`;
  return undefined;
}
