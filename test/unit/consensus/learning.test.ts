import { describe, expect, it } from 'vitest';
import type { Heartbeat } from '../../../consensus/message.ts';
import { certificate, newView, proposal, suspect, vcFinal, viewChange, vote } from '../../paper/lies.ts';
import { Cluster, ROOT } from './cluster.ts';
import { makeBlock, readBlock } from './test-block.ts';

function heartbeat(about: Partial<Heartbeat>): Heartbeat {
  const none = { epoch: 0, view: 0, final: 0, head: 0, tick: 1, echo: 0, row: undefined };
  return { kind: 'HEARTBEAT', ...none, ...about };
}

describe('learning final blocks', () => {
  it('a block pushed without a proof is not believed, and does not keep the true one out', () => {
    const cluster = Cluster.started(3);
    cluster.liars.add(1);
    const blocks = [1, 2, 3].map((height) => ({ block: makeBlock(ROOT, height, 'junk'), proof: undefined }));
    cluster.filter = (from, to, { kind }) => to !== 2 || from !== 1 || kind === 'HEARTBEAT';
    cluster.give(1, 2, { kind: 'BLOCKS', nonce: 0, blocks });
    cluster.want(0, 3);
    cluster.runUntil('node 2 has the blocks', () => cluster.heights()[2] === 3, 2000);
  });

  it('blocks under one proof are delivered with that proof only, each once and in order', () => {
    const cluster = Cluster.started(5);
    cluster.filter = (_, to, message) => to !== 4 && (message.kind !== 'COMMITTED' || message.height === 3);
    cluster.want(0, 3);
    cluster.run(50);
    cluster.filter = () => true;
    cluster.runUntil('node 4 has the blocks', () => cluster.heights()[4] === 3);
    expect(cluster.nodes[4]!.finals.map(({ proof }) => proof?.height)).toEqual([undefined, undefined, 3]);
  });

  it('a proof that is only a certificate, of another block, or of another group is refused', () => {
    const cluster = Cluster.started(3);
    const block = makeBlock(ROOT, 1, '');
    const at = readBlock(block)!;
    const qc = certificate(cluster, 'QC', at);
    const other = certificate(cluster, 'FP', readBlock(makeBlock(ROOT, 1, 'other'))!);
    const foreign = { ...certificate(cluster, 'FP', at), view: 1, viewCertificate: ROOT };
    // A certificate's seals are no proof's, whatever it calls itself; as a certificate it does not get past the codec.
    const dressed = { ...qc, kind: 'FP' as const };
    for (const proof of [dressed, other, foreign]) cluster.give(0, 2, { kind: 'FINAL', block, proof });
    cluster.give(0, 2, { kind: 'FINALITY', proof: dressed });
    cluster.run(20);
    expect(cluster.nodes[2]!.durable.final).toBeUndefined();
    expect(cluster.nodes[2]!.traced('rejected').map(({ reason }) => reason)).toEqual([
      'bad-certificate',
      'bad-block',
      'bad-certificate',
      'bad-certificate',
    ]);
  });

  it('a proof in which a passive has signed in the place of an active is refused, true as its signature is', () => {
    const cluster = Cluster.started(5);
    cluster.liars.add(3);
    const block = makeBlock(ROOT, 1, '');
    const at = readBlock(block)!;
    const proof = certificate(cluster, 'FP', at);
    const { incarnation, signature } = vote(cluster, 3, 'COMMITTED', at);
    const seals = [...proof.seals.slice(0, 2), { signer: 3, incarnation, signature }];
    cluster.give(0, 4, { kind: 'FINAL', block, proof: { ...proof, seals } });
    expect(cluster.nodes[4]!.traced('rejected').map(({ reason }) => reason)).toEqual(['bad-certificate']);
    cluster.give(0, 4, { kind: 'FINAL', block, proof });
    expect(cluster.nodes[4]!.durable.final).toBeDefined();
  });

  it('a peer that claims blocks it cannot show is asked seldom, and keeps nobody from the others', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (from, to) => !(from === 1 && to === 2);
    const mark = cluster.sent.length;
    for (let i = 0; i < 20; i++) {
      cluster.give(1, 2, heartbeat({ final: 1_000_000, tick: i + 1 }));
      cluster.run(100);
    }
    const asked = cluster.sent.slice(mark).filter(({ from, message }) => from === 2 && message.kind === 'FETCH-FINAL');
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(6);
    cluster.want(0, 2);
    cluster.runUntil('node 2 has the blocks', () => cluster.heights()[2] === 2, 8000);
  });

  it('a peer that answers at once with nothing is left alone for a while', () => {
    const cluster = Cluster.started(3);
    const mark = cluster.sent.length;
    for (let i = 0; i < 40; i++) {
      cluster.give(1, 2, heartbeat({ final: 1_000_000, tick: i + 1 }));
      cluster.run(50);
    }
    const asked = cluster.sent.slice(mark).filter(({ from, message }) => from === 2 && message.kind === 'FETCH-FINAL');
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(8);
  });

  it('a body nobody sends is asked of everybody once in Δ, not at the pace of empty answers', () => {
    const cluster = Cluster.started(5);
    // Node 0 is none, but the certificate bears its name.
    for (const index of [0, 1, 2, 3, 4]) cluster.liars.add(index);
    cluster.filter = (from, _, { kind }) => from === 0 || kind === 'BLOCKS';
    const head = certificate(cluster, 'QC', readBlock(makeBlock(ROOT, 1, 'lost'))!);
    cluster.give(2, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 2, 0), suspect(cluster, 3, 1)] });
    // View 2 is led by node 2, with 0 and 3. Node 0 is to adopt a head whose body nobody has.
    const changes = [1, 2, 3, 4].map((signer) => viewChange(cluster, signer, 2, head));
    for (const change of changes) cluster.give(change.signer, 0, change);
    const mine = cluster.sentOf('VC-FINAL')[0]!.message;
    const others = [2, 3].map((signer) => vcFinal(cluster, signer, 2, changes));
    for (const message of others) cluster.give(message.signer, 0, message);
    cluster.give(2, 0, newView(cluster, 2, head, [others[0]!, mine, others[1]!]));
    const mark = cluster.sent.length;
    cluster.run(1000);
    expect(cluster.views()[0]).toBe(2);
    const asked = cluster.sent.slice(mark).filter(({ message }) => message.kind === 'FETCH-BODIES');
    expect(new Set(asked.map(({ to }) => to)).size).toBe(4);
    expect(asked.length).toBeLessThanOrEqual(4 * 11);
  });
});

