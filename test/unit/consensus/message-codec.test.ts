import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCertificate, encodeCertificate } from '../../../consensus/certificate-codec.ts';
import type { Certificate, Message } from '../../../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../../../consensus/message-codec.ts';
import {
  CERTIFICATE_NUMBERS,
  MESSAGE_NUMBERS,
  RECORD_NUMBERS,
  RETIRED_NUMBERS,
  WIRE_LIMITS,
} from '../../../consensus/wire-numbers.ts';
import { type RlpItem, rlpDecode, rlpEncode } from '../../../primitives/rlp.ts';
import { anyCertificate, anyMessage, VALIDATORS } from './wire-arbitraries.ts';
import { SAMPLE_CERTIFICATES, SAMPLE_MESSAGES } from './wire-samples.ts';

const BOUNDS = { validators: VALIDATORS };

function decoded(bytes: Uint8Array, bounds = BOUNDS): Message {
  const result = decodeMessage(bytes, bounds);
  if (!result.ok) throw new Error(result.reason);
  return result.message;
}

function reason(bytes: Uint8Array, bounds = BOUNDS): string {
  const result = decodeMessage(bytes, bounds);
  return result.ok ? `accepted ${result.message.kind}` : result.reason;
}

/** The sample's items, changed by the test and encoded again. */
function altered(kind: Message['kind'], change: (fields: RlpItem[]) => void): Uint8Array {
  const fields = rlpDecode(encodeMessage(SAMPLE_MESSAGES[kind])) as RlpItem[];
  change(fields);
  return rlpEncode(fields);
}

function owns(bytes: Uint8Array): boolean {
  return bytes.buffer.byteLength === bytes.length;
}

describe('message codec: round trip', () => {
  it('gives back every message as it was, and the same bytes for it again', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = encodeMessage(message);
        const back = decoded(bytes);
        expect(back).toEqual(message);
        expect(Buffer.compare(encodeMessage(back), bytes)).toBe(0);
      }),
      { numRuns: 600 },
    );
  });

  it.each(Object.values(SAMPLE_MESSAGES))(
    '$kind survives as a plain array and as a part of a larger buffer',
    (message) => {
      const bytes = encodeMessage(message);
      const surrounded = Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(5, 0xff)]);
      expect(decoded(Uint8Array.from(bytes))).toEqual(message);
      expect(decoded(surrounded.subarray(3, 3 + bytes.length))).toEqual(message);
    },
  );

  it('gives back every certificate as it was', () => {
    fc.assert(
      fc.property(anyCertificate, (certificate) => {
        expect(decodeCertificate(encodeCertificate(certificate), BOUNDS)).toEqual({ ok: true, certificate });
      }),
    );
  });

  it('encodes a signed message the same alone and inside another', () => {
    const { ANSWER, CHAIN } = SAMPLE_MESSAGES;
    const inside = Buffer.from(encodeMessage(ANSWER)).toString('hex');
    for (const message of ANSWER.held) expect(inside).toContain(Buffer.from(encodeMessage(message)).toString('hex'));
    expect(Buffer.from(encodeMessage(CHAIN)).toString('hex')).toContain(
      Buffer.from(encodeMessage(CHAIN.suspects[0]!)).toString('hex'),
    );
  });
});

