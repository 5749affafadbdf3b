/**
 * Between transport and host: peers are node keys to the host and peer ids to the transport, one computed from the other.
 * Whom the transport links with follows the present epoch and the open proposals (consensus.md section 11).
 */
import { nodeKeyOfPeerId, peerIdOfNodeKey } from '../p2p/peers.ts';
import type { Channel, PeerAddress, Transport } from '../p2p/transport.ts';
import { assert } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import type { Host } from './host.ts';
import type { Snapshots } from './state-sync/snapshots.ts';
import { encodeBatch } from './transaction-relay.ts';

/** Peers whose ids are remembered. */
const REMEMBERED_MAX = 1024;

export class Network {
  readonly #transport: Transport;
  readonly #peerIds = new Map<string, string>();
  readonly #nodeKeys = new Map<string, string | undefined>();
  /** Peer ids of the present validators. */
  #validators: ReadonlySet<string> = new Set();
  #snapshots: Snapshots | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  #peerId(nodeKey: string): string {
    let id = this.#peerIds.get(nodeKey);
    if (id === undefined) {
      id = peerIdOfNodeKey(nodeKey);
      assert(id !== undefined, `${nodeKey} is no node key`);
      if (this.#peerIds.size >= REMEMBERED_MAX) this.#peerIds.clear();
      this.#peerIds.set(nodeKey, id);
    }
    return id;
  }

  #nodeKey(peer: string): string | undefined {
    if (!this.#nodeKeys.has(peer)) {
      if (this.#nodeKeys.size >= REMEMBERED_MAX) this.#nodeKeys.clear();
      this.#nodeKeys.set(peer, nodeKeyOfPeerId(peer));
    }
    return this.#nodeKeys.get(peer);
  }

  /** False: not connected, its queue is full, or it is held back for now. */
  send(nodeKey: string, channel: Channel, payload: Bytes): boolean {
    if (channel === 'sync' && this.#snapshots?.holdsBack(payload)) return false;
    return this.#transport.send(this.#peerId(nodeKey), channel, payload);
  }

  /** To everybody in touch but the present validators. */
  toObservers(channel: Channel, payload: Bytes): void {
    for (const peer of this.#transport.connected()) {
      if (!this.#validators.has(peer)) this.#transport.send(peer, channel, payload);
    }
  }

  /** The validators, and the others that the chain lets in, from now on. */
  setPeers(peers: readonly PeerAddress[]): void {
    this.#validators = new Set(peers.filter(({ standing }) => standing !== 'admitted').map(({ peer }) => peer));
    this.#transport.setPeers(peers);
  }

  /** Peers in touch. */
  connected(): string[] {
    return this.#transport.connected().flatMap((peer) => this.#nodeKey(peer) ?? []);
  }

  attach(host: Host, snapshots: Snapshots): void {
    this.#snapshots = snapshots;
    this.#transport.setHandlers({
      onMessage: (peer, channel, payload) => {
        const from = this.#nodeKey(peer);
        if (from === undefined || (channel === 'sync' && snapshots.onMessage(from, payload))) return;
        host.onMessage(from, channel, payload);
      },
      onUp: (peer) => {
        const from = this.#nodeKey(peer);
        if (from === undefined) return;
        host.onConnected(from);
        snapshots.onUp(from);
      },
      onDown: (peer) => {
        const from = this.#nodeKey(peer);
        if (from !== undefined) snapshots.onDown(from);
      },
      onGossip: (topic, payload, from) => {
        if (topic === 'transactions') host.relay.onBatch(payload, { from, forward: true });
        else host.onGossipedBlock(payload);
      },
    });
  }

  /** An observer is in touch with some validators only: its clients' transactions go by gossip too. */
  gossip(raw: Bytes): void {
    this.#transport.publish('transactions', encodeBatch([raw]));
  }
}