describe('what peers can make a replica keep', () => {
  it('no votes or proposals for heights that are long final, nor for heights far ahead', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 6);
    cluster.run(300);
    expect(cluster.heights()).toEqual([6, 6, 6]);
    cluster.liars.add(0).add(1).add(2);
    cluster.give(1, 2, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    // Node 2 leads view 1 with node 0, which now talks of the past and of the far future.
    const before = cluster.nodes[2]!.traced('rejected').length;
    for (const height of [1, 2, 3, 4, 5, 100]) {
      cluster.give(0, 2, vote(cluster, 0, 'COMMIT', { view: 1, height, hash: ROOT, viewCertificate: ROOT }));
    }
    const reasons = cluster.nodes[2]!.traced('rejected')
      .slice(before)
      .map(({ reason }) => reason);
    expect(reasons).toEqual(new Array(6).fill('outside-window'));
  });

  it('no proposals for the past while a view is being opened', () => {
    const cluster = Cluster.started(3);
    cluster.want(0, 3);
    cluster.run(300);
    cluster.liars.add(0).add(1).add(2);
    cluster.give(1, 0, { kind: 'CHAIN', suspects: [suspect(cluster, 1, 0)] });
    const before = cluster.nodes[0]!.traced('rejected').length;
    for (const height of [1, 2, 3]) {
      cluster.give(2, 0, proposal(cluster, 2, makeBlock(ROOT, height, ''), { view: 1, viewCertificate: ROOT }));
    }
    const reasons = cluster.nodes[0]!.traced('rejected')
      .slice(before)
      .map(({ reason }) => reason);
    expect(reasons).toEqual(new Array(3).fill('outside-window'));
  });

  it('a new primary that claims to catch up for ever is suspected all the same', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, __, { kind }) => kind !== 'NEW-VIEW';
    cluster.liars.add(2);
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(50);
    cluster.filter = (from, _, { kind }) =>
      !['NEW-VIEW', 'CHAIN'].includes(kind) && (from !== 2 || kind !== 'HEARTBEAT');
    expect(cluster.views()[0]).toBe(1);
    for (let i = 1; i < 200 && cluster.views()[0] === 1; i++) {
      cluster.give(2, 0, heartbeat({ view: 1, final: i, tick: i }));
      cluster.run(50);
    }
    expect(cluster.nodes[0]!.traced('suspect').at(-1)).toMatchObject({ view: 1, accused: [2], reason: 'no NEW-VIEW' });
  });
});
