/**
 * The transport over libp2p: TCP, noise, yamux. It owns the node, the gate, the links and the redialling; what happens
 * on one connection is in link.ts, on one stream in lane.ts, and how peers' addresses become known in address-exchange.ts.
 *
 * A pair has one link. Of two connections dialled from the same side the newer replaces the older (the peer restarted);
 * of two dialled from both sides the one dialled by the lower peer id stays. Both sides judge the same way, whatever
 * they think of each other's membership.
 */
import './polyfill.ts';
import type { Connection, ConnectionGater, Stream } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { assert, errorMessage } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { announcedAddresses, hostOfAddress } from './address.ts';
import { AddressExchange } from './address-exchange.ts';
import { connectionGater } from './admission.ts';
import { Dialling } from './dialling.ts';
import { Gate } from './gate.ts';
import { Gossip, topicName } from './gossip.ts';
import { AbortReason, asError, guarded } from './guard.ts';
import { HELLO_PROTOCOL, HELLO_VERSION } from './hello.ts';
import { DIAL_MS, HEARTBEAT_MS, SETUP_MS } from './limits.ts';
import { Link, type LinkEnd } from './link.ts';
import { createNode, type Libp2pNode, startNode } from './node-factory.ts';
import { PeerBook } from './peer-book.ts';
import { isDesignatedDialler, peerIdOfPrivateKey } from './peers.ts';
import { QuietLog } from './quiet-log.ts';
import {
  CHANNELS,
  type Channel,
  type PeerAddress,
  type PeerStats,
  type Role,
  TOPICS,
  type Topic,
  type Transport,
  type TransportHandlers,
  type TransportOptions,
} from './transport.ts';

/** How long the last words to the peers may take when we stop. */
const STOP_MS = 1_000;

/** The real transport. Throws KEY_INVALID; nothing listens before `start`. */
export function createLibp2pTransport(options: TransportOptions): Transport {
  return new Libp2pTransport(options);
}

