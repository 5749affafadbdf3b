/** consensus.md section 5; paper section 4.3, Algorithm 2. Groups by view: n=3 01 20 12; n=5 012 103 203 412 …; n=4 01 23 02 … */
import { describe, expect, it } from 'vitest';
import { makeSchedule } from '../../consensus/groups.ts';
import { toHex } from '../../primitives/bytes.ts';
import { Cluster, ROOT } from '../unit/consensus/cluster.ts';
import { makeBlock, readBlock } from '../unit/consensus/test-block.ts';
import { certificate, newView, proposal, suspect, vcFinal, viewChange, vote } from './lies.ts';

const DELTA = 100;

/** Everybody leaves view 0 for view 1, because its last follower says so. */
function leave(cluster: Cluster): number {
  cluster.step(cluster.nodes[0]!.status.group.at(-1)!, { kind: 'overdue', view: 0 });
  return cluster.now;
}

function firstAt(cluster: Cluster, kind: 'VC-FINAL' | 'NEW-VIEW', from: number): number | undefined {
  return cluster.sentOf(kind).find((sent) => sent.from === from)?.at;
}

describe('section 5, step 2: who is waited for', () => {
  it('with all n VIEW-CHANGEs nobody waits', () => {
    const cluster = Cluster.started(3);
    const start = leave(cluster);
    cluster.run(50);
    expect(firstAt(cluster, 'VC-FINAL', 2)! - start).toBeLessThan(20);
    expect(cluster.nodes[2]!.traced('view-installed')).toHaveLength(1);
  });

  it('with n-t of them an active waits 2Δ from pushing the chain', () => {
    const cluster = Cluster.started(3);
    cluster.crash(1);
    cluster.liars.add(1);
    cluster.send(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    cluster.run(5);
    const start = cluster.now;
    cluster.run(2 * DELTA - 10);
    expect(cluster.sentOf('VC-FINAL')).toEqual([]);
    cluster.run(30);
    expect(firstAt(cluster, 'VC-FINAL', 0)! - start).toBeGreaterThanOrEqual(2 * DELTA - 5);
    cluster.run(50);
    expect(cluster.views()[0]).toBe(1);
    expect(cluster.nodes[0]!.traced('view-installed')).toHaveLength(1);
  });

  it('fewer than n-t are not enough, however long the wait', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, __, { kind }) => kind !== 'VIEW-CHANGE';
    leave(cluster);
    cluster.run(2000);
    expect(cluster.sentOf('VC-FINAL')).toEqual([]);
    expect(cluster.views()).toEqual([1, 1, 1]);
  });

  it('two VIEW-CHANGEs of one sender count once, and it is noticed', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(1);
    cluster.filter = (from, _, { kind }) => kind !== 'VIEW-CHANGE' || from === 1;
    leave(cluster);
    cluster.run(20);
    // Node 2 is an active of view 1; it has its own, and two of node 1's would make three.
    cluster.crash(1);
    cluster.filter = () => false;
    const block = readBlock(makeBlock(ROOT, 1, ''))!;
    cluster.give(1, 2, viewChange(cluster, 1, 1, certificate(cluster, 'QC', block)));
    expect(cluster.nodes[2]!.traced('conflict')[0]).toMatchObject({ signer: 1 });
    expect(cluster.sentOf('VC-FINAL').filter(({ from }) => from === 2)).toEqual([]);
  });

  it('the wait begins again when the process was paused for more than Δ/2', () => {
    const cluster = Cluster.started(3);
    cluster.crash(1);
    cluster.liars.add(1);
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    cluster.run(150);
    cluster.now += 1000;
    const resumed = cluster.now;
    cluster.run(100);
    expect(cluster.sentOf('VC-FINAL').filter(({ from }) => from === 0)).toEqual([]);
    cluster.run(150);
    expect(firstAt(cluster, 'VC-FINAL', 0)! - resumed).toBeGreaterThanOrEqual(2 * DELTA);
  });

  it('the wait begins only when the view is in the log, since nobody hears of it before', () => {
    const cluster = Cluster.started(3);
    cluster.crash(1);
    cluster.liars.add(1);
    cluster.nodes[0]!.slowDisk = true;
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    cluster.give(1, 2, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    cluster.run(300);
    expect(cluster.sentOf('VIEW-CHANGE').filter(({ from }) => from === 0)).toEqual([]);
    cluster.flush(0);
    const flushed = cluster.now;
    cluster.run(2 * DELTA - 20);
    expect(cluster.sentOf('VC-FINAL').filter(({ from }) => from === 0)).toEqual([]);
    cluster.run(50);
    expect(firstAt(cluster, 'VC-FINAL', 0)! - flushed).toBeGreaterThanOrEqual(2 * DELTA - 10);
  });

  it('VIEW-CHANGEs learnt from VC-FINALs count for the union, not for n-t', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1).add(2).add(3).add(4);
    for (const index of [1, 2, 3, 4]) cluster.crash(index);
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const others = [1, 2, 3, 4].map((signer) => viewChange(cluster, signer, 1));
    cluster.give(1, 0, vcFinal(cluster, 1, 1, others));
    cluster.give(1, 0, others[0]!);
    cluster.run(1000);
    expect(cluster.sentOf('VC-FINAL')).toEqual([]);
    // The third sender heard directly is the last one needed.
    cluster.give(2, 0, others[1]!);
    const [mine] = cluster.sentOf('VC-FINAL');
    expect(mine!.message.viewChanges.map(({ signer }) => signer)).toEqual([0, 1, 2, 3, 4]);
  });

  it.each([
    ['too few senders', 2, 'too-few-senders'],
    ['one sender twice', 3, 'too-few-senders'],
  ])('a VC-FINAL with %s is refused, and its sender suspected', (what, count, reason) => {
    const cluster = Cluster.started(5);
    cluster.liars.add(1).add(2).add(3).add(4);
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const signers = what === 'one sender twice' ? [1, 2, 2] : [1, 2];
    expect(signers).toHaveLength(count);
    const changes = signers.map((signer) => viewChange(cluster, signer, 1));
    cluster.give(1, 0, vcFinal(cluster, 1, 1, changes));
    cluster.run(10);
    expect(cluster.nodes[0]!.traced('rejected').at(-1)).toMatchObject({ message: 'VC-FINAL', reason });
    expect(cluster.nodes[0]!.traced('suspect')[0]).toMatchObject({ view: 1, accused: [1] });
  });

  it.each([
    ['of the view itself', 1],
    ['of a later view', 3],
  ])('a VIEW-CHANGE whose head is %s is refused', (_, view) => {
    const cluster = Cluster.started(3);
    cluster.liars.add(1);
    cluster.filter = (from) => from !== 1;
    leave(cluster);
    cluster.run(20);
    cluster.give(1, 2, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const head = certificate(cluster, 'QC', { view, height: 1, hash: ROOT, viewCertificate: ROOT });
    cluster.give(1, 2, viewChange(cluster, 1, 1, head));
    expect(cluster.nodes[2]!.traced('rejected').at(-1)).toMatchObject({ message: 'VIEW-CHANGE', reason: 'bad-head' });
  });
});

