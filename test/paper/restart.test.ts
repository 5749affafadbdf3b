/**
 * consensus.md sections 5 (step 7), 7 ("A validator that lost its disk") and 10. The cluster itself fails a test in which
 * anything leaves before it is logged, or two things are ever signed at one place (sent-watch.ts).
 */
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../consensus/message-codec.ts';
import { decodeRecord } from '../../consensus/record-codec.ts';
import { toHex } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { Cluster, type Restart, ROOT } from '../unit/consensus/cluster.ts';
import { makeBlock, readBlock } from '../unit/consensus/test-block.ts';
import { certificate, suspect, vote } from './lies.ts';

/** Blocks in view 0, a view change, blocks after it; calm in between, so that every boundary is crossed. */
function script(cluster: Cluster): void {
  const [primary, follower] = cluster.nodes[0]!.status.group as [number, number];
  cluster.want(primary, 2);
  cluster.run(60);
  cluster.step(follower, { kind: 'overdue', view: 0 });
  cluster.run(150);
  cluster.wantAll(2);
  cluster.run(150);
}

function reaches(cluster: Cluster, height: number): () => boolean {
  return () => cluster.nodes.every((node) => node.height >= height);
}

/** Crashes `index` at each of its records in turn, lets it come back, and lets everybody make two more blocks. */
function sweep(n: number, index: number, restart: Restart): { boundaries: number; lives: number } {
  const whole = Cluster.started(n);
  script(whole);
  const boundaries = whole.nodes[index]!.records.length;
  let lives = 0;
  for (let record = 1; record <= boundaries; record++) {
    const cluster = Cluster.started(n);
    cluster.nodes[index]!.crashAt = record;
    script(cluster);
    cluster.run(100);
    if (!cluster.nodes[index]!.up) lives++;
    cluster.restart(index, restart);
    cluster.run(600);
    const before = Math.max(...cluster.heights());
    cluster.wantAll(2);
    cluster.runUntil(`crash at record ${record}: two more blocks`, reaches(cluster, before + 2), 30_000);
    expect(cluster.nodes.map(({ status }) => status.phase)).toEqual(new Array(n).fill('running'));
  }
  return { boundaries, lives };
}

describe('section 10: a crash at every record of the log, then a restart that contradicts nothing', () => {
  // Groups of three: 01 20 12. Node 0 leads view 0 and follows in view 1, node 1 follows in view 0, node 2 leads view 1.
  it.each([
    ['primary, then follower', 0],
    ['follower, then passive', 1],
    ['passive, then primary', 2],
  ])('%s [n=3 t=1]', (_, index) => {
    const { boundaries, lives } = sweep(3, index, {});
    expect(boundaries).toBeGreaterThan(6);
    expect(lives).toBe(boundaries);
  });

  it.each([
    ['follower, then primary', 1],
    ['passive, then follower', 3],
  ])('%s [n=5 t=2]', (_, index) => {
    const { boundaries, lives } = sweep(5, index, {});
    expect(boundaries).toBeGreaterThan(6);
    expect(lives).toBe(boundaries);
  });

  it('the store lost everything, too [n=3 t=1]', () => {
    for (const index of [0, 1, 2]) expect(sweep(3, index, { finals: 0 }).boundaries).toBeGreaterThan(6);
  });

  it('all at once, each at any of its records [n=3 t=1]', () => {
    for (let record = 1; record <= 30; record++) {
      const cluster = Cluster.started(3);
      for (const node of cluster.nodes) node.crashAt = record + 2 * node.index;
      script(cluster);
      for (const { index } of cluster.nodes) cluster.restart(index);
      cluster.run(600);
      const before = Math.max(...cluster.heights());
      cluster.wantAll(2);
      cluster.runUntil(`crash at record ${record}: two more blocks`, reaches(cluster, before + 2), 30_000);
    }
  });
});

