/**
 * The suspicion graph, and the view that comes next (consensus.md section 4, "Which group next"). Every replica keeps a
 * signed row of those it has suspected; the rows together are an undirected graph, and a view whose group holds an edge
 * of it may be skipped. What is here is a pure function of rows, so whoever is shown the same rows allows the same jump:
 * nobody needs the same graph as anybody else.
 *
 * Departure: a generation of suspicions is a range of view numbers, the one that begins at generation ×
 * `GENERATION_VIEWS`. When its rows leave no group of t+1 without an edge, all the rest of the range may be skipped, by
 * the same rule as a single view; so what a replica has left never leads it back, and a row of an old generation
 * justifies nothing in a new one.
 */
import type { View } from '../primitives/ids.ts';
import type { Group, Schedule } from './groups.ts';
import type { Row } from './message.ts';

/** Views in a generation of suspicions: more than can come to nothing before no group is left. */
const GENERATION_VIEWS = 1_000_000;
/** Views looked at for one jump where groups are not enumerated. Further on another SUSPECT leads. */
const JUMP_VIEWS_MAX = 4096;
/** Branches tried to find an independent group where groups are not enumerated; then there counts as none. */
const BRANCHES_MAX = 2000;

export function generationOf(view: View): number {
  return Math.floor(view / GENERATION_VIEWS);
}

/** Whether one of two suspects the other. */
class Graph {
  readonly #n: number;
  readonly #edges: Uint8Array;

  constructor(n: number, rows: readonly Row[] = []) {
    this.#n = n;
    this.#edges = new Uint8Array(n * n);
    for (const row of rows) this.add(row);
  }

  add({ signer, members }: Row): void {
    for (const member of members) {
      this.#edges[signer * this.#n + member] = 1;
      this.#edges[member * this.#n + signer] = 1;
    }
  }

  holdsEdge(group: Group): boolean {
    return group.some((a, place) => group.slice(place + 1).some((b) => this.#edges[a * this.#n + b] === 1));
  }

  neighbours(of: number, among: readonly number[]): number[] {
    return among.filter((other) => this.#edges[of * this.#n + other] === 1);
  }
}

function inGroup({ signer, members }: Row, group: Group): boolean {
  return group.includes(signer) && members.some((member) => group.includes(member));
}

/** Edges without a common end: of each of them one end at least is outside any independent group. */
function matchingSize(graph: Graph, among: readonly number[]): number {
  const left = new Set(among);
  let size = 0;
  for (const a of among) {
    if (!left.has(a)) continue;
    const [b] = graph.neighbours(a, [...left]);
    if (b === undefined) continue;
    left.delete(a);
    left.delete(b);
    size++;
  }
  return size;
}

/** Whether `size` of them are found that have no edge among them: those with most edges are left out first. */
function hasIndependent(graph: Graph, among: readonly number[], size: number, budget: { left: number }): boolean {
  if (size <= 0) return true;
  if (budget.left-- <= 0 || among.length - matchingSize(graph, among) < size) return false;
  let most = among[0]!;
  let edges = graph.neighbours(most, among);
  for (const each of among) {
    const neighbours = graph.neighbours(each, among);
    if (neighbours.length > edges.length) [most, edges] = [each, neighbours];
  }
  if (edges.length === 0) return true;
  const others = among.filter((each) => each !== most);
  if (hasIndependent(graph, others, size, budget)) return true;
  const apart = others.filter((each) => !edges.includes(each));
  return hasIndependent(graph, apart, size - 1, budget);
}

function isExhausted({ n, t }: Schedule, rows: readonly Row[]): boolean {
  const all = Array.from({ length: n }, (_, index) => index);
  return !hasIndependent(new Graph(n, rows), all, t + 1, { left: BRANCHES_MAX });
}

export type Jump = {
  /** The smallest view above whose group holds no edge. */
  readonly target: View;
  /** Of the rows, those that justify skipping everything below it. */
  readonly rows: readonly Row[];
};

/** How far the rows of its own generation lead from a view that may be entered; undefined: past all of them. */
function walk(schedule: Schedule, from: View, rows: readonly Row[]): { readonly to: View | undefined; rows: Row[] } {
  if (schedule.cycle === undefined && isExhausted(schedule, rows)) return { to: undefined, rows: [...rows] };
  const used: Row[] = [];
  const graph = new Graph(schedule.n);
  const generation = generationOf(from);
  const views = schedule.cycle ?? JUMP_VIEWS_MAX;
  for (let view = from; view < from + views; view++) {
    if (generationOf(view) > generation) return { to: view, rows: used };
    const group = schedule.groupOf(view);
    if (graph.holdsEdge(group)) continue;
    const row = rows.find((each) => inGroup(each, group));
    if (row === undefined) return { to: view, rows: used };
    used.push(row);
    graph.add(row);
  }
  return { to: schedule.cycle === undefined ? from + views : undefined, rows: used };
}

/** Where these rows lead from `view`, one view further at least. A SUSPECT may name that target or any below it. */
export function jumpFrom(schedule: Schedule, view: View, rows: readonly Row[]): Jump {
  const used: Row[] = [];
  let target = view + 1;
  for (;;) {
    const generation = generationOf(target);
    const own = rows.filter((row) => row.generation === generation);
    if (own.length === 0) return { target, rows: used };
    const walked = walk(schedule, target, own);
    used.push(...walked.rows);
    if (walked.to !== undefined && generationOf(walked.to) === generation) return { target: walked.to, rows: used };
    target = (generation + 1) * GENERATION_VIEWS;
  }
}