describe('section 5, steps 3 to 5: the new view', () => {
  it('NEW-VIEW waits for the VC-FINALs of all t+1 actives, and a follower buffers it until it has them', () => {
    const cluster = Cluster.started(5);
    // View 1 is 1, 0, 3. Node 0 hears node 3's VC-FINAL late.
    cluster.filter = (from, to, { kind }) => !(kind === 'VC-FINAL' && from === 3 && to === 0);
    leave(cluster);
    cluster.run(150);
    const installed = () => [1, 0, 3].map((index) => cluster.nodes[index]!.status.installed);
    expect(installed()).toEqual([true, false, true]);
    expect(cluster.sentOf('COMMIT').filter(({ from }) => from === 0)).toEqual([]);
    cluster.filter = () => true;
    cluster.run(150);
    expect(installed()).toEqual([true, true, true]);
  });

  it('without one VC-FINAL the primary makes no NEW-VIEW', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (from, to, { kind }) => !(kind === 'VC-FINAL' && from === 3 && to === 1);
    leave(cluster);
    cluster.run(400);
    expect(cluster.sentOf('NEW-VIEW')).toEqual([]);
  });

  /** View 1 of five: the liars are its primary 1 and its follower 3; node 0 is honest and knows of `head`. */
  function lyingPrimary(heights: { known: number; offered: number }) {
    const cluster = Cluster.started(5);
    for (const index of [1, 2, 3, 4]) {
      cluster.liars.add(index);
      cluster.crash(index);
    }
    const blocks = [makeBlock(ROOT, 1, '')];
    blocks.push(makeBlock(readBlock(blocks[0]!)!.hash, 2, ''));
    const head = (height: number) =>
      height === 0 ? undefined : certificate(cluster, 'QC', readBlock(blocks[height - 1]!)!);
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const signed = head(Math.max(heights.known, heights.offered));
    const changes = [1, 2, 3, 4].map((signer) => viewChange(cluster, signer, 1, head(heights.known), signed));
    for (const change of changes) cluster.give(change.signer, 0, change);
    const mine = cluster.sentOf('VC-FINAL')[0]!.message;
    const others = [1, 3].map((signer) => vcFinal(cluster, signer, 1, changes));
    for (const message of others) cluster.give(message.signer, 0, message);
    return {
      cluster,
      blocks,
      offer: newView(cluster, 1, head(heights.offered), [others[0]!, mine, others[1]!]),
      others,
      mine,
    };
  }

  it('a follower refuses a head below the greatest in its own union', () => {
    const { cluster, offer } = lyingPrimary({ known: 1, offered: 0 });
    cluster.give(1, 0, offer);
    cluster.run(10);
    expect(cluster.nodes[0]!.traced('suspect')[0]).toMatchObject({ view: 1, accused: [1] });
    expect(cluster.sentOf('COMMIT')).toEqual([]);
  });

  it('a follower accepts a higher valid head, but signs it only once its bodies are fetched and executed', () => {
    const { cluster, blocks, offer } = lyingPrimary({ known: 1, offered: 2 });
    cluster.give(1, 0, offer);
    cluster.run(10);
    expect(cluster.sentOf('COMMIT')).toEqual([]);
    const asked = cluster.sentOf('FETCH-BODIES').at(-1)!;
    expect(asked.message).toMatchObject({ hash: readBlock(blocks[1]!)!.hash, height: 2, floor: 1 });
    cluster.give(asked.to, 0, {
      kind: 'BLOCKS',
      nonce: asked.message.nonce,
      blocks: blocks.map((block) => ({ block, proof: undefined })),
    });
    expect(cluster.sentOf('COMMIT')[0]!.message).toMatchObject({ view: 1, height: 2 });
    expect(cluster.nodes[0]!.executed.size).toBe(2);
  });

  it('a follower refuses a NEW-VIEW that names a VC-FINAL it never sent', () => {
    const { cluster, others } = lyingPrimary({ known: 1, offered: 1 });
    const another = vcFinal(cluster, 0, 1, others[0]!.viewChanges);
    const head = others[0]!.viewChanges[0]!.head;
    cluster.give(1, 0, newView(cluster, 1, head, [others[0]!, another, others[1]!]));
    cluster.run(10);
    expect(cluster.nodes[0]!.traced('suspect')[0]).toMatchObject({ view: 1, accused: [1] });
  });

  it('a follower does not sign on a NEW-VIEW that names another VC-FINAL of a third one; it shows its own, and waits', () => {
    const { cluster, others } = lyingPrimary({ known: 1, offered: 1 });
    const mine = cluster.sentOf('VC-FINAL').find(({ from }) => from === 0)!.message;
    const madeUp = vcFinal(cluster, 3, 1, others[1]!.viewChanges.slice(1));
    cluster.give(1, 0, newView(cluster, 1, others[0]!.viewChanges[0]!.head, [others[0]!, mine, madeUp]));
    cluster.run(200);
    expect(cluster.sentOf('COMMIT')).toEqual([]);
    const shown = cluster
      .sentOf('VC-FINAL')
      .filter(({ from, to, message }) => from === 0 && to === 1 && message.signer === 3);
    expect(toHex(shown[0]!.message.signature)).toBe(toHex(others[1]!.signature));
    expect(cluster.nodes[0]!.traced('suspect')).toEqual([]);
    for (let i = 0; i < 6; i++) {
      for (const alive of [1, 3]) cluster.give(alive, 0, { kind: 'EPOCH-STARTED', epoch: 0 });
      cluster.run(100);
    }
    expect(cluster.nodes[0]!.traced('suspect')[0]).toMatchObject({ view: 1, accused: [1] });
  });

  it('of a follower that shows two VC-FINALs the primary is not blamed: that one is convicted', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(3);
    cluster.filter = (from, to, { kind }) => !(from === 3 && to === 0 && kind === 'VC-FINAL');
    leave(cluster);
    cluster.run(20);
    const said = cluster.sentOf('VC-FINAL').find(({ from }) => from === 3)!.message;
    cluster.give(3, 0, vcFinal(cluster, 3, 1, said.viewChanges.slice(1)));
    cluster.runUntil('the view ends', () => cluster.nodes[0]!.status.view > 1, 1000);
    // Its vote in the view that this NEW-VIEW opened names another VC-FINAL than it showed node 0, which tells all.
    for (const { evidence, traced } of [0, 1].map((index) => ({
      evidence: cluster.nodes[index]!.evidence,
      traced: cluster.nodes[index]!.traced('suspect').filter(({ view }) => view === 1),
    }))) {
      expect(evidence).toMatchObject([{ evidence: { kind: 'two-faced', culprit: 3 } }]);
      expect(traced.every(({ accused }) => accused.every((member) => member === 3))).toBe(true);
    }
  });

  it('a VIEW-CHANGE that comes after the own VC-FINAL is no reason to refuse the primary’s head', () => {
    const cluster = Cluster.started(5);
    for (const index of [1, 2, 3, 4]) {
      cluster.liars.add(index);
      cluster.crash(index);
    }
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const certified = certificate(cluster, 'QC', readBlock(makeBlock(ROOT, 1, ''))!);
    const changes = [1, 2, 3].map((signer) => viewChange(cluster, signer, 1, undefined, certified));
    for (const change of changes) cluster.give(change.signer, 0, change);
    cluster.run(2 * DELTA + 20);
    const mine = cluster.sentOf('VC-FINAL')[0]!.message;
    const late = viewChange(cluster, 4, 1, certified);
    cluster.give(4, 0, late);
    const others = [1, 3].map((signer) => vcFinal(cluster, signer, 1, changes));
    for (const message of others) cluster.give(message.signer, 0, message);
    cluster.give(1, 0, newView(cluster, 1, undefined, [others[0]!, mine, others[1]!]));
    expect(cluster.nodes[0]!.traced('suspect')).toEqual([]);
    expect(cluster.sentOf('COMMIT')[0]!.message).toMatchObject({ view: 1, height: 0 });
  });

  it('the head is certified anew: its finality proof of the new view needs no block of that view', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 2);
    cluster.run(100);
    leave(cluster);
    cluster.run(100);
    for (const index of [0, 2]) {
      expect(cluster.nodes[index]!.durable.final).toMatchObject({ view: 1, height: 2 });
    }
  });

  it('a certified block that was final nowhere is adopted by the next view and becomes final', () => {
    const cluster = Cluster.started(3);
    // The follower has the certificate; the primary never hears.
    cluster.filter = (from, to, { kind }) => !(from === 1 && to === 0 && kind === 'COMMIT');
    cluster.want(0, 1);
    cluster.run(50);
    cluster.filter = () => true;
    leave(cluster);
    cluster.run(300);
    expect(cluster.heights()).toEqual([1, 1, 1]);
    expect(cluster.nodes[2]!.finals[0]!.proof).toMatchObject({ view: 1, height: 1 });
  });

  it('an active without the body of the head fetches it before it signs', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (from, to, { kind }) => !(from === 1 && to === 0 && kind === 'COMMIT');
    cluster.want(0, 1);
    cluster.run(50);
    cluster.filter = (_, __, { kind }) => kind !== 'BLOCKS';
    leave(cluster);
    cluster.run(100);
    expect(cluster.sentOf('NEW-VIEW')).toEqual([]);
    expect(cluster.sentOf('FETCH-BODIES').every(({ from }) => from === 2)).toBe(true);
    cluster.filter = () => true;
    cluster.run(300);
    expect(cluster.sentOf('NEW-VIEW').length).toBeGreaterThan(0);
  });

  it('a proposal that was certified nowhere is void: another block takes its height everywhere', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, __, { kind }) => kind !== 'PROPOSAL';
    cluster.want(0, 1);
    cluster.run(20);
    const lost = cluster.nodes[0]!.traced('proposed')[0]!.hash;
    cluster.filter = () => true;
    cluster.give(0, 2, { kind: 'CHAIN', suspects: [] });
    cluster.liars.add(1);
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    cluster.run(50);
    cluster.want(2, 1);
    cluster.run(300);
    expect(cluster.heights()).toEqual([1, 1, 1]);
    expect(cluster.nodes[0]!.finals[0]!.hash).not.toBe(lost);
  });

  it('a VIEW-CHANGE is sent again as the same bytes, even when a later proof raised the head', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, to, { kind }) => kind !== 'VC-FINAL' && !(to === 1 && kind === 'COMMITTED');
    cluster.want(0, 1);
    cluster.run(20);
    leave(cluster);
    cluster.run(20);
    const proof = cluster.nodes[0]!.durable.final!;
    expect(cluster.nodes[1]!.durable.final).toBeUndefined();
    cluster.give(0, 1, { kind: 'FINALITY', proof });
    cluster.run(300);
    expect(cluster.heights()[1]).toBe(1);
    const sent = cluster.sentOf('VIEW-CHANGE').filter(({ from, to }) => from === 1 && to === 0);
    expect(sent.length).toBeGreaterThan(1);
    for (const { message } of sent) expect(message).toEqual(sent[0]!.message);
    expect(sent[0]!.message.final).toBeUndefined();
  });

  it('a proposal of a view that was left is not signed, and answered with the chain', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(0);
    leave(cluster);
    cluster.run(100);
    cluster.give(0, 1, proposal(cluster, 0, makeBlock(ROOT, 1, '')));
    cluster.run(50);
    expect(cluster.sentOf('COMMIT').filter(({ message }) => message.view === 0)).toEqual([]);
    expect(cluster.sentOf('CHAIN').filter(({ from, to }) => from === 1 && to === 0).length).toBeGreaterThan(0);
  });

  it('the worked example of the paper: what one follower alone executed is nobody’s final block [figure 11 a]', () => {
    const cluster = Cluster.started(3);
    // s0 gets the COMMIT of the first block only, and no word of s1 after it.
    cluster.filter = (from, to, message) =>
      from !== 1 || to !== 0 || (message.kind === 'COMMIT' && message.height === 1);
    cluster.want(0, 3);
    cluster.run(20);
    expect(cluster.nodes[1]!.traced('certified')).toHaveLength(3);
    cluster.filter = (from, to) => from !== 1 && to !== 1;
    cluster.runUntil('s0 and s2 go on', () => cluster.nodes[2]!.status.installed && cluster.views()[2] === 1);
    cluster.want(2, 1);
    cluster.run(300);
    expect([cluster.heights()[0], cluster.heights()[2]]).toEqual([2, 2]);
    // s1 comes back with three certificates of view 0: two of them are void, nothing that was final is lost.
    cluster.filter = () => true;
    cluster.runUntil('all agree', () => cluster.heights().every((height) => height === 2));
    expect(cluster.nodes[1]!.status.phase).toBe('running');
  });
});

