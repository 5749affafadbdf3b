/** What every transport must do, run against the in-memory one and against libp2p on loopback. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import { CHANNEL_LIMITS } from '../../p2p/limits.ts';
import { MemoryNetwork } from '../../p2p/memory-transport.ts';
import { CHANNELS } from '../../p2p/transport.ts';
import { equalBytes } from '../../primitives/bytes.ts';
import { randomPrivateKey } from '../../primitives/secp256k1.ts';
import {
  acquaint,
  Cluster,
  type CreateTransport,
  indexOf,
  linked,
  numbered,
  OTHER_GENESIS,
  range,
  until,
} from './transport-cluster.ts';

const KINDS: readonly { name: string; network: () => CreateTransport }[] = [
  {
    name: 'memory',
    network: () => {
      const network = new MemoryNetwork();
      return (options) => network.create(options);
    },
  },
  { name: 'libp2p', network: () => createLibp2pTransport },
];

describe.each(KINDS)('transport over $name', ({ network }) => {
  let cluster: Cluster;
  beforeEach(() => {
    cluster = new Cluster(network());
  });
  afterEach(() => cluster.stop());

  test('frames of one channel arrive whole and in order, in both directions', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    for (const index of range(500)) {
      for (const channel of CHANNELS) {
        expect(a!.transport.send(b!.self, channel, numbered(index, 8 + (index % 300)))).toBe(true);
        expect(b!.transport.send(a!.self, channel, numbered(index, 8 + ((index * 7) % 300)))).toBe(true);
      }
    }
    await until(() => {
      for (const channel of CHANNELS) {
        expect(b!.on(channel).map(indexOf)).toEqual(range(500));
        expect(a!.on(channel).map(indexOf)).toEqual(range(500));
      }
    });
    expect(b!.on('sync')[299]).toEqual(numbered(299, 8 + 299));
    expect(new Set(b!.received.map((frame) => frame.from))).toEqual(new Set([a!.self]));
  });

  test('the longest frame of every channel passes, one byte more is refused, an empty one passes', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    for (const channel of CHANNELS) {
      const longest = new Uint8Array(CHANNEL_LIMITS[channel].frameBytesMax).fill(7);
      longest[longest.length - 1] = 9;
      expect(a!.transport.send(b!.self, channel, new Uint8Array(longest.length + 1))).toBe(false);
      expect(a!.transport.send(b!.self, channel, longest)).toBe(true);
      await until(() => expect(b!.on(channel).length).toBe(1));
      expect(equalBytes(b!.on(channel)[0]!, longest)).toBe(true);
      expect(a!.transport.send(b!.self, channel, new Uint8Array(0))).toBe(true);
      await until(() => expect(b!.on(channel).length).toBe(2));
      expect(b!.on(channel)[1]).toHaveLength(0);
    }
  });

  test('a payload belongs to its receiver: what the sender does with its array afterwards changes nothing', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    const payload = numbered(5, 64);
    a!.transport.send(b!.self, 'consensus', payload);
    await until(() => expect(b!.on('consensus').length).toBe(1));
    payload.fill(0);
    expect(indexOf(b!.on('consensus')[0]!)).toBe(5);
  });

  test('a full queue refuses frames, says when it has room again, and loses none that it accepted', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    let accepted = 0;
    while (accepted < 10_000 && a!.transport.send(b!.self, 'transactions', numbered(accepted, 64 * 1024))) {
      accepted++;
    }
    expect(accepted).toBeGreaterThan(100);
    expect(accepted * 64 * 1024).toBeLessThanOrEqual(CHANNEL_LIMITS.transactions.queueBytesMax);
    expect(a!.transport.send(b!.self, 'consensus', numbered(1))).toBe(true);
    await until(() => expect(a!.drains).toEqual([{ peer: b!.self, channel: 'transactions' }]));
    expect(a!.transport.send(b!.self, 'transactions', numbered(accepted, 64 * 1024))).toBe(true);
    await until(() => expect(b!.on('transactions').map(indexOf)).toEqual(range(accepted + 1)));
  });

  test('sending to nobody is refused', async () => {
    const [a] = await cluster.validators(1);
    expect(a!.transport.send('16Uiu2HAmNobody', 'consensus', numbered(1))).toBe(false);
    expect(a!.transport.send(a!.self, 'consensus', numbered(1))).toBe(false);
    expect(a!.transport.connected()).toEqual([]);
  });

  test('validators that start at the same moment end up with exactly one link per pair', async () => {
    const members = await cluster.validators(4);
    await linked(...members);
    for (const member of members) {
      const others = members.filter((other) => other !== member).map((other) => other.self);
      expect([...member.ups].sort()).toEqual(others.sort());
      expect(member.downs).toEqual([]);
      expect(member.transport.stats().every((peer) => peer.reconnects === 0 && peer.up)).toBe(true);
    }
  });

  test('a peer that restarts is linked again and counted', async () => {
    const key = randomPrivateKey();
    const [a] = await cluster.validators(1);
    const b = cluster.member({ privateKey: key });
    await b.transport.start();
    acquaint([a!, b]);
    await linked(a!, b);
    const port = b.port();
    await b.transport.stop();
    await until(() => expect(a!.downs).toHaveLength(1));
    expect(a!.downs[0]!.peer).toBe(b.self);
    expect(a!.downs[0]!.reason).toContain('stopping');
    expect(a!.transport.send(b.self, 'consensus', numbered(1))).toBe(false);

    const again = cluster.member({ privateKey: key, listen: { host: '127.0.0.1', port } });
    await again.transport.start();
    acquaint([a!, again]);
    await linked(a!, again);
    expect(a!.ups).toEqual([b.self, b.self]);
    expect(a!.transport.send(b.self, 'consensus', numbered(2))).toBe(true);
    await until(() => expect(again.on('consensus').map(indexOf)).toEqual([2]));
    expect(a!.transport.stats().find((peer) => peer.peer === b.self)).toMatchObject({ up: true, reconnects: 1 });
  });

  test('a stranger is refused and the refusal is logged by name', async () => {
    const [a] = await cluster.validators(1);
    const stranger = cluster.member({ validators: [a!.address()] });
    await stranger.transport.start();
    await until(() => expect(a!.said(`refused peer ${stranger.self}: it is neither a validator`)).toHaveLength(1));
    expect(a!.ups).toEqual([]);
    expect(stranger.ups).toEqual([]);
    expect(a!.transport.connected()).toEqual([]);
  });

  test('a peer of allowedPeers is admitted by name', async () => {
    const key = randomPrivateKey();
    const observer = cluster.member({ privateKey: key });
    const [a] = await cluster.validators(1, { allowedPeers: [observer.self] });
    await observer.transport.start();
    observer.transport.setPeers([a!.address()]);
    await linked(a!, observer);
    expect(a!.transport.stats()).toMatchObject([{ peer: observer.self, role: 'observer', up: true }]);
    expect(observer.transport.stats()).toMatchObject([{ peer: a!.self, role: 'validator', up: true }]);
  });

  test('a peer of another genesis is refused and both sides are told which', async () => {
    const [a] = await cluster.validators(1, { allowedPeers: ['*'] });
    const other = cluster.member({ genesisHash: OTHER_GENESIS, validators: [a!.address()] });
    await other.transport.start();
    await until(() => {
      expect(a!.said(`peer ${other.self} runs another genesis (${OTHER_GENESIS} instead of`)).toHaveLength(1);
      expect(other.said(`peer ${a!.self} runs another genesis (0x1111`)).toHaveLength(1);
    });
    expect([...a!.ups, ...other.ups]).toEqual([]);
  });

  test('a peer of another chain id is refused and both sides are told which', async () => {
    const [a] = await cluster.validators(1, { allowedPeers: ['*'] });
    const other = cluster.member({ chainId: 5, validators: [a!.address()] });
    await other.transport.start();
    await until(() => {
      expect(a!.said(`peer ${other.self} runs chain id 5 (instead of 1337)`)).toHaveLength(1);
      expect(other.said(`peer ${a!.self} runs chain id 1337 (instead of 5)`)).toHaveLength(1);
    });
    expect([...a!.ups, ...other.ups]).toEqual([]);
  });

  test('observers link with every validator and not with each other', async () => {
    const validators = await cluster.validators(2, { allowedPeers: ['*'] });
    const set = validators.map((member) => member.address());
    const observers = [0, 1].map(() => cluster.member({ validators: set, allowedPeers: ['*'] }));
    for (const observer of observers) await observer.transport.start();
    for (const observer of observers) await linked(...validators, observer);
    for (const observer of observers) {
      expect([...observer.transport.connected()].sort()).toEqual(validators.map((m) => m.self).sort());
      expect(observer.transport.send(validators[0]!.self, 'sync', numbered(3))).toBe(true);
    }
    await until(() => expect(validators[0]!.on('sync')).toHaveLength(2));
  });

  test("gossip carries observers' transactions to validators and validators' blocks to observers", async () => {
    const validators = await cluster.validators(2, { allowedPeers: ['*'] });
    const set = validators.map((member) => member.address());
    const observer = cluster.member({ validators: set });
    await observer.transport.start();
    await linked(...validators, observer);
    let round = 0;
    // A subscription travels after the link is up, and what was published before it is nobody's: publish until heard.
    await until(() => {
      round++;
      observer.transport.publish('transactions', numbered(round, 16));
      validators[0]!.transport.publish('blocks', numbered(round, 32));
      for (const validator of validators) expect(validator.gossip.length).toBeGreaterThan(0);
      expect(observer.gossip.length).toBeGreaterThan(0);
    });
    for (const validator of validators) expect(validator.gossip.every((g) => g.topic === 'transactions')).toBe(true);
    expect(observer.gossip.every((g) => g.topic === 'blocks' && g.from === validators[0]!.self)).toBe(true);
    expect(observer.gossip[0]!.payload).toHaveLength(32);
  });

  test('the same content is gossiped once, and publishing to nobody does nothing', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    a!.transport.publish('blocks', numbered(1));
    await until(() => {
      a!.transport.publish('transactions', numbered(2));
      expect(b!.gossip.length).toBeGreaterThan(0);
    });
    a!.transport.publish('transactions', numbered(2));
    a!.transport.publish('transactions', numbered(3));
    await until(() => expect(b!.gossip.at(-1)!.payload).toEqual(numbered(3)));
    expect(b!.gossip.map((message) => indexOf(message.payload))).toEqual([2, 3]);
  });

  test('a new validator set takes effect at run time: who left is unlinked, who came is linked', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    const c = cluster.member();
    await c.transport.start();
    acquaint([a!, c]);
    await linked(a!, c);
    await until(() => expect(b!.downs.map((down) => down.peer)).toContain(a!.self));
    expect(a!.transport.connected()).toEqual([c.self]);
  });

  test('a peer admitted besides the validators links by dialling, and counts as an observer', async () => {
    const [a] = await cluster.validators(1);
    const former = cluster.member();
    await former.transport.start();
    a!.transport.setPeers([a!.address(), { ...former.address(), standing: 'admitted' }]);
    former.transport.setPeers([a!.address(), { ...former.address(), standing: 'admitted' }]);
    await linked(a!, former);
    expect(a!.transport.stats()).toMatchObject([{ peer: former.self, role: 'observer' }]);
    let round = 0;
    await until(() => {
      a!.transport.publish('blocks', numbered(++round, 16));
      expect(former.gossip.length).toBeGreaterThan(0);
    });
    a!.transport.setPeers([a!.address()]);
    await until(() => expect(former.downs.length).toBe(1));
  });

  test('a candidate that becomes a validator keeps its links, and is one from then on', async () => {
    const [a, b] = await cluster.validators(2);
    const candidate = cluster.member({ validators: [a!.address(), b!.address()] });
    await candidate.transport.start();
    const present = [a!.address(), b!.address()];
    for (const member of [a!, b!, candidate]) {
      member.transport.setPeers([...present, { ...candidate.address(), standing: 'admitted' }]);
    }
    await linked(a!, b!, candidate);
    expect(a!.transport.stats().find(({ peer }) => peer === candidate.self)).toMatchObject({ role: 'observer' });
    let round = 0;
    // Each learns of the new set at another time; what goes around meanwhile arrives.
    for (const member of [a!, candidate, b!]) {
      member.transport.setPeers([...present, candidate.address()]);
      const before = a!.gossip.length;
      await until(() => {
        b!.transport.publish('transactions', numbered(++round, 16));
        expect(a!.gossip.length).toBeGreaterThan(before);
      });
    }
    await until(() => {
      a!.transport.publish('transactions', numbered(++round, 16));
      expect(candidate.gossip.some(({ topic }) => topic === 'transactions')).toBe(true);
    });
    for (const member of [a!, b!, candidate]) {
      expect(member.transport.stats().map(({ role, up, reconnects }) => ({ role, up, reconnects }))).toEqual(
        range(2).map(() => ({ role: 'validator', up: true, reconnects: 0 })),
      );
      expect(member.downs).toEqual([]);
    }
  });

  test('a validator that becomes a former member keeps its links, as an observer', async () => {
    const members = await cluster.validators(3);
    const [a, b, leaving] = members;
    await linked(...members);
    for (const member of members) {
      member.transport.setPeers([a!.address(), b!.address(), { ...leaving!.address(), standing: 'admitted' }]);
    }
    let round = 0;
    await until(() => {
      a!.transport.publish('blocks', numbered(++round, 16));
      expect(leaving!.gossip.some(({ topic }) => topic === 'blocks')).toBe(true);
    });
    expect(a!.transport.stats().find(({ peer }) => peer === leaving!.self)).toMatchObject({
      role: 'observer',
      up: true,
    });
    expect(a!.transport.send(leaving!.self, 'consensus', numbered(1))).toBe(true);
    await until(() => expect(leaving!.on('consensus').map(indexOf)).toEqual([1]));
    for (const member of members) expect(member.downs).toEqual([]);
    for (const member of members) expect(member.ups).toHaveLength(2);
  });

  test('one of many leaves and comes back: its links go and return, the others are not touched', async () => {
    const members = await cluster.validators(3);
    const [a, b, leaving] = members;
    await linked(...members);
    for (const member of [a!, b!]) member.transport.setPeers([a!.address(), b!.address()]);
    await until(() => expect(leaving!.downs).toHaveLength(2));
    expect(leaving!.transport.connected()).toEqual([]);
    acquaint(members);
    await linked(...members);
    expect(a!.downs.map(({ peer }) => peer)).toEqual([leaving!.self]);
    expect(a!.ups.filter((peer) => peer === b!.self)).toHaveLength(1);
  });

  test('the same set given again and again changes nothing', async () => {
    const members = await cluster.validators(3);
    await linked(...members);
    for (const _ of range(50)) acquaint(members);
    for (const index of range(20)) members[0]!.transport.send(members[1]!.self, 'consensus', numbered(index));
    await until(() => expect(members[1]!.on('consensus').map(indexOf)).toEqual(range(20)));
    for (const member of members) expect([member.ups.length, member.downs.length]).toEqual([2, 0]);
  });

  test('an admitted peer that does not dial is dialled when the set says so', async () => {
    const [a] = await cluster.validators(1);
    const candidate = cluster.member({ validators: [{ peer: a!.self, standing: 'admitted', addresses: [] }] });
    await candidate.transport.start();
    a!.transport.setPeers([a!.address(), { ...candidate.address(), standing: 'admitted', dialled: true }]);
    await linked(a!, candidate);
    expect(a!.transport.stats()).toMatchObject([{ peer: candidate.self, role: 'observer', up: true }]);
    a!.transport.setPeers([a!.address(), { ...candidate.address(), standing: 'admitted' }]);
    expect(a!.transport.send(candidate.self, 'sync', numbered(4))).toBe(true);
    await until(() => expect(candidate.on('sync').map(indexOf)).toEqual([4]));
    expect(candidate.downs).toEqual([]);
  });

  test('a handler that throws costs the link, which comes back, and is logged', async () => {
    const [a] = await cluster.validators(1);
    const b = cluster.member(
      {},
      {
        onMessage: (_peer, channel) => {
          if (channel === 'blocks') throw new Error('cannot read this block');
        },
      },
    );
    await b.transport.start();
    acquaint([a!, b]);
    await linked(a!, b);
    a!.transport.send(b.self, 'blocks', numbered(1));
    await until(() => expect(a!.ups).toHaveLength(2));
    await linked(a!, b);
    expect(b.said('onMessage failed: cannot read this block')).not.toHaveLength(0);
    a!.transport.send(b.self, 'consensus', numbered(2));
    await until(() => expect(b.on('consensus').map(indexOf)).toEqual([2]));
  });

  test('a taken port is an error that names it', async () => {
    const [a] = await cluster.validators(1);
    const port = Number(/\/(\d+)\/p2p\//.exec(a!.transport.addresses()[0]!)![1]);
    const b = cluster.member({ listen: { host: '127.0.0.1', port } });
    await expect(b.transport.start()).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
  });

  test('a stopped transport sends nothing, hears nothing and says so', async () => {
    const [a, b] = await cluster.validators(2);
    await linked(a!, b!);
    await a!.transport.stop();
    expect(a!.transport.send(b!.self, 'consensus', numbered(1))).toBe(false);
    expect(a!.transport.connected()).toEqual([]);
    expect(a!.transport.addresses()).toEqual([]);
    a!.transport.publish('blocks', numbered(1));
    await until(() => expect(b!.downs).toHaveLength(1));
    expect(a!.downs).toEqual([]);
    await a!.transport.stop();
  });

  test('stats count bytes and name the role of each peer', async () => {
    const [a, b] = await cluster.validators(2, { now: () => 1_700_000_000_000 });
    await linked(a!, b!);
    a!.transport.send(b!.self, 'blocks', numbered(1, 1000));
    await until(() => expect(b!.on('blocks').length).toBe(1));
    const [ofB] = a!.transport.stats();
    const [ofA] = b!.transport.stats();
    expect(ofB).toMatchObject({ peer: b!.self, role: 'validator', up: true, upSince: 1_700_000_000_000 });
    expect(ofB!.channels.blocks).toEqual({ queuedBytes: 0, bytesIn: 0, bytesOut: 1005 });
    expect(ofA!.channels.blocks).toEqual({ queuedBytes: 0, bytesIn: 1005, bytesOut: 0 });
  });
});
