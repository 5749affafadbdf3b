/**
 * ECDSA over secp256k1: 65-byte signatures `r | s | yParity`, low-s only (EIP-2). The native library is about 25 times
 * faster than JavaScript, so its bindings are loaded by name: the package's own entry would fall back in silence.
 * Where no native build fits, @noble/secp256k1 is used and `secp256k1Backend` says so, for the node to announce.
 */
import { createHash, createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import * as noble from '@noble/secp256k1';
import { toHex } from './bytes.ts';
import type { Address, Bytes } from './ids.ts';
import { keccak256 } from './keccak.ts';

type Native = typeof import('secp256k1');

noble.hashes.sha256 = (message: Uint8Array) => Uint8Array.from(createHash('sha256').update(message).digest());
noble.hashes.hmacSha256 = (key: Uint8Array, message: Uint8Array) =>
  Uint8Array.from(createHmac('sha256', key).update(message).digest());

function loadNative(): Native | undefined {
  if (process.env['QUORATE_SECP256K1'] === 'javascript') return undefined;
  try {
    return createRequire(import.meta.url)('secp256k1/bindings') as Native;
  } catch {
    return undefined; // no prebuilt binary for this platform: the fallback is announced through secp256k1Backend
  }
}

const native = loadNative();

/** Which implementation runs: `javascript` is some 25 times slower and the node warns of it at start. */
export const secp256k1Backend: 'native' | 'javascript' = native ? 'native' : 'javascript';

const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex');

/** A signature's s is in the lower half of the group order (EIP-2): the other half is the same signature mirrored. */
export function isLowS(signature: Bytes): boolean {
  return Buffer.compare(signature.subarray(32, 64), HALF_ORDER) <= 0;
}

/** 20-byte address of a 65-byte uncompressed public key. */
function addressOf(uncompressed: Bytes): Address {
  return toHex(keccak256(uncompressed.subarray(1)).subarray(12));
}

/** Signs a 32-byte digest. Deterministic (RFC 6979): 65 bytes r | s | yParity, low-s. */
export function sign(digest: Bytes, privateKey: Bytes): Bytes {
  if (native) {
    const { signature, recid } = native.ecdsaSign(digest, privateKey);
    const out = new Uint8Array(65);
    out.set(signature, 0);
    out[64] = recid;
    return out;
  }
  const recovered = noble.sign(digest, privateKey, { prehash: false, format: 'recovered' });
  const out = new Uint8Array(65);
  out.set(recovered.subarray(1), 0);
  out[64] = recovered[0]!;
  return out;
}

/** The signer's address, or undefined when the 65 bytes are not a valid low-s signature of any key. */
export function recoverAddress(digest: Bytes, signature: Bytes): Address | undefined {
  if (signature.length !== 65 || signature[64]! > 1 || !isLowS(signature)) return undefined;
  try {
    if (native) return addressOf(native.ecdsaRecover(signature.subarray(0, 64), signature[64]!, digest, false));
    const recovered = new Uint8Array(65);
    recovered[0] = signature[64]!;
    recovered.set(signature.subarray(0, 64), 1);
    const compressed = noble.recoverPublicKey(recovered, digest, { prehash: false });
    return addressOf(noble.Point.fromBytes(compressed).toBytes(false));
  } catch {
    return undefined; // r or s out of range, or no such point: hostile input, not an error of ours
  }
}

export function isPrivateKey(key: Bytes): boolean {
  return key.length === 32 && noble.utils.isValidSecretKey(key);
}

/** 33-byte compressed public key. */
export function publicKey(privateKey: Bytes): Bytes {
  return noble.getPublicKey(privateKey, true);
}

/** Address of a private key. */
export function privateKeyAddress(privateKey: Bytes): Address {
  return addressOf(noble.getPublicKey(privateKey, false));
}

/** Address of a 33-byte compressed public key; undefined when it is not a point of the curve. */
export function publicKeyAddress(compressed: Bytes): Address | undefined {
  if (compressed.length !== 33) return undefined;
  try {
    if (native) return addressOf(native.publicKeyConvert(compressed, false));
    return addressOf(noble.Point.fromBytes(compressed).toBytes(false));
  } catch {
    return undefined; // not a point of the curve: hostile input, not an error of ours
  }
}

/** True for a 33-byte compressed point on the curve. */
export function isPublicKey(compressed: Bytes): boolean {
  if (compressed.length !== 33) return false;
  try {
    noble.Point.fromBytes(compressed).assertValidity();
    return true;
  } catch {
    return false;
  }
}

/** 32 random bytes that are a valid key. */
export function randomPrivateKey(): Bytes {
  return noble.utils.randomSecretKey();
}