describe('section 10: what a restarted active says', () => {
  it('the same bytes for everything it signed and that is not settled', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (_, __, { kind }) => kind !== 'COMMITTED';
    cluster.want(0, 2);
    cluster.run(50);
    const saidBy = (index: number) => cluster.sentOf('COMMITTED').filter(({ from }) => from === index);
    const before = saidBy(1).map(({ message }) => message);
    expect(before.map(({ height }) => height)).toEqual([1, 1, 2, 2].slice(0, before.length));
    cluster.restart(1);
    const mark = cluster.sent.length;
    cluster.run(300);
    const again = cluster.sent.slice(mark).filter(({ from, message }) => from === 1 && message.kind === 'COMMITTED');
    expect(new Set(again.map(({ message }) => 'height' in message && message.height))).toEqual(new Set([1, 2]));
    const bytes = before.map((message) => toHex(encodeMessage(message)));
    for (const { message } of again) expect(bytes).toContain(toHex(encodeMessage(message)));
  });

  it('a SUSPECT that was logged, but not the view it leads to, is acted on after the restart', () => {
    const cluster = Cluster.started(3);
    const node = cluster.nodes[1]!;
    // Its row, and the SUSPECT.
    node.crashAt = node.records.length + 2;
    cluster.step(1, { kind: 'overdue', view: 0 });
    expect(node.up).toBe(false);
    expect(node.durable).toMatchObject({ view: 0, suspect: { view: 0 } });
    cluster.restart(1);
    cluster.run(300);
    expect(cluster.views()).toEqual([1, 1, 1]);
  });

  it('a follower of two whose certificate the log lost brings it into the next view, even if it leaves at once', () => {
    const cluster = Cluster.started(3);
    const node = cluster.nodes[1]!;
    cluster.want(0, 1);
    cluster.runUntil('node 1 has the certificate', () => node.durable.head !== undefined);
    // Block, PREPARE and COMMIT are kept: the COMMIT has left.
    const written = node.records.findIndex((record) => decodeRecord(record).kind === 'certificate');
    cluster.restart(1, { records: written, finals: 0 });
    expect(node.durable.head).toBeUndefined();
    cluster.liars.add(0);
    const hashes = [ROOT, readBlock(makeBlock(ROOT, 5, ''))!.hash];
    const messages = hashes.map((hash) => vote(cluster, 0, 'PREPARE', { height: 5, hash }));
    const evidence = { kind: 'equivocation', epoch: 0, culprit: 0, messages, headers: [], block: undefined } as const;
    cluster.give(2, 1, { kind: 'EVIDENCE', evidence });
    cluster.runUntil('node 1 leaves the liar', () => node.status.view > 0, 1000);
    expect(node.durable.viewChange!.head).toMatchObject({ view: 0, height: 1 });
  });

  it('a follower that lost the end of the write of its COMMIT on NEW-VIEW adopts the head again', () => {
    const cluster = Cluster.started(5);
    cluster.want(0, 1);
    cluster.run(50);
    const node = cluster.nodes[3]!;
    cluster.step(2, { kind: 'overdue', view: 0 });
    cluster.filter = (_, to, { kind }) => to !== 3 || kind !== 'NEW-VIEW';
    cluster.run(50);
    cluster.filter = () => true;
    node.crashAt = node.records.length + 1;
    cluster.give(1, 3, cluster.sentOf('NEW-VIEW')[0]!.message);
    expect(node.durable.newView).toMatchObject({ view: 1 });
    expect(node.durable.marks.get('COMMIT')).toBeUndefined();
    cluster.restart(3, { clean: false });
    cluster.want(1, 1);
    cluster.runUntil('the view goes on', () => cluster.nodes[3]!.height === 2);
    expect(cluster.views()).toEqual([1, 1, 1, 1, 1]);
  });

  it('a head adopted from an earlier view is fetched again before anything is built on it', () => {
    const cluster = Cluster.started(3);
    // Certified at node 1 only; node 2 adopts it in view 1 and never had it in its log.
    cluster.filter = (from, to, { kind }) => !(from === 1 && to === 0 && kind === 'COMMIT');
    cluster.want(0, 1);
    cluster.run(50);
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.filter = (from, to, { kind }) => !(from === 0 && to === 2 && kind === 'COMMIT');
    cluster.runUntil('NEW-VIEW', () => cluster.nodes[2]!.status.installed && cluster.views()[2] === 1);
    expect(cluster.heights()[2]).toBe(0);
    cluster.restart(2);
    cluster.want(2, 1);
    const mark = cluster.sent.length;
    cluster.run(300);
    const asked = cluster.sent.slice(mark).filter(({ from, message }) => from === 2 && message.kind === 'FETCH-BODIES');
    expect(asked).toHaveLength(1);
    // Although the head is not final yet: it is executed, so the next block is proposed on it.
    expect(cluster.nodes[2]!.durable.final).toBeUndefined();
    expect(cluster.nodes[2]!.traced('proposed')).toMatchObject([{ view: 1, height: 2 }]);
    cluster.filter = () => true;
    cluster.runUntil('block 2', () => cluster.heights().every((height) => height === 2));
    expect(cluster.views()).toEqual([1, 1, 1]);
  });
});

