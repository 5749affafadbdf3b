/** consensus.md section 4, "Which group next". Groups by view, n=5: 012 103 203 412 014 304 123 204 314 423; n=3: 01 20 12. */
import { describe, expect, it } from 'vitest';
import type { Heartbeat, Row, Suspect } from '../../consensus/message.ts';
import { Cluster } from '../unit/consensus/cluster.ts';
import { row, suspect } from './lies.ts';

const NEXT_GENERATION = 1_000_000;

function chain(...suspects: Suspect[]) {
  return { kind: 'CHAIN' as const, suspects };
}

function heartbeat(view: number, about: Row): Heartbeat {
  return { kind: 'HEARTBEAT', epoch: 0, view, final: 0, head: 0, tick: 1, echo: 0, row: about };
}

/** Whom each is suspected by, as one replica sees it. */
function suspicions(cluster: Cluster, at: number): string[] {
  return [...cluster.nodes[at]!.status.suspectedBy].map(([member, by]) => `${member} by ${by.toSorted()}`).sort();
}

describe('section 4: where a SUSPECT leads', () => {
  it('to the smallest view above whose group holds no edge, with the rows that justify each view skipped [n=5]', () => {
    const cluster = Cluster.started(5);
    cluster.crash(0);
    cluster.crash(1);
    cluster.runUntil('a new view', () => cluster.nodes[2]!.status.view > 0, 2000);
    cluster.run(50);
    // All others suspect both, so nothing is tried between: 423 is the only group without them.
    expect(cluster.views().slice(2)).toEqual([9, 9, 9]);
    const { message } = cluster.sentOf('CHAIN').find(({ from }) => from === 2)!;
    expect(message.suspects).toHaveLength(1);
    expect(message.suspects[0]).toMatchObject({ view: 0, target: 9, accused: [0, 1] });
    expect(message.suspects[0]!.rows.map(({ signer, members }) => [signer, members])).toEqual([
      [2, [0, 1]],
      [3, [0, 1]],
      [4, [0, 1]],
    ]);
  });

  it('not past a group that nobody in it suspects, whatever edges there are elsewhere', () => {
    const cluster = Cluster.started(5);
    cluster.give(4, 2, heartbeat(0, row(cluster, 4, [0, 1])));
    cluster.step(2, { kind: 'overdue', view: 0 });
    // 103 holds none: 4 is not in it, and node 2 suspects only 0.
    expect(cluster.views()[2]).toBe(1);
  });

  it('at once past the groups with a member that the signer suspected before', () => {
    const cluster = Cluster.started(5);
    cluster.step(1, { kind: 'overdue', view: 0 });
    expect(cluster.nodes[1]!.traced('suspect')[0]).toMatchObject({ view: 0, accused: [0], target: 2 });
  });

  it.each([
    ['a target that its rows do not reach', { target: 3 }, 'bad-target'],
    ['no row of its own', { rows: [] }, 'bad-accused'],
  ])('with %s it moves nobody', (_, about, reason) => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1);
    cluster.give(1, 2, chain(suspect(cluster, 1, 0, { accused: [0], ...about })));
    expect(cluster.views()[2]).toBe(0);
    expect(cluster.nodes[2]!.traced('rejected').map((trace) => trace.reason)).toEqual([reason]);
  });

  const bad: [string, (cluster: Cluster) => Row[], string][] = [
    ['an own row that names another', (cluster) => [row(cluster, 1, [2])], 'bad-accused'],
    ['an own row of another generation', (cluster) => [row(cluster, 1, [0], 1)], 'bad-accused'],
    ['a row in another’s name', (c) => [row(c, 1, [0]), { ...row(c, 1, [2]), signer: 3 }], 'bad-row'],
    ['a row that names its signer', (c) => [row(c, 1, [0]), row(c, 3, [3])], 'bad-row'],
    ['a row out of order', (c) => [row(c, 1, [0]), row(c, 3, [2, 0])], 'bad-row'],
    ['an empty row', (c) => [row(c, 1, [0]), row(c, 3, [])], 'bad-row'],
    ['rows of a generation to come', (c) => [row(c, 1, [0]), row(c, 1, [0, 3], 1), row(c, 2, [0, 3], 1)], 'bad-target'],
  ];
  it.each(bad)('with %s it moves nobody', (_, rows, reason) => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1);
    const target = reason === 'bad-target' ? 3 : 2;
    cluster.give(1, 2, chain(suspect(cluster, 1, 0, { accused: [0], target, rows: rows(cluster) })));
    expect(cluster.views()[2]).toBe(0);
    expect(cluster.nodes[2]!.traced('rejected').map((trace) => trace.reason)).toEqual([reason]);
  });
});

