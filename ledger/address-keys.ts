/** Trie keys of addresses: the nibbles of keccak256(address), kept for those used lately. */
import { hexBytes } from '../primitives/bytes.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { toNibbles } from './trie-codec.ts';

/** Keeps between one and two times this many. */
const GENERATION_SIZE = 32_768;

export class AddressKeys {
  #young = new Map<Address, Bytes>();
  #old = new Map<Address, Bytes>();

  key(address: Address): Bytes {
    const known = this.#young.get(address);
    if (known !== undefined) return known;
    const key = this.#old.get(address) ?? toNibbles(keccak256(hexBytes(address)));
    if (this.#young.size >= GENERATION_SIZE) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(address, key);
    return key;
  }
}
