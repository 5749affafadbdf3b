/**
 * Synchronous groups (paper section 4.1 and Table 2; consensus.md section 4). The schedule from view to group and
 * primary is a pure function of n: all C(n, t+1) groups in a balanced order, because the lexicographic one keeps a
 * faulty first replica in C(2t, t) groups in a row. For 5 and 7 validators the order was found by search: at most 3
 * bad views in a row with one fault; even numbers need no search for that, and 9, 11 and 13 have 4, 8 and 14. Above 13
 * the groups are drawn by hash: enumerating them would be the slow part.
 */
import { concat, uint64, utf8 } from '../primitives/bytes.ts';
import type { Bytes, View } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { faultThreshold } from './config.ts';

/** Indices of the t+1 actives of a view, the primary first, then the followers in ascending order. */
export type Group = readonly number[];

export type Schedule = {
  readonly n: number;
  readonly t: number;
  /** Views after which the groups come again; undefined where they are drawn. */
  readonly cycle: number | undefined;
  readonly groupOf: (view: View) => Group;
};

const SEARCHED: Readonly<Record<number, string>> = {
  5: '012 013 023 124 014 034 123 024 134 234',
  7:
    '1356 0245 2346 0126 0345 2456 0235 0146 1245 0256 1346 0135 0236 1256 0134 3456 0156 2345 0246 1235 0346 1236 ' +
    '0145 1246 0356 0234 1456 0125 1234 0456 0136 1345 2356 0124 0123',
};

const ENUMERATED_MAX = 13;

function combinations(n: number, size: number): number[][] {
  const out: number[][] = [];
  const pick = (from: number, chosen: number[]): void => {
    if (chosen.length === size) {
      out.push(chosen);
      return;
    }
    for (let i = from; i <= n - (size - chosen.length); i++) pick(i + 1, [...chosen, i]);
  };
  pick(0, []);
  return out;
}

/** Next always the unused group whose members have rested longest; ties go to the lexicographically first. */
function balanced(n: number, size: number): number[][] {
  const left = combinations(n, size);
  const lastUsed = new Array<number>(n).fill(-n);
  const out: number[][] = [];
  while (left.length > 0) {
    let best = 0;
    let bestRest = -1;
    for (const [index, group] of left.entries()) {
      const rest = group.reduce((sum, member) => sum + Math.min(out.length - lastUsed[member]!, 2 * n), 0);
      if (rest > bestRest) [best, bestRest] = [index, rest];
    }
    const [group] = left.splice(best, 1);
    for (const member of group!) lastUsed[member] = out.length;
    out.push(group!);
  }
  return out;
}

/** The member that has led least so far leads, so that over a whole cycle everyone leads about as often. */
function withPrimaries(groups: readonly (readonly number[])[], n: number): Group[] {
  const led = new Array<number>(n).fill(0);
  return groups.map((group) => {
    const primary = group.reduce((best, member) => (led[member]! < led[best]! ? member : best));
    led[primary]!++;
    return [primary, ...group.filter((member) => member !== primary)];
  });
}

/** Whole numbers below a bound, the same everywhere for one seed. */
function draws(seed: Bytes): (below: number) => number {
  let pool = keccak256(concat(utf8('quorate/schedule/1'), seed));
  let used = 0;
  return (below) => {
    if (used + 4 > pool.length) [pool, used] = [keccak256(pool), 0];
    used += 4;
    return Buffer.from(pool.buffer, pool.byteOffset + used - 4, 4).readUInt32BE() % below;
  };
}

/** The first `count` places of a Fisher-Yates shuffle. */
function shuffled<T>(items: readonly T[], count: number, draw: (below: number) => number): T[] {
  const out = [...items];
  for (let i = 0; i < count; i++) {
    const j = i + draw(out.length - i);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out.slice(0, count);
}

/**
 * For odd n from 9 on, where resting longest first leaves the groups that share a member to the end (64 in a row for 13):
 * shuffled, and next always the one of the nearest 16 whose members have been in the fewest groups in a row.
 */
function mixed(n: number, size: number): number[][] {
  const all = combinations(n, size);
  const left = shuffled(all, all.length, draws(uint64(n)));
  const inRow = new Array<number>(n).fill(0);
  const out: number[][] = [];
  while (left.length > 0) {
    const cost = (group: readonly number[]): number => group.reduce((sum, member) => sum + 4 ** inRow[member]!, 0);
    const nearest = left.slice(0, 16).map(cost);
    const [group] = left.splice(nearest.indexOf(Math.min(...nearest)), 1);
    for (let member = 0; member < n; member++) inRow[member] = group!.includes(member) ? inRow[member]! + 1 : 0;
    out.push(group!);
  }
  return out;
}

/** t+1 distinct members, drawn anew for each view. */
function drawn(n: number, size: number, view: View): Group {
  const members = Array.from({ length: n }, (_, index) => index);
  const [primary, ...followers] = shuffled(members, size, draws(concat(uint64(n), uint64(view))));
  return [primary!, ...followers.sort((x, y) => x - y)];
}

/** The schedule for `n` validators. */
export function makeSchedule(n: number): Schedule {
  const t = faultThreshold(n);
  if (t === 0) {
    // No view change can help one active of one or two: the first validator leads for ever.
    return { n, t, cycle: 1, groupOf: () => [0] };
  }
  if (n > ENUMERATED_MAX) return { n, t, cycle: undefined, groupOf: (view) => drawn(n, t + 1, view) };
  const found = SEARCHED[n]?.split(' ').map((digits) => [...digits].map(Number));
  const listed = found ?? (n < 9 || n % 2 === 0 ? balanced(n, t + 1) : mixed(n, t + 1));
  const groups = withPrimaries(listed, n);
  return { n, t, cycle: groups.length, groupOf: (view) => groups[view % groups.length]! };
}