describe('message codec: memory', () => {
  it('copies signatures and rows, so that a kept vote does not keep the frame', () => {
    const commit = decoded(encodeMessage(SAMPLE_MESSAGES.COMMIT));
    const heartbeat = decoded(encodeMessage(SAMPLE_MESSAGES.HEARTBEAT));
    if (commit.kind !== 'COMMIT' || heartbeat.kind !== 'HEARTBEAT') throw new Error('another kind');
    expect(owns(commit.signature)).toBe(true);
    expect(owns(heartbeat.row!.signature)).toBe(true);
    const frame = encodeMessage(SAMPLE_MESSAGES.FINAL);
    const final = decoded(frame);
    frame.fill(0);
    if (final.kind !== 'FINAL') throw new Error('another kind');
    expect(final.proof).toEqual(SAMPLE_MESSAGES.FINAL.proof);
  });

  it('gives a block that is most of its message as a view', () => {
    const block = new Uint8Array(5000).fill(7);
    const frame = encodeMessage({ ...SAMPLE_MESSAGES.PROPOSAL, block });
    const message = decoded(frame);
    if (message.kind !== 'PROPOSAL') throw new Error('another kind');
    expect(message.block.buffer).toBe(frame.buffer);
    expect(message.block).toEqual(block);
  });

  it('copies a block that is a small part of its message, so that it keeps no more than itself alive', () => {
    const blocks = [100, 5000, 200].map((size) => ({ block: new Uint8Array(size).fill(7), proof: undefined }));
    const frame = encodeMessage({ kind: 'BLOCKS', nonce: 1, blocks });
    const message = decoded(frame);
    if (message.kind !== 'BLOCKS') throw new Error('another kind');
    expect(message.blocks.map(({ block }) => owns(block))).toEqual([true, false, true]);
    expect(message.blocks).toEqual(blocks);
  });
});

