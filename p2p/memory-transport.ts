/**
 * The transport's contract inside one process, without sockets, handshakes or waiting: for tests of what is above it.
 * Gate and hello are the real ones. Frames are copied and delivered in later turns of the event loop, a turn's bytes per
 * channel, so that queues fill and drain as they do on a wire.
 */
import { createHash } from 'node:crypto';
import { assert, errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { Gate } from './gate.ts';
import { guarded } from './guard.ts';
import { HELLO_VERSION, type Hello, helloMismatch } from './hello.ts';
import { CHANNEL_LIMITS, GOSSIP_BYTES_MAX } from './limits.ts';
import { MemoryPipe } from './memory-pipe.ts';
import { peerIdOfPrivateKey } from './peers.ts';
import { QuietLog } from './quiet-log.ts';
import {
  CHANNELS,
  type Channel,
  type ChannelStats,
  type PeerAddress,
  type PeerStats,
  type Role,
  type Topic,
  type Transport,
  type TransportHandlers,
  type TransportOptions,
} from './transport.ts';

/** After a handler threw and cost the link. */
const RELINK_MS = 50;

type Side = { readonly out: MemoryPipe; readonly upSince: number };

/** The medium: transports made by one network reach each other, by peer id, whatever their addresses say. */
export class MemoryNetwork {
  readonly #started = new Map<string, MemoryTransport>();
  #nextPort = 40_000;

  /** A transport on this network; it is there from `start` to `stop`. */
  create(options: TransportOptions): Transport {
    return new MemoryTransport(this, options);
  }

  get(peer: string): MemoryTransport | undefined {
    return this.#started.get(peer);
  }

  /** Registers it and gives its address. Throws PORT_IN_USE. */
  add(transport: MemoryTransport, listen: { readonly host: string; readonly port: number }): string {
    const port = listen.port === 0 ? this.#nextPort++ : listen.port;
    for (const other of this.#started.values()) {
      if (!other.addresses()[0]!.startsWith(`/memory/${listen.host}/${port}/`)) continue;
      throw new QuorateError('PORT_IN_USE', `p2p port ${listen.host}:${port} is in use; set another p2p port`, {
        data: { host: listen.host, port },
      });
    }
    assert(!this.#started.has(transport.self), 'one transport per node key');
    this.#started.set(transport.self, transport);
    return `/memory/${listen.host}/${port}/p2p/${transport.self}`;
  }

  remove(transport: MemoryTransport): void {
    this.#started.delete(transport.self);
  }

  /** Links this one with everyone it should be linked with. */
  linkAll(transport: MemoryTransport): void {
    for (const other of this.#started.values()) if (other !== transport) this.#link(transport, other);
  }

  #link(a: MemoryTransport, b: MemoryTransport): void {
    if (a.isLinked(b.self) || !(a.wants(b.self) || b.wants(a.self))) return;
    const refusals = [a.refusal(b), b.refusal(a)];
    if (refusals.some((refusal) => refusal !== undefined)) return;
    a.attach(b);
    b.attach(a);
    a.announce(b.self);
    b.announce(a.self);
  }
}

class MemoryTransport implements Transport {
  readonly self: string;
  readonly #network: MemoryNetwork;
  readonly #options: TransportOptions;
  readonly #gate: Gate;
  readonly #log: QuietLog;
  readonly #sides = new Map<string, Side>();
  readonly #reconnects = new Map<string, number>();
  readonly #lastError = new Map<string, string>();
  readonly #seen = new Set<string>();
  /** Whom we would dial. */
  #wanted: ReadonlySet<string> = new Set();
  #handlers: TransportHandlers = {};
  #address: string | undefined;
  #stopped = false;

  constructor(network: MemoryNetwork, options: TransportOptions) {
    this.#network = network;
    this.#options = options;
    this.self = peerIdOfPrivateKey(options.privateKey);
    this.#log = new QuietLog({ log: options.log, now: () => this.#now() });
    this.#gate = new Gate({
      self: this.self,
      allowedPeers: options.allowedPeers,
      connectedPeers: () => this.#sides.keys(),
    });
    this.#setPeers(options.validators);
  }

  async start(): Promise<void> {
    assert(this.#address === undefined && !this.#stopped, 'a transport starts once');
    this.#address = this.#network.add(this, this.#options.listen);
    this.#linkSoon();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#handlers = {};
    this.#network.remove(this);
    for (const peer of [...this.#sides.keys()]) this.unlink(peer, 'closed by the peer: the node is stopping');
  }

  send(peer: string, channel: Channel, payload: Bytes): boolean {
    if (payload.length > CHANNEL_LIMITS[channel].frameBytesMax) return false;
    return this.#sides.get(peer)?.out.push(channel, payload) ?? false;
  }

  connected(): readonly string[] {
    return [...this.#sides.keys()];
  }

  setHandlers(handlers: TransportHandlers): void {
    if (!this.#stopped) this.#handlers = handlers;
  }

  publish(topic: Topic, payload: Bytes): void {
    if (payload.length <= GOSSIP_BYTES_MAX[topic]) this.#spread(topic, payload, undefined);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#stopped) return;
    for (const peer of this.#setPeers(peers)) {
      const refusal = this.isLinked(peer) ? this.#gate.refusal(peer) : undefined;
      if (refusal !== undefined) this.unlink(peer, refusal);
    }
    if (this.#address !== undefined) this.#linkSoon();
  }

  addresses(): readonly string[] {
    return this.#address === undefined || this.#stopped ? [] : [this.#address];
  }

  stats(): readonly PeerStats[] {
    return [...new Set([...this.#sides.keys(), ...this.#lastError.keys()])].map((peer) => ({
      peer,
      role: this.#gate.isValidator(peer) ? 'validator' : 'observer',
      up: this.#sides.has(peer),
      upSince: this.#sides.get(peer)?.upSince,
      rttMs: this.#sides.has(peer) ? 0 : undefined,
      reconnects: Math.max(0, (this.#reconnects.get(peer) ?? 0) - 1),
      failures: 0,
      lastError: this.#lastError.get(peer),
      channels: Object.fromEntries(
        CHANNELS.map((channel) => [channel, this.#sides.get(peer)?.out.stats(channel) ?? NO_TRAFFIC]),
      ) as Record<Channel, ChannelStats>,
    }));
  }

  // ---- called by the network and the other side

  isLinked(peer: string): boolean {
    return this.#sides.has(peer);
  }

  /** We would dial it. */
  wants(peer: string): boolean {
    return this.#wanted.has(peer);
  }

  /** Why we refuse the other, said in the log as the real transport says it. */
  refusal(other: MemoryTransport): string | undefined {
    const peer = other.self;
    const closed = this.#gate.refusal(peer);
    const mismatch = closed === undefined ? helloMismatch(this.hello(), other.hello()) : undefined;
    if (closed === undefined && mismatch === undefined) return undefined;
    const reason = closed ?? `peer ${peer} ${mismatch}`;
    this.#lastError.set(peer, reason);
    const message = closed === undefined ? `no link to ${peer}: ${reason}` : `refused peer ${peer}: ${reason}`;
    this.#log.sayOnce(`refused ${peer}`, { level: 'warn', event: 'p2p.refused', message, peer });
    return reason;
  }

  hello(): Hello {
    const { chainId, genesisHash } = this.#options;
    return { version: HELLO_VERSION, chainId, genesisHash, role: this.#role() };
  }

  attach(other: MemoryTransport): void {
    const out = new MemoryPipe({
      deliver: (channel, payload) => other.receive(this.self, channel, payload),
      onDrain: (channel) => this.#call('onDrain', () => this.#handlers.onDrain?.(other.self, channel)),
    });
    this.#sides.set(other.self, { out, upSince: this.#now() });
    this.#reconnects.set(other.self, (this.#reconnects.get(other.self) ?? 0) + 1);
    this.#lastError.delete(other.self);
  }

  announce(peer: string): void {
    this.#log.say({ level: 'info', event: 'p2p.up', message: `link to ${peer} is up`, peer });
    this.#call('onUp', () => this.#handlers.onUp?.(peer));
  }

  receive(from: string, channel: Channel, payload: Bytes): void {
    this.#sides.get(from)?.out.countIn(channel, FRAME_HEADER_BYTES + payload.length);
    this.#call(
      'onMessage',
      () => this.#handlers.onMessage?.(from, channel, payload),
      (reason) => {
        this.unlink(from, reason);
        setTimeout(() => this.#linkSoon(), RELINK_MS);
      },
    );
  }

  receiveGossip(topic: Topic, payload: Bytes, from: string): void {
    if (topic === 'blocks' && !this.#gate.isValidator(from)) return;
    this.#spread(topic, payload, from);
  }

  subscribes(topic: Topic): boolean {
    return (this.#role() === 'validator') === (topic === 'transactions');
  }

  /** Ends the link on both sides. */
  unlink(peer: string, reason: string): void {
    const side = this.#sides.get(peer);
    if (side === undefined) return;
    this.#sides.delete(peer);
    side.out.close();
    this.#lastError.set(peer, reason);
    this.#log.say({ level: 'info', event: 'p2p.down', message: `link to ${peer} is down: ${reason}`, peer });
    this.#call('onDown', () => this.#handlers.onDown?.(peer, reason));
    this.#network.get(peer)?.unlink(this.self, reason);
  }

  // ---- within

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  #role(): Role {
    return this.#gate.isValidator(this.self) ? 'validator' : 'observer';
  }

  /** Gives the peers that are not let in by name any more. */
  #setPeers(peers: readonly PeerAddress[]): ReadonlySet<string> {
    const expelled = this.#gate.setPeers(peers);
    const wanted = peers.filter(({ peer, dialled }) => this.#gate.isValidator(peer) || dialled === true);
    this.#wanted = new Set(wanted.map(({ peer }) => peer));
    return expelled;
  }

  #linkSoon(): void {
    setImmediate(() => {
      if (!this.#stopped) this.#network.linkAll(this);
    });
  }

  /** To every neighbour that subscribes, once per content; to our own handler when it came from another. */
  #spread(topic: Topic, payload: Bytes, from: string | undefined): void {
    const id = createHash('sha256').update(topic).update(payload).digest('base64');
    if (this.#stopped || this.#seen.has(id)) return;
    this.#seen.add(id);
    const copy = Uint8Array.from(payload);
    if (from !== undefined) this.#call('onGossip', () => this.#handlers.onGossip?.(topic, copy, from));
    for (const peer of this.#sides.keys()) {
      const neighbour = this.#network.get(peer);
      if (peer === from || neighbour?.subscribes(topic) !== true) continue;
      setImmediate(() => neighbour.receiveGossip(topic, copy, this.self));
    }
  }

  #call(name: string, action: () => void, onError?: (reason: string) => void): void {
    guarded(action, (error) => {
      const message = `${name} failed: ${errorMessage(error)}`;
      this.#log.sayOnce(`handler ${name}`, { level: 'warn', event: 'p2p.handler', message });
      onError?.(message);
    });
  }
}

const NO_TRAFFIC: ChannelStats = { queuedBytes: 0, bytesIn: 0, bytesOut: 0 };