describe('section 3, step 4: a power cut may take a proof from the log', () => {
  it('a vote of an older view, for a block that was never final, does not stop a replica whose store has the final one', () => {
    const cluster = Cluster.started(3);
    const late = cluster.nodes[1]!;
    cluster.filter = (from, to, { kind }) => from !== 1 && (to !== 1 || kind === 'PROPOSAL' || kind === 'FINAL');
    cluster.want(0, 1);
    cluster.run(20);
    expect(late.records.map((bytes) => decodeRecord(bytes).kind)).toContain('block');
    // Its SUSPECT is made here, not by its own replica.
    cluster.liars.add(0);
    cluster.give(0, 2, suspect(cluster, 0, 0));
    cluster.want(2, 1);
    cluster.runUntil('the other block is final with it', () => late.height === 1, 380);
    expect(late.status.view).toBe(0);
    const isProof = (bytes: Bytes): boolean => {
      const record = decodeRecord(bytes);
      return record.kind === 'certificate' && record.certificate.kind === 'FP';
    };
    cluster.restart(1, { records: late.records.findIndex(isProof) });
    cluster.filter = () => true;
    cluster.run(1000);
    cluster.wantAll(1);
    cluster.runUntil('everybody goes on', reaches(cluster, 2));
    expect(cluster.nodes.map(({ status }) => status.phase)).toEqual(['running', 'running', 'running']);
  });
});