describe('section 4: SUSPECT(u→x) counts in w when u ≤ w < x', () => {
  /** Node 4 in view `view`, brought there one view at a time by those who may. */
  function inView(view: number): Cluster {
    const cluster = Cluster.started(5);
    for (let index = 0; index < 4; index++) cluster.liars.add(index);
    cluster.filter = () => false;
    const by = [1, 1, 2, 1, 0, 3];
    const suspects = by.slice(0, view).map((signer, left) => suspect(cluster, signer, left));
    cluster.give(0, 4, chain(...suspects));
    expect(cluster.views()[4]).toBe(view);
    return cluster;
  }

  /** From view 0 to 5, by 0, who suspects 1 and 2, and 1, who suspects 4: 304 holds no edge of these. */
  function jump(cluster: Cluster): Suspect {
    const rows = [row(cluster, 0, [1, 2]), row(cluster, 1, [4])];
    return suspect(cluster, 0, 0, { accused: [1], target: 5, rows });
  }

  it.each([0, 1, 2, 3, 4])('in a view that it skips, too [w=%i]', (view) => {
    const cluster = inView(view);
    cluster.give(0, 4, jump(cluster));
    expect(cluster.views()[4]).toBe(5);
  });

  it.each([5, 6])('but not at its target, nor above [w=%i]', (view) => {
    const cluster = inView(view);
    cluster.give(0, 4, jump(cluster));
    expect(cluster.views()[4]).toBe(view);
  });

  it('nor below the view it leaves: there it waits', () => {
    const cluster = inView(0);
    const later = suspect(cluster, 1, 1, { accused: [3], target: 2 });
    cluster.give(0, 4, later);
    expect(cluster.views()[4]).toBe(0);
    cluster.give(0, 4, suspect(cluster, 2, 0));
    expect(cluster.views()[4]).toBe(2);
  });

  it('the rows are merged, and justify what this replica suspects later', () => {
    const cluster = inView(0);
    cluster.give(0, 4, jump(cluster));
    expect(suspicions(cluster, 4)).toEqual(['1 by 0', '2 by 0', '4 by 1']);
    cluster.step(4, { kind: 'overdue', view: 5 });
    expect(cluster.nodes[4]!.traced('suspect')).toEqual([]); // not installed: nothing is overdue
  });

  it('no signer may fill the room for those that come early', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1);
    const views = Array.from({ length: 60 }, (_, view) => view + 1).filter((view) => [1, 3, 6, 8].includes(view % 10));
    for (const view of views) cluster.give(1, 4, suspect(cluster, 1, view));
    const refused = cluster.nodes[4]!.traced('rejected').filter(({ reason }) => reason === 'future-view');
    expect(refused).toHaveLength(views.length - 16);
    expect(cluster.views()[4]).toBe(0);
  });
});

