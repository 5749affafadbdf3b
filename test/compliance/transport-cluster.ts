/** A few transports on one machine, with everything they say and receive written down, for the transport tests. */
import { expect, vi } from 'vitest';
import { peerIdOfPrivateKey } from '../../p2p/peers.ts';
import type {
  Channel,
  PeerAddress,
  Topic,
  Transport,
  TransportEvent,
  TransportHandlers,
  TransportOptions,
} from '../../p2p/transport.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { randomPrivateKey } from '../../primitives/secp256k1.ts';

export type CreateTransport = (options: TransportOptions) => Transport;

export const GENESIS = '0x' + '11'.repeat(32);
export const OTHER_GENESIS = '0x' + '22'.repeat(32);

export type Received = { readonly from: string; readonly channel: Channel; readonly payload: Bytes };

/** One transport with a record of all its callbacks. */
export class Member {
  readonly transport: Transport;
  readonly received: Received[] = [];
  readonly gossip: { topic: Topic; payload: Bytes; from: string }[] = [];
  readonly ups: string[] = [];
  readonly downs: { peer: string; reason: string }[] = [];
  readonly drains: { peer: string; channel: Channel }[] = [];
  readonly events: TransportEvent[] = [];
  readonly self: string;

  constructor(create: CreateTransport, options: Omit<TransportOptions, 'log'>, handlers: TransportHandlers = {}) {
    this.transport = create({ ...options, log: (event) => void this.events.push(event) });
    this.self = this.transport.self;
    this.transport.setHandlers({
      onMessage: (from, channel, payload) => {
        this.received.push({ from, channel, payload });
        handlers.onMessage?.(from, channel, payload);
      },
      onUp: (peer) => {
        this.ups.push(peer);
        handlers.onUp?.(peer);
      },
      onDown: (peer, reason) => {
        this.downs.push({ peer, reason });
        handlers.onDown?.(peer, reason);
      },
      onGossip: (topic, payload, from) => {
        this.gossip.push({ topic, payload, from });
        handlers.onGossip?.(topic, payload, from);
      },
      onDrain: (peer, channel) => {
        this.drains.push({ peer, channel });
        handlers.onDrain?.(peer, channel);
      },
    });
  }

  address(): PeerAddress {
    return { peer: this.self, addresses: this.transport.addresses() };
  }

  port(): number {
    return Number(/\/tcp\/(\d+)\//.exec(this.transport.addresses()[0] ?? '')?.[1] ?? 0);
  }

  on(channel: Channel): Bytes[] {
    return this.received.filter((frame) => frame.channel === channel).map((frame) => frame.payload);
  }

  said(text: string): TransportEvent[] {
    return this.events.filter((event) => event.message.includes(text));
  }
}

/** Keys, members and their clean-up for one test. */
export class Cluster {
  readonly members: Member[] = [];
  readonly #create: CreateTransport;

  constructor(create: CreateTransport) {
    this.#create = create;
  }

  /** Not started; on loopback, port 0 unless told otherwise. */
  member(options: Partial<Omit<TransportOptions, 'log'>> = {}, handlers: TransportHandlers = {}): Member {
    const member = new Member(
      this.#create,
      {
        privateKey: randomPrivateKey(),
        listen: { host: '127.0.0.1', port: 0 },
        genesisHash: GENESIS,
        chainId: 1337,
        validators: [],
        allowedPeers: [],
        ...options,
      },
      handlers,
    );
    this.members.push(member);
    return member;
  }

  /** Starts `count` validators that know one another; not yet linked. */
  async validators(count: number, options: Partial<Omit<TransportOptions, 'log'>> = {}): Promise<Member[]> {
    const keys = Array.from({ length: count }, () => randomPrivateKey());
    const set = keys.map((key) => ({ peer: peerIdOfPrivateKey(key), addresses: [] }));
    const members = keys.map((privateKey) => this.member({ ...options, privateKey, validators: set }));
    for (const member of members) await member.transport.start();
    acquaint(members);
    return members;
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.transport.stop()));
  }
}

/** Gives each the present addresses of all. */
export function acquaint(members: readonly Member[]): void {
  const set = members.map((member) => member.address());
  for (const member of members) member.transport.setPeers(set);
}

export async function until(condition: () => void, timeout = 20_000): Promise<void> {
  await vi.waitFor(condition, { timeout, interval: 10 });
}

export async function linked(...members: readonly Member[]): Promise<void> {
  await until(() => {
    for (const member of members) {
      const others = members.filter((other) => other !== member).map((other) => other.self);
      expect([...member.transport.connected()].sort()).toEqual(expect.arrayContaining(others.sort()));
    }
  });
}

/** A payload that says who it is and is as long as asked. */
export function numbered(index: number, length = 8): Bytes {
  const payload = new Uint8Array(length).fill(index & 0xff);
  new DataView(payload.buffer).setUint32(0, index);
  return payload;
}

export function indexOf(payload: Bytes): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
