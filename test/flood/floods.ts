/** What a malicious validator floods the others with: something of every kind of message, and of every channel. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Message, SignedMessage, Vote } from '../../consensus/message.ts';
import { encodeMessage } from '../../consensus/message-codec.ts';
import type { Statement } from '../../consensus/statement.ts';
import { channelOf } from '../../node/channel.ts';
import { CHANNEL_LIMITS } from '../../p2p/limits.ts';
import { CHANNELS } from '../../p2p/transport.ts';
import { toHex } from '../../primitives/bytes.ts';
import { rlpEncode } from '../../primitives/rlp.ts';
import type { Member } from '../e2e/members.ts';
import type { Endpoint } from '../e2e/relay.ts';
import { mutated } from '../fuzz/message-mutations.ts';
import { makeRandom, pick, type Random } from '../fuzz/random.ts';
import { SAMPLE_MESSAGES } from '../unit/consensus/wire-samples.ts';
import type { Flooder, Frame } from './flooder.ts';

/** Who is flooded, and the malicious validator that may do it. */
export type Target = {
  readonly flooder: Flooder;
  readonly honest: readonly Member[];
  /** Where the honest ones listen for peers. */
  readonly doors: readonly Endpoint[];
};

/** Floods for so long; gives how much was sent, in whatever it counts. */
export type Flood = { readonly name: string; readonly run: (target: Target, ms: number) => Promise<number> };

const FRAMES = 300;
const MIB = 1024 * 1024;

function frameOf(message: Message): Frame {
  return { channel: channelOf(message), payload: encodeMessage(message) };
}

function bytes(random: Random, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += 64) out[at] = random(256);
  return out;
}

function hash(random: Random): string {
  return toHex(Uint8Array.from({ length: 32 }, () => random(256)));
}

/** Newest final block that any of the others told of. */
function height({ heard }: Flooder): number {
  const heartbeats = (heard.get('HEARTBEAT') ?? []) as (Message & { kind: 'HEARTBEAT' })[];
  return Math.max(0, ...heartbeats.map(({ final }) => final));
}

function view({ heard }: Flooder): number {
  const heartbeats = (heard.get('HEARTBEAT') ?? []) as (Message & { kind: 'HEARTBEAT' })[];
  return Math.max(0, ...heartbeats.map((message) => message.view));
}

function signed({ liar }: Flooder, statement: Omit<Statement, 'signer' | 'incarnation'>): SignedMessage {
  const unsigned = { ...statement, signer: liar.index, incarnation: liar.incarnation } as Statement;
  return { ...unsigned, signature: liar.sign(unsigned) } as SignedMessage;
}

/** The same frames, made once, sent again and again. */
function repeated(name: string, make: (flooder: Flooder, random: Random, i: number) => Frame, count = FRAMES): Flood {
  return {
    name,
    run: async ({ flooder }, ms) => {
      const random = makeRandom(name.length);
      const frames = Array.from({ length: count }, (_, i) => make(flooder, random, i));
      return flooder.flood(frames, ms);
    },
  };
}

function vote(flooder: Flooder, random: Random): Omit<Vote, 'signer' | 'incarnation' | 'signature' | 'kind'> {
  const at = height(flooder) + random(8);
  const viewCertificate = ((flooder.heard.get('COMMIT') ?? []).at(-1) as Vote | undefined)?.viewCertificate ?? '';
  return { epoch: 0, view: view(flooder), viewCertificate, height: at, hash: hash(random) as Vote['hash'] };
}

const noise = CHANNELS.map((channel) =>
  repeated(
    `noise on ${channel}`,
    (_, random, i) => ({ channel, payload: bytes(random, i % 10 === 0 ? CHANNEL_LIMITS[channel].frameBytesMax : 500) }),
    20,
  ),
);

/** Real messages of one kind, of this very run where there are any, changed and signed anew. */
function changed(kind: Message['kind']): Flood {
  return {
    name: `${kind}, changed`,
    run: async ({ flooder }, ms) => {
      const random = makeRandom(kind.length);
      const heard = flooder.heard.get(kind) ?? [];
      const material = heard.length > 0 ? heard : [SAMPLE_MESSAGES[kind]];
      const donors = [...flooder.heard.values()].flat();
      const frames: Frame[] = material.slice(-5).map(frameOf);
      for (let tries = 0; frames.length < FRAMES && tries < 10 * FRAMES; tries++) {
        try {
          frames.push(
            frameOf(mutated(random, pick(random, material), donors.length > 0 ? donors : material, flooder.liar)),
          );
        } catch {
          // Changed into something that cannot be written.
        }
      }
      return flooder.flood(frames, ms);
    },
  };
}

const KINDS = Object.keys(SAMPLE_MESSAGES) as Message['kind'][];

