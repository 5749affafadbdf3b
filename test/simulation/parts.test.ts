/** The simulator's own parts: a simulator that loses a fault or an event finds nothing, silently. */
import { describe, expect, it } from 'vitest';
import { encodeCall, FUNCTIONS } from '../../ledger/governance/abi.ts';
import { DEFAULT_POLICY } from '../../primitives/policy.ts';
import { GovernanceModel } from './checkers/governance.ts';
import { SimDisk } from './disk.ts';
import { cheapKeys, IDENTITIES, membersOf } from './keys.ts';
import { type Channel, SimNetwork } from './network.ts';
import { proposeCall, setChange } from './operators.ts';
import { type DiskOptions, drawOptions, FAULT_KINDS, type NetworkOptions } from './options.ts';
import { Rng } from './rng.ts';
import { RollingHash } from './rolling-hash.ts';
import { SimStoreDisk } from './store.ts';
import { Timeline } from './timeline.ts';
import { CHAIN_ID, decode, governanceCall } from './transactions.ts';

const STREAM: NetworkOptions = {
  mode: 'stream',
  delayMinMs: 1,
  delayMeanMs: 10,
  tailChance: 0.1,
  tailFactor: 10,
  lossChance: 0,
  duplicateChance: 0,
  connectMeanMs: 5,
};
const DISK: DiskOptions = {
  syncMinMs: 1,
  syncMeanMs: 1,
  slowChance: 0,
  slowMeanMs: 0,
  powerCutChance: 1,
  tornChance: 1,
};

function drain(timeline: Timeline, untilMs = 1e6): void {
  for (let run = timeline.next(untilMs); run !== undefined; run = timeline.next(untilMs)) run();
}

describe('rng', () => {
  it('gives the same stream for the same seed and label, another for any other', () => {
    const draw = (seed: number, label: string): number[] => {
      const rng = new Rng(seed, label);
      return Array.from({ length: 8 }, () => rng.next());
    };
    expect(draw(7, 'a')).toEqual(draw(7, 'a'));
    expect(draw(7, 'a')).not.toEqual(draw(8, 'a'));
    expect(draw(7, 'a')).not.toEqual(draw(7, 'b'));
    expect(draw(7, 'a')).not.toEqual(draw(7 + 2 ** 32, 'a'));
  });

  it('is uniform and exponential enough for what it is used for', () => {
    const rng = new Rng(1, 'moments');
    let sum = 0;
    let exponential = 0;
    for (let i = 0; i < 20_000; i++) {
      sum += rng.float();
      exponential += rng.exponential(40);
    }
    expect(sum / 20_000).toBeCloseTo(0.5, 1);
    expect(Math.abs(exponential / 20_000 - 40)).toBeLessThan(2);
  });
});

