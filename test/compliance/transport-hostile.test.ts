/** libp2p only: what an admitted peer that does not keep to the protocol can do to us, which is nothing but lose its link. */
import type { Connection, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeAddressRecord, encodeAsk, signAddressRecord } from '../../p2p/address-record.ts';
import { encodeFrame } from '../../p2p/frame.ts';
import { encodeHello, HELLO_PROTOCOL, HELLO_VERSION } from '../../p2p/hello.ts';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import { createNode, type Libp2pNode, startNode } from '../../p2p/node-factory.ts';
import { nodeKeyOfPeerId, peerIdOfPrivateKey } from '../../p2p/peers.ts';
import { CHANNELS, type Channel } from '../../p2p/transport.ts';
import { randomPrivateKey } from '../../primitives/secp256k1.ts';
import { Cluster, GENESIS, linked, type Member, numbered, range, until } from './transport-cluster.ts';

const HELLO = 1;
const READY = 2;
const PING = 3;
const PONG = 4;
const ADDRESS = 6;
const ASK = 7;
const DATA = 16;
const listen = { host: '127.0.0.1', port: 0 };
const greeting = encodeHello({ version: HELLO_VERSION, chainId: 1337, genesisHash: GENESIS, role: 'validator' });

function protocol(channel: Channel): string {
  return `/quorate/${GENESIS.slice(2, 18)}/${channel}/1`;
}

/** A libp2p node with a validator's key and no manners. */
class Rogue {
  readonly key = randomPrivateKey();
  readonly self = peerIdOfPrivateKey(this.key);
  node!: Libp2pNode;
  connection!: Connection;
  control!: Stream;
  readonly channels = new Map<Channel, Stream>();
  readonly heard: Uint8Array[] = [];
  closed = false;

  async connect(victim: Member): Promise<void> {
    this.node = await createNode({ privateKey: this.key, listen, gater: {}, topics: [] });
    await startNode(this.node, listen);
    await this.dial(victim);
  }

  async dial(victim: Member): Promise<void> {
    this.connection = await this.node.dial(multiaddr(victim.transport.addresses()[0]!), { force: true });
    this.connection.addEventListener('close', () => {
      this.closed = true;
    });
  }

  async openControl(): Promise<void> {
    this.control = await this.connection.newStream(HELLO_PROTOCOL);
    this.control.addEventListener('message', (event) => this.heard.push(event.data.subarray()));
    this.control.addEventListener('close', () => undefined);
  }

  async openChannels(): Promise<void> {
    for (const channel of CHANNELS) this.channels.set(channel, await this.connection.newStream(protocol(channel)));
  }

  /** All that a decent peer does until the link is up. */
  async becomePeer(): Promise<void> {
    await this.openControl();
    this.control.send(encodeFrame(HELLO, greeting));
    await until(() => expect(this.heard.length).toBeGreaterThan(0));
    await this.openChannels();
    this.control.send(encodeFrame(READY, new Uint8Array(0)));
  }
}

