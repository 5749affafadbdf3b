/**
 * Faults that strike at a hand-over: at one of its points, on the machine that has just got there, on everybody, on those
 * who leave or on those who come, at once or a little later.
 */

import type { Message } from '../../consensus/message.ts';
import { decodeRecord } from '../../consensus/record-codec.ts';
import type { Bytes } from '../../primitives/ids.ts';
import type { Rng } from './rng.ts';

/** Points of a hand-over, in about their order. */
const MOMENTS = [
  'closing block executed',
  'closing block certified',
  'closing block final',
  'epoch begun',
  'record written',
  'START-EPOCH sent',
  'EPOCH-STARTED sent',
  'first vote sent',
] as const;
export type Moment = (typeof MOMENTS)[number];

const STRIKES = [
  'kill',
  'cut power',
  'kill all',
  'cut power of all',
  'pause',
  'cut off',
  'cut leavers',
  'cut newcomers',
] as const;
type Strike = (typeof STRIKES)[number];

export type Ambush = {
  readonly moment: Moment;
  /** Machines that may get there unharmed before. */
  left: number;
  readonly strike: Strike;
  /** 0: in that very step. */
  readonly delayMs: number;
  readonly lastsMs: number;
};

export function drawAmbush(rng: Rng, lastsMs: number, deltaMs: number): Ambush {
  return {
    moment: rng.pick(MOMENTS),
    left: rng.int(4),
    strike: rng.pick(STRIKES),
    delayMs: rng.pick([0, 0, rng.between(0, deltaMs / 4), rng.between(0, 2 * deltaMs)]),
    lastsMs: rng.exponential(lastsMs),
  };
}

/** Whether a write to the log begins an epoch. */
export function beginsEpoch(records: readonly Bytes[]): boolean {
  return records.some((record) => decodeRecord(record).kind === 'epoch');
}

/** The point a machine gets to by sending this, where `root` is the block that opened its epoch. */
export function momentOf(message: Message, root: number): Moment | undefined {
  switch (message.kind) {
    case 'START-EPOCH':
      return 'START-EPOCH sent';
    case 'EPOCH-STARTED':
      return 'EPOCH-STARTED sent';
    case 'PROPOSAL':
      return message.prepare.height === root + 1 ? 'first vote sent' : undefined;
    case 'COMMIT':
    case 'COMMITTED':
      return message.height === root + 1 ? 'first vote sent' : undefined;
    default:
      return undefined;
  }
}
