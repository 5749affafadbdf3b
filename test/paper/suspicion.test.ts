/** consensus.md section 4; paper sections 4.3.2 and, of its restatement, 6, 7.6 and 7.7. Views are walked one by one. */
import { describe, expect, it } from 'vitest';
import { Cluster } from '../unit/consensus/cluster.ts';
import { suspect } from './lies.ts';

function chain(...suspects: ReturnType<typeof suspect>[]) {
  return { kind: 'CHAIN' as const, suspects };
}

describe('section 4: who may suspect whom', () => {
  it.each([
    ['from a passive of the view', 2, {}, 'not-in-group'],
    ['that accuses nobody', 1, { accused: [] }, 'bad-accused'],
    ['that accuses its sender', 1, { accused: [1] }, 'bad-accused'],
    ['that accuses a passive', 1, { accused: [2] }, 'bad-accused'],
    ['that accuses one twice', 1, { accused: [0, 0] }, 'bad-accused'],
    ['that skips a view', 1, { target: 2 }, 'bad-target'],
    ['of another epoch', 1, { epoch: 1 }, 'other-epoch'],
  ])('a SUSPECT %s moves nobody', (_, signer, about, reason) => {
    const cluster = Cluster.started(3);
    cluster.liars.add(signer);
    cluster.give(signer, 0, chain(suspect(cluster, signer, 0, about)));
    cluster.run(50);
    expect(cluster.views()).toEqual([0, 0, 0]);
    expect(cluster.nodes[0]!.traced('rejected').map((trace) => trace.reason)).toEqual([reason]);
  });

  it('a SUSPECT signed by another than it names is refused', () => {
    const cluster = Cluster.started(3);
    const forged = { ...suspect(cluster, 1, 0), signature: suspect(cluster, 0, 0).signature };
    cluster.give(2, 0, chain(forged));
    expect(cluster.views()).toEqual([0, 0, 0]);
    expect(cluster.nodes[0]!.traced('rejected')[0]).toMatchObject({ reason: 'bad-signature' });
  });

  it('a SUSPECT for a far view does not move the view; it is kept for when that view is reached', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(0).add(1).add(2);
    cluster.give(1, 0, chain(suspect(cluster, 2, 2), suspect(cluster, 2, 1)));
    cluster.run(50);
    expect(cluster.views()).toEqual([0, 0, 0]);
    cluster.give(1, 0, chain(suspect(cluster, 1, 0)));
    expect(cluster.views()[0]).toBe(3);
  });

  it('a SUSPECT of the next view that came early is acted on after an own SUSPECT, too', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(0).add(1).add(2);
    cluster.give(2, 0, chain(suspect(cluster, 2, 1)));
    cluster.filter = (from, to) => from !== 1 && to !== 1;
    cluster.runUntil('node 0 gives up on node 1', () => cluster.views()[0]! > 0);
    expect(cluster.views()[0]).toBe(2);
  });

  it('whoever holds a SUSPECT leaves the view and forwards it, passives too', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(1);
    cluster.filter = (from) => from !== 1;
    cluster.give(1, 2, chain(suspect(cluster, 1, 0)));
    expect(cluster.views()).toEqual([0, 0, 1]);
    cluster.run(10);
    expect(cluster.views()).toEqual([1, 1, 1]);
    // It passes on what it got, and signs none of its own.
    expect(cluster.nodes[2]!.durable.marks.has('SUSPECT')).toBe(false);
  });

  it('who has left a view signs nothing in it any more', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(1);
    cluster.filter = (_, __, { kind }) => kind !== 'VC-FINAL' && kind !== 'COMMIT';
    cluster.want(0, 1);
    cluster.give(1, 0, chain(suspect(cluster, 1, 0)));
    cluster.want(0, 1);
    cluster.run(300);
    const heights = cluster.sentOf('PROPOSAL').filter(({ message }) => message.prepare.view === 0);
    expect(new Set(heights.map(({ message }) => message.prepare.height))).toEqual(new Set([1]));
  });
});

