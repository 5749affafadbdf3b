import { describe, expect, it } from 'vitest';
import { Cluster } from './cluster.ts';

describe('common case over the hand-driven cluster', () => {
  it.each([1, 2, 3, 4, 5, 6, 7])('makes blocks final everywhere, passives included [n=%i]', (n) => {
    const cluster = Cluster.started(n);
    cluster.wantAll(6);
    cluster.run(1500);
    expect(cluster.heights()).toEqual(new Array(n).fill(6));
    expect(cluster.views()).toEqual(new Array(n).fill(0));
  });
});