describe('section 7: the question before the first signature', () => {
  it('a log that ends cleanly needs no answer, but two Δ of listening', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 1);
    cluster.run(100);
    cluster.crash(1);
    cluster.crash(2);
    cluster.restart(0);
    const start = cluster.now;
    cluster.runUntil('node 0 may sign', () => cluster.nodes[0]!.status.phase === 'running', 400);
    expect(cluster.now - start).toBeGreaterThanOrEqual(200);
    expect(cluster.nodes[0]!.traced('started').at(-1)).toMatchObject({ answers: 0 });
  });

  it.each([
    [3, 1],
    [4, 2],
    [5, 2],
    [6, 3],
  ])('an empty log needs n-t-1 answers [n=%i: %i]', (n, needed) => {
    const cluster = new Cluster(n);
    for (let index = needed; index < n; index++) cluster.crash(index);
    cluster.run(1000);
    expect(cluster.nodes[0]!.status.phase).toBe('starting');
    cluster.restart(needed, { clean: false });
    cluster.run(1000);
    expect(cluster.nodes[0]!.status.phase).toBe('running');
    expect(cluster.nodes[0]!.traced('started')).toMatchObject([{ answers: needed }]);
  });

  it('a log without one signature counts as empty, even when it ends cleanly', () => {
    const cluster = new Cluster(3);
    cluster.crash(1);
    cluster.crash(2);
    cluster.restart(0, { clean: true });
    cluster.run(1000);
    expect(cluster.nodes[0]!.status.phase).toBe('starting');
  });

  it('nothing is signed while the question is open', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, __, { kind }) => kind !== 'ANSWER';
    cluster.restart(1, { clean: false });
    cluster.run(50);
    const mark = cluster.sent.length;
    cluster.want(0, 1);
    cluster.run(300);
    const kinds = new Set(
      cluster.sent
        .slice(mark)
        .filter(({ from }) => from === 1)
        .map(({ message }) => message.kind),
    );
    expect([...kinds].sort()).toEqual(['ASK', 'HEARTBEAT']);
  });

  it('everybody answers everybody, so a whole network can start at once', () => {
    const cluster = Cluster.started(5);
    cluster.want(0, 2);
    cluster.run(100);
    for (const { index } of cluster.nodes) cluster.restart(index, { clean: false });
    cluster.run(400);
    expect(cluster.nodes.map(({ status }) => status.phase)).toEqual(new Array(5).fill('running'));
  });

  it('"yes" makes a learner: it follows, answers, and signs nothing, although asked to', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 2);
    cluster.run(100);
    cluster.restartWithoutDisk(1);
    cluster.run(300);
    expect(cluster.nodes[1]!.status.phase).toBe('learner');
    expect(cluster.nodes[1]!.traced('amnesia')).toHaveLength(1);
    const mark = cluster.sent.length;
    cluster.wantAll(2);
    cluster.runUntil('the others go on without it, and it follows', () => cluster.heights().every((h) => h >= 4));
    const said = cluster.sent.slice(mark).filter(({ from, message }) => from === 1 && 'signature' in message);
    expect(said).toEqual([]);
  });

  it('who was told that it forgot stays a learner at the next start, although its log ends cleanly and nobody answers', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 2);
    cluster.run(100);
    cluster.restartWithoutDisk(1);
    cluster.run(300);
    cluster.crash(0);
    cluster.crash(2);
    cluster.restart(1);
    cluster.run(2000);
    expect(cluster.nodes[1]!.status.phase).toBe('learner');
  });

  it('an old copy of the log is found out by what the peers hold', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 1);
    cluster.run(100);
    const old = cluster.nodes[1]!.records.length;
    cluster.want(0, 1);
    cluster.run(100);
    cluster.restart(1, { records: old, finals: 1 });
    cluster.run(300);
    expect(cluster.nodes[1]!.status.phase).toBe('learner');
  });

  it('a "yes" that its key never signed is no answer at all', () => {
    const cluster = Cluster.started(3);
    cluster.restart(1, { clean: false });
    cluster.filter = (_, to) => to !== 1;
    cluster.run(20);
    const { nonce } = cluster.sentOf('ASK').findLast(({ from }) => from === 1)!.message;
    const forged = { ...vote(cluster, 2, 'COMMIT', { height: 9, hash: ROOT }), signer: 1 };
    cluster.give(2, 1, { kind: 'ANSWER', nonce, held: [forged] });
    expect(cluster.nodes[1]!.status.phase).toBe('starting');
  });

  it('answers of an earlier start do not count', () => {
    const cluster = new Cluster(3);
    cluster.run(10);
    const { nonce } = cluster.sentOf('ASK').findLast(({ from }) => from === 1)!.message;
    cluster.crash(0);
    cluster.crash(2);
    cluster.restart(1, { clean: false });
    cluster.give(2, 1, { kind: 'ANSWER', nonce, held: [] });
    cluster.run(1000);
    expect(cluster.nodes[1]!.status.phase).toBe('starting');
  });

  it('a replica that has stopped signing still answers', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 1);
    cluster.run(50);
    const other = readBlock(makeBlock(ROOT, 1, 'another'))!;
    const proof = certificate(cluster, 'FP', { ...other, view: 1, viewCertificate: ROOT });
    cluster.give(0, 2, { kind: 'FINALITY', proof });
    expect(cluster.nodes[2]!.status.phase).toBe('halted');
    cluster.give(1, 2, { kind: 'ASK', epoch: 0, nonce: 77 });
    expect(cluster.sentOf('ANSWER').at(-1)).toMatchObject({ from: 2, to: 1, message: { nonce: 77 } });
  });

  it('what another life of a key signed counts for nothing', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 1);
    cluster.run(100);
    cluster.nodes[1]!.lives++;
    cluster.liars.add(1);
    const stray = vote(cluster, 1, 'COMMIT', { height: 2, hash: ROOT });
    cluster.give(1, 0, stray);
    expect(cluster.nodes[0]!.traced('rejected').at(-1)).toMatchObject({ reason: 'foreign-incarnation' });
    // The pin outlives a restart.
    cluster.want(0, 1);
    cluster.restart(0);
    cluster.run(300);
    cluster.give(1, 0, stray);
    expect(cluster.nodes[0]!.traced('rejected').at(-1)).toMatchObject({ reason: 'foreign-incarnation' });
  });
});
