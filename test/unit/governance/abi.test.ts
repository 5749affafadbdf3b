/** The ABI: what is published says what the code does, ethers agrees, and nothing but the canonical encoding is read. */
import { readFileSync } from 'node:fs';
import { AbiCoder, Interface, type InterfaceAbi, id as keccakOf } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeArguments,
  decodeEvent,
  decodeResult,
  EVENTS,
  encodeCall,
  encodeError,
  encodeEvent,
  encodeResult,
  FUNCTIONS,
  governanceAbi,
  UNCHANGED_POLICY,
} from '../../../ledger/governance/abi.ts';
import {
  AbiError,
  ADDRESS,
  array,
  BYTES,
  decodeAll,
  encodeAll,
  STRING,
  tuple,
  uint,
} from '../../../ledger/governance/abi-types.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import { candidate, incarnation } from './fixtures.ts';

const read = (file: string) => readFileSync(new URL(`../../../docs/${file}`, import.meta.url), 'utf8');
const contract = new Interface(governanceAbi() as InterfaceAbi);

const word = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex);
const address = fc.uint8Array({ minLength: 20, maxLength: 20 }).map(toHex);
const bytes = fc.uint8Array({ maxLength: 70 }).map(toHex);
const text = fc.string({ maxLength: 40, unit: 'grapheme' });
const small = fc.nat(60_000);
const candidates = fc.record({ validator: address, nodeKey: bytes, operator: address, multiaddr: text });
const policies = fc.record({
  quorumBasisPoints: small,
  expirySeconds: fc.nat(),
  evidenceRemoves: fc.boolean(),
  leastValidators: small,
  readyLag: fc.nat(),
  rejoinIntervalSeconds: fc.nat(),
  deltaMs: fc.nat(),
  suspicionTimeoutMs: fc.nat(),
  suspicionTimeoutMaxMs: fc.nat(),
});
const proposing = fc.record({
  additions: fc.array(candidates, { maxLength: 3 }),
  removals: fc.array(address, { maxLength: 3 }),
  replacements: fc.array(fc.record({ validator: address, by: candidates }), { maxLength: 3 }),
  policy: policies,
});

