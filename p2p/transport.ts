/**
 * What the node needs from a network: authenticated peers, four independent ordered channels to each of them, and gossip
 * to whoever is not a validator. The libp2p transport is the real one; the memory transport is the same contract inside
 * one process. `test/compliance/transport.ts` holds both to it.
 *
 * What a transport promises: frames of one channel arrive whole, in order and at most once while a link is up. What it
 * does not promise: that an accepted frame arrives (a link that breaks loses what is in flight), so the layers above
 * send again on `onUp`. Peers are named by their peer id, which is their node key (see peers.ts), proven by the handshake.
 */
import type { Bytes, Hash } from '../primitives/ids.ts';

/** A link's lanes, in flushing order: consensus never waits behind bulk. */
export const CHANNELS = ['consensus', 'blocks', 'transactions', 'sync'] as const;
export type Channel = (typeof CHANNELS)[number];

export const TOPICS = ['transactions', 'blocks'] as const;
/** What is gossiped: transactions from observers to validators, final blocks from validators to observers. */
export type Topic = (typeof TOPICS)[number];

export type Role = 'validator' | 'observer';

/** Callbacks into the node. All are called synchronously; one that throws costs the link, never the process. */
export type TransportHandlers = {
  /** One whole frame. The payload may be kept: it is never written to again. */
  onMessage?(peer: string, channel: Channel, payload: Bytes): void;
  /** A link is up: both sides have said hello and agree on chain and genesis. */
  onUp?(peer: string): void;
  onDown?(peer: string, reason: string): void;
  /** A gossiped payload from `from`, the neighbour that passed it on, not its author: the content must prove itself. */
  onGossip?(topic: Topic, payload: Bytes, from: string): void;
  /** A queue that refused a frame is empty again. */
  onDrain?(peer: string, channel: Channel): void;
};

/** A peer the chain knows and where it may be reached. */
export type PeerAddress = {
  readonly peer: string;
  /**
   * `validator` (the default): linked with always, dialled for ever. `admitted`: let in like an observer, dialled only
   * when `dialled` says so; for members of earlier sets and candidates of open proposals.
   */
  readonly standing?: 'validator' | 'admitted';
  /** An admitted peer is dialled as well: a candidate that may not find the validators by itself. */
  readonly dialled?: boolean;
  /** Multiaddrs, with or without `/p2p/<peer>`; those named first are tried first. */
  readonly addresses: readonly string[];
  /** Further ones, tried after `addresses` and after those that the peer has signed itself: genesis, proposals. */
  readonly hints?: readonly string[];
};

/** Where the addresses that peers have signed survive a restart: one text, replaced as a whole. */
export type AddressStorage = {
  /** What was saved last; undefined when nothing was. A rejection is logged and means nothing was. */
  load(): Promise<string | undefined>;
  /** A rejection is logged; what is newer is saved the next time something changes. */
  save(text: string): Promise<void>;
};

export type ChannelStats = { readonly queuedBytes: number; readonly bytesIn: number; readonly bytesOut: number };

export type PeerStats = {
  readonly peer: string;
  readonly role: Role;
  readonly up: boolean;
  /** Milliseconds since the epoch at which the present link came up. */
  readonly upSince: number | undefined;
  /** Round trip of the last heartbeat that was answered. */
  readonly rttMs: number | undefined;
  /** How often a link to this peer has come up again after the first time. */
  readonly reconnects: number;
  /** Failed attempts since the link was last up, and what the last one said. */
  readonly failures: number;
  readonly lastError: string | undefined;
  readonly channels: Readonly<Record<Channel, ChannelStats>>;
};

/** Something worth a log line. `warn` is for what a person may have to act on; repeated ones are already rate-limited. */
export type TransportEvent = {
  readonly level: 'debug' | 'info' | 'warn';
  readonly event: string;
  readonly message: string;
  readonly peer?: string;
  readonly data?: Readonly<Record<string, unknown>>;
};

export type TransportOptions = {
  /** Node key: 32 bytes, secp256k1. */
  readonly privateKey: Bytes;
  readonly listen: { readonly host: string; readonly port: number };
  readonly genesisHash: Hash;
  readonly chainId: number;
  /** The validators (this node too, when it is one) and the others the chain admits. */
  readonly validators: readonly PeerAddress[];
  /** Other peer ids that are admitted; `*` admits up to 50 of any. */
  readonly allowedPeers: readonly string[];
  /**
   * Where others find this node: TCP multiaddrs that it signs and its peers pass on. Default: what it listens on, or of a
   * wildcard the public addresses among its interfaces. The memory transport has no addresses to tell.
   */
  readonly announce?: readonly string[];
  /** Default: signed addresses of peers are forgotten at the end. */
  readonly addressBook?: AddressStorage;
  readonly log: (event: TransportEvent) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
};

export interface Transport {
  /** Our peer id. */
  readonly self: string;
  /** Listens and begins dialling. Rejects with PORT_IN_USE when the port is taken, CONFIG_INVALID for a wrong `announce`. */
  start(): Promise<void>;
  /** Closes every link and the port. A stopped transport is not started again. */
  stop(): Promise<void>;
  /** Queues one frame. False: no link to this peer, its queue is full, or the frame is over its channel's bound. Never throws. */
  send(peer: string, channel: Channel, payload: Bytes): boolean;
  /** Peers whose link is up. */
  connected(): readonly string[];
  setHandlers(handlers: TransportHandlers): void;
  /** Hands a payload to the topic's mesh; nothing happens when nobody subscribes. */
  publish(topic: Topic, payload: Bytes): void;
  /**
   * The validators and the others the chain admits, from now on. Links to peers that are neither any more are closed, and
   * no other link is: a candidate that becomes a validator keeps its link, and so does a validator that stays admitted.
   */
  setPeers(peers: readonly PeerAddress[]): void;
  /** The multiaddrs we are bound to, with our peer id; empty before start. */
  addresses(): readonly string[];
  stats(): readonly PeerStats[];
}