class Libp2pTransport implements Transport {
  readonly self: string;
  readonly #options: TransportOptions;
  readonly #log: QuietLog;
  readonly #gate: Gate;
  readonly #book = new PeerBook();
  /** Every link that has not ended, by connection id. */
  readonly #links = new Map<string, Link>();
  readonly #dialling: Dialling;
  readonly #exchange: AddressExchange;
  /** The peers the chain names. */
  #peers: ReadonlyMap<string, PeerAddress> = new Map();
  /** Multiaddrs we listen on, without our peer id. */
  #bound: ReadonlySet<string> = new Set();
  #handlers: TransportHandlers = {};
  #state: 'new' | 'starting' | 'started' | 'stopped' = 'new';
  #node: Libp2pNode | undefined;
  #gossip: Gossip | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.self = peerIdOfPrivateKey(options.privateKey);
    this.#log = new QuietLog({ log: options.log, now: () => this.#now() });
    this.#gate = new Gate({
      self: this.self,
      allowedPeers: options.allowedPeers,
      connectedPeers: () => this.#node?.getConnections().map((c) => c.remotePeer.toString()) ?? [],
    });
    this.#dialling = new Dialling({
      log: this.#log,
      isDesignated: (peer) =>
        this.#role() === 'observer' || (this.#gate.isValidator(peer) && isDesignatedDialler(this.self, peer)),
      isLinked: (peer) => this.#book.link(peer) !== undefined,
      signed: (peer) => this.#exchange.addressesOf(peer),
      isOwn: (address) => this.#bound.has(address),
      attempt: (peer, addresses) => void this.#dial(peer, addresses),
    });
    const { privateKey, chainId, genesisHash, allowedPeers } = options;
    this.#exchange = new AddressExchange({
      privateKey,
      domain: { chainId, genesisHash },
      allowedPeers,
      storage: options.addressBook,
      log: this.#log,
      wallMs: () => this.#now(),
      now: () => performance.now(),
      send: (peer, notice, payload) => this.#book.link(peer)?.tell(notice, payload) ?? false,
      onNews: (peer) => this.#dialling.addressesChanged(peer),
    });
    this.#setPeers(options.validators);
  }

  async start(): Promise<void> {
    assert(this.#state === 'new', 'a transport starts once');
    this.#state = 'starting';
    const { privateKey, listen, genesisHash } = this.#options;
    const topics = TOPICS.map((topic) => topicName(genesisHash, topic));
    const node = await createNode({ privateKey, listen, gater: this.#gater(), topics });
    await this.#handleStreams(node);
    await this.#exchange.load();
    await startNode(node, listen);
    try {
      if (!this.#isStopped()) await this.#announce(node.getMultiaddrs().map(String));
    } catch (error) {
      await node.stop();
      throw error;
    }
    if (this.#isStopped()) return await node.stop();
    this.#node = node;
    this.#state = 'started';
    this.#gossip = this.#createGossip(node);
    this.#gossip.start();
    this.#heartbeat = setInterval(() => {
      for (const link of this.#book.links()) link.beat();
      this.#exchange.beat();
    }, HEARTBEAT_MS);
    this.#log.say({ level: 'info', event: 'p2p.listening', message: `listening on ${this.addresses().join(', ')}` });
    this.#dialAll();
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#handlers = {};
    clearInterval(this.#heartbeat);
    this.#dialling.stop();
    const node = this.#node;
    const connections = node?.getConnections() ?? [];
    const closed = connections.map((connection) => this.#lastWords(connection));
    await Promise.all(closed);
    await node?.stop();
    await this.#exchange.stop();
  }

  send(peer: string, channel: Channel, payload: Bytes): boolean {
    return this.#book.link(peer)?.send(channel, payload) ?? false;
  }

  connected(): readonly string[] {
    return this.#book.connected();
  }

  setHandlers(handlers: TransportHandlers): void {
    if (this.#state !== 'stopped') this.#handlers = handlers;
  }

  publish(topic: Topic, payload: Bytes): void {
    if (this.#state === 'started') this.#gossip?.publish(topic, payload);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#state === 'stopped') return;
    const expelled = this.#setPeers(peers);
    this.#gossip?.setRole(this.#role());
    if (this.#state === 'started') this.#dialAll();
    for (const link of [...this.#links.values()]) {
      const refusal = expelled.has(link.peer) ? this.#gate.refusal(link.peer) : undefined;
      if (refusal !== undefined) link.refuse(refusal);
      else link.setPeerIsValidator(this.#gate.isValidator(link.peer));
    }
    this.#book.forgetStrangers((peer) => this.#dialling.wants(peer));
  }

  addresses(): readonly string[] {
    return this.#node?.getMultiaddrs().map(String) ?? [];
  }

  stats(): readonly PeerStats[] {
    return this.#book.stats((peer) => (this.#gate.isValidator(peer) ? 'validator' : 'observer'));
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  #isStopped(): boolean {
    return this.#state === 'stopped';
  }

  #role(): Role {
    return this.#gate.isValidator(this.self) ? 'validator' : 'observer';
  }

  // ---- who may connect

  #gater(): ConnectionGater {
    return connectionGater({
      gate: this.#gate,
      log: this.#log,
      now: () => performance.now(),
      connections: () => this.#node?.getConnections() ?? [],
      isKnown: (host) =>
        [...this.#peers.values()].some(({ peer, addresses, hints = [] }) =>
          [...addresses, ...this.#exchange.addressesOf(peer), ...hints].some((text) => hostOfAddress(text) === host),
        ),
    });
  }

  /** Why this link must not become its peer's link. */
  #objection(link: Link): string | undefined {
    if (this.#state === 'stopped') return 'stopping';
    const refusal = this.#gate.refusal(link.peer);
    if (refusal !== undefined) return refusal;
    const current = this.#book.link(link.peer);
    if (current === undefined || current.dialled === link.dialled) return undefined;
    return link.dialled === isDesignatedDialler(this.self, link.peer) ? undefined : 'a link exists already';
  }

  // ---- streams and links

  async #handleStreams(node: Libp2pNode): Promise<void> {
    // More than one, so that a surplus stream reaches us and is refused in words instead of being reset in silence.
    const limits = { maxInboundStreams: 4, maxOutboundStreams: 4 };
    const handle = (protocol: string, accept: (stream: Stream, connection: Connection) => void) =>
      node.handle(
        protocol,
        (stream, connection) =>
          guarded(
            () => accept(stream, connection),
            (error) => stream.abort(asError(error)),
          ),
        limits,
      );
    await handle(HELLO_PROTOCOL, (stream, connection) => this.#acceptHello(stream, connection));
    for (const channel of CHANNELS) {
      await handle(this.#protocol(channel), (stream, connection) => {
        const link = this.#links.get(connection.id);
        if (link === undefined) stream.abort(new AbortReason('no hello yet'));
        else link.acceptChannel(channel, stream);
      });
    }
    node.addEventListener('connection:open', (event) =>
      guarded(
        () => this.#expectHello(event.detail),
        (error) => event.detail.abort(asError(error)),
      ),
    );
  }

  #protocol(channel: Channel): string {
    return `/quorate/${this.#options.genesisHash.slice(2, 18)}/${channel}/1`;
  }

  /** Admitted or not, a connection that says nothing is not kept. */
  #expectHello(connection: Connection): void {
    if (connection.direction !== 'inbound') return;
    const timer = setTimeout(() => {
      if (!this.#links.has(connection.id)) connection.abort(new AbortReason('no hello'));
    }, SETUP_MS);
    connection.addEventListener('close', () => clearTimeout(timer));
  }

  #acceptHello(stream: Stream, connection: Connection): void {
    if (connection.direction !== 'inbound' || this.#links.has(connection.id) || this.#state !== 'started') {
      stream.abort(new AbortReason('hello out of turn'));
      return;
    }
    this.#createLink(connection, false).acceptControl(stream);
  }

  #createLink(connection: Connection, dialled: boolean): Link {
    const peer = connection.remotePeer.toString();
    const { chainId, genesisHash } = this.#options;
    const link = new Link({
      connection,
      peer,
      dialled,
      hello: { version: HELLO_VERSION, chainId, genesisHash, role: this.#role() },
      peerIsValidator: this.#gate.isValidator(peer),
      protocol: (channel) => this.#protocol(channel),
      now: () => performance.now(),
      objection: (candidate) => this.#objection(candidate),
      onUp: (up) => this.#onLinkUp(up),
      onDown: (down, end) => this.#onLinkDown(connection.id, down, end),
      onMessage: (from, channel, payload) => this.#onMessage(from, channel, payload),
      onDrain: (of, channel) => this.#call('onDrain', () => this.#handlers.onDrain?.(of.peer, channel)),
      onNotice: (from, notice, payload) => this.#exchange.onNotice(from.peer, notice, payload),
    });
    this.#links.set(connection.id, link);
    return link;
  }

  #onLinkUp(link: Link): void {
    const { peer } = link;
    this.#book.link(peer)?.close('replaced by a newer connection');
    this.#book.onUp(link, this.#now());
    this.#dialling.linked(peer);
    for (const matter of ['refused', 'failed in', 'failed out']) this.#log.forget(`${matter} ${peer}`);
    this.#log.say({
      level: 'info',
      event: 'p2p.up',
      message: `link to ${peer} is up`,
      peer,
      data: { dialled: link.dialled },
    });
    this.#call('onUp', () => this.#handlers.onUp?.(peer));
    if (this.#book.link(peer) === link) this.#exchange.onUp(peer);
  }

  #onLinkDown(connectionId: string, link: Link, end: LinkEnd): void {
    const { peer } = link;
    this.#links.delete(connectionId);
    if (this.#book.link(peer) === link) {
      this.#book.onDown(link, end.reason);
      this.#gossip?.forget(peer);
      this.#exchange.onDown(peer);
      if (this.#state === 'stopped') return;
      this.#log.say({ level: 'info', event: 'p2p.down', message: `link to ${peer} is down: ${end.reason}`, peer });
      this.#call('onDown', () => this.#handlers.onDown?.(peer, end.reason));
      this.#dialling.failed(peer, end.refused);
      this.#book.forgetStrangers((known) => this.#dialling.wants(known));
    } else if (this.#state !== 'stopped') {
      this.#onAttemptFailed(peer, link.dialled, end);
    }
  }

  /** A link that never was: said once in a while, loudly when it is a matter of configuration. */
  #onAttemptFailed(peer: string, dialled: boolean, end: LinkEnd): void {
    if (this.#book.link(peer) === undefined) {
      if (this.#dialling.wants(peer)) this.#book.onFailure(peer, end.reason);
      const message = `no link to ${peer}: ${end.reason}`;
      const event = end.refused ? 'p2p.refused' : 'p2p.failed';
      this.#log.sayOnce(`failed ${dialled ? 'out' : 'in'} ${peer}`, {
        level: end.refused ? 'warn' : 'info',
        event,
        message,
        peer,
      });
    }
    if (dialled) this.#dialling.failed(peer, end.refused);
  }

  #onMessage(link: Link, channel: Channel, payload: Bytes): void {
    this.#call(
      'onMessage',
      () => this.#handlers.onMessage?.(link.peer, channel, payload),
      (reason) => link.close(reason),
    );
  }

  /** Calls a handler of the node; one that throws is told of and costs at most the link. */
  #call(name: string, action: () => void, onError?: (reason: string) => void): void {
    guarded(action, (error) => {
      const message = `${name} failed: ${errorMessage(error)}`;
      this.#log.sayOnce(`handler ${name}`, { level: 'warn', event: 'p2p.handler', message });
      onError?.(message);
    });
  }

  // ---- addresses and dialling

  /** Gives the peers that are not let in by name any more. */
  #setPeers(peers: readonly PeerAddress[]): ReadonlySet<string> {
    const expelled = this.#gate.setPeers(peers);
    this.#peers = new Map(peers.map((peer) => [peer.peer, peer]));
    this.#exchange.setPeers(peers);
    return expelled;
  }

  /** What we listen on is known now: never dialled, and told to the others. */
  async #announce(bound: readonly string[]): Promise<void> {
    const { announce, listen } = this.#options;
    this.#bound = new Set(bound.map((text) => text.split('/p2p/')[0]!));
    await this.#exchange.announce(announcedAddresses({ peer: this.self, announce, listenHost: listen.host, bound }));
  }

  #dialAll(): void {
    const wanted = [...this.#peers.values()].filter(
      ({ peer, dialled }) => peer !== this.self && (this.#gate.isValidator(peer) || dialled === true),
    );
    this.#dialling.setPeers(wanted);
  }

  /** One attempt; its outcome reaches the redial by the link's end or by `linked`. Never rejects. */
  async #dial(peer: string, addresses: Multiaddr[]): Promise<void> {
    try {
      // `force`: an existing connection may be the stale one we are replacing.
      const connection = await this.#node!.dial(addresses, { signal: AbortSignal.timeout(DIAL_MS), force: true });
      if (this.#isStopped() || !this.#dialling.wants(peer)) connection.abort(new AbortReason('not wanted any more'));
      else await this.#createLink(connection, true).greet();
    } catch (error) {
      if (!this.#isStopped()) this.#onAttemptFailed(peer, true, { reason: dialFailure(error), refused: false });
    }
  }

  // ---- gossip and the end

  #createGossip(node: Libp2pNode): Gossip {
    return new Gossip({
      pubsub: node.services.pubsub,
      genesisHash: this.#options.genesisHash,
      role: this.#role(),
      now: () => performance.now(),
      isLinked: (peer) => this.#book.link(peer) !== undefined,
      isValidator: (peer) => this.#gate.isValidator(peer),
      onMessage: (topic, payload, from) =>
        this.#call('onGossip', () => this.#handlers.onGossip?.(topic, payload, from)),
      onError: (message) =>
        this.#log.sayOnce('gossip', { level: 'warn', event: 'p2p.gossip', message: `gossip failed: ${message}` }),
    });
  }

  /** Says goodbye and waits until it is gone or the time is up; then the connection is cut. */
  async #lastWords(connection: Connection): Promise<void> {
    this.#links.get(connection.id)?.refuse('the node is stopping', { refused: false });
    try {
      await connection.close({ signal: AbortSignal.timeout(STOP_MS) });
    } catch (error) {
      connection.abort(asError(error));
    }
  }
}

/** The innermost words of libp2p's nested dial errors: `connect ECONNREFUSED 10.0.0.1:30300`. */
function dialFailure(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return dialFailure(error.errors.at(-1));
  return errorMessage(error);
}