/** Values in the order of their fields, as ethers takes and gives them. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) return Object.values(value).map(plain);
  if (typeof value === 'string' && value.startsWith('0x')) return value.toLowerCase();
  return typeof value === 'bigint' ? Number(value) : value;
}

describe('the published ABI', () => {
  it('as JSON is what the code is made of', () => {
    expect(JSON.parse(read('governance.abi.json'))).toEqual(governanceAbi());
  });

  it('as Solidity declares the same functions, structs and events', () => {
    const source = read('governance.sol')
      .replaceAll(/\/\/.*$/gm, '')
      .replaceAll(/\s+/g, ' ');
    // Ethers knows no structs: each becomes the tuple it is, in those that follow it too.
    const structs = [...source.matchAll(/struct (\w+) \{ ([^}]*); \}/g)].map(
      ([, name, fields]) => [new RegExp(`\\b${name}\\b`, 'g'), `tuple(${fields!.replaceAll(';', ',')})`] as const,
    );
    const expanded = (line: string) => structs.reduceRight((text, [name, tuple]) => text.replaceAll(name, tuple), line);
    const declarations = [...source.matchAll(/((?:function|event) [^;]*);/g)].map(([, line]) =>
      expanded(line!.replaceAll(/ (calldata|memory|external)\b/g, '')),
    );
    const declared = new Interface(declarations);
    const full = (of: Interface) =>
      of.fragments.map((fragment) => fragment.format('full').replaceAll(/\s+/g, ' ')).sort();
    expect(full(declared)).toEqual(full(contract));
  });

  it('has the selectors and topics that ethers computes', () => {
    for (const { name, selector } of Object.values(FUNCTIONS)) {
      expect(contract.getFunction(name)!.selector, name).toBe(selector);
    }
    for (const { name, topic } of Object.values(EVENTS)) expect(contract.getEvent(name)!.topicHash, name).toBe(topic);
    expect(EVENTS.EpochClosed.topic).toBe(
      keccakOf('EpochClosed(uint64,bytes32,(address,bytes,address)[],address[],bytes16[])'),
    );
  });
});

describe('encoding', () => {
  it('of calls is that of ethers, and read back', () => {
    fc.assert(
      fc.property(proposing, (args) => {
        const encoded = encodeCall(FUNCTIONS.propose, args);
        expect(toHex(encoded)).toBe(contract.encodeFunctionData('propose', Object.values(args)));
        expect(decodeArguments(FUNCTIONS.propose, encoded)).toEqual(args);
      }),
    );
    fc.assert(
      fc.property(address, fc.nat(), word, bytes, (validator, height, hash, signature) => {
        const args = { validator, height, hash, incarnation: incarnation(height), signature };
        const encoded = encodeCall(FUNCTIONS.ready, args);
        expect(toHex(encoded)).toBe(contract.encodeFunctionData('ready', Object.values(args)));
        expect(decodeArguments(FUNCTIONS.ready, encoded)).toEqual(args);
      }),
    );
  });

  it('of results is read by ethers', () => {
    fc.assert(
      fc.property(proposing, fc.array(address), (change, approvals) => {
        const times = { id: 7, proposer: change.removals[0] ?? approvals[0] ?? '0x' + '01'.repeat(20), epoch: 1 };
        const proposal = {
          ...times,
          createdAt: 2,
          expiresAt: 3,
          status: 1,
          endedAt: 0,
          ...change,
          approvals,
          rejections: [],
        };
        const lists = { open: [proposal], ended: [proposal, proposal] };
        const encoded = encodeResult(FUNCTIONS.proposals, lists);
        expect(plain([...contract.decodeFunctionResult('proposals', encoded).toArray(true)])).toEqual(plain(lists));
        expect(decodeResult(FUNCTIONS.proposals, encoded)).toEqual(lists);
      }),
      { numRuns: 30 },
    );
  });

  it('of events is read by ethers, and read back', () => {
    const { validator, nodeKey, operator } = candidate(5);
    const values = {
      epoch: 9,
      membershipHash: '0x' + 'ab'.repeat(32),
      validators: [{ validator, nodeKey, operator }],
      ready: [validator],
      incarnations: [incarnation(3)],
    };
    const log = encodeEvent(EVENTS.EpochClosed, values);
    const parsed = contract.parseLog({ topics: [...log.topics], data: toHex(log.data) })!;
    expect(plain(parsed.args.toArray(true))).toEqual(plain(values));
    expect(decodeEvent(EVENTS.EpochClosed, log)).toEqual(values);
    expect(decodeEvent(EVENTS.Passed, log)).toBeUndefined();
    expect(decodeEvent(EVENTS.EpochClosed, { ...log, address: validator })).toBeUndefined();
  });

  it('of a revert is Error(string)', () => {
    const expected = '0x08c379a0' + AbiCoder.defaultAbiCoder().encode(['string'], ['no: ä']).slice(2);
    expect(toHex(encodeError('no: ä'))).toBe(expected);
  });
});

describe('decoding', () => {
  const sample = { additions: [candidate(3, '/ip4/10.0.0.7/tcp/30300')], removals: [candidate(1).validator] };
  const encoded = encodeCall(FUNCTIONS.propose, { ...sample, replacements: [], policy: UNCHANGED_POLICY });

  it('takes one encoding of every value only, and throws nothing but AbiError', () => {
    const mutations = fc.record({ at: fc.nat(encoded.length - 1), by: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(mutations, ({ at, by }) => {
        const broken = Uint8Array.from(encoded);
        broken[at]! ^= by;
        let args: Parameters<typeof encodeCall<typeof FUNCTIONS.propose.inputs, never>>[1];
        try {
          args = decodeArguments(FUNCTIONS.propose, broken);
        } catch (error) {
          expect(error).toBeInstanceOf(AbiError);
          return;
        }
        // The selector is not part of the arguments.
        expect(encodeCall(FUNCTIONS.propose, args).subarray(4)).toEqual(Buffer.from(broken.subarray(4)));
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (rubbish) => {
        try {
          decodeArguments(FUNCTIONS.propose, rubbish);
        } catch (error) {
          expect(error).toBeInstanceOf(AbiError);
        }
      }),
    );
  });

  it('refuses what is cut short or longer', () => {
    for (let length = 4; length < encoded.length; length += 7) {
      expect(() => decodeArguments(FUNCTIONS.propose, encoded.subarray(0, length))).toThrow(AbiError);
    }
    expect(() => decodeArguments(FUNCTIONS.propose, Buffer.concat([encoded, Buffer.alloc(32)]))).toThrow(
      /behind its end/,
    );
  });

  const hex = (...words: string[]) => fromHex('0x' + words.map((digits) => digits.padStart(64, '0')).join(''))!;
  const one = { value: array(tuple({ name: STRING })) };

  it.each([
    ['an offset that points back', hex('0'), { value: BYTES }, /offset/],
    ['an offset past a gap', hex('40', '0', '0'), { value: BYTES }, /offset/],
    ['two tails in one place', hex('40', '40', '0'), { a: BYTES, b: BYTES }, /offset/],
    ['a length beyond the end', hex('20', '21', '0'), { value: BYTES }, /too early/],
    ['padding that is not zero', hex('20', '1', '1'), { value: BYTES }, /padded/],
    ['an array of a billion', hex('20', '3b9aca00'), { value: array(ADDRESS) }, /too early/],
    ['an array of a billion tuples', hex('20', '3b9aca00'), one, /too early/],
    ['a length of 256 bits', hex('20', 'f'.repeat(64)), { value: BYTES }, /too large/],
    ['an address of 21 bytes', hex('1'.padEnd(42, '0')), { value: ADDRESS }, /padded/],
    ['a number too large for its type', hex('100'), { value: uint(8) }, /no uint8/],
    ['a bool of 2', hex('2'), FUNCTIONS.vote.inputs, /too early/],
    ['a text that is not UTF-8', hex('20', '1', 'ff'.padEnd(64, '0')), { value: STRING }, /UTF-8/],
  ])('refuses %s', (_, input, fields, problem) => {
    expect(() => decodeAll(fields, input)).toThrow(problem);
  });

  it('of a hundred thousand bytes takes time in proportion', () => {
    const many = { additions: Array.from({ length: 400 }, () => candidate(3, '/x'.repeat(50))), removals: [] };
    const large = encodeCall(FUNCTIONS.propose, { ...many, replacements: [], policy: UNCHANGED_POLICY });
    expect(large.length).toBeGreaterThan(100_000);
    expect(decodeArguments(FUNCTIONS.propose, large).additions).toHaveLength(400);
    expect(encodeAll({}, {})).toHaveLength(0);
  });
});
