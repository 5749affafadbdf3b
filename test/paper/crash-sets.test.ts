/** consensus.md section 1: with n-t correct replicas in touch there is progress, whoever the other t are. */
import { describe, expect, it } from 'vitest';
import { faultThreshold } from '../../consensus/config.ts';
import { makeSchedule } from '../../consensus/groups.ts';
import { Cluster } from '../unit/consensus/cluster.ts';

function subsets(n: number, size: number, from = 0): number[][] {
  if (size === 0) return [[]];
  const out: number[][] = [];
  for (let i = from; i < n; i++) for (const rest of subsets(n, size - 1, i + 1)) out.push([i, ...rest]);
  return out;
}

/** First view whose group is all alive. */
function firstGood(n: number, crashed: readonly number[]): number {
  const { groupOf } = makeSchedule(n);
  for (let view = 0; ; view++) if (!groupOf(view).some((member) => crashed.includes(member))) return view;
}

const SETS = [3, 4, 5, 6, 7].flatMap((n) =>
  Array.from({ length: faultThreshold(n) }, (_, less) => subsets(n, less + 1)).flatMap((sets) =>
    // All sets of up to five validators, a part of those of more.
    sets.filter((_, index) => n < 6 || index % n === 0).map((crashed) => [n, crashed.join()] as const),
  ),
);

describe('section 1: every set of at most t crashes', () => {
  it.each(SETS)('makes progress in the first view whose group is alive [n=%i, crashed %s]', (n, list) => {
    const crashed = list.split(',').map(Number);
    const cluster = Cluster.started(n, { suspicionTimeoutMaxMs: 800 });
    cluster.wantAll(1);
    cluster.run(50);
    const before = Math.max(...cluster.heights());
    expect(before).toBe(1);
    for (const index of crashed) cluster.crash(index);
    cluster.wantAll(20);
    const alive = cluster.nodes.filter(({ up }) => up);
    cluster.runUntil('a block after the crashes', () => alive.every(({ height }) => height > before), 120_000);
    for (const { status } of alive) expect(status.view).toBe(firstGood(n, crashed));
  });

  it('crashed replicas come back, and the next t may go [n=5 t=2]', () => {
    const cluster = Cluster.started(5);
    for (const crashed of [
      [0, 1],
      [2, 3],
      [4, 0],
      [1, 2],
    ]) {
      for (const index of crashed) cluster.crash(index);
      cluster.wantAll(20);
      const before = Math.max(...cluster.heights());
      cluster.runUntil('progress', () => Math.max(...cluster.heights()) > before, 60_000);
      for (const index of crashed) cluster.restart(index);
      cluster.runUntil('all up to date', () => new Set(cluster.heights()).size === 1, 60_000);
    }
  });

  it('more than t crashes stop the chain, and it goes on when one is back [n=3 t=1]', () => {
    const cluster = Cluster.started(3);
    cluster.crash(0);
    cluster.crash(1);
    cluster.wantAll(1);
    cluster.run(5000);
    expect(cluster.nodes[2]!.height).toBe(0);
    cluster.restart(0, { clean: false });
    cluster.wantAll(1);
    cluster.runUntil('progress', () => cluster.nodes[0]!.height > 0 && cluster.nodes[2]!.height > 0);
  });

  it('a partition with a majority on one side goes on there, and the other side follows after it heals [n=5 t=2]', () => {
    const cluster = Cluster.started(5);
    const minority = [0, 1];
    cluster.filter = (from, to) => minority.includes(from) === minority.includes(to);
    cluster.wantAll(2);
    cluster.runUntil('progress of the majority', () => cluster.nodes[4]!.height >= 1, 60_000);
    expect(cluster.heights().slice(0, 2)).toEqual([0, 0]);
    cluster.filter = () => true;
    cluster.runUntil('all agree', () => new Set(cluster.heights()).size === 1, 60_000);
  });
});
