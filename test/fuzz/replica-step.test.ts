/**
 * `Replica.step` under a liar with a key: messages of a run, taken from it as it goes, changed in a field or three and
 * signed anew by the liar, come in between the real ones. No exception, no two final blocks at one height, nothing signed
 * twice (the cluster looks on), and when the liar falls silent the others go on without it.
 */
import { expect, test } from 'vitest';
import type { Message } from '../../consensus/message.ts';
import { decodeMessage, encodeMessage } from '../../consensus/message-codec.ts';
import { statementDigest } from '../../consensus/statement.ts';
import { Cluster } from '../unit/consensus/cluster.ts';
import { FUZZ_RUNS, FUZZ_SEED } from './effort.ts';
import { type Liar, mutated } from './message-mutations.ts';
import { makeRandom, pick, type Random } from './random.ts';

const RUNS = 12 * FUZZ_RUNS;
const LIES = 1500;
const RECENT = 400;

/** Undefined for what cannot even be signed or written. */
function encodable(make: () => Message, validators: number): Message | undefined {
  try {
    const decoded = decodeMessage(encodeMessage(make()), { validators });
    return decoded.ok ? decoded.message : undefined;
  } catch {
    return undefined;
  }
}

function liarIn(cluster: Cluster, index: number): Liar {
  cluster.liars.add(index);
  return {
    index,
    incarnation: cluster.incarnation(cluster.nodes[index]!),
    sign: (statement) => cluster.keys.sign(index, statementDigest(cluster.config, statement)),
  };
}

/** One lie to one replica. True when it could be written at all. */
function lie(random: Random, cluster: Cluster, liar: Liar, honest: readonly number[]): boolean {
  const recent = cluster.sent.slice(-RECENT).map(({ message }) => message);
  const message = encodable(() => mutated(random, pick(random, recent), recent, liar), cluster.nodes.length);
  if (message === undefined) return false;
  cluster.give(liar.index, pick(random, honest), message);
  return true;
}

test.each([3, 4, 5])('%i replicas, one of them lies: nothing breaks, and without it they go on', (n) => {
  let told = 0;
  for (let run = 0; run < RUNS; run++) {
    const random = makeRandom(FUZZ_SEED + 1000 * n + run);
    const cluster = Cluster.started(n);
    const liar = liarIn(cluster, random(n));
    const honest = [...cluster.nodes.keys()].filter((index) => index !== liar.index);
    cluster.wantAll(2);
    cluster.run(200);
    for (let i = 0; i < LIES; i++) {
      if (lie(random, cluster, liar, honest)) told++;
      if (random(20) === 0) cluster.run(5 * (1 + random(20)));
      if (random(100) === 0) cluster.want(pick(random, honest), 1);
    }
    cluster.crash(liar.index);
    const target = Math.max(...honest.map((index) => cluster.nodes[index]!.height)) + 3;
    for (const index of honest) cluster.want(index, 5);
    const done = (): boolean => honest.every((index) => cluster.nodes[index]!.height >= target);
    cluster.runUntil(`block ${target} at all without the liar (seed ${FUZZ_SEED + 1000 * n + run})`, done, 60_000);
  }
  expect(told).toBeGreaterThan((RUNS * LIES) / 2);
});