describe('section 4: suspicion rows', () => {
  it('passives report silence, too', () => {
    const cluster = Cluster.started(5);
    cluster.crash(4);
    cluster.run(600);
    expect(cluster.views().slice(0, 4)).toEqual([0, 0, 0, 0]);
    for (const at of [0, 1, 2, 3]) expect(suspicions(cluster, at)).toEqual(['4 by 0,1,2,3']);
  });

  it('are in the log before they are told, and what is told once holds after a restart', () => {
    const cluster = Cluster.started(5);
    cluster.crash(4);
    cluster.run(600);
    cluster.restart(3);
    cluster.run(300);
    expect(suspicions(cluster, 3)).toContain('4 by 0,1,2,3');
    cluster.crash(2);
    cluster.run(700);
    const rows = cluster
      .sentOf('HEARTBEAT')
      .flatMap(({ from, message }) => (from === 3 && message.row ? [message.row] : []));
    expect(rows.map(({ members }) => members.join())).toContain('2,4');
    expect(new Set(rows.map(({ members }) => members.join()))).toEqual(new Set(['4', '2,4']));
  });

  it('of one signer hold one another: of a liar’s that do not, two are kept', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1);
    for (const members of [[0], [2], [3], [4]]) cluster.give(1, 2, heartbeat(0, row(cluster, 1, members)));
    expect(suspicions(cluster, 2)).toEqual(['0 by 1', '2 by 1']);
    cluster.give(1, 2, heartbeat(0, row(cluster, 1, [0, 2, 3])));
    expect(suspicions(cluster, 2)).toEqual(['0 by 1', '2 by 1', '3 by 1']);
  });

  const refused: [string, (cluster: Cluster) => Row, string | undefined][] = [
    ['another’s', (cluster) => row(cluster, 3, [4]), 'not-the-sender'],
    ['a forged one', (cluster) => ({ ...row(cluster, 1, [3]), members: [4] }), 'bad-signature'],
    ['one that names its signer', (cluster) => row(cluster, 1, [1]), 'bad-row'],
    ['one of another generation', (cluster) => row(cluster, 1, [4], 1), undefined],
    ['one of another life', (c) => ({ ...row(c, 1, [4]), incarnation: `0x${'5'.repeat(32)}` }), 'foreign-incarnation'],
  ];
  it.each(refused)('%s on a heartbeat counts for nothing', (_, make, reason) => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1).add(3);
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(50);
    const before = suspicions(cluster, 2);
    cluster.give(1, 2, heartbeat(2, make(cluster)));
    expect(suspicions(cluster, 2)).toEqual(before);
    const reasons = cluster.nodes[2]!.traced('rejected').map((trace) => trace.reason);
    expect(reasons).toEqual(reason === undefined ? [] : [reason]);
  });

  it('a liar’s row costs it groups of its own only', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(4);
    for (const at of [0, 1, 2, 3]) cluster.give(4, at, heartbeat(0, row(cluster, 4, [0, 1, 2, 3])));
    cluster.wantAll(1);
    cluster.run(100);
    cluster.step(2, { kind: 'overdue', view: 0 });
    cluster.run(300);
    expect(cluster.views().slice(0, 4)).toEqual([1, 1, 1, 1]);
  });
});

