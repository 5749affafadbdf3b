/**
 * Ethereum addresses as people write them. Mixed case is a checksum (EIP-55), so a mistyped letter is found here, before
 * coins are sent to an account nobody has. Inside the program addresses are lower-case.
 */
import { utf8 } from '../primitives/bytes.ts';
import type { Address } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import type { Problems } from '../primitives/parse.ts';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

/** The mixed-case form of a lower-case address. */
export function checksumAddress(address: Address): string {
  const digits = address.slice(2);
  const hash = keccakHash(utf8(digits)).slice(2);
  let out = '0x';
  for (let i = 0; i < digits.length; i++) out += hash[i]! >= '8' ? digits[i]!.toUpperCase() : digits[i]!;
  return out;
}

/** A 0x address of one case, or of mixed case with the right checksum; else the problem is named and undefined given. */
export function parseAddress(value: unknown, path: string, problems: Problems): Address | undefined {
  if (typeof value !== 'string' || !ADDRESS.test(value)) {
    return problems.expected(path, 'an address (0x and 40 hex digits)', value);
  }
  const lower = value.toLowerCase();
  const digits = value.slice(2);
  const oneCase = digits === digits.toLowerCase() || digits === digits.toUpperCase();
  if (!oneCase && checksumAddress(lower) !== value) {
    return problems.add(path, `the address has a wrong checksum, one of its letters is mistyped: ${value}`);
  }
  return lower;
}
