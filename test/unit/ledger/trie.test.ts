/** The trie against Ethereum's published vectors and a plain second implementation. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_ROOT, orderedRoot } from '../../../ledger/ordered-root.ts';
import { Trie } from '../../../ledger/trie.ts';
import { toNibbles } from '../../../ledger/trie-codec.ts';
import type { TrieRoot } from '../../../ledger/trie-node.ts';
import { nodeKey } from '../../../ledger/trie-records.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { keccak256 } from '../../../primitives/keccak.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';
import { naiveRoot } from './naive-trie.ts';

const PREFIX = Buffer.from('a');
const CODEC = { encode: (value: Bytes) => value, decode: (bytes: Bytes) => Uint8Array.from(bytes) };
type Store = Map<string, Bytes>;

function trieOver(store: Store, nodesMax = 1e9): Trie<Bytes> {
  return new Trie({ codec: CODEC, prefix: PREFIX, read: (key) => store.get(toHex(key)), nodesMax });
}

/** Writes what a version changed, as the ledger does. */
function flush(
  trie: Trie<Bytes>,
  root: TrieRoot<Bytes>,
  store: Store,
  vanished: readonly Bytes[] = root.vanished,
): void {
  const put = trie.flush(root).map(([key, value]) => [toHex(key), value] as const);
  for (const path of vanished) store.delete(toHex(nodeKey(PREFIX, path, path.length)));
  for (const [key, value] of put) store.set(key, value);
}

const secure = (key: string) => toNibbles(keccak256(key.startsWith('0x') ? fromHex(key)! : Buffer.from(key)));
const hex = (value: Bytes | undefined) => value && toHex(value);
const bytes = (text: string) => (text.startsWith('0x') ? fromHex(text)! : Buffer.from(text));

