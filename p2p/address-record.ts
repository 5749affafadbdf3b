/**
 * A node's own word on where it is found, passed on by others (consensus.md section 11): node key, sequence, addresses,
 * and the node key's signature over all of it, chain id and genesis hash. The greater sequence is the newer word. RLP,
 * one value has one encoding (docs/wire.md); parsing and verifying are two steps, since most records that arrive are
 * known already and need no signature check.
 */
import { hexBytes, toHex, utf8 } from '../primitives/bytes.ts';
import { errorMessage } from '../primitives/errors.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { RlpError, rlpBytes, rlpDecode, rlpEncode, rlpList, rlpNumber } from '../primitives/rlp.ts';
import { publicKey, publicKeyAddress, recoverAddress, sign } from '../primitives/secp256k1.ts';
import { canonicalAddress } from './address.ts';
import { ADDRESS_BYTES_MAX, RECORD_ADDRESSES_MAX } from './limits.ts';

const DOMAIN = 'quorate/ADDRESS/1';

/** The chain that a record is for: signed, never sent. */
export type RecordDomain = { readonly chainId: number; readonly genesisHash: Hash };

type Content = {
  /** 33-byte compressed secp256k1 public key, lower-case 0x hex. */
  readonly nodeKey: string;
  /** Milliseconds since the epoch at which it was signed, or one more than the sequence before: below 2^53. */
  readonly sequence: number;
  /** In their canonical spelling (address.ts). None: the node takes back what it said before. */
  readonly addresses: readonly string[];
};

export type AddressRecord = Content & {
  /** 65 bytes, r | s | yParity, s in the lower half. */
  readonly signature: Bytes;
};

function digest({ nodeKey, sequence, addresses }: Content, { chainId, genesisHash }: RecordDomain): Bytes {
  return keccak256(rlpEncode([utf8(DOMAIN), chainId, genesisHash, nodeKey, sequence, addresses.map(utf8)]));
}

/** Signs with the node key. The addresses must be canonical and within their bounds. */
export function signAddressRecord(
  content: Omit<Content, 'nodeKey'>,
  privateKey: Bytes,
  domain: RecordDomain,
): AddressRecord {
  const whole = { ...content, nodeKey: toHex(publicKey(privateKey)) };
  return { ...whole, signature: sign(digest(whole, domain), privateKey) };
}

/** The signature is the node key's, for this chain. */
export function verifyAddressRecord(record: AddressRecord, domain: RecordDomain): boolean {
  const signer = recoverAddress(digest(record, domain), record.signature);
  return signer !== undefined && signer === publicKeyAddress(hexBytes(record.nodeKey));
}

export function encodeAddressRecord({ nodeKey, sequence, addresses, signature }: AddressRecord): Bytes {
  return rlpEncode([nodeKey, sequence, addresses.map(utf8), signature]);
}

export type ParsedRecord =
  | { readonly ok: true; readonly record: AddressRecord }
  | { readonly ok: false; readonly reason: string };

/** Parses what a peer sent or a file holds. The signature is not checked. */
export function parseAddressRecord(payload: Bytes): ParsedRecord {
  try {
    const fields = rlpList(rlpDecode(payload), 'address record', 4);
    const nodeKey = toHex(rlpBytes(fields[0], 'node key', 33));
    const sequence = rlpNumber(fields[1], 'sequence');
    const items = rlpList(fields[2], 'addresses');
    if (items.length > RECORD_ADDRESSES_MAX) throw new RlpError(`${items.length} addresses`);
    const addresses = items.map((item) => parseAddress(rlpBytes(item, 'address')));
    if (new Set(addresses).size < addresses.length) throw new RlpError('an address is named twice');
    const signature = Uint8Array.from(rlpBytes(fields[3], 'signature', 65));
    return { ok: true, record: { nodeKey, sequence, addresses, signature } };
  } catch (error) {
    if (!(error instanceof RlpError)) throw error;
    return { ok: false, reason: errorMessage(error) };
  }
}

function parseAddress(bytes: Bytes): string {
  if (bytes.length > ADDRESS_BYTES_MAX) throw new RlpError(`an address of ${bytes.length} bytes`);
  // Latin-1 keeps every byte apart, and only ASCII is canonical.
  const text = Buffer.from(bytes).toString('latin1');
  if (canonicalAddress(text) !== text) throw new RlpError('an address that is not canonical');
  return text;
}

const ASK = 'request for addresses';

/** The request for the records of these node keys (0x hex). */
export function encodeAsk(nodeKeys: readonly string[]): Bytes {
  return rlpEncode(nodeKeys);
}

export type ParsedAsk =
  | { readonly ok: true; readonly nodeKeys: readonly string[] }
  | { readonly ok: false; readonly reason: string };

export function parseAsk(payload: Bytes, keysMax: number): ParsedAsk {
  try {
    const items = rlpList(rlpDecode(payload), ASK);
    if (items.length === 0 || items.length > keysMax) throw new RlpError(`${ASK}: ${items.length} node keys`);
    return { ok: true, nodeKeys: items.map((item) => toHex(rlpBytes(item, 'node key', 33))) };
  } catch (error) {
    if (!(error instanceof RlpError)) throw error;
    return { ok: false, reason: errorMessage(error) };
  }
}
