/**
 * Bytes from a liar: real messages with bytes changed, cut, repeated, spliced, and with whole fields moved about. What
 * must hold for every one of them: no exception, a reason from a small set, and whatever is accepted is the one encoding
 * of what it says (a second one could be relayed under the same signature).
 */
import { describe, expect, it } from 'vitest';
import { decodeCertificate, encodeCertificate } from '../../consensus/certificate-codec.ts';
import { decodeMessage, encodeMessage } from '../../consensus/message-codec.ts';
import { decodeRecord, encodeRecord } from '../../consensus/record-codec.ts';
import { toHex } from '../../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import { type RlpInput, type RlpItem, rlpDecode, rlpEncode } from '../../primitives/rlp.ts';
import { SAMPLE_CERTIFICATES, SAMPLE_MESSAGES, SAMPLE_RECORDS } from '../unit/consensus/wire-samples.ts';
import { FUZZ_RUNS, FUZZ_SEED } from './effort.ts';
import { makeRandom, pick, type Random } from './random.ts';

const CASES = 200_000 * FUZZ_RUNS;
const BOUNDS = { validators: 3 };
/** What a reason may end in: none of it comes from the input, so reasons can be counted. */
const PROBLEM =
  /: (missing|truncated|trailing bytes|too long|too many (fields|items)|wrong length|out of range|not a (list|byte string|finality proof)|(another|unknown) kind|integer (above 2\^53|has a leading zero)|length (over 4 bytes|has a leading zero)|long form for a short length|single byte in long form)$/;

const ODD_BYTES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xa0, 0xb7, 0xb8, 0xbb, 0xbf, 0xc0, 0xc1, 0xf7, 0xf8, 0xfb, 0xff];

/** Changes bytes without regard to what they mean. */
function mutateBytes(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.from(pick(random, corpus));
  const at = random(bytes.length);
  switch (random(6)) {
    case 0:
      bytes[at] = bytes[at]! ^ (1 << random(8));
      return bytes;
    case 1:
      bytes[at] = pick(random, ODD_BYTES);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes, bytes.subarray(at)]);
    case 4: {
      const other = pick(random, corpus);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))]);
    }
    default: {
      const gone = 1 + random(8);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + gone)]);
    }
  }
}

function noise(random: Random): RlpItem {
  const length = pick(random, [0, 1, 1, 2, 6, 7, 8, 16, 31, 32, 33, 64, 65, 66]);
  const bytes = Buffer.alloc(length, random(256));
  return random(6) === 0 ? [bytes] : bytes;
}

/** Every list in a tree, the outermost first. */
function listsOf(item: RlpItem, into: RlpItem[][] = []): RlpItem[][] {
  if (!Array.isArray(item)) return into;
  into.push(item);
  for (const child of item) listsOf(child, into);
  return into;
}

/** Changes fields and keeps the RLP well-formed, so that the checks behind the encoding are reached. */
function mutateTree(random: Random, corpus: readonly Uint8Array[], donors: readonly RlpItem[]): Uint8Array {
  const tree = rlpDecode(pick(random, corpus));
  const list = pick(random, listsOf(tree));
  const at = random(list.length + 1);
  switch (random(5)) {
    case 0:
      list.splice(at, 1);
      break;
    case 1:
      list.splice(at, 1, noise(random));
      break;
    case 2:
      list.splice(at, 0, noise(random));
      break;
    case 3:
      list.splice(at, 1, pick(random, donors));
      break;
    default:
      if (list.length > 0) list.push(...new Array<RlpItem>(1 + random(4)).fill(list[random(list.length)]!));
  }
  return rlpEncode(tree as RlpInput);
}

type Outcome = { readonly reason: string } | { readonly again: Uint8Array };

/** Runs one decoder over mutations of its corpus; says how many it took and why it refused the others. */
function fuzz(
  corpus: readonly Uint8Array[],
  cases: number,
  decode: (bytes: Uint8Array) => Outcome,
): { accepted: number; refused: number; reasons: Set<string> } {
  const random = makeRandom(FUZZ_SEED);
  const donors = corpus.flatMap((bytes) => listsOf(rlpDecode(bytes)));
  const reasons = new Set<string>();
  let accepted = 0;
  let refused = 0;
  for (let i = 0; i < cases; i++) {
    const bytes = i % 3 !== 0 ? mutateBytes(random, corpus) : mutateTree(random, corpus, donors);
    let outcome: Outcome;
    try {
      outcome = decode(bytes);
    } catch (error) {
      throw new Error(`case ${i} of seed ${FUZZ_SEED}: ${errorMessage(error)} for ${toHex(bytes)}`);
    }
    if ('reason' in outcome) {
      refused++;
      reasons.add(outcome.reason);
    } else {
      accepted++;
      if (Buffer.compare(outcome.again, bytes) !== 0) {
        throw new Error(`case ${i} of seed ${FUZZ_SEED}: a second encoding: ${toHex(bytes)}`);
      }
    }
  }
  return { accepted, refused, reasons };
}

describe(`consensus codec under fuzzing [seed=${FUZZ_SEED}]`, () => {
  it('messages: never throws, never takes a second encoding', () => {
    const corpus = Object.values(SAMPLE_MESSAGES).map(encodeMessage);
    const { accepted, refused, reasons } = fuzz(corpus, CASES, (bytes) => {
      const result = decodeMessage(bytes, BOUNDS);
      return result.ok ? { again: encodeMessage(result.message) } : { reason: result.reason };
    });
    // Both sides were reached, or the mutations are no test at all.
    expect(accepted).toBeGreaterThan(CASES / 100);
    expect(refused).toBeGreaterThan(CASES / 4);
    expect(reasons.size).toBeGreaterThan(50);
    for (const reason of reasons) expect(reason).toMatch(PROBLEM);
  });

  it('certificates: never throws, never takes a second encoding', () => {
    const corpus = Object.values(SAMPLE_CERTIFICATES).map(encodeCertificate);
    const { accepted, refused } = fuzz(corpus, CASES / 10, (bytes) => {
      const result = decodeCertificate(bytes, BOUNDS);
      return result.ok ? { again: encodeCertificate(result.certificate) } : { reason: result.reason };
    });
    expect(accepted).toBeGreaterThan(CASES / 1000);
    expect(refused).toBeGreaterThan(CASES / 40);
  });

  it('records: throws only the error that says the log is damaged', () => {
    const corpus = Object.values(SAMPLE_RECORDS).map(encodeRecord);
    const { accepted, refused } = fuzz(corpus, CASES / 4, (bytes) => {
      try {
        return { again: encodeRecord(decodeRecord(bytes)) };
      } catch (error) {
        if (error instanceof QuorateError && error.code === 'LOG_DAMAGED') return { reason: error.message };
        throw error;
      }
    });
    expect(accepted).toBeGreaterThan(CASES / 1000);
    expect(refused).toBeGreaterThan(CASES / 16);
  });

  it('noise: whatever the bytes, there is a reason or a message', () => {
    const random = makeRandom(FUZZ_SEED + 1);
    for (let i = 0; i < CASES / 4; i++) {
      const bytes = Uint8Array.from({ length: random(60) }, () =>
        random(3) === 0 ? pick(random, ODD_BYTES) : random(256),
      );
      const result = decodeMessage(bytes, BOUNDS);
      const sound = result.ok
        ? Buffer.compare(encodeMessage(result.message), bytes) === 0
        : PROBLEM.test(result.reason);
      if (!sound) throw new Error(`case ${i} of seed ${FUZZ_SEED}: ${JSON.stringify(result)} for ${toHex(bytes)}`);
    }
  });
});
