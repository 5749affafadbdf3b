/** Lies must be what they are meant to be: a block that passes as valid, one that does not, a strike that is aimed. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../../consensus/message.ts';
import { decodeMessage } from '../../consensus/message-codec.ts';
import { readWholeBlockId } from '../../ledger/block-body.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { build, KEYS, MINER, openLedger, transfer } from '../unit/ledger/fixtures.ts';
import { rivalOf, spoiled } from './liar-blocks.ts';
import { Conspiracy } from './liar-conspiracy.ts';
import { garbled } from './liar-frames.ts';
import { drawOptions } from './options.ts';
import { Rng } from './rng.ts';
import { AIMED_HABITS } from './scheme-options.ts';

describe('blocks of a lying primary', () => {
  let ledger: Ledger;
  let block: Bytes;
  const isValid = (bytes: Bytes): boolean => {
    const decoded = ledger.decodeBlock(bytes);
    return (
      readWholeBlockId(bytes) !== undefined &&
      decoded.ok &&
      ledger.execute(decoded.block, undefined, { miner: MINER }).ok
    );
  };

  beforeAll(async () => {
    ledger = await openLedger();
    const [from, to] = KEYS;
    block = build(await openLedger(), [transfer({ from: from!, nonce: 0, to: to!.address, value: 5n, fee: 2n })]).bytes;
  });

  it('a rival is another block, as valid as the first', () => {
    const rival = rivalOf(block, undefined)!;
    expect(readWholeBlockId(rival.block)?.hash).toBe(rival.hash);
    expect(rival.hash).not.toBe(readWholeBlockId(block)!.hash);
    expect([isValid(block), isValid(rival.block)]).toEqual([true, true]);
  });

  it('a spoiled one is never valid', () => {
    const rng = new Rng(1, 'spoiled');
    const hashes = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const made = spoiled(block, rng);
      hashes.add(made.hash);
      expect(isValid(made.block)).toBe(false);
    }
    expect(hashes.size).toBeGreaterThan(50);
  });
});

it('garbled frames decode in some cases only, and never throw', () => {
  const rng = new Rng(1, 'garbled');
  const frame = rng.bytes(100);
  const kinds = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const decoded = decodeMessage(garbled(rng, frame), { validators: 7 });
    kinds.add(decoded.ok ? 'ok' : decoded.reason);
  }
  expect(kinds.size).toBeGreaterThan(4);
});

describe('a plan', () => {
  const SCHEME = { moments: ['view change'] as const, strikeMs: 500, restMs: 1000, marksMax: 2 };
  const hear = (conspiracy: Conspiracy, at: number, message: Message): void =>
    conspiracy.hear({ at, from: 1, message, payload: new Uint8Array(0) });
  const about = { epoch: 0, view: 1, signer: 1, incarnation: '0x01', signature: new Uint8Array(65) };
  const accusation: Message = { ...about, kind: 'SUSPECT', target: 2, accused: [0], rows: [] };
  const change: Message = { ...about, kind: 'VIEW-CHANGE', lastSigned: undefined, head: undefined, final: undefined };

  it('waits for its moment, is aimed at honest machines, and ends', () => {
    const conspiracy = new Conspiracy(SCHEME, new Rng(3, 'plan'), { liars: [0, 4], machines: 5 });
    for (let at = 0; at < 100; at++) hear(conspiracy, at, accusation);
    expect(conspiracy.isOn).toBe(false);
    for (let at = 100; !conspiracy.isOn; at++) hear(conspiracy, at, change);
    expect(conspiracy.marks.size).toBeGreaterThan(0);
    for (const mark of conspiracy.marks) expect([1, 2, 3]).toContain(mark);
    hear(conspiracy, 20_000, accusation);
    expect(conspiracy.isOn).toBe(false);
    expect(conspiracy.strikes).toBe(1);
  });

  it('is drawn for about half of the liars, with every lie, and without it they are what they were', () => {
    const drawn = Array.from({ length: 1000 }, (_, seed) => drawOptions(seed)).filter(
      ({ liars }) => liars !== undefined,
    );
    const planned = drawn.filter(({ liars }) => liars!.scheme !== undefined);
    expect(planned.length / drawn.length).toBeGreaterThan(0.4);
    expect(planned.length / drawn.length).toBeLessThan(0.8);
    const told = new Set(planned.flatMap(({ liars }) => liars!.habits));
    for (const habit of AIMED_HABITS) expect(told).toContain(habit);
    for (const { seed, liars, ...rest } of planned) {
      const without = drawOptions(seed, { without: ['schemes'] });
      expect(without).toMatchObject(rest);
      const plain = liars!.habits.filter((habit) => !(AIMED_HABITS as readonly string[]).includes(habit));
      expect(without.liars).toEqual({ ...liars, habits: plain, scheme: undefined });
    }
  });
});
