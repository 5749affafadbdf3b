/**
 * The oracle says when the protocol promises nothing, and in such runs the checkers do find what breaks: were they blind,
 * the runs in which nothing breaks would prove nothing.
 */
import { describe, expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../primitives/policy.ts';
import { AnarchyOracle } from './checkers/anarchy.ts';
import { EpochBook } from './checkers/epochs.ts';
import { membersOf } from './keys.ts';
import { drawOptions } from './options.ts';
import { runSeed } from './run.ts';
import { CHAIN_ID } from './transactions.ts';

const DELTA_MS = 100;

function makeOracle(validators: number, liars: readonly number[]) {
  const parameters = {
    deltaMs: DELTA_MS,
    suspicionTimeoutMs: 400,
    suspicionTimeoutMaxMs: 4000,
    pipelineWindow: 4,
    emptyBlockPeriodMs: 0,
  };
  const members = membersOf(validators);
  const chain = { chainId: CHAIN_ID, genesisHash: '0x' + '11'.repeat(32), parameters };
  const book = new EpochBook(chain, { members, policy: DEFAULT_POLICY }, members);
  const world = { now: 0, down: new Set<number>() };
  const oracle = new AnarchyOracle({
    machines: validators,
    deltaMs: DELTA_MS,
    liars: new Set(liars),
    now: () => world.now,
    newest: () => book.newest,
    at: (epoch) => book.at(epoch),
    isUp: (machine) => !world.down.has(machine),
    onAnarchy: () => undefined,
  });
  const hit = (machine: number): void => {
    world.down.add(machine);
    oracle.onDown(machine);
  };
  return { oracle, world, hit, recover: (machine: number) => world.down.delete(machine) };
}

describe('the oracle', () => {
  it('counts liars, the crashed, and who must be left out for the rest to be in touch', () => {
    const { oracle, world, hit, recover } = makeOracle(7, [0]);
    hit(1);
    oracle.onCut(2, 3, true);
    oracle.onCut(2, 4, true);
    expect(oracle.isSafe).toBe(true);
    oracle.onCut(2, 3, false);
    oracle.onCut(2, 4, false);
    recover(1);
    world.now = 10;
    oracle.onCut(2, 3, true);
    oracle.onCut(4, 5, true);
    expect(oracle.isSafe).toBe(true);
    hit(6);
    expect(oracle.since).toBe(10);
  });

  it('without liars there is no anarchy, whatever else goes wrong', () => {
    const { oracle, hit } = makeOracle(3, []);
    for (const machine of [0, 1, 2]) hit(machine);
    expect(oracle.isSafe).toBe(true);
  });

  it('who is late is out of touch for as long: a message over 0.6Δ, a lost one, a slow write', () => {
    const limit = 0.6 * DELTA_MS;
    const runs: ((run: ReturnType<typeof makeOracle>) => void)[] = [
      ({ oracle }) => oracle.onMessage(1, 2, limit + 1),
      ({ oracle }) => oracle.onMessage(1, 2, undefined),
      ({ oracle }) => oracle.onWrite(1, 21),
    ];
    for (const late of runs) {
      const run = makeOracle(3, [0]);
      run.oracle.onMessage(1, 2, limit);
      run.oracle.onWrite(1, 20);
      expect(run.oracle.isSafe).toBe(true);
      late(run);
      expect(run.oracle.isSafe).toBe(false);
    }
    const { oracle, world } = makeOracle(5, [0]);
    oracle.onMessage(1, 2, 150);
    world.now = 160;
    oracle.onMessage(3, 4, 150);
    expect(oracle.isSafe).toBe(true);
  });

  it('a link that breaks counts once it has been there', () => {
    const { oracle } = makeOracle(3, [0]);
    oracle.onLink(1, 2, false);
    expect(oracle.isSafe).toBe(true);
    oracle.onLink(1, 2, true);
    oracle.onLink(1, 2, false);
    expect(oracle.isSafe).toBe(false);
  });

  it('a cut that moves inside one view change counts for all whom it hit, one that moves between two does not', () => {
    for (const isOneChange of [true, false]) {
      const { oracle, hit, recover } = makeOracle(5, [0]);
      oracle.onViewEntered(1, 1);
      hit(1);
      recover(1);
      if (!isOneChange) {
        for (const machine of [1, 2, 3, 4]) oracle.onVcFinal(machine, 0, 1);
        for (const machine of [1, 2, 3, 4]) oracle.onViewEntered(machine, 2);
      }
      hit(2);
      recover(2);
      expect(oracle.isSafe).toBe(true);
      const view = isOneChange ? 1 : 2;
      for (const machine of [1, 2, 3, 4]) oracle.onVcFinal(machine, 0, view);
      expect(oracle.isSafe).toBe(!isOneChange);
    }
  });
});

describe('in anarchy', () => {
  const SEEDS = [6, 7, 8, 11];

  it('agreement breaks in many of these runs, the checkers see it, a liar is proven in some, and nothing else fails', {
    timeout: 120_000,
  }, async () => {
    let broken = 0;
    let proven = 0;
    for (const seed of SEEDS) {
      const { failure, stats } = await runSeed(seed, { anarchy: true, validators: 3, realCrypto: false });
      expect(failure, `seed ${seed}`).toBeUndefined();
      expect(stats.anarchy, `seed ${seed}`).toBeDefined();
      if ((stats.anarchy?.broken.agreement ?? 0) === 0) continue;
      broken++;
      if (stats.anarchy!.convicted > 0) proven++;
    }
    expect(broken).toBeGreaterThanOrEqual(2);
    expect(proven).toBeGreaterThan(0);
  });

  it('is there when it is asked for, and takes nothing from what else is drawn', () => {
    for (let seed = 0; seed < 200; seed++) {
      const { anarchy, liars, epochs, safetyMs, faults, host, ...rest } = drawOptions(seed, { anarchy: true });
      if (anarchy === undefined) expect(rest.validators).toBeLessThan(3);
      else expect(liars!.members).toEqual(anarchy.liars);
      expect(drawOptions(seed)).toMatchObject({ ...rest });
    }
  });
});
