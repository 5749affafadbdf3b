/**
 * createLibp2p with the settings that were measured to be safe for a small permissioned mesh. Each one that differs from
 * the default stands here because the default broke something: a connection monitor that aborts healthy connections, a
 * limit of five inbound connections a second from one address, a window larger than the buffer behind it, peer records
 * that expire. Tuned together with link.ts; change one only with the compliance tests at hand.
 */
import './polyfill.ts';
import { isIP } from 'node:net';
import { noise } from '@chainsafe/libp2p-noise';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { gossipOptions } from './gossip.ts';
import { DIAL_MS } from './limits.ts';
import { libp2pPrivateKey } from './peers.ts';

export type Libp2pNode = Libp2p<{ pubsub: GossipSub; identify: Identify }>;

const MIB = 1024 * 1024;
/** Far above what the gate lets in: libp2p's own pruning must never choose which validator to drop. */
const CONNECTIONS_MAX = 1_000;
const PENDING_CONNECTIONS_MAX = 128;
const INBOUND_PER_SECOND_PER_HOST_MAX = 1_000;
/** Streams of one connection: control, four channels, identify and gossip each way, and as much again to spare. */
const STREAMS_MAX = 64;

export type NodeOptions = {
  readonly privateKey: Bytes;
  readonly listen: { readonly host: string; readonly port: number };
  readonly gater: ConnectionGater;
  readonly topics: readonly string[];
};

/** A node that is not started yet. Throws KEY_INVALID. */
export async function createNode(options: NodeOptions): Promise<Libp2pNode> {
  return await createLibp2p({
    start: false,
    privateKey: libp2pPrivateKey(options.privateKey),
    nodeInfo: { name: 'quorate', version: '1', userAgent: 'quorate' },
    addresses: { listen: [listenAddress(options.listen)] },
    transports: [tcp({ inboundSocketInactivityTimeout: 30_000, outboundSocketInactivityTimeout: 30_000 })],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        keepAliveInterval: 10_000,
        maxInboundStreams: STREAMS_MAX,
        maxOutboundStreams: STREAMS_MAX,
        streamOptions: {
          // The buffer must be larger than the window: a paused stream fills the window and would abort itself.
          maxStreamWindowSize: 8 * MIB,
          maxReadBufferLength: 32 * MIB,
          maxWriteBufferLength: 64 * MIB,
        },
      }),
    ],
    connectionGater: options.gater,
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      inboundConnectionThreshold: INBOUND_PER_SECOND_PER_HOST_MAX,
      maxIncomingPendingConnections: PENDING_CONNECTIONS_MAX,
      dialTimeout: DIAL_MS + 1_000,
      addressDialTimeout: DIAL_MS - 1_000,
      // Half of the default: whoever connects and says nothing holds one of the pending places meanwhile.
      inboundUpgradeTimeout: 5_000,
      reconnectRetries: 0,
      // As they were given (dialling.ts): the default puts loopback last and public addresses first.
      addressSorter: () => 0,
    },
    connectionMonitor: { enabled: false },
    peerStore: { maxAddressAge: Number.POSITIVE_INFINITY, maxPeerAge: Number.POSITIVE_INFINITY },
    services: { identify: identify(), pubsub: gossipsub(gossipOptions(options.topics)) },
  });
}

/** Starts listening. Throws PORT_IN_USE naming the address, or CONFIG_INVALID when it cannot be listened on. */
export async function startNode(
  node: Libp2pNode,
  listen: { readonly host: string; readonly port: number },
): Promise<void> {
  try {
    await node.start();
  } catch (error) {
    await node.stop();
    const where = `${listen.host}:${listen.port}`;
    // libp2p folds the causes into one message; the system's code is the only stable part of it.
    if (/EADDRINUSE/.test(errorMessage(error))) {
      throw new QuorateError('PORT_IN_USE', `p2p port ${where} is in use; stop what uses it or set another p2p port`, {
        data: { host: listen.host, port: listen.port },
        cause: error,
      });
    }
    if (/EACCES|EADDRNOTAVAIL|ENOTFOUND|could not be listened|failed to be listened/i.test(errorMessage(error))) {
      throw new QuorateError('CONFIG_INVALID', `cannot listen for p2p on ${where}; check the p2p host and port`, {
        data: { host: listen.host, port: listen.port },
        cause: error,
      });
    }
    throw error;
  }
}

function listenAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  const address = host === 'localhost' ? '127.0.0.1' : host;
  const family = isIP(address);
  if (family === 0) {
    throw new QuorateError('CONFIG_INVALID', `p2p host ${host} is not an IP address; use the address to listen on`, {
      data: { host },
    });
  }
  return `/ip${family}/${address}/tcp/${port}`;
}
