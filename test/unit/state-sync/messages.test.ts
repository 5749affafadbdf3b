/** Messages about snapshots: docs/wire.md shows their bytes, and whatever else comes is refused without an exception. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../consensus/message-codec.ts';
import { MESSAGE_NUMBERS } from '../../../consensus/wire-numbers.ts';
import {
  decodeSyncMessage,
  encodeSyncMessage,
  isSyncMessage,
  messageNumber,
  SYNC_LIMITS,
  SYNC_NUMBERS,
  type SyncMessage,
} from '../../../node/state-sync/messages.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import { SAMPLE_MESSAGES } from '../consensus/wire-samples.ts';

const PAGE = new URL('../../../docs/wire.md', import.meta.url);
const FENCE = /^```sync (.+)\n([^`]*)^```$/gm;
const page = readFileSync(PAGE, 'utf8');

const SAMPLES: readonly SyncMessage[] = [
  { kind: 'FETCH-HISTORY', nonce: 7, from: 1, to: 64 },
  {
    kind: 'HISTORY',
    nonce: 7,
    final: 4242,
    blocks: [{ block: Buffer.from('block 1'), receipts: Buffer.of(0xc0), proof: Buffer.from('proof 1') }],
  },
  { kind: 'FETCH-STATE', nonce: 8, height: 4224, paths: [new Uint8Array(0), Uint8Array.of(0, 15)] },
  { kind: 'STATE', nonce: 8, records: [Buffer.from('node'), Buffer.from('another')] },
  { kind: 'FETCH-CONTRACT', nonce: 9, height: 4224 },
  { kind: 'CONTRACT', nonce: 9, bytes: Buffer.from('state') },
];

describe('docs/wire.md', () => {
  it('shows exactly the bytes that are written today', async () => {
    const renewed = page.replaceAll(FENCE, (_, kind: string) => {
      const bytes = encodeSyncMessage(SAMPLES.find((message) => message.kind === kind)!);
      return `\`\`\`sync ${kind}\n${toHex(bytes)}\n\`\`\``;
    });
    await expect(renewed).toMatchFileSnapshot(PAGE.pathname);
  });

  it.each(Object.entries(SYNC_NUMBERS))(
    'has a section on %s (%i) whose vector is read as it was meant',
    (kind, number) => {
      expect(page).toMatch(new RegExp(`^### ${kind} \\(${number}\\)$`, 'm'));
      const [, , hex] = [...page.matchAll(FENCE)].find(([, named]) => named === kind)!;
      const decoded = decodeSyncMessage(fromHex(hex!.trim())!)!;
      expect(toHex(encodeSyncMessage(decoded))).toBe(hex!.trim());
      expect(decoded.kind).toBe(kind);
    },
  );

  it('no number is used twice', () => {
    const numbers = [...Object.values(MESSAGE_NUMBERS), ...Object.values(SYNC_NUMBERS)];
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

describe('decoding', () => {
  it('tells its own messages from those of consensus by the first bytes', () => {
    for (const message of SAMPLES) {
      const bytes = encodeSyncMessage(message);
      expect([isSyncMessage(bytes), messageNumber(bytes)]).toEqual([true, SYNC_NUMBERS[message.kind]]);
    }
    for (const message of Object.values(SAMPLE_MESSAGES)) {
      const bytes = encodeMessage(message);
      expect([isSyncMessage(bytes), messageNumber(bytes)]).toEqual([false, MESSAGE_NUMBERS[message.kind]]);
    }
    for (const bytes of [[], [0x80], [0xc0], [0xff], [0xf8, 0x01], [0xc1, 0x80]]) {
      expect(isSyncMessage(Uint8Array.from(bytes))).toBe(false);
    }
  });

  it('takes nothing over a limit', () => {
    const paths = (count: number, length: number) =>
      encodeSyncMessage({ kind: 'FETCH-STATE', nonce: 1, height: 1, paths: Array(count).fill(new Uint8Array(length)) });
    expect(decodeSyncMessage(paths(SYNC_LIMITS.paths, SYNC_LIMITS.pathBytes))).toBeDefined();
    expect(decodeSyncMessage(paths(SYNC_LIMITS.paths + 1, 1))).toBeUndefined();
    expect(decodeSyncMessage(paths(1, SYNC_LIMITS.pathBytes + 1))).toBeUndefined();
    const record = (length: number) =>
      encodeSyncMessage({ kind: 'STATE', nonce: 1, records: [new Uint8Array(length)] });
    expect(decodeSyncMessage(record(SYNC_LIMITS.recordBytes))).toBeDefined();
    expect(decodeSyncMessage(record(SYNC_LIMITS.recordBytes + 1))).toBeUndefined();
  });

  it('never throws, and what it takes has one encoding', async () => {
    const mutated = fc
      .record({
        message: fc.constantFrom(...SAMPLES),
        at: fc.nat(),
        byte: fc.nat({ max: 255 }),
        cut: fc.nat({ max: 3 }),
      })
      .map(({ message, at, byte, cut }) => {
        const bytes = Buffer.from(encodeSyncMessage(message));
        bytes[at % bytes.length] = byte;
        return bytes.subarray(0, bytes.length - cut);
      });
    await fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        const decoded = decodeSyncMessage(bytes);
        if (decoded !== undefined) expect(toHex(encodeSyncMessage(decoded))).toBe(toHex(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});
