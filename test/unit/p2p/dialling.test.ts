import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Dialling } from '../../../p2p/dialling.ts';
import { REDIAL_MAX_MS, REDIAL_MIN_MS, SECOND_DIALLER_MS } from '../../../p2p/limits.ts';
import { peerIdOfPrivateKey } from '../../../p2p/peers.ts';
import { QuietLog } from '../../../p2p/quiet-log.ts';
import type { PeerAddress } from '../../../p2p/transport.ts';
import { randomPrivateKey } from '../../../primitives/secp256k1.ts';

const peer = peerIdOfPrivateKey(randomPrivateKey());
const at = (port: number) => `/ip4/10.0.0.1/tcp/${port}`;

/** A dialling whose attempts are written down as ports, and end when the test says so. */
class Bench {
  readonly attempts: number[][] = [];
  readonly linked = new Set<string>();
  readonly lines: string[] = [];
  signed: readonly string[] = [];
  own: readonly string[] = [];
  designated = true;
  readonly dialling = new Dialling({
    log: new QuietLog({ log: (event) => void this.lines.push(event.message), now: () => 0 }),
    isDesignated: () => this.designated,
    isLinked: (of) => this.linked.has(of),
    signed: () => this.signed,
    isOwn: (address) => this.own.includes(address),
    attempt: (_peer, addresses) => {
      this.attempts.push(addresses.map((address) => Number(address.toString().split('/')[4])));
    },
  });

  given(given: Partial<PeerAddress>): void {
    this.dialling.setPeers([{ peer, addresses: [], ...given }]);
  }

  fail(): void {
    this.dialling.failed(peer, false);
    vi.advanceTimersByTime(REDIAL_MAX_MS);
  }
}

let bench: Bench;
beforeEach(() => {
  vi.useFakeTimers();
  bench = new Bench();
});
afterEach(() => {
  bench.dialling.stop();
  vi.useRealTimers();
});

describe('the addresses of an attempt', () => {
  test('are those given, then those the peer signed, then hints, each once', () => {
    bench.signed = [at(3), at(1)];
    bench.given({ addresses: [at(2), `${at(1)}/p2p/${peer}`], hints: [at(4), at(3)] });
    vi.advanceTimersByTime(0);
    expect(bench.attempts).toEqual([[2, 1, 3, 4]]);
  });

  test('begin one further on after each failed attempt, and at the first again after a success', () => {
    bench.given({ addresses: [at(1), at(2), at(3)] });
    vi.advanceTimersByTime(0);
    for (let i = 0; i < 3; i++) bench.fail();
    expect(bench.attempts).toEqual([
      [1, 2, 3],
      [2, 3, 1],
      [3, 1, 2],
      [1, 2, 3],
    ]);
    bench.dialling.linked(peer);
    bench.fail();
    expect(bench.attempts.at(-1)).toEqual([1, 2, 3]);
  });

  test('are without our own and without those that cannot be dialled, which are told of', () => {
    bench.own = [at(1)];
    bench.given({ addresses: [at(1), 'nonsense', at(2)] });
    vi.advanceTimersByTime(0);
    expect(bench.attempts).toEqual([[2]]);
    expect(bench.lines).toEqual([expect.stringContaining('nonsense is not a multiaddr')]);
  });

  test('of a peer without any are none: it is told of and tried again', () => {
    bench.given({});
    vi.advanceTimersByTime(0);
    expect(bench.attempts).toEqual([]);
    expect(bench.lines).toEqual([`cannot dial ${peer}: no address of it is known`]);
    bench.signed = [at(1)];
    bench.dialling.addressesChanged(peer);
    vi.advanceTimersByTime(REDIAL_MIN_MS);
    expect(bench.attempts).toEqual([[1]]);
  });
});

describe('a peer that is given again', () => {
  test('unchanged is not tried sooner: whoever is not the dialler waits its time', () => {
    bench.designated = false;
    bench.given({ addresses: [at(1)] });
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(SECOND_DIALLER_MS / 3);
      bench.given({ addresses: [at(1)] });
    }
    expect(bench.attempts).toEqual([[1]]);
  });

  test.each([
    ['another address', { addresses: [at(2)] }, [2]],
    ['another hint', { addresses: [at(1)], hints: [at(3)] }, [1, 3]],
  ])('with %s is tried soon, from the first address on', (_name, given, expected) => {
    bench.given({ addresses: [at(1)] });
    vi.advanceTimersByTime(0);
    for (let i = 0; i < 5; i++) bench.fail();
    bench.dialling.failed(peer, true);
    bench.given(given);
    vi.advanceTimersByTime(REDIAL_MIN_MS);
    expect(bench.attempts).toHaveLength(7);
    expect(bench.attempts.at(-1)).toEqual(expected);
  });

  test('after our place in the set changed is tried soon', () => {
    bench.designated = false;
    bench.given({ addresses: [at(1)] });
    bench.designated = true;
    bench.given({ addresses: [at(1)] });
    vi.advanceTimersByTime(REDIAL_MIN_MS);
    expect(bench.attempts).toEqual([[1]]);
  });

  test('no more is not dialled any more', () => {
    bench.given({ addresses: [at(1)] });
    bench.dialling.setPeers([]);
    expect(bench.dialling.wants(peer)).toBe(false);
    bench.dialling.addressesChanged(peer);
    vi.advanceTimersByTime(10_000);
    expect(bench.attempts).toEqual([]);
  });

  test('while its link is up is left alone, and dialled when the link is gone', () => {
    bench.linked.add(peer);
    bench.given({ addresses: [at(1)] });
    bench.given({ addresses: [at(2)] });
    vi.advanceTimersByTime(10_000);
    expect(bench.attempts).toEqual([]);
    bench.linked.delete(peer);
    bench.dialling.failed(peer, false);
    vi.advanceTimersByTime(REDIAL_MAX_MS);
    expect(bench.attempts).toEqual([[2]]);
  });
});