describe('section 5, step 8: the safety net', () => {
  it('a proof that contradicts what is final stops the replica', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 1);
    cluster.run(50);
    const other = readBlock(makeBlock(ROOT, 1, 'another'))!;
    cluster.give(0, 2, {
      kind: 'FINALITY',
      proof: certificate(cluster, 'FP', { ...other, view: 1, viewCertificate: ROOT }),
    });
    cluster.run(20);
    expect(cluster.nodes[2]!.status.phase).toBe('halted');
    expect(cluster.nodes[2]!.traced('halted')[0]?.reason).toContain('does not follow final block 1');
  });

  it('a proof of an older view that the chain signed in this view lacks stops the replica', () => {
    const cluster = Cluster.started(3);
    leave(cluster);
    cluster.run(200);
    cluster.filter = (_, __, { kind }) => kind !== 'COMMIT';
    cluster.want(2, 1);
    cluster.run(20);
    cluster.liars.add(1);
    const block = makeBlock(ROOT, 1, 'of view 0');
    const proof = certificate(cluster, 'FP', readBlock(block)!);
    cluster.give(1, 0, { kind: 'FINAL', block, proof });
    expect(cluster.nodes[0]!.status.phase).toBe('halted');
    expect(cluster.nodes[0]!.traced('halted')[0]?.reason).toContain('lacks final block 1');
  });

  it('a NEW-VIEW that arrives when a later view is known to be established is ignored, and stops nobody', () => {
    const cluster = Cluster.started(5);
    // Node 0 is an active of view 1 and hears nothing but the final blocks of view 2 (2, 0, 3), where it is one too:
    // so let it be view 3 (4, 1, 2), where it is a passive.
    expect(makeSchedule(5).groupOf(3)).toEqual([4, 1, 2]);
    for (const index of [1, 2, 3, 4]) {
      cluster.liars.add(index);
      cluster.crash(index);
    }
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const changes = [1, 2, 3, 4].map((signer) => viewChange(cluster, signer, 1));
    for (const change of changes) cluster.give(change.signer, 0, change);
    const mine = cluster.sentOf('VC-FINAL')[0]!.message;
    const others = [1, 3].map((signer) => vcFinal(cluster, signer, 1, changes));
    const block = makeBlock(ROOT, 1, 'of view 3');
    const proof = certificate(cluster, 'FP', { ...readBlock(block)!, view: 3, viewCertificate: ROOT });
    cluster.give(4, 0, { kind: 'FINAL', block, proof });
    expect(cluster.heights()[0]).toBe(1);
    for (const message of others) cluster.give(message.signer, 0, message);
    cluster.give(1, 0, newView(cluster, 1, undefined, [others[0]!, mine, others[1]!]));
    cluster.run(1000);
    expect(cluster.nodes[0]!.status).toMatchObject({ phase: 'running', installed: false });
    expect(cluster.sentOf('COMMIT')).toEqual([]);
  });

  it('an active that knows of a later established view signs no further block in its own', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(0).add(2).add(3).add(4);
    const block = makeBlock(ROOT, 1, 'of view 2');
    const proof = certificate(cluster, 'FP', { ...readBlock(block)!, view: 2, viewCertificate: ROOT });
    cluster.give(2, 1, { kind: 'FINAL', block, proof });
    expect(cluster.heights()[1]).toBe(1);
    cluster.give(0, 1, proposal(cluster, 0, makeBlock(readBlock(block)!.hash, 2, '')));
    cluster.run(50);
    expect(cluster.sentOf('COMMIT').filter(({ from }) => from === 1)).toEqual([]);
    expect(cluster.nodes[1]!.status.phase).toBe('running');
    expect(vote(cluster, 0, 'PREPARE', { height: 2, hash: ROOT }).view).toBe(0);
  });
});