describe('message codec: refusals', () => {
  it.each([
    ['an empty input', new Uint8Array(0), 'message: missing'],
    ['a byte string', Uint8Array.of(0x83, 1, 2, 3), 'message: not a list'],
    ['an empty list', Uint8Array.of(0xc0), 'number: missing'],
    ['a number nobody uses', rlpEncode([99, 1, 2]), 'message: unknown kind'],
    ['the number 0', rlpEncode([0, 1, 2]), 'message: unknown kind'],
    [
      'bytes after the message',
      Buffer.concat([encodeMessage(SAMPLE_MESSAGES.ASK), Buffer.of(0)]),
      'ASK: message: trailing bytes',
    ],
    ['a cut-off message', encodeMessage(SAMPLE_MESSAGES.ASK).subarray(0, -1), 'message: truncated'],
    ['a missing field', altered('ASK', (fields) => fields.pop()), 'ASK: nonce: missing'],
    ['a field too many', altered('ASK', (fields) => fields.push(Buffer.of(1))), 'ASK: message: too many fields'],
    ['a list for a number', altered('ASK', (fields) => fields.splice(1, 1, [])), 'ASK: epoch: not a byte string'],
    [
      'a number with a leading zero',
      altered('ASK', (fields) => fields.splice(1, 1, Buffer.of(0, 1))),
      'ASK: epoch: integer has a leading zero',
    ],
    [
      'zero as a byte',
      altered('ASK', (fields) => fields.splice(1, 1, Buffer.of(0))),
      'ASK: epoch: integer has a leading zero',
    ],
    [
      '2^53',
      altered('ASK', (fields) => fields.splice(1, 1, Buffer.from('20000000000000', 'hex'))),
      'ASK: epoch: integer above 2^53',
    ],
    [
      'an 8-byte number',
      altered('ASK', (fields) => fields.splice(1, 1, Buffer.alloc(8, 1))),
      'ASK: epoch: integer above 2^53',
    ],
    [
      'a length in long form that fits the short one',
      Uint8Array.of(0xf8, 0x03, 0x10, 0x01, 0x01),
      'message: long form for a short length',
    ],
    ['a length with a leading zero', Uint8Array.of(0xf9, 0x00, 0x40), 'message: length has a leading zero'],
    ['a length over four bytes', Uint8Array.of(0xff, 1, 1, 1, 1, 1, 1, 1, 1), 'message: length over 4 bytes'],
    ['a length that is cut off', Uint8Array.of(0xf9, 0x01), 'message: truncated'],
    ['a single byte in long form', Uint8Array.of(0xc4, 0x10, 0x81, 0x05, 0x01), 'ASK: epoch: single byte in long form'],
    ['a field that runs past its list', Uint8Array.of(0xc3, 0x10, 0x82, 0x05, 0x01), 'ASK: epoch: truncated'],
    [
      'a hash of 31 bytes',
      altered('COMMIT', (fields) => fields.splice(5, 1, Buffer.alloc(31, 1))),
      'COMMIT: hash: wrong length',
    ],
    [
      'a view certificate of 31 bytes',
      altered('COMMIT', (fields) => fields.splice(3, 1, Buffer.alloc(31, 1))),
      'COMMIT: viewCertificate: wrong length',
    ],
    [
      'a signature of 64 bytes',
      altered('COMMIT', (fields) => (fields[6] as RlpItem[]).splice(2, 1, Buffer.alloc(64, 1))),
      'COMMIT: signature: wrong length',
    ],
    [
      'a signature of 66 bytes',
      altered('COMMIT', (fields) => (fields[6] as RlpItem[]).splice(2, 1, Buffer.alloc(66, 1))),
      'COMMIT: signature: too long',
    ],
    [
      'an incarnation of 15 bytes',
      altered('COMMIT', (fields) => (fields[6] as RlpItem[]).splice(1, 1, Buffer.alloc(15, 1))),
      'COMMIT: incarnation: wrong length',
    ],
    [
      'a COMMIT where a PREPARE belongs',
      rlpEncode([8, rlpDecode(encodeMessage(SAMPLE_MESSAGES.COMMIT)) as RlpItem[], Buffer.of(1)]),
      'PROPOSAL: PREPARE: another kind',
    ],
    [
      'a message that is not signed in an ANSWER',
      rlpEncode([17, 1, [rlpDecode(encodeMessage(SAMPLE_MESSAGES.ASK)) as RlpItem[]]]),
      'ANSWER: signed message: unknown kind',
    ],
    [
      'an unknown kind of certificate',
      altered('FINALITY', (fields) => (fields[1] as RlpItem[]).splice(0, 1, Buffer.of(2))),
      'FINALITY: certificate: unknown kind',
    ],
    [
      'a commit certificate as a proof',
      altered('FINALITY', (fields) => (fields[1] as RlpItem[]).splice(0, 1, Buffer.alloc(0))),
      'FINALITY: proof: not a finality proof',
    ],
  ])('refuses %s', (_, bytes, expected) => {
    expect(reason(bytes)).toBe(expected);
  });

  it('refuses a signer and an accused that are no validators', () => {
    const { COMMIT, SUSPECT } = SAMPLE_MESSAGES;
    expect(reason(encodeMessage({ ...COMMIT, signer: 6 }))).toBe('accepted COMMIT');
    expect(reason(encodeMessage({ ...COMMIT, signer: 7 }))).toBe('COMMIT: signer: out of range');
    expect(reason(encodeMessage({ ...SUSPECT, accused: [6] }))).toBe('accepted SUSPECT');
    expect(reason(encodeMessage({ ...SUSPECT, accused: [7] }))).toBe('SUSPECT: accused: out of range');
  });

  it('refuses a tick that could not be echoed', () => {
    const { HEARTBEAT } = SAMPLE_MESSAGES;
    expect(reason(encodeMessage({ ...HEARTBEAT, tick: WIRE_LIMITS.tick - 1 }))).toBe('accepted HEARTBEAT');
    expect(reason(encodeMessage({ ...HEARTBEAT, tick: WIRE_LIMITS.tick }))).toBe('HEARTBEAT: tick: out of range');
  });

  const { SUSPECT, CHAIN, BLOCKS, ANSWER, HEARTBEAT, PROPOSAL, FINALITY } = SAMPLE_MESSAGES;
  const vcFinal = SAMPLE_MESSAGES['VC-FINAL'];
  const newView = SAMPLE_MESSAGES['NEW-VIEW'];
  const many = <T>(item: T, count: number): T[] => new Array<T>(count).fill(item);
  const sizes: [string, number, (count: number) => Message][] = [
    ['rows', WIRE_LIMITS.rows, (count) => ({ ...SUSPECT, rows: many(SUSPECT.rows[0]!, count) })],
    ['members of a row', 100, (count) => ({ ...HEARTBEAT, row: { ...HEARTBEAT.row!, members: many(3, count) } })],
    ['SUSPECTs of a chain', WIRE_LIMITS.suspects, (count) => ({ ...CHAIN, suspects: many(SUSPECT, count) })],
    ['blocks', WIRE_LIMITS.blocks, (count) => ({ ...BLOCKS, blocks: many(BLOCKS.blocks[0]!, count) })],
    ['bytes of a block', WIRE_LIMITS.blockBytes, (count) => ({ ...PROPOSAL, block: new Uint8Array(count) })],
    ['held messages', WIRE_LIMITS.held, (count) => ({ ...ANSWER, held: many(SUSPECT, count) })],
    ['accused', 100, (count) => ({ ...SUSPECT, accused: many(3, count) })],
    ['VIEW-CHANGEs', 100, (count) => ({ ...vcFinal, viewChanges: many(vcFinal.viewChanges[0]!, count) })],
    ['digests', 100, (count) => ({ ...newView, digests: many(newView.digests[0]!, count) })],
    [
      'seals',
      100,
      (count) => ({ ...FINALITY, proof: { ...FINALITY.proof, seals: many(FINALITY.proof.seals[0]!, count) } }),
    ],
  ];
  it.each(sizes)('takes as many %s as the limit says and not one more', (_, limit, make) => {
    const bounds = { validators: 1000 };
    expect(reason(encodeMessage(make(limit)), bounds)).toBe(`accepted ${make(1).kind}`);
    expect(reason(encodeMessage(make(limit + 1)), bounds)).toMatch(/: too (long|many items)$/);
  });

  it.each(sizes.slice(-4))('takes no more %s than there are validators', (_, __, make) => {
    expect(reason(encodeMessage(make(VALIDATORS)))).toMatch(/^accepted /);
    expect(reason(encodeMessage(make(VALIDATORS + 1)))).toMatch(/: too many items$/);
  });

  it('stops at the first item that cannot fit: millions of empty lists cost nothing', () => {
    for (const number of Object.values(MESSAGE_NUMBERS)) {
      const size = 8 * 1024 * 1024;
      const bomb = new Uint8Array(size + 4).fill(0xc0);
      bomb.set([0xfa, size >> 16, 0, 0, number]);
      const heapBefore = process.memoryUsage().heapUsed;
      expect(reason(bomb)).toMatch(/: (not a byte string|too many fields|missing)$/);
      expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(4 * 1024 * 1024);
    }
  });
});

