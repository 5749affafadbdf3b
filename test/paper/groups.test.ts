/** consensus.md section 4, "Which group next"; paper section 4.1, Table 2, and section 2 of its restatement. */
import { describe, expect, it } from 'vitest';
import { faultThreshold } from '../../consensus/config.ts';
import { makeSchedule, type Schedule } from '../../consensus/groups.ts';

function choose(n: number, size: number): number {
  let count = 1;
  for (let i = 0; i < size; i++) count = (count * (n - i)) / (i + 1);
  return Math.round(count);
}

function cycleOf(schedule: Schedule): number {
  return choose(schedule.n, schedule.t + 1);
}

/** Most views in a row, over two cycles, whose group holds one of the faulty. */
function worstRun(schedule: Schedule, faulty: readonly number[]): number {
  let run = 0;
  let worst = 0;
  for (let view = 0; view < 2 * cycleOf(schedule); view++) {
    run = schedule.groupOf(view).some((member) => faulty.includes(member)) ? run + 1 : 0;
    worst = Math.max(worst, run);
  }
  return worst;
}

const SIZES = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];

describe('section 4: the schedule of groups', () => {
  it.each(SIZES)('each group of t+1 stands in a cycle exactly once, without repetition inside it [n=%i]', (n) => {
    const schedule = makeSchedule(n);
    const seen = new Set<string>();
    for (let view = 0; view < cycleOf(schedule); view++) {
      const group = schedule.groupOf(view);
      expect(new Set(group).size).toBe(faultThreshold(n) + 1);
      expect(group.every((member) => member >= 0 && member < n)).toBe(true);
      seen.add([...group].sort((a, b) => a - b).join());
      expect(schedule.groupOf(view + cycleOf(schedule))).toEqual(group);
    }
    expect(seen.size).toBe(cycleOf(schedule));
  });

  it.each(SIZES)('everybody leads about as often as everybody else [n=%i]', (n) => {
    const schedule = makeSchedule(n);
    const led = new Array<number>(n).fill(0);
    for (let view = 0; view < cycleOf(schedule); view++) led[schedule.groupOf(view)[0]!]!++;
    expect(Math.max(...led) - Math.min(...led)).toBeLessThanOrEqual(2);
  });

  it.each([
    [3, 2],
    [4, 2],
    [5, 3],
    [6, 2],
    [7, 3],
    [8, 2],
    [9, 4],
    [10, 2],
    [11, 8],
    [12, 2],
    [13, 14],
  ])('with one faulty replica of %i at most %i views in a row are bad', (n, most) => {
    const schedule = makeSchedule(n);
    const worst = Math.max(...Array.from({ length: n }, (_, faulty) => worstRun(schedule, [faulty])));
    expect(worst).toBe(most);
  });

  it('with two faulty replicas of 7 at most 14 views in a row are bad', () => {
    const schedule = makeSchedule(7);
    let worst = 0;
    for (let a = 0; a < 7; a++) for (let b = 0; b < a; b++) worst = Math.max(worst, worstRun(schedule, [a, b]));
    expect(worst).toBe(14);
  });

  it('followers stand in ascending order after the primary, as certificates list them', () => {
    for (const n of [...SIZES, 20]) {
      const schedule = makeSchedule(n);
      for (let view = 0; view < 50; view++) {
        const [, ...followers] = schedule.groupOf(view);
        expect(followers).toEqual([...followers].sort((a, b) => a - b));
      }
    }
  });

  it.each([1, 2])('with t = 0 the first validator leads for ever [n=%i]', (n) => {
    for (const view of [0, 1, 77]) expect(makeSchedule(n).groupOf(view)).toEqual([0]);
  });

  it('large sets draw their groups, the same ones every time and different ones for each view', () => {
    const [a, b] = [makeSchedule(21), makeSchedule(21)];
    const drawn = Array.from({ length: 200 }, (_, view) => a.groupOf(view).join());
    expect(drawn).toEqual(Array.from({ length: 200 }, (_, view) => b.groupOf(view).join()));
    expect(new Set(drawn).size).toBeGreaterThan(195);
    const led = new Set(Array.from({ length: 400 }, (_, view) => a.groupOf(view)[0]));
    expect(led.size).toBe(21);
  });
});
