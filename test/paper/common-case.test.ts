/** consensus.md sections 2 and 3; paper section 4.2, Algorithm 1 and Figure 2. */
import { describe, expect, it } from 'vitest';
import { Cluster, ROOT } from '../unit/consensus/cluster.ts';
import { makeBlock, readBlock } from '../unit/consensus/test-block.ts';
import { proposal } from './lies.ts';

const PROOFS = ['COMMITTED', 'FINALITY', 'FINAL', 'BLOCKS'];

describe('section 2: finality', () => {
  it('a certificate alone is shown to nobody [n=3 t=1]', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, to, { kind }) => to !== 1 || !PROOFS.includes(kind);
    cluster.want(0, 1);
    cluster.run(200);
    expect(cluster.nodes[1]!.traced('certified')).toHaveLength(1);
    expect(cluster.heights().slice(0, 2)).toEqual([1, 0]);
  });

  it('without the COMMITTED of one active nobody shows the block [n=5 t=2]', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (from, _, { kind }) => from !== 2 || !PROOFS.includes(kind);
    cluster.want(0, 1);
    cluster.run(300);
    expect([0, 1, 2].map((index) => cluster.nodes[index]!.traced('certified').length)).toEqual([1, 1, 1]);
    // Only the one whose word is missing has everybody's.
    expect(cluster.heights().slice(0, 2)).toEqual([0, 0]);
  });

  it('COMMITTED is cumulative: a proof of block 2 makes block 1 final, too', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (_, __, message) => message.kind !== 'COMMITTED' || message.height !== 1;
    cluster.want(0, 2);
    cluster.run(100);
    expect(cluster.heights().slice(0, 3)).toEqual([2, 2, 2]);
    for (const index of [0, 1, 2]) {
      expect(cluster.nodes[index]!.finals.map(({ proof }) => proof?.height)).toEqual([undefined, 2]);
    }
  });
});