describe('certificate codec', () => {
  it.each(Object.values(SAMPLE_CERTIFICATES))('refuses a damaged $kind with a reason', (certificate: Certificate) => {
    const bytes = encodeCertificate(certificate);
    expect(decodeCertificate(bytes.subarray(1), BOUNDS).ok).toBe(false);
    expect(decodeCertificate(Buffer.concat([bytes, bytes]), BOUNDS)).toEqual({
      ok: false,
      reason: 'message: trailing bytes',
    });
    expect(decodeCertificate(bytes, { validators: 2 })).toEqual({ ok: false, reason: 'signer: out of range' });
  });
});

describe('encoding what is no message', () => {
  it('is a bug that stops the process: a short signature or incarnation', () => {
    const { COMMIT } = SAMPLE_MESSAGES;
    expect(() => encodeMessage({ ...COMMIT, signature: new Uint8Array(64) })).toThrow('signature is not 65 bytes');
    expect(() => encodeMessage({ ...COMMIT, incarnation: '0x12' })).toThrow('incarnation is not 16 bytes');
  });
});

describe('wire numbers', () => {
  it.each([
    ['messages', Object.values(MESSAGE_NUMBERS), RETIRED_NUMBERS.messages],
    ['certificates', Object.values(CERTIFICATE_NUMBERS), RETIRED_NUMBERS.certificates],
    ['records', Object.values(RECORD_NUMBERS), RETIRED_NUMBERS.records],
  ])('of %s are used once and never after they were retired', (_, used, retired) => {
    const all = [...used, ...retired];
    expect(new Set(all).size).toBe(all.length);
  });
});
