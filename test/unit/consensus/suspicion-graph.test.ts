import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeSchedule } from '../../../consensus/groups.ts';
import type { Row } from '../../../consensus/message.ts';
import { generationOf, jumpFrom } from '../../../consensus/suspicion-graph.ts';

const NEXT = 1_000_000;

function row(signer: number, members: readonly number[], generation = 0): Row {
  return { kind: 'ROW', epoch: 0, generation, members, signer, incarnation: '', signature: new Uint8Array() };
}

/** Any rows of one generation; a signer may have several. */
function rowsOf(n: number): fc.Arbitrary<Row[]> {
  const one = fc.tuple(fc.nat(n - 1), fc.uniqueArray(fc.nat(n - 1), { maxLength: 3 }));
  return fc.array(one, { maxLength: n }).map((list) =>
    list.map(([signer, named]) => {
      const members = named.filter((member) => member !== signer).sort((a, b) => a - b);
      return row(signer, members);
    }),
  );
}

function holdsEdge(rows: readonly Row[], group: readonly number[]): boolean {
  return rows.some(({ signer, members }) => group.includes(signer) && members.some((each) => group.includes(each)));
}

function subsets(of: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  return of.flatMap((first, place) => subsets(of.slice(place + 1), size - 1).map((rest) => [first, ...rest]));
}

function hasFreeGroup(n: number, size: number, rows: readonly Row[]): boolean {
  const all = Array.from({ length: n }, (_, index) => index);
  return subsets(all, size).some((group) => !holdsEdge(rows, group));
}

describe('jumps over views', () => {
  it.each([3, 4, 5, 6, 7])('lead to the smallest view above whose group holds no edge [n=%i]', (n) => {
    const schedule = makeSchedule(n);
    fc.assert(
      fc.property(rowsOf(n), fc.nat(200), (rows, view) => {
        const { target, rows: used } = jumpFrom(schedule, view, rows);
        if (hasFreeGroup(n, schedule.t + 1, rows)) {
          let naive = view + 1;
          while (holdsEdge(rows, schedule.groupOf(naive))) naive++;
          expect(target).toBe(naive);
        } else {
          expect(target).toBe(NEXT);
        }
        // What is shown justifies as much as all that is known.
        expect(jumpFrom(schedule, view, used).target).toBe(target);
      }),
    );
  });

  it.each([14, 15])('find out that no group is left where groups are drawn [n=%i]', (n) => {
    const schedule = makeSchedule(n);
    const { t } = schedule;
    const complete = Array.from({ length: n }, (_, signer) =>
      row(
        signer,
        Array.from({ length: n }, (_, member) => member).filter((member) => member !== signer),
      ),
    );
    expect(jumpFrom(schedule, 0, complete).target).toBe(NEXT);
    // Each edge takes one out: with t pairs somebody of each is left, and the n - 2t outside.
    const pairs = (count: number) => Array.from({ length: count }, (_, pair) => row(2 * pair, [2 * pair + 1]));
    expect(jumpFrom(schedule, 0, pairs(t)).target).toBeLessThan(NEXT);
    // Triangles leave one of three each.
    const triangles = Array.from({ length: Math.floor(n / 3) }, (_, i) => 3 * i);
    const third = triangles.flatMap((a) => [row(a, [a + 1, a + 2]), row(a + 1, [a + 2])]);
    expect(jumpFrom(schedule, 0, third).target).toBe(NEXT);
  });

  it('agree with trying every group, for random graphs [n=14]', () => {
    const schedule = makeSchedule(14);
    fc.assert(
      fc.property(rowsOf(14), (rows) => {
        const isLeft = hasFreeGroup(14, schedule.t + 1, rows);
        expect(generationOf(jumpFrom(schedule, 0, rows).target)).toBe(isLeft ? 0 : 1);
      }),
      { numRuns: 25 },
    );
  });

  it('go on in pieces of 4,096 views where the group that works is far [n=15]', () => {
    const schedule = makeSchedule(15);
    const dead = [0, 2, 4, 6, 8, 10, 12];
    const alive = [1, 3, 5, 7, 9, 11, 13, 14];
    const rows = alive.map((signer) => row(signer, dead));
    let view = 0;
    let jumps = 0;
    while (view === 0 || holdsEdge(rows, schedule.groupOf(view))) {
      const { target } = jumpFrom(schedule, view, rows);
      expect(target - view).toBeLessThanOrEqual(4097);
      view = target;
      jumps++;
    }
    expect([...schedule.groupOf(view)].sort((a, b) => a - b)).toEqual(alive);
    expect(jumps).toBeLessThan(12);
  });

  it('are justified in each generation by its own rows only', () => {
    const schedule = makeSchedule(3);
    const all = [row(0, [1, 2]), row(1, [2])];
    expect(jumpFrom(schedule, NEXT, all).target).toBe(NEXT + 1);
    // None is left in generation 0; its first view in the next is skipped by a row of the next.
    const first = schedule.groupOf(NEXT);
    const { target } = jumpFrom(schedule, 0, [...all, row(first[0]!, [first[1]!], 1)]);
    expect(target).toBe(NEXT + 1);
    expect(jumpFrom(schedule, 0, [row(0, [1], 1)]).target).toBe(1);
  });

  it('end where their generation ends, though more would be allowed', () => {
    const schedule = makeSchedule(5);
    const last = NEXT - 1;
    const group = schedule.groupOf(last);
    expect(jumpFrom(schedule, last - 1, [row(group[0]!, [group[1]!])]).target).toBe(NEXT);
  });
});