describe('section 4: the chain, with jumps in it', () => {
  it('leads a replica that missed it all from wherever it is', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (from, to) => from !== 4 && to !== 4;
    cluster.step(2, { kind: 'overdue', view: 0 });
    cluster.run(300);
    cluster.step(0, { kind: 'overdue', view: 1 });
    cluster.run(300);
    const { view } = cluster.nodes[0]!.status;
    expect(view).toBeGreaterThan(2);
    expect(cluster.views()[4]).toBe(0);
    cluster.filter = () => true;
    cluster.runUntil('node 4 has followed', () => cluster.views()[4] === view, 300);
  });

  it('is in the same record as the view: after a restart it leads the others where only this one has been', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (from) => from !== 1;
    cluster.step(1, { kind: 'overdue', view: 0 });
    expect(cluster.views()).toEqual([0, 2, 0, 0, 0]);
    cluster.crash(1);
    cluster.filter = () => true;
    cluster.restart(1);
    cluster.runUntil('all are in view 2', () => cluster.views().every((view) => view === 2), 400);
  });

  it('goes in pieces when it is long, and each SUSPECT of it is taken', () => {
    const cluster = Cluster.started(3);
    for (const index of [0, 1, 2]) cluster.liars.add(index);
    cluster.filter = () => false;
    const by = [0, 2, 1];
    const all = Array.from({ length: 700 }, (_, view) => suspect(cluster, by[view % 3]!, view));
    cluster.give(1, 0, chain(...all));
    expect(cluster.views()[0]).toBe(700);
    const before = cluster.sentOf('CHAIN').length;
    cluster.step(0, { kind: 'connected', peer: 1 });
    const pieces = cluster
      .sentOf('CHAIN')
      .slice(before)
      .filter(({ to }) => to === 1);
    expect(pieces.map(({ message }) => message.suspects.length)).toEqual([512, 188]);
    for (const { message } of pieces) cluster.give(0, 1, message);
    expect(cluster.views()[1]).toBe(700);
  });
});

describe('section 4: generations', () => {
  /** Every pair of them suspects one another, for no reason but asynchrony. */
  function falselySuspected(): Cluster {
    const cluster = Cluster.started(3);
    cluster.crash(2);
    cluster.run(700);
    cluster.restart(2);
    cluster.run(300);
    expect(suspicions(cluster, 0)).toEqual(['2 by 0,1']);
    return cluster;
  }

  it('when no group is left without an edge the suspicions begin anew, with what is so now [n=3]', () => {
    const cluster = falselySuspected();
    cluster.crash(0);
    cluster.wantAll(1);
    cluster.runUntil('node 1 gives up on node 0', () => cluster.nodes[1]!.traced('suspect').length > 0);
    expect(cluster.nodes[1]!.traced('suspect')[0]!.target).toBe(NEXT_GENERATION);
    cluster.runUntil('service', () => cluster.nodes[1]!.height > 0 && cluster.nodes[2]!.height > 0);
    // 12 is the only group without node 0.
    expect(cluster.views().slice(1)).toEqual([NEXT_GENERATION + 1, NEXT_GENERATION + 1]);
    for (const at of [1, 2]) expect(suspicions(cluster, at)).toEqual(['0 by 1,2']);
    expect(cluster.nodes[2]!.traced('generation')).toEqual([{ name: 'generation', generation: 1 }]);
  });

  it('rows that leave a group justify no new generation', () => {
    const cluster = falselySuspected();
    cluster.liars.add(1);
    const rows = [row(cluster, 1, [0]), row(cluster, 1, [0], 1)];
    cluster.give(1, 0, suspect(cluster, 1, 0, { accused: [0], target: NEXT_GENERATION + 1, rows }));
    expect(cluster.nodes[0]!.traced('rejected').at(-1)).toMatchObject({ reason: 'bad-target' });
    expect(cluster.views()[0]).toBe(0);
  });

  it('what was suspected in the generation before justifies nothing in the new one', () => {
    const cluster = falselySuspected();
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(300);
    const { view } = cluster.nodes[0]!.status;
    expect(view).toBeGreaterThanOrEqual(NEXT_GENERATION);
    expect(suspicions(cluster, 0)).toEqual(['0 by 1']);
  });

  it('doubles the time-outs, which ease back once blocks are final', () => {
    const cluster = falselySuspected();
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(20);
    expect(cluster.nodes[1]!.status.suspicionMs).toBe(800);
    cluster.wantAll(2);
    cluster.runUntil('calm again', () => cluster.nodes[1]!.status.suspicionMs === 400);
  });

  it('survives a restart', () => {
    const cluster = falselySuspected();
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(300);
    const { view } = cluster.nodes[1]!.status;
    cluster.restart(1);
    cluster.run(300);
    expect(cluster.views()[1]).toBe(view);
    expect(suspicions(cluster, 1)).toEqual(['0 by 1']);
  });
});