describe('section 4: what leads to suspicion', () => {
  it.each([
    ['the primary', 0],
    ['a follower', 1],
  ])('%s that falls silent is suspected, idle or not', (_, crashed) => {
    const cluster = Cluster.started(3);
    cluster.run(500);
    cluster.crash(crashed);
    cluster.run(390);
    expect(cluster.views().filter((view) => view > 0)).toEqual([]);
    const left = cluster.nodes.filter(({ up }) => up).map(({ index }) => index);
    cluster.runUntil('a new view', () => left.every((index) => cluster.views()[index]! > 0), 200);
    expect(cluster.nodes[1 - crashed]!.traced('suspect')[0]).toMatchObject({ accused: [crashed], reason: 'silent' });
  });

  it('for its first word a member has twice the time, since all are busy when an epoch begins', () => {
    const cluster = new Cluster(3);
    cluster.crash(0);
    cluster.queue = [];
    cluster.run(200 + 780);
    expect(cluster.views()[1]).toBe(0);
    cluster.runUntil('node 1 gives up on node 0', () => cluster.views()[1]! > 0, 300);
  });

  it('a passive that falls silent changes nothing', () => {
    const cluster = Cluster.started(3);
    cluster.crash(2);
    cluster.run(3000);
    cluster.want(0, 1);
    cluster.run(100);
    expect(cluster.views().slice(0, 2)).toEqual([0, 0]);
    expect(cluster.heights()).toEqual([1, 1, 0]);
  });

  it('a follower that lives but keeps back its COMMIT is suspected', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (from, _, message) => from !== 1 || message.kind !== 'COMMIT';
    cluster.want(0, 1);
    cluster.runUntil('a new view', () => cluster.views()[0]! > 0, 600);
    expect(cluster.nodes[0]!.traced('suspect')[0]).toMatchObject({ accused: [1], reason: 'no COMMIT for block 1' });
  });

  it('a primary that keeps back its COMMITTED is suspected', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (from, to, { kind }) =>
      !(from === 0 && to === 1 && ['COMMITTED', 'FINALITY', 'BLOCKS', 'FINAL'].includes(kind));
    cluster.want(0, 1);
    cluster.runUntil('a new view', () => cluster.views()[1]! > 0, 600);
    expect(cluster.nodes[1]!.traced('suspect')[0]).toMatchObject({ accused: [0], reason: 'no COMMITTED for block 1' });
  });

  it('a follower whose host finds a transaction overdue suspects the primary; a passive does not', () => {
    const cluster = Cluster.started(3);
    cluster.step(2, { kind: 'overdue', view: 0 });
    cluster.step(0, { kind: 'overdue', view: 0 });
    cluster.run(20);
    expect(cluster.views()).toEqual([0, 0, 0]);
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(20);
    expect(cluster.views()).toEqual([1, 1, 1]);
  });

  it('fewer than n-t VIEW-CHANGEs are no reason to suspect anyone: a replica that is alone stays where it is', () => {
    const cluster = Cluster.started(5);
    for (const index of [1, 2, 3]) cluster.crash(index);
    cluster.run(20_000);
    // The only group in which nobody suspects anybody: node 4 is up and has said whom it misses.
    expect([...cluster.nodes[0]!.status.group].sort()).toEqual([1, 2, 3]);
    expect(cluster.nodes[0]!.traced('suspect')).toHaveLength(1);
  });

  it('a process that was paused does not wake up accusing everybody', () => {
    const cluster = Cluster.started(3);
    cluster.run(500);
    cluster.now += 60_000;
    cluster.run(200);
    expect(cluster.views()).toEqual([0, 0, 0]);
  });

  it('with t = 0 nobody is ever suspected [n=2]', () => {
    const cluster = Cluster.started(2);
    cluster.crash(0);
    cluster.run(5000);
    expect(cluster.views()[1]).toBe(0);
  });
});

describe('section 4: the chain', () => {
  /** A passive is cut off while the others leave view 0. */
  function left(n: number, cut: number): Cluster {
    const cluster = Cluster.started(n);
    cluster.filter = (from, to) => from !== cut && to !== cut;
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(100);
    expect(cluster.views()[0]).toBe(1);
    expect(cluster.views()[cut]).toBe(0);
    return cluster;
  }

  it('is pushed at once on every new link', () => {
    const cluster = left(3, 2);
    cluster.filter = () => true;
    const before = cluster.sentOf('CHAIN').length;
    cluster.step(0, { kind: 'connected', peer: 2 });
    const pushed = cluster.sentOf('CHAIN').slice(before);
    expect(pushed.map(({ from, to }) => [from, to])).toContainEqual([0, 2]);
    cluster.run(5);
    expect(cluster.views()[2]).toBe(1);
  });

  it('answers every message for a view below, at once, but not twice within Δ/2', () => {
    const cluster = left(3, 2);
    const before = cluster.sentOf('CHAIN').filter(({ to }) => to === 2).length;
    const heartbeat = cluster.sentOf('HEARTBEAT').findLast(({ from }) => from === 2)!.message;
    cluster.give(2, 0, heartbeat);
    cluster.give(2, 0, heartbeat);
    const answers = cluster.sentOf('CHAIN').filter(({ to }) => to === 2);
    expect(answers.length).toBe(before + 1);
    expect(answers.at(-1)!.message.suspects.map(({ view }) => view)).toEqual([0]);
    cluster.run(60);
    cluster.give(2, 0, heartbeat);
    expect(cluster.sentOf('CHAIN').filter(({ to }) => to === 2).length).toBeGreaterThan(answers.length);
  });

  it('leads an active on even inside the wait for VIEW-CHANGEs', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1).add(0).add(3);
    cluster.crash(4);
    cluster.give(1, 0, chain(suspect(cluster, 1, 0)));
    cluster.run(50);
    expect(cluster.views()[0]).toBe(1);
    cluster.give(3, 0, chain(suspect(cluster, 3, 1)));
    cluster.run(500);
    expect(cluster.nodes[0]!.traced('view-installed').map(({ view }) => view)).not.toContain(1);
    expect(cluster.views()[0]).toBe(2);
  });

  it('a view durable above everybody else’s is pushed after the start, so the others follow', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (from) => from !== 1;
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.crash(1);
    cluster.filter = () => true;
    expect(cluster.views()).toEqual([0, 1, 0]);
    cluster.restart(1);
    cluster.runUntil('all are in view 1', () => cluster.views().every((view) => view === 1), 400);
  });
});
