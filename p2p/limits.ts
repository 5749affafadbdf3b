/**
 * Every bound of the network on one page (see docs/limits.md). Each one exists because without it a peer, admitted or
 * not, could make this process hold unbounded memory or spend unbounded time.
 */
import type { Channel, Topic } from './transport.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export type ChannelLimits = {
  /** Longest payload of one frame, sent or received. */
  readonly frameBytesMax: number;
  /** What may wait to be sent to one peer; a send over it is refused. */
  readonly queueBytesMax: number;
  /** What one turn of the event loop hands to the stream, so that bulk lets small frames pass between. */
  readonly turnBytesMax: number;
  /** What one validator may send us per second before its stream is paused; an observer gets `OBSERVER_SHARE` of it. */
  readonly bytesPerSecond: number;
  readonly framesPerSecond: number;
};

export const CHANNEL_LIMITS: Readonly<Record<Channel, ChannelLimits>> = {
  consensus: {
    frameBytesMax: MIB,
    queueBytesMax: 8 * MIB,
    turnBytesMax: MIB,
    bytesPerSecond: 32 * MIB,
    framesPerSecond: 5_000,
  },
  blocks: {
    frameBytesMax: 16 * MIB,
    queueBytesMax: 64 * MIB,
    turnBytesMax: 256 * KIB,
    bytesPerSecond: 128 * MIB,
    framesPerSecond: 5_000,
  },
  transactions: {
    frameBytesMax: 512 * KIB,
    queueBytesMax: 16 * MIB,
    turnBytesMax: 256 * KIB,
    bytesPerSecond: 32 * MIB,
    framesPerSecond: 5_000,
  },
  sync: {
    frameBytesMax: 16 * MIB,
    queueBytesMax: 16 * MIB + 5,
    turnBytesMax: 128 * KIB,
    bytesPerSecond: 128 * MIB,
    framesPerSecond: 2_000,
  },
};

/** The stream of greetings, heartbeats and address records. */
export const CONTROL_LIMITS: ChannelLimits = {
  frameBytesMax: 2 * KIB,
  queueBytesMax: 64 * KIB,
  turnBytesMax: 64 * KIB,
  bytesPerSecond: 64 * KIB,
  framesPerSecond: 100,
};

/** An observer may cost a sixteenth of what a validator may. */
export const OBSERVER_SHARE = 1 / 16;

export const GOSSIP_BYTES_MAX: Readonly<Record<Topic, number>> = { transactions: MIB, blocks: 16 * MIB };
/** Gossip taken from one neighbour per second; more is ignored and not passed on. */
export const GOSSIP_BYTES_PER_SECOND = 32 * MIB;
export const GOSSIP_MESSAGES_PER_SECOND = 5_000;
export const GOSSIP_OUTBOUND_BUFFER_BYTES = 32 * MIB;
/** How long a payload is remembered as seen; sooner than that it is not gossiped again. */
export const GOSSIP_SEEN_MS = 30_000;

/** Peers admitted by `*` alone, at one time. */
export const OPEN_OBSERVERS_MAX = 50;
/** Connections of one admitted peer at one time: the live one, one that replaces it, and stale ones not yet found dead. */
export const CONNECTIONS_PER_PEER_MAX = 6;

export const HEARTBEAT_MS = 1_000;
/** Heartbeats without a byte from the peer after which its link is dead. */
export const SILENT_HEARTBEATS_MAX = 5;
/** From connection to link. */
export const SETUP_MS = 10_000;
export const DIAL_MS = 4_000;
export const REDIAL_MIN_MS = 100;
export const REDIAL_MAX_MS = 1_000;
/** After a refusal (another genesis, not admitted): nothing changes until a person changes it. */
export const REDIAL_REFUSED_MS = 3_000;
/** How long the side that should not dial waits for the one that should. */
export const SECOND_DIALLER_MS = 3_000;

/** Addresses in one signed record: all of them may be dialled. */
export const RECORD_ADDRESSES_MAX = 8;
/** Of one such address, as text. A full record stays below a control frame. */
export const ADDRESS_BYTES_MAX = 128;
/** Records kept of peers that are not validators now; those of validators are kept beyond it. */
export const RECORDS_MAX = 1_024;
/** Records sent on one link in a second: well below what the control stream may carry, so that heartbeats pass. */
export const RECORDS_PER_SECOND = 25;
/** Node keys in one request for records. */
export const ASKED_MAX = 32;
/** Between two records that we sign because a newer one under our key was about: two processes with one key. */
export const RENEWAL_MS = 60_000;
/** Changes of the kept records are gathered for so long before they are saved. */
export const SAVE_MS = 5_000;
/** Of the saved records, as text; a longer file is not ours. */
export const SAVED_CHARS_MAX = 4 * MIB;
