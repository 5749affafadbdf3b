/**
 * A validator that means harm: its keys and its place in the set, links to all the others, and no node behind them. It
 * keeps what the others tell it, as material, and sends as fast as the links take it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EpochConfig } from '../../consensus/config.ts';
import type { Message } from '../../consensus/message.ts';
import { decodeMessage } from '../../consensus/message-codec.ts';
import { statementDigest } from '../../consensus/statement.ts';
import { multiaddrOf } from '../../genesis/peer-address.ts';
import { genesisBlock } from '../../ledger/open.ts';
import { chainOf, chainRules, genesisInput } from '../../node/chain.ts';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import { peerIdOfPrivateKey } from '../../p2p/peers.ts';
import type { Channel, Topic, Transport } from '../../p2p/transport.ts';
import { toHex } from '../../primitives/bytes.ts';
import { membershipHash } from '../../primitives/membership.ts';
import { sign } from '../../primitives/secp256k1.ts';
import type { Network } from '../e2e/network.ts';
import { until } from '../e2e/until.ts';
import type { Liar } from '../fuzz/message-mutations.ts';

export type Frame = { readonly channel: Channel; readonly payload: Uint8Array };

/** Messages of one kind kept as material. */
const KEPT_MAX = 100;
/** Frames handed to one link before the next has its turn. */
const FRAMES_PER_TURN = 200;

export class Flooder {
  readonly config: EpochConfig;
  readonly liar: Liar;
  /** What the others said, by kind: the newest of each. */
  readonly heard = new Map<Message['kind'], Message[]>();
  readonly #transport: Transport;
  readonly #peers: readonly string[];

  private constructor(network: Network, index: number) {
    const { genesis, keys, places } = network;
    const rules = chainRules(genesis);
    const { hash: genesisHash } = genesisBlock(rules, genesisInput(genesis)).block;
    this.config = {
      ...chainOf(genesis, genesisHash),
      epoch: 0,
      validators: genesis.validators.map(({ validator }) => validator),
      membershipHash: membershipHash(genesis.validators),
      root: { height: 0, hash: genesisHash },
    };
    const own = keys[index]!;
    this.liar = {
      index,
      incarnation: toHex(new Uint8Array(16).fill(7)),
      sign: (statement) => sign(statementDigest(this.config, statement), own.validator),
    };
    const validators = keys.slice(0, genesis.validators.length).map(({ node }, i) => ({
      peer: peerIdOfPrivateKey(node),
      addresses: [multiaddrOf(places[i]!.p2p)],
    }));
    this.#peers = validators.filter((_, i) => i !== index).map(({ peer }) => peer);
    this.#transport = createLibp2pTransport({
      privateKey: own.node,
      listen: places[index]!.p2p,
      genesisHash,
      chainId: genesis.chainId,
      validators,
      allowedPeers: [],
      log: () => undefined,
    });
    this.#transport.setHandlers({ onMessage: (_peer, channel, payload) => this.#keep(channel, payload) });
  }

  /** Resolves when all the others have let it in. */
  static async start(network: Network, index: number): Promise<Flooder> {
    const flooder = new Flooder(network, index);
    await flooder.#transport.start();
    await flooder.linked();
    return flooder;
  }

  async linked(): Promise<void> {
    await until('the flooder is linked with all', () =>
      this.#peers.every((peer) => this.#transport.connected().includes(peer)),
    );
  }

  #keep(channel: Channel, payload: Uint8Array): void {
    if (channel === 'transactions') return;
    const decoded = decodeMessage(payload, { validators: this.config.validators.length });
    if (!decoded.ok) return;
    const kept = this.heard.get(decoded.message.kind) ?? [];
    kept.push(decoded.message);
    if (kept.length > KEPT_MAX) kept.shift();
    this.heard.set(decoded.message.kind, kept);
  }

  /** Sends these again and again to everybody until the time is over; gives how many frames the links took. */
  async flood(frames: readonly Frame[], ms: number): Promise<number> {
    const next = new Map(this.#peers.map((peer) => [peer, 0]));
    let sent = 0;
    for (const end = performance.now() + ms; performance.now() < end; await nextTurn()) {
      for (const peer of this.#peers) {
        for (let i = 0; i < FRAMES_PER_TURN; i++) {
          const place = next.get(peer)!;
          const { channel, payload } = frames[place % frames.length]!;
          if (!this.#transport.send(peer, channel, payload)) break;
          next.set(peer, place + 1);
          sent++;
        }
      }
    }
    return sent;
  }

  publish(topic: Topic, payload: Uint8Array): void {
    this.#transport.publish(topic, payload);
  }

  stop(): Promise<void> {
    return this.#transport.stop();
  }
}