// From ethereum/tests TrieTests/trietest_secureTrie.json and trieanyorder_secureTrie.json.
const VECTORS: Record<string, { in: [string, string | null][]; root: string }> = {
  singleItem: {
    in: [['A', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']],
    root: '0xe9e2935138352776cad724d31c9fa5266a5c593bb97726dd2a908fe6d53284df',
  },
  dogs: {
    in: [
      ['doe', 'reindeer'],
      ['dog', 'puppy'],
      ['dogglesworth', 'cat'],
    ],
    root: '0xd4cd937e4a4368d7931a9cf51686b7e10abb3dce38a39000fd7902a092b64585',
  },
  puppy: {
    in: [
      ['do', 'verb'],
      ['horse', 'stallion'],
      ['doge', 'coin'],
      ['dog', 'puppy'],
    ],
    root: '0x29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d',
  },
  emptyValues: {
    in: [
      ['do', 'verb'],
      ['ether', 'wookiedoo'],
      ['horse', 'stallion'],
      ['shaman', 'horse'],
      ['doge', 'coin'],
      ['ether', null],
      ['dog', 'puppy'],
      ['shaman', null],
    ],
    root: '0x29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d',
  },
  foo: {
    in: [
      ['foo', 'bar'],
      ['food', 'bass'],
    ],
    root: '0x1385f23a33021025d9e87cca5c66c00de06178807b96a9acc92b7d651ccde842',
  },
};

describe('trie', () => {
  for (const [name, vector] of Object.entries(VECTORS)) {
    it(`gives the published secure root: ${name}`, () => {
      const trie = trieOver(new Map());
      const edit = trie.edit(trie.empty());
      for (const [key, value] of vector.in) {
        if (value === null) edit.remove(secure(key));
        else edit.put(secure(key), bytes(value));
      }
      expect(edit.seal().hash).toBe(vector.root);
    });
  }

  it('an empty trie has the empty root, also after everything was removed', () => {
    const trie = trieOver(new Map());
    const edit = trie.edit(trie.empty());
    edit.put(secure('x'), bytes('1'));
    edit.remove(secure('x'));
    expect(edit.seal().hash).toBe(EMPTY_ROOT);
  });

  // Short keys make deep sharing, extensions and inline nodes common.
  const key = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 6, maxLength: 6 });
  const blocksOf = (valueBytesMin: number) => {
    const value = fc.uint8Array({ minLength: valueBytesMin, maxLength: 40 });
    const operation = fc.record({ key, value: fc.option(value) });
    return fc.array(fc.array(operation, { maxLength: 12 }), { minLength: 1, maxLength: 8 });
  };

  it.each([
    ['short', 1],
    ['long', 32],
  ])(
    'agrees with the plain implementation through edits, flushes, evictions and reopening: %s values',
    (_name, bytesMin) => {
      void fc.assert(
        fc.property(
          blocksOf(bytesMin),
          fc.array(fc.constantFrom('flush', 'sweep', 'reopen', 'nothing')),
          (edits, actions) => {
            const store: Store = new Map();
            let trie = trieOver(store, 3);
            let root = trie.empty();
            let vanished: Bytes[] = [];
            const model = new Map<string, Bytes>();
            edits.forEach((operations, n) => {
              const edit = trie.edit(root);
              for (const { key: path, value: bytes } of operations) {
                const nibbles = Uint8Array.from(path);
                if (bytes === null) {
                  edit.remove(nibbles);
                  model.delete(toHex(nibbles));
                } else {
                  edit.put(nibbles, bytes);
                  model.set(toHex(nibbles), bytes);
                }
              }
              root = edit.seal();
              vanished.push(...root.vanished);
              expect(root.hash).toBe(naiveRoot([...model].map(([k, v]) => [packed(k), v])));
              const action = actions[n] ?? 'nothing';
              if (action === 'nothing') return;
              flush(trie, root, store, vanished);
              vanished = [];
              if (action === 'sweep') trie.sweep(root);
              if (action === 'reopen') {
                trie = trieOver(store, 3);
                root = trie.stored(root.hash);
              }
              for (const [k, v] of model) expect(hex(trie.get(root, fromHex(k)!))).toBe(toHex(v));
            });
            // Nothing is left in the store that the newest version does not reach. (A node that shrinks below 32 bytes
            // leaves its record behind: harmless, and no account is that short.)
            if (bytesMin < 32) return;
            flush(trie, root, store, vanished);
            const all = new Map<string, Bytes>();
            const fresh = trieOver(all);
            const rebuilt = fresh.edit(fresh.empty());
            for (const [k, v] of model) rebuilt.put(fromHex(k)!, v);
            flush(fresh, rebuilt.seal(), all);
            const reachable = [...store.keys()].filter((k) => model.size > 0 || k !== toHex(PREFIX));
            expect(reachable.sort()).toEqual([...all.keys()].sort());
          },
        ),
        { numRuns: 250 },
      );
    },
  );

  it('versions share structure and do not see each other', () => {
    const trie = trieOver(new Map());
    const base = trie.edit(trie.empty());
    for (let i = 0; i < 200; i++) base.put(secure(`${i}`), bytes(`v${i}`));
    const root = base.seal();
    const left = trie.edit(root);
    const right = trie.edit(root);
    left.put(secure('7'), bytes('left'));
    right.put(secure('7'), bytes('right'));
    right.remove(secure('8'));
    const [a, b] = [left.seal(), right.seal()];
    expect(trie.get(a, secure('7'))).toEqual(bytes('left'));
    expect(trie.get(b, secure('7'))).toEqual(bytes('right'));
    expect(trie.get(root, secure('7'))).toEqual(bytes('v7'));
    expect(trie.get(a, secure('8'))).toEqual(bytes('v8'));
    expect(trie.get(b, secure('8'))).toBeUndefined();
    const again = trie.edit(trie.empty());
    for (let i = 0; i < 200; i++) again.put(secure(`${i}`), bytes(`v${i}`));
    expect(again.seal().hash).toBe(root.hash);
  });

  it('any flipped bit or missing record is found when its part is read', () => {
    const store: Store = new Map();
    const trie = trieOver(store);
    const edit = trie.edit(trie.empty());
    for (let i = 0; i < 300; i++) edit.put(secure(`${i}`), bytes(`value ${i}`));
    const root = edit.seal();
    flush(trie, root, store);
    const readAll = (over: Store) => {
      const reader = trieOver(over);
      const from = reader.stored(root.hash);
      for (let i = 0; i < 300; i++) expect(hex(reader.get(from, secure(`${i}`)))).toBe(toHex(bytes(`value ${i}`)));
    };
    readAll(store);
    const keys = [...store.keys()];
    void fc.assert(
      fc.property(fc.nat(keys.length - 1), fc.nat(), fc.nat(8), (n, position, bit) => {
        const broken = new Map(store);
        const record = Uint8Array.from(store.get(keys[n]!)!);
        if (bit === 8) broken.delete(keys[n]!);
        else record[position % record.length]! ^= 1 << bit;
        if (bit < 8) broken.set(keys[n]!, record);
        expect(() => readAll(broken)).toThrow(/damaged/);
      }),
      { numRuns: 100 },
    );
  });

  it('a sweep keeps the cache within its bound and loses nothing', () => {
    const store: Store = new Map();
    const trie = trieOver(store, 500);
    let root = trie.empty();
    for (let round = 0; round < 20; round++) {
      const edit = trie.edit(root);
      for (let i = 0; i < 60; i++) edit.put(secure(`${round * 30 + i}`), bytes(`value ${round} ${i}`));
      root = edit.seal();
      flush(trie, root, store);
      trie.sweep(root);
      expect(trie.resident).toBeLessThanOrEqual(500);
    }
    expect(hex(trie.get(root, secure('0')))).toBe(toHex(bytes('value 0 0')));
    expect(hex(trie.get(root, secure('150')))).toBe(toHex(bytes('value 5 0')));
  });
});

/** Nibble paths of even length as bytes, for the plain implementation. */
function packed(hex: string): Bytes {
  const nibbles = fromHex(hex)!;
  return Uint8Array.from({ length: nibbles.length / 2 }, (_, i) => nibbles[2 * i]! * 16 + nibbles[2 * i + 1]!);
}

describe('ordered root', () => {
  it('agrees with the plain implementation for every size around the odd place of index 0', () => {
    for (const size of [0, 1, 2, 16, 17, 127, 128, 129, 130, 255, 256, 257, 300]) {
      const values = Array.from({ length: size }, (_, i) => Buffer.from(`value ${i} `.repeat((i % 7) + 1)));
      expect(orderedRoot(values), `size ${size}`).toBe(naiveRoot(values.map((v, i) => [rlpEncode(i), v])));
    }
  });

  it('agrees for tiny values, which make inline nodes, and for large ones', () => {
    void fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 4 }), { maxLength: 200 }), (values) => {
        expect(orderedRoot(values)).toBe(naiveRoot(values.map((v, i) => [rlpEncode(i), v])));
      }),
      { numRuns: 50 },
    );
    const large = [new Uint8Array(100_000).fill(1), new Uint8Array(70_000).fill(2)];
    expect(orderedRoot(large)).toBe(naiveRoot(large.map((v, i) => [rlpEncode(i), v])));
  });
});
