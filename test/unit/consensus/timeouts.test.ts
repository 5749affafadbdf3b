import { describe, expect, it } from 'vitest';
import { Timeouts } from '../../../consensus/timeouts.ts';
import { Cluster } from './cluster.ts';

const PARAMETERS = {
  deltaMs: 100,
  suspicionTimeoutMs: 500,
  suspicionTimeoutMaxMs: 3000,
  pipelineWindow: 4,
  emptyBlockPeriodMs: 0,
};

describe('time-outs of suspicion', () => {
  it('double for every view change that failed, up to the cap, and ease back proof by proof', () => {
    const timeouts = new Timeouts(PARAMETERS, 1);
    const up: number[] = [];
    for (let i = 0; i < 5; i++) {
      up.push(timeouts.suspicion);
      timeouts.onViewEntered(1);
    }
    expect(up).toEqual([500, 1000, 2000, 3000, 3000]);
    const down: number[] = [];
    for (let i = 0; i < 4; i++) {
      timeouts.onFinal();
      down.push(timeouts.suspicion);
    }
    expect(down).toEqual([2000, 1000, 500, 500]);
  });

  it('count the views skipped by a chain, but none past the cap', () => {
    const timeouts = new Timeouts(PARAMETERS, 1);
    timeouts.onViewEntered(1000);
    expect(timeouts.suspicion).toBe(3000);
    timeouts.onFinal();
    expect(timeouts.suspicion).toBe(2000);
  });

  it('follow the longest recent wait for votes on a block, which fades as shorter ones come', () => {
    const timeouts = new Timeouts(PARAMETERS, 1);
    timeouts.onAnswered(200);
    expect(timeouts.suspicion).toBe(800);
    timeouts.onAnswered(100);
    expect(timeouts.suspicion).toBeCloseTo(720);
    for (let i = 0; i < 20; i++) timeouts.onAnswered(10);
    expect(timeouts.suspicion).toBe(500);
  });

  it('are raised at most twofold by a member that votes just in time, block after block', () => {
    const timeouts = new Timeouts(PARAMETERS, 1);
    for (let i = 0; i < 20; i++) timeouts.onAnswered(timeouts.suspicion - 1);
    expect(timeouts.suspicion).toBe(1000);
  });

  it('are never below four Δ, nor below four round trips to a peer that t others may be slower than', () => {
    const timeouts = new Timeouts({ ...PARAMETERS, suspicionTimeoutMs: 50 }, 1);
    expect(timeouts.suspicion).toBe(400);
    timeouts.onRoundTrip(1, 250);
    expect(timeouts.suspicion).toBe(400);
    timeouts.onRoundTrip(2, 300);
    expect(timeouts.suspicion).toBe(1000);
  });

  it.each([
    [1, 2],
    [2, 4],
  ])('are moved by %i peers that lie about their round trip no further than by correct ones', (t, peers) => {
    const timeouts = new Timeouts(PARAMETERS, t);
    for (let peer = 0; peer < peers; peer++) timeouts.onRoundTrip(peer, peer < t ? 1e9 : 10);
    expect(timeouts.suspicion).toBe(500);
  });

  it('leave a view change at least six Δ', () => {
    const timeouts = new Timeouts({ ...PARAMETERS, suspicionTimeoutMs: 50 }, 1);
    expect(timeouts.viewChange).toBe(600);
  });

  it('do not double for a view change that works, nor stay doubled on an idle chain', () => {
    const cluster = Cluster.started(3);
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(300);
    expect(cluster.views()).toEqual([1, 1, 1]);
    expect(cluster.nodes.map(({ status }) => status.suspicionMs)).toEqual([400, 400, 400]);
  });

  it('grow while no view works', () => {
    const cluster = Cluster.started(3);
    cluster.filter = (_, __, { kind }) => kind !== 'VC-FINAL';
    cluster.step(1, { kind: 'overdue', view: 0 });
    cluster.run(6000);
    expect(Math.max(...cluster.nodes.map(({ status }) => status.suspicionMs))).toBe(1600);
    cluster.filter = () => true;
    cluster.wantAll(4);
    cluster.runUntil('calm again', () => cluster.nodes.some(({ status }) => status.suspicionMs === 400));
  });
});