describe('timeline', () => {
  it('runs in order of time, and of scheduling when times are equal', () => {
    const timeline = new Timeline();
    const seen: string[] = [];
    timeline.after(5, () => seen.push('b'));
    timeline.after(5, () => seen.push('c'));
    timeline.after(1, () => timeline.after(4, () => seen.push('d')));
    timeline.after(0, () => seen.push('a'));
    drain(timeline);
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
  });

  it('stops at the time it is told to and goes on from there', () => {
    const timeline = new Timeline();
    let ran = false;
    timeline.after(10, () => {
      ran = true;
    });
    expect(timeline.next(9)).toBeUndefined();
    expect([timeline.now, ran]).toEqual([9, false]);
    drain(timeline);
    expect(ran).toBe(true);
  });

  it('keeps its order under many entries', () => {
    const timeline = new Timeline();
    const rng = new Rng(3, 'heap');
    const seen: number[] = [];
    for (let i = 0; i < 2000; i++) timeline.after(rng.int(500), () => seen.push(timeline.now));
    drain(timeline);
    expect(seen).toHaveLength(2000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

type Received = { to: number; from: number; mark: number; at: number };

function network(options: Partial<NetworkOptions> = {}, n = 3) {
  const timeline = new Timeline();
  const received: Received[] = [];
  const connected: string[] = [];
  const running = new Set(Array.from({ length: n }, (_, index) => index));
  const net = new SimNetwork(n, { ...STREAM, ...options }, timeline, new Rng(1, 'network'), {
    onMessage: (to, from, _channel: Channel, payload) =>
      received.push({ to, from, mark: payload[0]!, at: timeline.now }),
    onConnected: (at, peer) => connected.push(`${at}-${peer}`),
    isRunning: (replica) => running.has(replica),
  });
  net.connectAll();
  drain(timeline, timeline.now + 200);
  const send = (from: number, to: number, mark: number): boolean =>
    net.send(from, to, 'consensus', Uint8Array.of(mark));
  return { timeline, net, received, connected, running, send };
}

describe('network', () => {
  it('connects every pair and tells both ends', () => {
    expect(network().connected.sort()).toEqual(['0-1', '0-2', '1-0', '1-2', '2-0', '2-1']);
  });

  it('stream: everything arrives once, in order', () => {
    const { send, received, timeline } = network();
    for (let mark = 0; mark < 100; mark++) expect(send(0, 1, mark)).toBe(true);
    drain(timeline);
    expect(received.map(({ mark }) => mark)).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('datagram: messages are lost, doubled and overtake each other', () => {
    const { send, received, timeline, net } = network({ mode: 'datagram', lossChance: 0.2, duplicateChance: 0.2 });
    for (let mark = 0; mark < 200; mark++) send(0, 1, mark);
    drain(timeline);
    const marks = received.map(({ mark }) => mark);
    expect(net.counts.lost).toBeGreaterThan(10);
    expect(net.counts.duplicated).toBeGreaterThan(10);
    expect(marks).not.toEqual([...marks].sort((a, b) => a - b));
    expect(new Set(marks).size).toBeLessThan(200);
  });

  it('a cut stops one direction only; in a stream what was held comes after the heal', () => {
    const { send, received, timeline, net } = network();
    net.cut(0, 1);
    send(0, 1, 1);
    send(1, 0, 2);
    drain(timeline, timeline.now + 100);
    expect(received.map(({ mark }) => mark)).toEqual([2]);
    net.heal(0, 1);
    drain(timeline, timeline.now + 100);
    expect(received.map(({ mark }) => mark)).toEqual([2, 1]);
  });

  it('a long cut breaks the link; both ends hear of the new one, what was in flight is gone', () => {
    const { send, received, connected, timeline, net } = network();
    connected.length = 0;
    net.cut(0, 1);
    net.cut(1, 0);
    send(0, 1, 1);
    drain(timeline, timeline.now + 60_000);
    expect(send(0, 1, 2)).toBe(false);
    net.heal(0, 1);
    net.heal(1, 0);
    drain(timeline, timeline.now + 1000);
    expect(connected.sort()).toEqual(['0-1', '1-0']);
    expect(received).toEqual([]);
    expect(send(0, 1, 3)).toBe(true);
  });

  it('a clogged way holds messages until it is free', () => {
    const { send, received, timeline, net } = network();
    const freeAt = timeline.now + 500;
    net.clog(0, 2, 500);
    send(0, 2, 1);
    drain(timeline);
    expect(received).toHaveLength(1);
    expect(received[0]!.at).toBeGreaterThanOrEqual(freeAt);
  });

  it('a dead process hears nothing of what was in flight to it, and is found again when it is back', () => {
    const { send, received, connected, timeline, net, running } = network();
    connected.length = 0;
    send(0, 1, 1);
    running.delete(1);
    net.resetAll(1);
    drain(timeline, timeline.now + 1000);
    expect(received).toEqual([]);
    expect(send(0, 1, 2)).toBe(false);
    running.add(1);
    net.connect(1, 0);
    drain(timeline, timeline.now + 1000);
    expect(connected.sort()).toEqual(['0-1', '1-0']);
  });

  it('calm members lose nothing and hear within the bound, others as before', () => {
    const { send, received, timeline, net } = network({ mode: 'datagram', lossChance: 1, delayMeanMs: 500 });
    net.calm(new Set([0, 1]), 20);
    drain(timeline, timeline.now + 1000);
    const sentAt = timeline.now;
    for (let mark = 0; mark < 20; mark++) {
      send(0, 1, mark);
      send(0, 2, mark);
    }
    drain(timeline);
    expect(received).toHaveLength(20);
    expect(received.every(({ to, at }) => to === 1 && at <= sentAt + 20)).toBe(true);
  });
});

describe('write-ahead log', () => {
  const record = (mark: number): Uint8Array => Uint8Array.of(mark);

  function open(options: Partial<DiskOptions> = {}) {
    const timeline = new Timeline();
    const disk = new SimDisk({ ...DISK, ...options }, new Rng(2, 'disk'));
    const wal = disk.open({
      after: (delayMs, run) => timeline.after(delayMs, run),
      onAppend: () => undefined,
      isDead: () => false,
    });
    return { timeline, disk, wal };
  }

  it('reports a record as durable only after its fsync; a power cut before that may take it', () => {
    const { timeline, disk, wal } = open();
    const durable: number[] = [];
    wal.onDurable((sequence) => durable.push(sequence));
    wal.append([record(1), record(2)], { sync: true });
    expect([durable, disk.records]).toEqual([[], []]);
    drain(timeline);
    expect(durable).toEqual([2]);
    wal.append([record(3)], { sync: false });
    drain(timeline);
    expect(durable).toEqual([2]);
    disk.crash(true);
    expect(disk.records.slice(0, 2)).toEqual([record(1), record(2)]);
  });

  it('keeps a prefix of what was not synced, sometimes torn, and all of it when only the process dies', () => {
    const kept = new Set<number>();
    let torn = 0;
    const { disk, wal } = open();
    let before = 0;
    for (let round = 0; round < 60; round++) {
      wal.append([record(1), record(2), record(3)], { sync: false });
      if (disk.crash(true) === 'torn') torn++;
      kept.add(disk.records.length - before);
      before = disk.records.length;
    }
    expect([...kept].sort()).toEqual([0, 1, 2, 3]);
    expect(torn).toBeGreaterThan(5);
    wal.append([record(4)], { sync: false });
    expect(disk.crash(false)).toBe('clean');
    expect(disk.records.at(-1)).toEqual(record(4));
  });

  it('a rotation takes the place of what was logged before it, never of what came after', () => {
    const { timeline, disk, wal } = open();
    wal.append([record(1), record(2)], { sync: true });
    wal.rotate([record(9)]);
    wal.append([record(3)], { sync: true });
    drain(timeline);
    expect(disk.records).toEqual([record(9), record(3)]);
  });

  it('is empty once it is lost, and what was under way does not come back', () => {
    const { timeline, disk, wal } = open();
    wal.append([record(1)], { sync: true });
    drain(timeline);
    wal.append([record(2)], { sync: true });
    disk.crash(true);
    disk.lose();
    drain(timeline);
    expect(disk.records).toEqual([]);
  });

  it('with a backup that is put back it is sometimes what it was at an earlier crash', () => {
    const timeline = new Timeline();
    const disk = new SimDisk(DISK, new Rng(2, 'disk'), 'restores-backup');
    const lengths: number[] = [];
    for (let life = 0; life < 30; life++) {
      const wal = disk.open({
        after: (delayMs, run) => timeline.after(delayMs, run),
        onAppend: () => undefined,
        isDead: () => false,
      });
      wal.append([record(life)], { sync: true });
      drain(timeline);
      disk.crash(false);
      lengths.push(disk.records.length);
    }
    expect(lengths.some((length, life) => life > 0 && length < lengths[life - 1]!)).toBe(true);
    expect(lengths.some((length, life) => life > 0 && length > lengths[life - 1]!)).toBe(true);
  });

  it('knows which signatures may not be sent yet', () => {
    const { timeline, disk, wal } = open();
    const signature = new Rng(5, 'signature').bytes(65);
    const message = Buffer.concat([record(7), signature, record(8)]);
    disk.noteSignature(signature);
    expect(disk.unsyncedIn(message)).toBe(true);
    wal.append([message], { sync: true });
    expect(disk.unsyncedIn(message)).toBe(true);
    drain(timeline);
    expect(disk.unsyncedIn(message)).toBe(false);
  });
});

describe('store', () => {
  it('a power cut takes back a suffix of the unsynced batches, in order', () => {
    const key = Uint8Array.of(1);
    const left = new Set<number | undefined>();
    for (let seed = 0; seed < 40; seed++) {
      const timeline = new Timeline();
      const disk = new SimStoreDisk();
      const store = disk.open({
        after: (delayMs, run) => timeline.after(delayMs, run),
        delayMs: () => 1,
        isDead: () => false,
      });
      const done: number[] = [];
      for (const value of [1, 2, 3]) {
        const batch = { put: [[key, Uint8Array.of(value)]] as [Uint8Array, Uint8Array][], del: [] };
        store.write(batch, { sync: value === 1 }, () => done.push(value));
      }
      expect(store.get(key)).toBeUndefined();
      drain(timeline);
      expect([done, store.get(key)?.[0]]).toEqual([[1, 2, 3], 3]);
      if (seed > 30) disk.writeBack();
      disk.crash(new Rng(seed, 'store'), true);
      if (seed > 30) expect(store.get(key)?.[0]).toBe(3);
      else left.add(store.get(key)?.[0]);
    }
    expect(left).toEqual(new Set([1, 2, 3]));
  });
});

describe('keys', () => {
  it('cheap signatures are checked: another digest, another key or a changed byte does not pass', () => {
    const keys = cheapKeys(2);
    const digest = new Uint8Array(32).fill(3);
    const signature = keys.sign(0, digest);
    expect(signature).toHaveLength(65);
    expect(keys.recover(digest, signature)).toBe(keys.addresses[0]);
    expect(keys.recover(new Uint8Array(32), signature)).toBeUndefined();
    const stolen = Uint8Array.from(signature);
    stolen.set(keys.sign(1, digest).subarray(32, 52), 32);
    expect(keys.recover(digest, stolen)).toBeUndefined();
  });
});

describe('governance model', () => {
  const MEMBERS = membersOf(3);
  const at = (number: number) => ({
    chainId: CHAIN_ID,
    genesisHash: '0x',
    number,
    timestamp: 1000 + number,
    hashAt: () => undefined,
  });
  const call = (model: GovernanceModel, operator: number, data: Uint8Array, number: number): void => {
    const decoded = decode(governanceCall(IDENTITIES[operator]!.operatorSecret, 0, data));
    if (!decoded.ok) throw new Error(decoded.message);
    model.apply(decoded.transaction, true, at(number));
  };
  const vote = (id: number) => encodeCall(FUNCTIONS.vote, { id, approve: true });

  it('changes the set with the vote that makes a majority, and lets what else was open lapse', () => {
    const model = new GovernanceModel(MEMBERS, DEFAULT_POLICY);
    call(model, 0, proposeCall(setChange({ remove: [2] })), 1);
    call(model, 1, proposeCall(setChange({ replace: [[0, 3]] })), 1);
    expect(model.state).toMatchObject({ epoch: 0, nextId: 3 });
    call(model, 2, vote(1), 2);
    expect(model.state).toMatchObject({ epoch: 1, members: MEMBERS.slice(0, 2), open: [] });
    call(model, 0, vote(2), 2);
    call(model, 0, vote(2), 3);
    expect(model.state.epoch).toBe(1);
  });

  it('waits for those who are to start it', () => {
    const model = new GovernanceModel(MEMBERS, DEFAULT_POLICY);
    const everybody = [3, 4, 5].map((by, machine): [number, number] => [machine, by]);
    call(model, 0, proposeCall(setChange({ replace: everybody })), 1);
    call(model, 1, vote(1), 2);
    expect(model.state).toMatchObject({ epoch: 0, members: MEMBERS });
  });

  it('takes nothing from an account that is no operator, nor twice from one', () => {
    const model = new GovernanceModel(MEMBERS, DEFAULT_POLICY);
    call(model, 5, proposeCall(setChange({ remove: [2] })), 1);
    call(model, 0, proposeCall(setChange({ remove: [2] })), 1);
    call(model, 0, vote(1), 2);
    call(model, 4, vote(1), 2);
    expect(model.state).toMatchObject({ epoch: 0, nextId: 2 });
  });
});

describe('swarm options', () => {
  it('follow from the seed and cover every size and every class of fault, each left out in many runs', () => {
    expect(drawOptions(11)).toEqual(drawOptions(11));
    const drawn = Array.from({ length: 400 }, (_, seed) => drawOptions(seed));
    expect(new Set(drawn.map(({ validators }) => validators))).toEqual(new Set([1, 2, 3, 4, 5, 7]));
    for (const kind of FAULT_KINDS) {
      const having = drawn.filter(({ faults }) => faults[kind] !== undefined).length;
      expect(having).toBeGreaterThan(kind === 'lose-disk' ? 30 : 80);
      expect(having).toBeLessThan(320);
    }
  });

  it('have epochs in half of the runs, and without them are what they were', () => {
    const drawn = Array.from({ length: 400 }, (_, seed) => drawOptions(seed));
    const changing = drawn.filter(({ epochs }) => epochs !== undefined);
    expect(changing.length).toBeGreaterThan(150);
    expect(changing.length).toBeLessThan(250);
    for (const options of changing) {
      const { epochs, faults, host, liars, ...rest } = options;
      const still = drawOptions(options.seed, { without: ['epochs'] });
      expect(still.epochs).toBeUndefined();
      expect(still).toMatchObject(rest);
      expect(still.faults).toEqual((({ 'hand-over': _, 'lose-disk': __, ...others }) => others)(faults));
    }
  });

  it('never let a set come about that lost disks bring to a stop', () => {
    for (let seed = 0; seed < 400; seed++) {
      const { epochs, faults, validators, liars } = drawOptions(seed, { epochs: true });
      expect(epochs!.sizeMin).toBeLessThanOrEqual(validators);
      expect(epochs!.policy.leastValidators).toBe(epochs!.sizeMin);
      if (faults['lose-disk'] === undefined) continue;
      expect(epochs!.lossesMax).toBeGreaterThan(0);
      expect(epochs!.sizeMin).toBeGreaterThan(2 * epochs!.lossesMax);
      expect(liars?.victims.length).not.toBe(0);
    }
  });

  it('an override changes what it names and nothing else', () => {
    const before = drawOptions(12, { without: ['epochs'] });
    const without = ['epochs', 'crash', 'partition'] as const;
    const { validators, faults, ...rest } = drawOptions(12, { validators: 5, without });
    expect(validators).toBe(5);
    expect(Object.keys(faults)).toEqual(
      Object.keys(before.faults).filter((kind) => kind !== 'crash' && kind !== 'partition'),
    );
    expect(rest).toEqual((({ validators: _, faults: __, ...others }) => others)(before));
  });
});

describe('rolling hash', () => {
  it('differs when anything does', () => {
    const digest = (feed: (hash: RollingHash) => void): string => {
      const hash = new RollingHash();
      feed(hash);
      return hash.digest;
    };
    const base = digest((hash) => hash.number(1.5));
    expect(digest((hash) => hash.number(1.5))).toBe(base);
    expect(digest((hash) => hash.number(1.25))).not.toBe(base);
    expect(digest((hash) => hash.text('a'))).not.toBe(digest((hash) => hash.text('b')));
    expect(digest((hash) => hash.bytes(Uint8Array.of(1)))).not.toBe(digest((hash) => hash.bytes(Uint8Array.of(1, 0))));
  });
});
