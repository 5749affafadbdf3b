/**
 * Gossip with observers: their transactions to the validators, final blocks to them. Content proves itself (it is signed
 * by those who made it), so gossipsub signs nothing (StrictNoSign: 15 times the throughput) and names a message by the
 * hash of its content. Validators do not subscribe to blocks, they have them from consensus; observers do not subscribe
 * to transactions, so they carry nobody else's.
 */
import './polyfill.ts';
import { createHash } from 'node:crypto';
import {
  type GossipSub,
  type GossipsubMessage,
  type GossipsubOpts,
  type Message,
  StrictNoSign,
  TopicValidatorResult,
} from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { errorMessage } from '../primitives/errors.ts';
import type { Bytes, Hash } from '../primitives/ids.ts';
import { guarded } from './guard.ts';
import {
  GOSSIP_BYTES_MAX,
  GOSSIP_BYTES_PER_SECOND,
  GOSSIP_MESSAGES_PER_SECOND,
  GOSSIP_OUTBOUND_BUFFER_BYTES,
  GOSSIP_SEEN_MS,
} from './limits.ts';
import { Rate } from './rate.ts';
import { type Role, TOPICS, type Topic } from './transport.ts';

/** Room for the envelope around the largest payload. */
const ENVELOPE_BYTES = 64 * 1024;

/** `/quorate/<first 8 bytes of the genesis hash>/<topic>`: two chains never share a topic. */
export function topicName(genesisHash: Hash, topic: Topic): string {
  return `/quorate/${genesisHash.slice(2, 18)}/${topic}`;
}

function contentId(message: Message): Uint8Array {
  return createHash('sha256').update(message.topic).update(message.data).digest();
}

export function gossipOptions(topics: readonly string[]): Partial<GossipsubOpts> {
  return {
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: contentId,
    fallbackToFloodsub: false,
    allowedTopics: [...topics],
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    doPX: false,
    emitSelf: false,
    tagMeshPeers: false,
    seenTTL: GOSSIP_SEEN_MS,
    maxInboundStreams: 4,
    maxOutboundStreams: 4,
    maxInboundDataLength: Math.max(...Object.values(GOSSIP_BYTES_MAX)) + ENVELOPE_BYTES,
    maxOutboundBufferSize: GOSSIP_OUTBOUND_BUFFER_BYTES,
    maxTopicBytesPerPeer: ENVELOPE_BYTES,
    decodeRpcLimits: {
      maxSubscriptions: 16,
      maxMessages: 1_000,
      maxIhaveMessageIDs: 5_000,
      maxIwantMessageIDs: 5_000,
      maxControlMessages: 100,
      maxIdontwantMessageIDs: 512,
      maxPeerInfos: 16,
    },
  };
}

export type GossipOptions = {
  readonly pubsub: GossipSub;
  readonly genesisHash: Hash;
  readonly role: Role;
  readonly now: () => number;
  /** A link to this peer is up: it runs our genesis. */
  readonly isLinked: (peer: string) => boolean;
  readonly isValidator: (peer: string) => boolean;
  readonly onMessage: (topic: Topic, payload: Bytes, from: string) => void;
  readonly onError: (message: string) => void;
};

export class Gossip {
  readonly #options: GossipOptions;
  readonly #topics: ReadonlyMap<string, Topic>;
  readonly #rates = new Map<string, Rate>();

  constructor(options: GossipOptions) {
    this.#options = options;
    this.#topics = new Map(TOPICS.map((topic) => [topicName(options.genesisHash, topic), topic]));
  }

  /** Subscribes; the pubsub service must be started. */
  start(): void {
    const { pubsub, onError } = this.#options;
    for (const [name, topic] of this.#topics) {
      pubsub.topicValidators.set(name, (peer, message) => this.#judge(topic, peer, message));
    }
    pubsub.addEventListener('gossipsub:message', (event) =>
      guarded(
        () => this.#onMessage(event.detail),
        (error) => onError(errorMessage(error)),
      ),
    );
    this.setRole(this.#options.role);
  }

  /** What is subscribed to follows from the role, which a new validator set may change. */
  setRole(role: Role): void {
    const { pubsub } = this.#options;
    const subscribed = new Set(pubsub.getTopics());
    for (const [name, topic] of this.#topics) {
      const wanted = role === 'validator' ? topic === 'transactions' : topic === 'blocks';
      if (wanted && !subscribed.has(name)) pubsub.subscribe(name);
      if (!wanted && subscribed.has(name)) pubsub.unsubscribe(name);
    }
  }

  publish(topic: Topic, payload: Bytes): void {
    const { pubsub, genesisHash, onError } = this.#options;
    if (payload.length > GOSSIP_BYTES_MAX[topic]) {
      onError(`${topic} payload of ${payload.length} bytes is too long`);
      return;
    }
    const name = topicName(genesisHash, topic);
    // Without subscribers gossipsub would still hash the payload and keep it for those that come later.
    if (pubsub.getSubscribers(name).length === 0) return;
    pubsub.publish(name, payload).catch((error) => onError(errorMessage(error)));
  }

  /** The peer's link is down. */
  forget(peer: string): void {
    this.#rates.delete(peer);
  }

  #judge(topic: Topic, peer: PeerId, message: Message): TopicValidatorResult {
    const from = peer.toString();
    if (message.data.length > GOSSIP_BYTES_MAX[topic]) return TopicValidatorResult.Reject;
    if (!this.#options.isLinked(from)) return TopicValidatorResult.Ignore;
    // Blocks come from validators alone: observers have them to read, not to spread.
    if (topic === 'blocks' && !this.#options.isValidator(from)) return TopicValidatorResult.Ignore;
    return this.#rate(from).charge(message.data.length, 1) > 0
      ? TopicValidatorResult.Ignore
      : TopicValidatorResult.Accept;
  }

  #rate(peer: string): Rate {
    const known = this.#rates.get(peer);
    if (known !== undefined) return known;
    const rate = new Rate({
      bytesPerSecond: GOSSIP_BYTES_PER_SECOND,
      framesPerSecond: GOSSIP_MESSAGES_PER_SECOND,
      now: this.#options.now,
    });
    this.#rates.set(peer, rate);
    return rate;
  }

  #onMessage({ msg, propagationSource }: GossipsubMessage): void {
    const topic = this.#topics.get(msg.topic);
    // A copy: the data is a view of the whole packet it came in.
    if (topic !== undefined) this.#options.onMessage(topic, new Uint8Array(msg.data), propagationSource.toString());
  }
}