const requests: Flood[] = [
  repeated('FETCH-FINAL from the first block on', (_, _random, i) =>
    frameOf({ kind: 'FETCH-FINAL', nonce: i, from: 1 }),
  ),
  repeated('FETCH-BODIES of the newest block', (flooder, random, i) => {
    const final = (flooder.heard.get('FINAL') ?? []).at(-1) as (Message & { kind: 'FINAL' }) | undefined;
    const { hash: newest, height: at } = final?.proof ?? vote(flooder, random);
    return frameOf({ kind: 'FETCH-BODIES', nonce: i, hash: newest, height: at, floor: 1 });
  }),
  repeated('ASK', (_, _random, i) => frameOf({ kind: 'ASK', epoch: 0, nonce: i })),
  repeated('HEARTBEAT of a node far ahead', (flooder, random) =>
    frameOf({
      ...SAMPLE_MESSAGES.HEARTBEAT,
      epoch: random(3),
      view: view(flooder) + random(3),
      final: height(flooder) + random(2 ** 31),
      head: height(flooder),
      tick: random(2 ** 31),
      echo: random(2 ** 31),
    }),
  ),
];

const costly: Flood[] = [
  repeated('votes with bad signatures', (flooder, random) => {
    const seal = { signer: flooder.liar.index, incarnation: flooder.liar.incarnation, signature: bytes(random, 65) };
    return frameOf({ kind: 'COMMIT', ...vote(flooder, random), ...seal });
  }),
  repeated('votes for blocks that nobody has', (flooder, random) =>
    frameOf(signed(flooder, { kind: 'COMMITTED', ...vote(flooder, random) } as never) as Vote),
  ),
  repeated('votes of views to come', (flooder, random) =>
    frameOf(
      signed(flooder, { kind: 'COMMIT', ...vote(flooder, random), view: 1000 + random(10_000) } as never) as Vote,
    ),
  ),
  repeated(
    'chains of accusations from views to come',
    (flooder, random) => {
      const suspect = (at: number) =>
        signed(flooder, { kind: 'SUSPECT', epoch: 0, view: at, target: at + 1, accused: [0], rows: [] } as never);
      const from = view(flooder) + 1 + random(100_000);
      return frameOf({ kind: 'CHAIN', suspects: Array.from({ length: 200 }, (_, i) => suspect(from + i)) as never });
    },
    10,
  ),
  ...(['FINAL', 'START-EPOCH'] as const).map((kind) =>
    repeated(
      `${kind} of a large block that is none`,
      (flooder, random) => {
        const sample = SAMPLE_MESSAGES.FINAL.proof;
        const proof = { ...sample, epoch: 0, height: height(flooder) + 1 + random(100) };
        return frameOf({ kind, block: bytes(random, 2 * MIB), proof });
      },
      20,
    ),
  ),
  repeated(
    'BLOCKS that nobody asked for',
    (_, random, i) =>
      frameOf({ kind: 'BLOCKS', nonce: i, blocks: [{ block: bytes(random, 2 * MIB), proof: undefined }] }),
    20,
  ),
  repeated(
    'PROPOSALs by one who does not lead',
    (flooder, random) => {
      const prepare = signed(flooder, { kind: 'PREPARE', ...vote(flooder, random) } as never) as Vote;
      return frameOf({ kind: 'PROPOSAL', prepare, block: bytes(random, 2 * MIB) });
    },
    20,
  ),
];

const transactions: Flood[] = [
  repeated(
    'transactions of one byte, a hundred thousand in a frame',
    (_, random) => ({
      channel: 'transactions',
      payload: rlpEncode(Array.from({ length: 100_000 }, () => Uint8Array.of(random(256)))),
    }),
    5,
  ),
  repeated(
    'transactions of the greatest length',
    (_, random) => ({
      channel: 'transactions',
      payload: rlpEncode(Array.from({ length: 3 }, () => bytes(random, 128 * 1024))),
    }),
    20,
  ),
  repeated(
    'one small transaction in a frame of the greatest length',
    (_, random) => ({
      channel: 'transactions',
      payload: rlpEncode([bytes(random, 100), [bytes(random, MIB / 2 - 200)]]),
    }),
    20,
  ),
  {
    name: 'gossip',
    run: async ({ flooder }, ms) => {
      const random = makeRandom(1);
      let sent = 0;
      for (const end = performance.now() + ms; performance.now() < end; await nextTurn(), sent++) {
        const payload = bytes(random, 100_000);
        payload.set(Buffer.from(String(sent)));
        flooder.publish(random(2) === 0 ? 'transactions' : 'blocks', payload);
      }
      return sent;
    },
  },
];

export const MESSAGE_FLOODS: readonly Flood[] = [
  ...requests,
  ...costly,
  ...transactions,
  ...noise,
  ...KINDS.map(changed),
];
