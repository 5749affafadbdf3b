/** Who may sign in an epoch that begins (consensus.md section 7, "A validator that lost its disk"). */
import { describe, expect, it } from 'vitest';
import { type Durable, emptyDurable } from '../../../consensus/durable.ts';
import type { EpochInfo } from '../../../ledger/epoch-info.ts';
import { beginEpoch } from '../../../node/epoch-start.ts';

const ADDRESSES = [1, 2, 3].map((n) => '0x' + n.toString(16).padStart(40, '0'));
const [A, B, C] = ADDRESSES as [string, string, string];
const X = '0x' + '11'.repeat(16);
const Y = '0x' + '22'.repeat(16);

function info(epoch: number, validators: readonly string[]): EpochInfo {
  const members = validators.map((validator) => ({ validator, nodeKey: `key ${validator}`, operator: validator }));
  const root = { height: 10 * epoch, hash: '0x' + 'ab'.repeat(32) };
  return { epoch, members, membershipHash: root.hash, root, incarnations: new Map() };
}

type Lives = readonly { validator: string; incarnation: string }[];

function begin(before: Partial<Durable>, lives: Lives = []): Durable {
  return start(before, lives).durable;
}

function start(before: Partial<Durable>, lives: Lives = []): ReturnType<typeof beginEpoch> {
  return beginEpoch({
    info: info(1, [C, B, A]),
    identity: { validator: A, nodeKey: `key ${A}` },
    incarnation: X,
    lives: lives.map((life) => ({ ...life, rejoinedAt: 0 })),
    before: { ...emptyDurable(0, 0), ...before },
    earlier: info(0, [A, B, C]),
    closing: undefined,
  });
}

describe('an epoch that begins', () => {
  it('finds its place in the new list, with nothing of the old epoch but the incarnations of who stays', () => {
    const pins = new Map([
      [1, Y],
      [2, X],
    ]);
    const durable = begin({ view: 7, pins });
    expect(durable).toMatchObject({ epoch: 1, self: 2, view: 0, forgot: false });
    expect(durable.pins).toEqual(
      new Map([
        [1, Y],
        [0, X],
      ]),
    );
    expect(durable.marks.size).toBe(0);
  });

  it('knows the incarnation that a closing block carried better than the one seen before', () => {
    const durable = begin({ pins: new Map([[1, X]]) }, [{ validator: B, incarnation: Y }]);
    expect(durable.pins.get(1)).toBe(Y);
  });

  it('is not for a log begun after a loss, until a closing block has carried its incarnation', () => {
    expect(begin({ forgot: true }).forgot).toBe(true);
    expect(begin({ forgot: true }, [{ validator: A, incarnation: Y }]).forgot).toBe(true);
    expect(begin({ forgot: true }, [{ validator: A, incarnation: X }]).forgot).toBe(false);
  });

  it('says so in its first record: a crash may part it from those that follow', () => {
    const { durable, records } = start({ forgot: true });
    const first = records.find(({ kind }) => kind === 'epoch');
    expect(durable.forgot).toBe(true);
    expect(first).toMatchObject({ epoch: 1, forgot: true, rolledBack: false });
  });

  it('is not for a whole log either when a closing block carried another incarnation of its key', () => {
    expect(begin({}, [{ validator: A, incarnation: Y }]).forgot).toBe(true);
  });

  it('is never for an old copy of a log, whatever was carried: the newer one may be in use', () => {
    const durable = begin({ forgot: true, rolledBack: true }, [{ validator: A, incarnation: X }]);
    expect(durable).toMatchObject({ forgot: true, rolledBack: true });
  });
});
