/**
 * Between transport and host: peers are validator indices to the host and peer ids to the transport; observers are
 * served and listened to for transactions, and hear of final blocks by gossip.
 */
import { decodeMessage } from '../consensus/message-codec.ts';
import type { Channel, PeerAddress, Transport } from '../p2p/transport.ts';
import type { Bytes } from '../primitives/ids.ts';
import type { Host } from './host.ts';
import { encodeBatch } from './transaction-relay.ts';

export type NetworkOptions = {
  readonly transport: Transport;
  /** Validators' peers by index. */
  readonly peers: readonly PeerAddress[];
  readonly self: number;
};

export class Network {
  readonly #options: NetworkOptions;
  readonly #indexOf: ReadonlyMap<string, number>;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#indexOf = new Map(options.peers.map(({ peer }, index) => [peer, index]));
  }

  /** To a validator. False: not connected or its queue is full. */
  send(to: number, channel: Channel, payload: Bytes): boolean {
    return this.#options.transport.send(this.#options.peers[to]!.peer, channel, payload);
  }

  toObservers(channel: Channel, payload: Bytes): void {
    for (const peer of this.#options.transport.connected()) {
      if (!this.#indexOf.has(peer)) this.#options.transport.send(peer, channel, payload);
    }
  }

  /** An observer is in touch with some validators only: its clients' transactions go by gossip too. */
  gossip(raw: Bytes): void {
    if (this.#options.self < 0) this.#options.transport.publish('transactions', encodeBatch([raw]));
  }

  attach(host: Host): void {
    this.#options.transport.setHandlers({
      onMessage: (peer, channel, payload) => {
        const index = this.#indexOf.get(peer);
        if (index !== undefined) {
          host.onMessage(index, channel, payload);
          return;
        }
        const answer = host.onObserverMessage(channel, payload);
        if (answer !== undefined) this.#options.transport.send(peer, 'sync', answer);
      },
      onUp: (peer) => {
        const index = this.#indexOf.get(peer);
        if (index !== undefined) host.onConnected(index);
      },
      onGossip: (topic, payload) => {
        if (topic === 'transactions') host.relay.onBatch(payload, true);
        else this.#onGossipedBlock(host, payload);
      },
    });
  }

  /** A final block proves itself, so it does not matter who passed it on; it counts as a word of its first signer. */
  #onGossipedBlock(host: Host, payload: Bytes): void {
    const decoded = decodeMessage(payload, { validators: this.#options.peers.length });
    if (!decoded.ok || decoded.message.kind !== 'FINAL') return;
    const signer = decoded.message.proof.seals[0]?.signer;
    if (signer !== undefined && signer !== this.#options.self) host.onMessage(signer, 'blocks', payload);
  }
}
