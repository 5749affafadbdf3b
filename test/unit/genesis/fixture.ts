/** A valid genesis as JSON, from fixed keys. */
import { toHex } from '../../../primitives/bytes.ts';
import { privateKeyAddress, publicKey } from '../../../primitives/secp256k1.ts';

function key(number: number): Uint8Array {
  const bytes = new Uint8Array(32);
  bytes[30] = number >> 8;
  bytes[31] = number & 0xff;
  return bytes;
}

export function rawGenesis(validators: number) {
  return {
    version: 1 as const,
    chainId: 1337,
    timestamp: 1_750_000_000,
    validators: Array.from({ length: validators }, (_, i) => ({
      validator: privateKeyAddress(key(3 * i + 1)),
      nodeKey: toHex(publicKey(key(3 * i + 2))),
      operator: privateKeyAddress(key(3 * i + 3)),
    })),
  };
}
