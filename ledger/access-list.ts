/** EIP-2930 access lists. Almost every transaction has an empty one, which costs nothing here. */
import { toHex } from '../primitives/bytes.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { RlpError, rlpBytes, rlpDecode, rlpList } from '../primitives/rlp.ts';

/** One entry of an access list. */
export type AccessListEntry = { readonly address: Address; readonly storageKeys: readonly Hash[] };

const EMPTY_LIST: readonly AccessListEntry[] = [];

/** Parses the RLP list `encoded`; a string is the problem. */
export function decodeAccessList(encoded: Bytes): readonly AccessListEntry[] | string {
  if (encoded.length === 1 && encoded[0] === 0xc0) return EMPTY_LIST;
  try {
    return rlpList(rlpDecode(encoded), 'access list').map((item) => {
      const [address, keys] = rlpList(item, 'access list entry', 2);
      return {
        address: toHex(rlpBytes(address, 'access list address', 20)),
        storageKeys: rlpList(keys, 'storage keys').map((key) => toHex(rlpBytes(key, 'storage key', 32))),
      };
    });
  } catch (error) {
    if (error instanceof RlpError) return `rlp: ${error.message}`;
    throw error;
  }
}

/** Gas an access list costs up front. */
export function accessListGas(list: readonly AccessListEntry[]): number {
  let gas = 0;
  for (const entry of list) gas += 2400 + 1900 * entry.storageKeys.length;
  return gas;
}
