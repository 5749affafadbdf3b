/**
 * How many view changes until blocks are final again, beside walking through all groups one by one and beside the bound
 * (consensus.md section 4). Production replicas over the network of the unit tests.
 *
 *   npm run view-changes [-- 3 5 7]
 *
 * `crashed`: every set of so many validators (of nine every fifth) stops at once, in view 0. `lying`: so many suspect
 * somebody of their group whenever they are in one, each time somebody else, and name the target that their rows and
 * those of the others lead to. `one by one`: views from 0 on whose group holds one of the set. `bound`: no view is tried that
 * one by one would skip, and each that fails costs a new edge at one of the faulty: f(n-f) + f(f-1)/2 of them.
 */
import { faultThreshold } from '../consensus/config.ts';
import { makeSchedule, type Schedule } from '../consensus/groups.ts';
import { jumpFrom } from '../consensus/suspicion-graph.ts';
import { row, suspect } from '../test/paper/lies.ts';
import { Cluster } from '../test/unit/consensus/cluster.ts';

const SETS_MAX = 40;

function subsets(of: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  return of.flatMap((first, place) => subsets(of.slice(place + 1), size - 1).map((rest) => [first, ...rest]));
}

function oneByOne({ groupOf }: Schedule, faulty: readonly number[]): number {
  let view = 0;
  while (groupOf(view).some((member) => faulty.includes(member))) view++;
  return view;
}

/** Entered views, as the validator that entered most counts them. */
function entered(cluster: Cluster, faulty: readonly number[]): number {
  const correct = cluster.nodes.filter(({ index }) => !faulty.includes(index));
  return Math.max(...correct.map((node) => node.traced('view-entered').length));
}

function afterCrashes(n: number, faulty: readonly number[]): number {
  const cluster = Cluster.started(n);
  for (const index of faulty) cluster.crash(index);
  cluster.wantAll(20);
  const alive = cluster.nodes.filter(({ up }) => up);
  cluster.runUntil('service', () => alive.every(({ height }) => height > 0), 300_000);
  return entered(cluster, faulty);
}

/** The liars speak through the test, at the first moment; the rest of the time they do what they should. */
function amongLiars(n: number, faulty: readonly number[]): number {
  const cluster = Cluster.started(n);
  const schedule = makeSchedule(n);
  for (const index of faulty) cluster.liars.add(index);
  const said = new Map<number, number[]>(faulty.map((liar) => [liar, []]));
  const knows = (a: number, b: number): boolean =>
    said.get(a)?.includes(b) === true || said.get(b)?.includes(a) === true;
  for (let view = 0; ; ) {
    const group = schedule.groupOf(view);
    const pair = group
      .filter((member) => faulty.includes(member))
      .flatMap((liar) =>
        group.filter((other) => other !== liar && !knows(liar, other)).map((other) => ({ liar, other })),
      )[0];
    if (pair === undefined) break;
    const { liar, other } = pair;
    said.set(
      liar,
      [...said.get(liar)!, other].sort((a, b) => a - b),
    );
    const rows = [...said]
      .filter(([, members]) => members.length > 0)
      .map(([signer, members]) => row(cluster, signer, members));
    const { target } = jumpFrom(schedule, view, rows);
    const message = suspect(cluster, liar, view, { accused: [other], target, rows });
    for (const { index } of cluster.nodes) if (index !== liar) cluster.give(liar, index, message);
    cluster.run(20);
    view = target;
  }
  cluster.wantAll(20);
  const correct = cluster.nodes.filter(({ index }) => !faulty.includes(index));
  cluster.runUntil('service', () => correct.every(({ height }) => height > 0), 300_000);
  return entered(cluster, faulty);
}

function show(counts: readonly number[]): string {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return `${Math.max(...counts)} (${mean.toFixed(1)})`;
}

const sizes = process.argv.slice(2).map(Number);
console.log(
  'most (mean) over the sets\n\n| n | faulty | one by one | crashed | lying | bound |\n| --- | --- | --- | --- | --- | --- |',
);
for (const n of sizes.length > 0 ? sizes : [3, 5, 7, 9]) {
  const schedule = makeSchedule(n);
  const all = Array.from({ length: n }, (_, index) => index);
  for (let f = 1; f <= faultThreshold(n); f++) {
    const every = subsets(all, f);
    const step = Math.max(1, Math.floor(every.length / SETS_MAX));
    const sets = every.filter((_, index) => index % step === 0);
    const walked = every.map((faulty) => oneByOne(schedule, faulty));
    const edges = f * (n - f) + (f * (f - 1)) / 2;
    const bound = Math.min(edges, Math.max(...walked));
    const crashed = sets.map((faulty) => afterCrashes(n, faulty));
    const lied = sets.map((faulty) => amongLiars(n, faulty));
    console.log(`| ${n} | ${f} | ${show(walked)} | ${show(crashed)} | ${show(lied)} | ${bound} |`);
  }
}