describe('a peer that breaks the protocol', () => {
  let cluster: Cluster;
  let rogue: Rogue;
  let victim: Member;
  let friend: Member;

  beforeEach(async () => {
    cluster = new Cluster(createLibp2pTransport);
    rogue = new Rogue();
    [victim, friend] = (await cluster.validators(2)) as [Member, Member];
    victim.transport.setPeers([victim.address(), friend.address(), { peer: rogue.self, addresses: [] }]);
    friend.transport.setPeers([victim.address(), friend.address()]);
    await linked(victim, friend);
    await rogue.connect(victim);
  });

  afterEach(async () => {
    await cluster.stop();
    await rogue.node.stop();
  });

  /** The rogue is out, with this reason in the log, and the friend is still served. */
  async function expectDropped(reason: string): Promise<void> {
    await until(() => {
      expect(rogue.closed).toBe(true);
      expect(victim.said(reason).length).toBeGreaterThan(0);
    });
    expect(victim.transport.connected()).toEqual([friend.self]);
    const before = friend.on('consensus').length;
    expect(victim.transport.send(friend.self, 'consensus', numbered(1))).toBe(true);
    await until(() => expect(friend.on('consensus').length).toBe(before + 1));
  }

  test('the rogue can behave: the set-up used here does bring a link up', async () => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    rogue.channels.get('blocks')!.send(encodeFrame(DATA, numbered(7)));
    await until(() => expect(victim.received.filter((frame) => frame.from === rogue.self).length).toBe(1));
  });

  test.each([
    ['random bytes instead of a hello', Uint8Array.from({ length: 4000 }, (_, i) => (i * 37) & 0xff), 'malformed data'],
    ['a hello that is not RLP', encodeFrame(HELLO, new Uint8Array(10).fill(0xff)), 'malformed hello'],
    ['a hello longer than allowed', encodeFrame(HELLO, new Uint8Array(5000)), 'malformed data: frame of 5000 bytes'],
    ['a hello of another version', encodeFrame(HELLO, Uint8Array.of(0xc1, 0x01)), 'network protocol version 1'],
    ['READY before hello', encodeFrame(READY, new Uint8Array(0)), 'malformed data: ready out of turn'],
    ['a malformed ping', encodeFrame(PING, new Uint8Array(3)), 'malformed data: ping'],
    ['a malformed pong', encodeFrame(PONG, new Uint8Array(9)), 'malformed data: pong'],
    ['an address record before hello', encodeFrame(ADDRESS, new Uint8Array(9)), 'malformed data: address: out of turn'],
    ['a request for addresses before hello', encodeFrame(ASK, new Uint8Array(9)), 'malformed data: ask: out of turn'],
    ['data on the control stream', encodeFrame(DATA, new Uint8Array(9)), 'malformed data: frame of unknown type 16'],
  ])('%s costs it the connection', async (_name, bytes, reason) => {
    await rogue.openControl();
    rogue.control.send(bytes);
    await expectDropped(reason);
  });

  test('two hellos cost it the connection', async () => {
    await rogue.openControl();
    rogue.control.send(encodeFrame(HELLO, greeting));
    rogue.control.send(encodeFrame(HELLO, greeting));
    await expectDropped('malformed data: second hello');
  });

  test.each([
    ['garbage on a channel', new Uint8Array(100).fill(0xee), 'malformed data: frame of unknown type'],
    [
      'a frame announced longer than allowed',
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, DATA),
      'malformed data: frame of 4294967295 bytes',
    ],
    ['a control frame on a channel', encodeFrame(PING, new Uint8Array(4)), 'malformed data: frame of unknown type 3'],
  ])('%s costs it the link', async (_name, bytes, reason) => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    rogue.channels.get('consensus')!.send(bytes);
    await expectDropped(reason);
  });

  const domain = { chainId: 1337, genesisHash: GENESIS };
  const forged = () => {
    const signed = signAddressRecord({ sequence: 1, addresses: ['/ip4/127.0.0.1/tcp/1'] }, rogue.key, domain);
    return { ...signed, nodeKey: nodeKeyOfPeerId(friend.self)!, sequence: Number.MAX_SAFE_INTEGER };
  };
  const ofOtherChain = () => signAddressRecord({ sequence: 1, addresses: [] }, rogue.key, { ...domain, chainId: 1 });

  test.each<[string, () => Uint8Array, string]>([
    [
      'a forged address record',
      () => encodeFrame(ADDRESS, encodeAddressRecord(forged())),
      'did not sign for this chain',
    ],
    ['one of another chain', () => encodeFrame(ADDRESS, encodeAddressRecord(ofOtherChain())), 'did not sign for this'],
    ['one that is none', () => encodeFrame(ADDRESS, new Uint8Array(40)), 'malformed data: address: trailing bytes'],
    ['a request for nothing', () => encodeFrame(ASK, Uint8Array.of(0xc0)), 'malformed data: ask: request'],
  ])('%s costs it the link', async (_name, bytes, reason) => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    rogue.control.send(bytes());
    await expectDropped(reason);
  });

  test('addresses of strangers, of itself a hundred times, and requests do not cost it the link', async () => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    const stranger = signAddressRecord({ sequence: 1, addresses: [] }, randomPrivateKey(), domain);
    rogue.control.send(encodeFrame(ADDRESS, encodeAddressRecord(stranger)));
    for (const sequence of range(100)) {
      const own = signAddressRecord({ sequence, addresses: [`/ip4/127.0.0.1/tcp/${sequence + 1}`] }, rogue.key, domain);
      rogue.control.send(encodeFrame(ADDRESS, encodeAddressRecord(own)));
    }
    rogue.control.send(encodeFrame(ASK, encodeAsk([nodeKeyOfPeerId(friend.self)!])));
    rogue.channels.get('sync')!.send(encodeFrame(DATA, numbered(7)));
    await until(() => expect(victim.received.filter((frame) => frame.from === rogue.self).length).toBe(1));
    await until(() => expect(victim.said(`addresses of ${rogue.self}`).length).toBeGreaterThan(0));
    expect([...victim.transport.connected()].sort()).toEqual([friend.self, rogue.self].sort());
    expect(friend.downs).toEqual([]);
  });

  test('a channel stream that is reset costs it the link', async () => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    rogue.channels.get('sync')!.abort(new Error('no more'));
    await expectDropped(`link to ${rogue.self} is down`);
  });

  test('data before the link is ready costs it the connection', async () => {
    await rogue.openControl();
    rogue.control.send(encodeFrame(HELLO, greeting));
    await until(() => expect(rogue.heard.length).toBeGreaterThan(0));
    const stream = await rogue.connection.newStream(protocol('consensus'));
    stream.send(encodeFrame(DATA, numbered(1)));
    await expectDropped('channel used before the link was ready');
    expect(victim.received.filter((frame) => frame.from === rogue.self)).toEqual([]);
  });

  test('channel streams without a hello are reset', async () => {
    const stream = await rogue.connection.newStream(protocol('consensus'));
    if (stream.status === 'open') stream.send(encodeFrame(DATA, numbered(1)));
    await until(() => expect(stream.status).not.toBe('open'));
    expect(victim.received.filter((frame) => frame.from === rogue.self)).toEqual([]);
  });

  test('a reason it gives us cannot write control characters into our log', async () => {
    await rogue.openControl();
    rogue.control.send(encodeFrame(5, Buffer.from('go\u001b[2J\naway')));
    await expectDropped('closed by the peer: go?[2J?away');
  });

  test('a peer that falls silent is found dead by the heartbeat', async () => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    // It reads and its TCP lives, but it answers no ping.
    await expectDropped('silent for 5 s');
  });

  test('its newer connection replaces the older', async () => {
    await rogue.becomePeer();
    await until(() => expect(victim.ups).toContain(rogue.self));
    rogue.heard.length = 0;
    const first = rogue.connection;
    await rogue.dial(victim);
    await rogue.becomePeer();
    await until(() => expect(victim.ups.filter((peer) => peer === rogue.self)).toHaveLength(2));
    expect(victim.downs).toEqual([{ peer: rogue.self, reason: 'replaced by a newer connection' }]);
    await until(() => expect(first.status).not.toBe('open'));
    expect([...victim.transport.connected()].sort()).toEqual([friend.self, rogue.self].sort());
  });

  test('it may not hold many connections', async () => {
    const connections: Connection[] = [];
    for (let i = 0; i < 12; i++) {
      await rogue.dial(victim).then(
        () => connections.push(rogue.connection),
        () => undefined, // refused during the handshake: as good
      );
    }
    await until(() => expect(victim.said('connections already').length).toBeGreaterThan(0));
    await until(() => expect(connections.filter((c) => c.status === 'open').length).toBeLessThanOrEqual(6));
  });

  test('more than it may send is held back on its side, not in our memory', async () => {
    victim.transport.setHandlers({});
    await rogue.becomePeer();
    await until(() => expect(victim.transport.connected()).toContain(rogue.self));
    const stream = rogue.channels.get('consensus')!;
    // Over a second's allowance of frames: the stream is paused, and the writer is told to wait.
    const burst = Buffer.concat(Array.from({ length: 60_000 }, () => encodeFrame(DATA, new Uint8Array(20))));
    stream.send(burst);
    let held = false;
    for (let i = 0; i < 40 && !held; i++) held = !stream.send(burst);
    expect(held).toBe(true);
    expect(victim.transport.connected()).toContain(rogue.self);
  });
});
