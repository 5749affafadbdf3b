/** docs/wire.md on READY: what it shows is what is signed, and the contract takes it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { concat, fromHex, toHex, utf8 } from '../../../primitives/bytes.ts';
import { keccak256, keccakHash } from '../../../primitives/keccak.ts';
import { type Ready, readyDigest } from '../../../primitives/ready.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';
import { privateKeyAddress, recoverAddress, sign } from '../../../primitives/secp256k1.ts';

const KEY = concat(new Uint8Array(31), Uint8Array.of(1));
const READY: Ready = {
  chainId: 4242,
  genesisHash: keccakHash(utf8('genesis')),
  epoch: 2,
  validator: privateKeyAddress(KEY),
  height: 8,
  hash: keccakHash(utf8('block 8')),
  incarnation: toHex(keccak256(utf8('incarnation 0')).subarray(0, 16)),
};

const page = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8');
function shown(name: string): string {
  const fence = new RegExp('^```call ' + name + '\\n([^`]*)^```$', 'm').exec(page);
  return (fence?.[1] ?? '').replaceAll(/\s/g, '');
}

describe('docs/wire.md', () => {
  it('shows what READY signs, as the page words it', () => {
    const { chainId, genesisHash, epoch, validator, height, hash, incarnation } = READY;
    const statement = [utf8('quorate/READY/1'), chainId, genesisHash, epoch, validator, height, hash, incarnation];
    expect(shown('statement READY')).toBe(toHex(rlpEncode(statement)));
    expect(keccakHash(rlpEncode(statement))).toBe(toHex(readyDigest(READY)));
  });

  it('shows the call that hands it in, with the signature of key 1', () => {
    const signature = toHex(sign(readyDigest(READY), KEY));
    const { validator, height, hash, incarnation } = READY;
    const call = encodeCall(FUNCTIONS.ready, { validator, height, hash, incarnation, signature });
    expect(shown('READY')).toBe(toHex(call));
    expect(recoverAddress(readyDigest(READY), fromHex(signature)!)).toBe(validator);
  });
});

describe('READY', () => {
  it('is signed for one chain, epoch, validator, block and life', () => {
    const plain = toHex(readyDigest(READY));
    const other = '0x' + '99'.repeat(32);
    const changes: Partial<Ready>[] = [
      { chainId: 4243 },
      { genesisHash: other },
      { epoch: 3 },
      { validator: other.slice(0, 42) },
      { height: 9 },
      { hash: other },
      { incarnation: other.slice(0, 34) },
    ];
    for (const change of changes) expect(toHex(readyDigest({ ...READY, ...change }))).not.toBe(plain);
  });
});
