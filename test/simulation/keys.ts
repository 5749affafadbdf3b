/**
 * Validator keys of a run. Nearly all runs use a cheap scheme: a signature is keccak(key | digest), then the signer's
 * address, padded to 65 bytes; a registry of the keys lets anyone check it. Forging it takes the key, as it must. One
 * run in a hundred signs with secp256k1, to show that nothing rests on the difference. The keys are the same in all
 * runs, so that block 0 is, too.
 */
import { hexBytes, toHex, utf8 } from '../../primitives/bytes.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import { keccak256 } from '../../primitives/keccak.ts';
import { privateKeyAddress, recoverAddress, sign } from '../../primitives/secp256k1.ts';

export type Keys = {
  readonly addresses: readonly Address[];
  readonly sign: (validator: number, digest: Bytes) => Bytes;
  readonly recover: (digest: Bytes, signature: Bytes) => Address | undefined;
};

function secretsOf(n: number): Bytes[] {
  return Array.from({ length: n }, (_, index) => keccak256(utf8(`simulated validator ${index}`)));
}

export function cheapKeys(n: number): Keys {
  const secrets = secretsOf(n);
  const addresses = secrets.map((secret) => toHex(keccak256(secret).subarray(12)));
  const raw = addresses.map((address) => hexBytes(address));
  const secretOf = new Map(addresses.map((address, index) => [address, secrets[index]!]));
  const scratch = Buffer.alloc(64);
  const mac = (secret: Bytes, digest: Bytes): Bytes => {
    scratch.set(secret, 0);
    scratch.set(digest, 32);
    return keccak256(scratch);
  };
  return {
    addresses,
    sign: (validator, digest) => {
      const out = new Uint8Array(65);
      out.set(mac(secrets[validator]!, digest), 0);
      out.set(raw[validator]!, 32);
      return out;
    },
    recover: (digest, signature) => {
      if (signature.length !== 65) return undefined;
      const address = toHex(signature.subarray(32, 52));
      const secret = secretOf.get(address);
      if (secret === undefined) return undefined;
      return Buffer.compare(mac(secret, digest), signature.subarray(0, 32)) === 0 ? address : undefined;
    },
  };
}

export function realKeys(n: number): Keys {
  const secrets = secretsOf(n);
  return {
    addresses: secrets.map(privateKeyAddress),
    sign: (validator, digest) => sign(digest, secrets[validator]!),
    recover: recoverAddress,
  };
}
