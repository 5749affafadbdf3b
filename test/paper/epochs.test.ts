/** The end of an epoch (VR Revisited section 7; consensus.md sections 3 step 1 and 7). */
import { describe, expect, it } from 'vitest';
import { Cluster } from '../unit/consensus/cluster.ts';

const BLOCK = 3;

/** A cluster in which block 3 closes the epoch. */
function closing(n: number): Cluster {
  const cluster = Cluster.started(n);
  cluster.closes = (height) => height === BLOCK;
  return cluster;
}

describe('the closing block', () => {
  it.each([1, 2, 3, 4, 5, 7])('of %i validators is the last one: nothing is proposed above it', (n) => {
    const cluster = closing(n);
    cluster.wantAll(9);
    cluster.runUntil('the epoch ended everywhere', () => cluster.nodes.every((node) => node.ended !== undefined));
    cluster.run(3000);
    expect(cluster.heights()).toEqual(new Array(n).fill(BLOCK));
    const proposed = cluster.nodes.flatMap((node) => node.traced('proposed')).map(({ height }) => height);
    expect(Math.max(...proposed)).toBe(BLOCK);
    for (const node of cluster.nodes) {
      expect(node.ended?.closing).toMatchObject({ kind: 'FP', height: BLOCK, hash: node.finals.at(-1)?.hash });
      expect(node.status.phase).toBe('ended');
      expect(node.ended?.live).toBe(true);
    }
  });

  it('is followed by no SUSPECT: whoever holds its proof accuses nobody any more', () => {
    const cluster = closing(3);
    cluster.wantAll(9);
    cluster.runUntil('ended', () => cluster.nodes.every((node) => node.ended !== undefined));
    const before = cluster.sentOf('SUSPECT').length;
    cluster.crash(0);
    cluster.run(10_000);
    expect(cluster.sentOf('SUSPECT')).toHaveLength(before);
    expect(cluster.views()).toEqual([0, 0, 0]);
  });

  it('makes a liar of the primary that proposes above it, and is certified again in the next view', () => {
    const cluster = closing(3);
    cluster.liars.add(0);
    cluster.closes = (height, node) => node !== 0 && height === BLOCK;
    cluster.want(0, BLOCK + 1);
    cluster.runUntil('the follower accuses', () => cluster.nodes[1]!.traced('suspect').length > 0);
    expect(cluster.nodes[1]!.traced('suspect')[0]).toMatchObject({
      accused: [0],
      reason: 'proven faulty: bad-message',
    });
    expect(cluster.nodes[1]!.evidence).toMatchObject([{ evidence: { kind: 'bad-message', culprit: 0 } }]);
    cluster.crash(0);
    cluster.runUntil('ended', () => [1, 2].every((index) => cluster.nodes[index]!.ended !== undefined));
    expect(cluster.heights().slice(1)).toEqual([BLOCK, BLOCK]);
    expect(cluster.nodes[1]!.ended?.closing.view).toBeGreaterThan(0);
  });

  it('survives a view change when only one active has its certificate', () => {
    const cluster = closing(3);
    cluster.wantAll(BLOCK);
    // The follower's COMMIT of the closing block never reaches the primary, which then is cut off.
    cluster.filter = (from, to, message) =>
      !(from === 1 && to === 0 && message.kind === 'COMMIT' && message.height === BLOCK);
    cluster.run(150);
    cluster.filter = (from, to) => from !== 0 && to !== 0;
    cluster.runUntil('ended at the two that are left', () =>
      [1, 2].every((index) => cluster.nodes[index]!.ended !== undefined),
    );
    expect(cluster.nodes[1]!.finals.at(-1)?.hash).toBe(cluster.nodes[2]!.finals.at(-1)?.hash);
  });

  it('ends the epoch of one that only hears of it afterwards, even before it may sign', () => {
    const cluster = closing(3);
    cluster.crash(2);
    cluster.wantAll(BLOCK);
    cluster.runUntil('ended', () => cluster.nodes.slice(0, 2).every((node) => node.ended !== undefined));
    // The others have gone on to the next epoch and answer nothing of this one but how it ended.
    cluster.filter = (_from, to, message) => to !== 2 || message.kind === 'BLOCKS';
    cluster.restart(2, { clean: false });
    cluster.run(500);
    const late = cluster.nodes[2]!;
    expect(late.status.phase).toBe('starting');
    const { block, proof } = cluster.nodes[0]!.finals.at(-1)!;
    cluster.give(0, 2, { kind: 'START-EPOCH', block, proof: proof! });
    cluster.runUntil('ended', () => late.ended !== undefined);
    expect(late.ended?.live).toBe(false);
    expect(late.height).toBe(BLOCK);
  });
});

describe('START-EPOCH', () => {
  it('counts for nothing with a proof that is none', () => {
    const cluster = closing(3);
    cluster.wantAll(1);
    cluster.runUntil('a block', () => cluster.nodes.every((node) => node.height === 1));
    const { block, proof } = cluster.nodes[0]!.finals[0]!;
    const [seal, other] = proof!.seals;
    const forged = { ...proof!, seals: [{ ...seal!, signature: other!.signature }, other!] };
    const node = cluster.nodes[2]!;
    cluster.restart(2, { finals: 0, records: 0, clean: false });
    cluster.give(0, 2, { kind: 'START-EPOCH', block, proof: forged });
    expect(node.traced('rejected').at(-1)).toMatchObject({ message: 'START-EPOCH', reason: 'bad-certificate' });
    cluster.give(0, 2, { kind: 'START-EPOCH', block, proof: proof! });
    expect(node.height).toBe(1);
  });
});
