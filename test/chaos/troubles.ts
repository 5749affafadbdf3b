/**
 * What happens to nodes and lines in a chaos run: each trouble begins, lasts, and ends by itself. Any number of them may
 * be there at once, also more than the validators tolerate: then nothing becomes final for a while, and nothing is lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RelayedNetwork } from '../e2e/network.ts';
import type { Random } from '../fuzz/random.ts';

export const TROUBLES = ['kill', 'kill-all', 'stop', 'cut', 'cut-one-way', 'isolate', 'reset', 'delay'] as const;
export type Trouble = (typeof TROUBLES)[number];

/** How often each is drawn, of a hundred. */
const WEIGHTS: Readonly<Record<Trouble, number>> = {
  kill: 28,
  'kill-all': 2,
  stop: 18,
  cut: 14,
  'cut-one-way': 10,
  isolate: 12,
  reset: 8,
  delay: 8,
};

const LOT: readonly Trouble[] = TROUBLES.flatMap((trouble) => new Array<Trouble>(WEIGHTS[trouble]).fill(trouble));

const CLEAR_LINE = { delayMs: 0, jitterMs: 0 };
const BAD_LINE = { delayMs: 50, jitterMs: 150 };

export class Troubles {
  readonly counts = new Map<Trouble, number>();
  readonly #relayed: RelayedNetwork;
  readonly #random: Random;
  /** Is never killed, so that its memory shows the whole run. */
  readonly #spared: number;
  /** Nodes that are down or stand still; another trouble of that kind leaves them alone. */
  readonly #busy = new Set<number>();
  readonly #stopped = new Set<number>();
  readonly #running = new Set<Promise<void>>();
  #problem: unknown;

  constructor(relayed: RelayedNetwork, { random, spared }: { readonly random: Random; readonly spared: number }) {
    this.#relayed = relayed;
    this.#random = random;
    this.#spared = spared;
  }

  get #nodes(): number[] {
    return [...this.#relayed.network.members.keys()];
  }

  #draw(): Trouble {
    return LOT[this.#random(LOT.length)]!;
  }

  /** Begins one trouble. Throws what went wrong with an earlier one: a node that did not come back. */
  begin(): Trouble {
    if (this.#problem !== undefined) throw this.#problem;
    const trouble = this.#draw();
    this.counts.set(trouble, (this.counts.get(trouble) ?? 0) + 1);
    const run = this.#run(trouble)
      .catch((error: unknown) => {
        this.#problem ??= error;
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
    return trouble;
  }

  #between(leastMs: number, mostMs: number): number {
    return leastMs + this.#random(mostMs - leastMs);
  }

  async #run(trouble: Trouble): Promise<void> {
    const { mesh } = this.#relayed;
    const nodes = this.#nodes;
    const a = this.#random(nodes.length);
    const b = (a + 1 + this.#random(nodes.length - 1)) % nodes.length;
    switch (trouble) {
      case 'kill':
        return this.#kill([a]);
      case 'kill-all':
        return this.#kill(nodes);
      case 'stop':
        return this.#stop(a, this.#between(100, 15_000));
      case 'cut':
        mesh.setCut(a, b, true);
        await sleep(this.#between(500, 10_000));
        return mesh.setCut(a, b, false);
      case 'cut-one-way':
        mesh.cutOneWay(a, b);
        await sleep(this.#between(500, 10_000));
        return mesh.setCut(a, b, false);
      case 'isolate':
        for (const other of nodes) if (other !== a) mesh.setCut(a, other, true);
        await sleep(this.#between(500, 15_000));
        for (const other of nodes) if (other !== a) mesh.setCut(a, other, false);
        return;
      case 'reset':
        return mesh.reset(a, b);
      case 'delay':
        mesh.shape(BAD_LINE);
        await sleep(this.#between(1000, 10_000));
        return mesh.shape(CLEAR_LINE);
    }
  }

  async #kill(wanted: readonly number[]): Promise<void> {
    const nodes = wanted.filter((node) => node !== this.#spared && !this.#busy.has(node));
    for (const node of nodes) this.#busy.add(node);
    const members = nodes.map((node) => this.#relayed.network.members[node]!);
    await Promise.all(members.map((member) => member.kill()));
    await sleep(this.#between(100, 8000));
    await Promise.all(members.map((member) => member.start()));
    for (const node of nodes) this.#busy.delete(node);
  }

  async #stop(node: number, ms: number): Promise<void> {
    if (this.#busy.has(node)) return;
    this.#busy.add(node);
    this.#stopped.add(node);
    const { pid } = this.#relayed.network.members[node]!;
    process.kill(pid, 'SIGSTOP');
    await sleep(ms);
    process.kill(pid, 'SIGCONT');
    this.#stopped.delete(node);
    this.#busy.delete(node);
  }

  /** Waits for the last trouble to end, and heals every line. */
  async end(): Promise<void> {
    await Promise.all(this.#running);
    this.#relayed.mesh.heal();
    this.#relayed.mesh.shape(CLEAR_LINE);
    if (this.#problem !== undefined) throw this.#problem;
  }

  /** After a failure: nobody is left standing still. */
  release(): void {
    for (const node of this.#stopped) process.kill(this.#relayed.network.members[node]!.pid, 'SIGCONT');
  }
}