describe('section 3: the common case', () => {
  it('t=1: final at the primary two one-way delays after the transaction, at the follower three', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 1);
    cluster.run(5);
    expect(cluster.heights()).toEqual([0, 0, 0]);
    cluster.run(5);
    expect(cluster.heights()).toEqual([1, 0, 0]);
    cluster.run(5);
    expect(cluster.heights().slice(0, 2)).toEqual([1, 1]);
  });

  it('t=2: PREPARE, COMMIT to all, COMMITTED to all: final at all actives after three one-way delays', () => {
    const cluster = Cluster.started(5);
    cluster.want(0, 1);
    cluster.run(10);
    expect(cluster.heights()).toEqual([0, 0, 0, 0, 0]);
    cluster.run(5);
    expect(cluster.heights().slice(0, 3)).toEqual([1, 1, 1]);
  });

  it('t=0: the PREPARE is certificate and COMMITTED at once [n=1]', () => {
    const cluster = Cluster.started(1);
    cluster.want(0, 3);
    expect(cluster.heights()).toEqual([3]);
  });

  it('step 2: a COMMIT leaves the follower only when block, PREPARE and COMMIT are in its log', () => {
    const cluster = Cluster.started(3);
    cluster.nodes[1]!.slowDisk = true;
    cluster.want(0, 1);
    cluster.run(50);
    expect(cluster.sentOf('COMMIT')).toHaveLength(0);
    cluster.flush(1);
    expect(cluster.sentOf('COMMIT')).toHaveLength(1);
    cluster.run(20);
    expect(cluster.heights().slice(0, 2)).toEqual([1, 1]);
  });

  it('steps 1 and 3: neither PREPARE nor COMMITTED leaves, and nothing is final, before the disk is done', () => {
    const cluster = Cluster.started(3);
    cluster.nodes[0]!.slowDisk = true;
    cluster.want(0, 1);
    cluster.run(50);
    expect(cluster.sentOf('PROPOSAL')).toHaveLength(0);
    cluster.flush(0);
    cluster.nodes[0]!.slowDisk = true;
    cluster.run(50);
    expect(cluster.nodes[0]!.traced('certified')).toHaveLength(1);
    expect(cluster.heights()[0]).toBe(0);
    expect(cluster.sentOf('COMMITTED')).toHaveLength(0);
  });

  it('step 2: a follower signs only on the block it signed last in this view, a known one is not enough', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(0);
    const first = makeBlock(ROOT, 1, 'first');
    const fork = makeBlock(ROOT, 2, 'fork');
    cluster.give(0, 1, proposal(cluster, 0, first));
    cluster.give(0, 1, proposal(cluster, 0, fork));
    cluster.run(20);
    expect(cluster.sentOf('COMMIT').map(({ message }) => message.height)).toEqual([1]);
    expect(cluster.nodes[1]!.traced('suspect')[0]).toMatchObject({ accused: [0] });
  });

  it('step 2: two proposals at one height get one COMMIT, and the primary is suspected', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(0);
    cluster.give(0, 1, proposal(cluster, 0, makeBlock(ROOT, 1, 'one')));
    cluster.give(0, 1, proposal(cluster, 0, makeBlock(ROOT, 1, 'two')));
    cluster.run(20);
    const { hash } = readBlock(makeBlock(ROOT, 1, 'one'))!;
    expect(cluster.sentOf('COMMIT').map(({ message }) => message.hash)).toEqual([hash]);
    expect(cluster.nodes[1]!.traced('suspect')[0]).toMatchObject({ view: 0, accused: [0] });
  });

  it('step 2: a block that does not execute is not signed, and its primary is suspected', () => {
    const cluster = Cluster.started(3);
    cluster.judge = () => false;
    cluster.want(0, 1);
    cluster.run(50);
    expect(cluster.sentOf('COMMIT').filter(({ message }) => message.height === 1)).toEqual([]);
    expect(cluster.nodes[1]!.traced('suspect')[0]?.reason).toContain('judged invalid');
  });

  it('step 2: proposals that overtake each other are signed in height order', () => {
    const cluster = Cluster.started(3);
    const one = makeBlock(ROOT, 1, '');
    const two = makeBlock(readBlock(one)!.hash, 2, '');
    cluster.liars.add(0);
    cluster.give(0, 1, proposal(cluster, 0, two));
    expect(cluster.sentOf('COMMIT')).toHaveLength(0);
    cluster.give(0, 1, proposal(cluster, 0, one));
    expect(cluster.sentOf('COMMIT').map(({ message }) => message.height)).toEqual([1, 2]);
  });

  it('a proposal from anybody but the primary of the view is refused', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(2);
    cluster.give(2, 1, proposal(cluster, 2, makeBlock(ROOT, 1, '')));
    expect(cluster.nodes[1]!.traced('rejected').map(({ reason }) => reason)).toEqual(['not-primary']);
    expect(cluster.sentOf('COMMIT')).toHaveLength(0);
  });

  it('step 1: at most a window of blocks is in flight', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, __, { kind }) => kind !== 'COMMIT';
    cluster.want(0, 10);
    cluster.run(50);
    const heights = new Set(cluster.sentOf('PROPOSAL').map(({ message }) => message.prepare.height));
    expect([...heights]).toEqual([1, 2, 3, 4]);
    cluster.filter = () => true;
    cluster.run(1000);
    expect(cluster.heights()).toEqual([10, 10, 10]);
  });

  it('step 6: a batch that is not full waits until the block in flight is final', () => {
    const cluster = Cluster.started(3);
    const [primary] = cluster.nodes;
    primary!.wants = 2;
    cluster.step(0, { kind: 'pool', waiting: true, full: false });
    cluster.run(5);
    expect(primary!.traced('proposed').map(({ height }) => height)).toEqual([1]);
    cluster.run(5);
    expect(primary!.height).toBe(1);
    expect(primary!.traced('proposed').map(({ height }) => height)).toEqual([1, 2]);
  });

  it('step 6: there are no empty blocks', () => {
    const cluster = Cluster.started(3);
    cluster.step(0, { kind: 'pool', waiting: true, full: true });
    cluster.run(1000);
    expect(cluster.heights()).toEqual([0, 0, 0]);
    expect(cluster.sentOf('PROPOSAL')).toHaveLength(0);
  });

  it.each([3, 4, 5, 6, 7])('step 4: each passive is sent each final block by one active [n=%i]', (n) => {
    const cluster = Cluster.started(n);
    for (let i = 0; i < 3; i++) {
      cluster.want(cluster.nodes[0]!.status.group[0]!, 1);
      cluster.run(100);
    }
    const passives = cluster.nodes.filter(({ index }) => !cluster.nodes[0]!.status.group.includes(index));
    expect(passives.length).toBeGreaterThan(0);
    for (const { index } of passives) {
      const finals = cluster.sentOf('FINAL').filter(({ to }) => to === index);
      expect(finals.map(({ message }) => message.proof.height)).toEqual([1, 2, 3]);
      expect(new Set(finals.map(({ from }) => from)).size).toBe(1);
    }
  });

  it('step 4: a passive whose active fails it asks another', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (from, to, { kind }) => !(from === 1 && to === 2 && kind !== 'HEARTBEAT');
    cluster.want(0, 3);
    cluster.runUntil('the passive has the blocks', () => cluster.heights()[2] === 3);
    expect(cluster.views()).toEqual([0, 0, 0]);
  });

  it('a COMMIT lost on the way is sent again, and answered with the proof once the other side is done', () => {
    const cluster = Cluster.started(5);
    let lost = 0;
    cluster.filter = (from, to, { kind }) => !(from === 1 && to === 2 && kind === 'COMMIT' && lost++ === 0);
    cluster.want(0, 1);
    cluster.runUntil('final at all actives', () =>
      cluster
        .heights()
        .slice(0, 3)
        .every((height) => height === 1),
    );
    expect(lost).toBeGreaterThan(0);
    expect(cluster.views()).toEqual([0, 0, 0, 0, 0]);
  });

  it('a proposal lost on the way is sent again, as the same bytes', () => {
    const cluster = Cluster.started(3);
    let lost = 0;
    cluster.filter = (_, __, { kind }) => !(kind === 'PROPOSAL' && lost++ === 0);
    cluster.want(0, 1);
    cluster.runUntil('final', () => cluster.heights().every((height) => height === 1));
    expect(lost).toBe(2);
    expect(cluster.views()).toEqual([0, 0, 0]);
  });
});
