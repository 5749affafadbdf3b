/**
 * What one peer may cost us by asking and by being wrong. Reading blocks from the store, looking up signatures and
 * checking signatures that turn out bad all take far longer than sending the message that makes us do it, and the lanes
 * of the network bound only frames and bytes. No correct peer comes near these bounds; one that does is a flood, and what
 * it says is left unread until it has slowed down. Nothing is lost by that: the protocol sends again what matters.
 */
import type { Trace } from '../consensus/effect.ts';
import type { Message } from '../consensus/message.ts';
import { type DecodedMessage, decodeMessage } from '../consensus/message-codec.ts';
import { WIRE_LIMITS } from '../consensus/wire-numbers.ts';
import { type Allowance, Rate } from '../p2p/rate.ts';
import type { Bytes } from '../primitives/ids.ts';

/** Requests for blocks answered in a second, and bytes of answers: far above what a node that catches up can execute. */
const FETCHES_PER_SECOND = 100;
const SERVED_BYTES_PER_SECOND = 64 * 1024 * 1024;
/** ASKs come once per Δ, START-EPOCHs as often; both make us answer. */
const ASKS_PER_SECOND = 50;
const START_EPOCHS_PER_SECOND = 20;
/** SUSPECTs, alone or in CHAINs, and rows in them: a signature is checked for each. A chain is read whole, and then paid for. */
const SUSPECTS_PER_SECOND = 4096;
/** Messages that no correct peer sends: malformed, badly signed, about blocks that are none. */
const WRONG_PER_SECOND = 50;
/** Peers remembered; whoever comes back after it was forgotten begins anew. */
const PEERS_MAX = 1024;

/** What the limits are about; `wrong` is any message that should not have been sent. */
type Subject = 'fetch' | 'ask' | 'start' | 'suspect' | 'wrong';

const ALLOWANCES: Readonly<Record<Subject, Allowance>> = {
  fetch: { framesPerSecond: FETCHES_PER_SECOND, bytesPerSecond: SERVED_BYTES_PER_SECOND },
  ask: { framesPerSecond: ASKS_PER_SECOND, bytesPerSecond: Number.MAX_SAFE_INTEGER },
  start: { framesPerSecond: START_EPOCHS_PER_SECOND, bytesPerSecond: Number.MAX_SAFE_INTEGER },
  suspect: { framesPerSecond: SUSPECTS_PER_SECOND, bytesPerSecond: Number.MAX_SAFE_INTEGER },
  wrong: { framesPerSecond: WRONG_PER_SECOND, bytesPerSecond: Number.MAX_SAFE_INTEGER },
};

const SUBJECTS: Partial<Record<Message['kind'], Subject>> = {
  'FETCH-FINAL': 'fetch',
  'FETCH-BODIES': 'fetch',
  ASK: 'ask',
  'START-EPOCH': 'start',
  SUSPECT: 'suspect',
  CHAIN: 'suspect',
};

/** Reasons for which only a liar's message, or one of a broken program, is refused. */
const WRONG: ReadonlySet<string> = new Set(['bad-signature', 'bad-certificate', 'bad-block']);

/** Messages name validators of any epoch, whose number is known only once they are read. */
export function decodeAny(payload: Bytes): DecodedMessage {
  return decodeMessage(payload, { validators: WIRE_LIMITS.validators });
}

/** A peer by its node key, and by the number that traces call it by. */
export type Speaker = { readonly peer: string; readonly number: number };

type Rates = Partial<Record<Subject, Rate>>;

/** Of the messages that are counted by what there is to check in them; 1 of the others. */
function signaturesIn(message: Message): number {
  if (message.kind !== 'CHAIN') return 1 + (message.kind === 'SUSPECT' ? message.rows.length : 0);
  return message.suspects.reduce((sum, { rows }) => sum + 1 + rows.length, 0);
}

export class PeerLimits {
  readonly #now: () => number;
  readonly #onTrace: (trace: Trace) => void;
  readonly #peers = new Map<string, Rates>();

  constructor({ now, onTrace }: { readonly now: () => number; readonly onTrace: (trace: Trace) => void }) {
    this.#now = now;
    this.#onTrace = onTrace;
  }

  #rate(peer: string, subject: Subject): Rate {
    let rates = this.#peers.get(peer);
    if (rates === undefined) {
      const [oldest] = this.#peers.keys();
      if (oldest !== undefined && this.#peers.size >= PEERS_MAX) this.#peers.delete(oldest);
      rates = {};
      this.#peers.set(peer, rates);
    }
    rates[subject] ??= new Rate({ ...ALLOWANCES[subject], now: this.#now });
    return rates[subject];
  }

  /** What a peer says; undefined when it is malformed or one of too many, which is traced. */
  read({ peer, number }: Speaker, payload: Bytes): Message | undefined {
    const refuse = (message: string, reason: string): undefined => {
      this.#onTrace({ name: 'rejected', from: number, message, reason });
    };
    const wrong = this.#peers.get(peer)?.wrong;
    if (wrong !== undefined && wrong.charge(0, 0) > 0) return refuse('anything', 'too-many-wrong');
    const decoded = decodeAny(payload);
    if (!decoded.ok) {
      this.#rate(peer, 'wrong').charge(0, 1);
      return refuse('undecodable', decoded.reason);
    }
    const { message } = decoded;
    const subject = SUBJECTS[message.kind];
    if (subject === undefined) return message;
    const rate = this.#rate(peer, subject);
    if (rate.charge(0, 0) > 0) return refuse(message.kind, 'too-often');
    rate.charge(0, signaturesIn(message));
    return message;
  }

  /** Blocks of so many bytes are on their way to it. */
  onServed(peer: string, bytes: number): void {
    this.#rate(peer, 'fetch').charge(bytes, 0);
  }

  /** What came of a message: only what is said of its own sender counts. */
  onTrace({ peer, number }: Speaker, trace: Trace): void {
    const isWrong =
      (trace.name === 'conflict' && trace.signer === number) ||
      (trace.name === 'rejected' && trace.from === number && WRONG.has(trace.reason));
    if (isWrong) this.#rate(peer, 'wrong').charge(0, 1);
  }
}
