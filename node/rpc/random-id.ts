/** Names of filters and subscriptions: nobody can guess another client's. */
import { randomBytes } from 'node:crypto';
import { toHex } from '../../primitives/bytes.ts';

/**
 * 127 random bits as a hex quantity of 32 digits. The first digit is never 0: web3.js reads a filter's name as a number
 * and sends it back without leading zeros, so one name in sixteen would be unknown.
 */
export function randomId(): string {
  const bytes = randomBytes(16);
  bytes[0]! |= 0x80;
  return toHex(bytes);
}
