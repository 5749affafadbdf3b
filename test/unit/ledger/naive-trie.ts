/** A second, plain implementation of Merkle Patricia roots, written from the yellow paper's appendix D for the tests. */
import { toHex } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { keccak256 } from '../../../primitives/keccak.ts';
import { type RlpInput, rlpEncode } from '../../../primitives/rlp.ts';

type Entry = readonly [nibbles: readonly number[], value: Bytes];

function hexPrefix(nibbles: readonly number[], leaf: boolean): Bytes {
  const flag = leaf ? 2 : 0;
  const all = nibbles.length % 2 === 1 ? [flag + 1, ...nibbles] : [flag, 0, ...nibbles];
  return Uint8Array.from({ length: all.length / 2 }, (_, i) => all[2 * i]! * 16 + all[2 * i + 1]!);
}

function structure(entries: readonly Entry[]): RlpInput {
  if (entries.length === 1) return [hexPrefix(entries[0]![0], true), entries[0]![1]];
  const first = entries[0]![0];
  let common = 0;
  while (entries.every(([nibbles]) => nibbles[common] === first[common])) common++;
  if (common > 0) {
    return [hexPrefix(first.slice(0, common), false), node(entries.map(([n, v]) => [n.slice(common), v]))];
  }
  const branch: RlpInput[] = [];
  for (let i = 0; i < 16; i++) {
    const below = entries.filter(([n]) => n[0] === i).map(([n, v]): Entry => [n.slice(1), v]);
    branch.push(below.length === 0 ? new Uint8Array(0) : node(below));
  }
  return [...branch, new Uint8Array(0)];
}

function node(entries: readonly Entry[]): RlpInput {
  const plain = structure(entries);
  const encoded = rlpEncode(plain);
  return encoded.length < 32 ? plain : keccak256(encoded);
}

/** Root over prefix-free keys. */
export function naiveRoot(map: Iterable<readonly [key: Bytes, value: Bytes]>): string {
  const entries = [...map].map(([key, value]): Entry => [[...key].flatMap((byte) => [byte >> 4, byte & 15]), value]);
  return toHex(keccak256(entries.length === 0 ? rlpEncode(new Uint8Array(0)) : rlpEncode(structure(entries))));
}
