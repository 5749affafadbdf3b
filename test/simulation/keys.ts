/**
 * Keys of a run's machines: validator, node and operator, all of them real, because the governance contract checks READYs
 * and operators' transactions with real signatures. Consensus messages are signed with a cheap scheme in nearly all runs:
 * a signature is keccak(key | digest), then the signer's address, padded to 65 bytes; a registry of the keys lets anyone
 * check it. Forging it takes the key, as it must. One run in a hundred signs with secp256k1, to show that nothing rests
 * on the difference. The keys are the same in all runs, so that block 0 is, too.
 */
import { hexBytes, toHex, utf8 } from '../../primitives/bytes.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import { keccak256 } from '../../primitives/keccak.ts';
import type { Validator } from '../../primitives/membership.ts';
import { privateKeyAddress, publicKey, recoverAddress, sign } from '../../primitives/secp256k1.ts';

/** How consensus messages are signed. */
export type Keys = {
  readonly addresses: readonly Address[];
  readonly sign: (validator: number, digest: Bytes) => Bytes;
  readonly recover: (digest: Bytes, signature: Bytes) => Address | undefined;
};

/** Machines of one run at most. */
export const MACHINES_MAX = 10;

/** A machine's three keys: what lists say of it, and the secrets of those that sign transactions. */
export type Identity = Validator & { readonly validatorSecret: Bytes; readonly operatorSecret: Bytes };

function makeIdentity(index: number): Identity {
  const secret = (role: string): Bytes => keccak256(utf8(`simulated ${role} ${index}`));
  const validatorSecret = secret('validator');
  const operatorSecret = secret('operator');
  return {
    validator: privateKeyAddress(validatorSecret),
    nodeKey: toHex(publicKey(secret('node'))),
    operator: privateKeyAddress(operatorSecret),
    validatorSecret,
    operatorSecret,
  };
}

export const IDENTITIES: readonly Identity[] = Array.from({ length: MACHINES_MAX }, (_, index) => makeIdentity(index));

/** The list entries of the first `n` machines. */
export function membersOf(n: number): Validator[] {
  return IDENTITIES.slice(0, n).map(({ validator, nodeKey, operator }) => ({ validator, nodeKey, operator }));
}

export function cheapKeys(n: number): Keys {
  const secrets = IDENTITIES.slice(0, n).map(({ validatorSecret }) => validatorSecret);
  const addresses = IDENTITIES.slice(0, n).map(({ validator }) => validator);
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
  const own = IDENTITIES.slice(0, n);
  return {
    addresses: own.map(({ validator }) => validator),
    sign: (validator, digest) => sign(digest, own[validator]!.validatorSecret),
    recover: recoverAddress,
  };
}
