/**
 * Transactions on their way to whichever primary comes next (consensus.md sections 4 and 5): what one node accepts goes
 * to every validator in batches, again to a new primary, and again to one that lets it wait. A transaction that waited
 * too long although blocks had room is reported as overdue by followers, after one last reminder; the other nodes offer
 * it again.
 */
import type { Pool } from '../ledger/pool.ts';
import { TRANSACTION_BYTES_MAX, type Transaction, type TransactionResult } from '../ledger/transaction.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { RlpError, rlpDecode, rlpEncode } from '../primitives/rlp.ts';

export type SubmitOutcome = { readonly hash: Hash } | { readonly code: number; readonly message: string };

export type RelayOptions = {
  readonly pool: Pool;
  readonly decode: (raw: Bytes) => TransactionResult;
  /** To a validator, by its node key. */
  readonly send: (to: string, payload: Bytes) => boolean;
  /** Node keys of the other validators, as they are now. */
  readonly validators: () => readonly string[];
  readonly defer: (callback: () => void) => void;
  readonly now: () => number;
  readonly requestTimeoutMs: number;
  /** Nonce of an account on top of what is in flight. */
  readonly nonceOf: (address: Address) => number;
  readonly onPoolChanged: () => void;
};

/** Whom this node looks at, whether it is one who judges, and the times of the present epoch. */
type ViewOfPrimary = {
  readonly primary: string;
  readonly judged: boolean;
  readonly patienceMs: number;
  readonly deltaMs: number;
};

/** Raw transactions in one frame. */
const BATCH_BYTES_MAX = 256 * 1024;
/** Received transactions waiting to be checked; what is over it is dropped, its sender announces it again. */
const INBOX_MAX = 16_384;
const INBOX_BYTES_MAX = 64 * 1024 * 1024;
/** Of these, from one peer: whoever floods leaves room for the others. */
const INBOX_PEER_MAX = 8192;
const INBOX_PEER_BYTES_MAX = 16 * 1024 * 1024;
/** Items in a frame of transactions: many more than honest ones are in a frame of that length. */
const BATCH_ITEMS_MAX = 8192;
/** Transactions checked before other work gets a turn: signatures cost about 60 µs each. */
const CHECKED_PER_TURN = 64;
/** Transactions sent again to a new primary or a new link. */
const REANNOUNCED_MAX = 4096;
/** How often the oldest waiting transaction is looked at. */
const OVERDUE_CHECK_MS = 100;
/** What waits for so long at a node that is no follower is announced again: far longer than a busy primary's backlog. */
const REPEATED_AFTER_MS = 10_000;

/** A raw transaction and the peer it came from; `forward`: that is no validator, so the others may not have it. */
type Received = { readonly raw: Bytes; readonly from: string; readonly forward: boolean };

export class TransactionRelay {
  readonly #options: RelayOptions;
  #outbox: Bytes[] = [];
  #flushing = false;
  readonly #inbox: Received[] = [];
  #inboxBytes = 0;
  /** What of the inbox came from each peer that has something in it. */
  readonly #inboxOf = new Map<string, { count: number; bytes: number }>();
  #checking = false;
  /** When each transaction of the pool was last handed to the present primary, by hash; absent: when the view began. */
  readonly #handed = new Map<Hash, number>();
  #viewSince = 0;
  #lastBlockAt = 0;
  /** When the latest of the transactions that the present primary took into a block was handed to it. */
  #newestTaken = 0;
  #lastCheck = 0;
  #reminded: { readonly hash: Hash; readonly at: number } | undefined;
  #remindedOfAllAt = Number.NEGATIVE_INFINITY;
  #repeatedAt = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    options.pool.onAdd((transaction) => this.#handed.set(transaction.hash, options.now()));
  }

  /** From a client: checked at once, pooled, passed on. */
  submit(raw: Bytes): SubmitOutcome {
    const result = this.#add(raw);
    if (!('hash' in result)) return result;
    this.#forward(raw);
    this.#options.onPoolChanged();
    return result;
  }

  #add(raw: Bytes): SubmitOutcome {
    const { pool, decode } = this.#options;
    const hash = keccakHash(raw);
    if (pool.isKnown(hash)) return { code: -32000, message: 'already known' };
    const decoded = decode(raw);
    if (!decoded.ok) return { code: decoded.code, message: decoded.message };
    const added = pool.add(decoded.transaction);
    return added.ok ? { hash } : { code: added.code, message: added.message };
  }

  /** A frame of transactions from a peer. Only what comes from outside the validators is passed on. */
  onBatch(payload: Bytes, { from, forward }: Pick<Received, 'from' | 'forward'>): void {
    const own = this.#inboxOf.get(from) ?? { count: 0, bytes: 0 };
    for (const raw of decodeBatch(payload)) {
      if (raw.length > TRANSACTION_BYTES_MAX) continue;
      if (this.#inbox.length >= INBOX_MAX || this.#inboxBytes + raw.length > INBOX_BYTES_MAX) break;
      if (own.count >= INBOX_PEER_MAX || own.bytes + raw.length > INBOX_PEER_BYTES_MAX) break;
      // A copy: the frame it came in is larger and would be kept alive by it.
      this.#inbox.push({ raw: Uint8Array.from(raw), from, forward });
      this.#inboxBytes += raw.length;
      own.count++;
      own.bytes += raw.length;
    }
    if (own.count > 0) this.#inboxOf.set(from, own);
    if (!this.#checking && this.#inbox.length > 0) {
      this.#checking = true;
      this.#options.defer(() => this.#check());
    }
  }

  #check(): void {
    for (const received of this.#inbox.splice(0, CHECKED_PER_TURN)) {
      this.#leavesInbox(received);
      if ('hash' in this.#add(received.raw) && received.forward) this.#forward(received.raw);
    }
    this.#options.onPoolChanged();
    this.#checking = this.#inbox.length > 0;
    if (this.#checking) this.#options.defer(() => this.#check());
  }

  #leavesInbox({ raw, from }: Received): void {
    this.#inboxBytes -= raw.length;
    const own = this.#inboxOf.get(from)!;
    own.count--;
    own.bytes -= raw.length;
    if (own.count === 0) this.#inboxOf.delete(from);
  }

  #forward(raw: Bytes): void {
    this.#outbox.push(raw);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#options.defer(() => {
      this.#flushing = false;
      const raws = this.#outbox;
      this.#outbox = [];
      this.#announce(raws, this.#options.validators());
    });
  }

  #announce(raws: readonly Bytes[], to: readonly string[]): void {
    for (const payload of encodeBatches(raws)) for (const peer of to) this.#options.send(peer, payload);
  }

  #reannounce(to: string): void {
    const raws: Bytes[] = [];
    for (const transaction of this.#options.pool.transactions()) {
      if (raws.length >= REANNOUNCED_MAX) break;
      raws.push(transaction.raw);
    }
    if (raws.length > 0) this.#announce(raws, [to]);
  }

  /** A link is up: what its peer missed while it was down. */
  onConnected(peer: string): void {
    this.#reannounce(peer);
  }

  /** A new primary has its time from now on, and everything that waits. */
  onViewInstalled(primary: string): void {
    this.#viewSince = this.#options.now();
    this.#handed.clear();
    this.#newestTaken = 0;
    if (this.#options.validators().includes(primary)) this.#reannounce(primary);
  }

  /** A block of the present primary was executed here: what is the latest it took in? */
  onBlock(transactions: readonly Transaction[]): void {
    this.#lastBlockAt = this.#options.now();
    // An empty block had room for everything.
    if (transactions.length === 0) this.#newestTaken = this.#lastBlockAt;
    for (const { hash } of transactions) {
      const handed = this.#handed.get(hash);
      if (handed !== undefined && handed > this.#newestTaken) this.#newestTaken = handed;
    }
  }

  /** True when the primary is to be accused of leaving a transaction out. Reminds it first. */
  overdue(view: ViewOfPrimary): boolean {
    const now = this.#options.now();
    if (now - this.#lastCheck < OVERDUE_CHECK_MS) return false;
    this.#lastCheck = now;
    this.#forgetHanded();
    const oldest = this.#oldestExecutable();
    if (oldest === undefined || !view.judged) {
      this.#reminded = undefined;
      if (oldest !== undefined) this.#repeat(oldest, view.primary);
      return false;
    }
    const since = Math.max(this.#viewSince, this.#handed.get(oldest.hash) ?? 0);
    const patience = Math.max(this.#options.requestTimeoutMs, view.patienceMs);
    // A primary with a backlog takes what came first; one that took what came this much later had room for this one.
    // And one that cuts no block at all for that long while this one waits serves no backlog.
    const idle = now - Math.max(since, this.#lastBlockAt) >= patience;
    const passedOver = idle || this.#newestTaken > since + patience;
    if (now - since < patience || !passedOver) return false;
    if (this.#reminded?.hash !== oldest.hash) {
      this.#reminded = { hash: oldest.hash, at: now };
      this.#announce([oldest.raw], [view.primary]);
      // Who lacks one may lack many, and reminded of them one by one would need this patience for each.
      if (now - this.#remindedOfAllAt >= patience) {
        this.#remindedOfAllAt = now;
        this.#reannounce(view.primary);
      }
      return false;
    }
    return now - this.#reminded.at > 2 * view.deltaMs;
  }

  /**
   * Who is no follower judges nobody, but what it took from a client may have been refused by all the others, who saw a
   * gap before it then: they are offered it again, lest it waits here for a new link.
   */
  #repeat(oldest: Transaction, primary: string): void {
    const validators = this.#options.validators();
    const now = this.#options.now();
    const since = Math.max(this.#viewSince, this.#handed.get(oldest.hash) ?? 0, this.#repeatedAt);
    if (now - since < REPEATED_AFTER_MS || !validators.includes(primary)) return;
    this.#repeatedAt = now;
    for (const peer of validators) this.#reannounce(peer);
  }

  #oldestExecutable(): Transaction | undefined {
    for (const transaction of this.#options.pool.transactions()) {
      const nonce = this.#options.nonceOf(transaction.from);
      if (transaction.nonce === nonce) return transaction;
    }
    return undefined;
  }

  #forgetHanded(): void {
    if (this.#handed.size < 2 * this.#options.pool.size + 1024) return;
    for (const hash of this.#handed.keys()) if (!this.#options.pool.has(hash)) this.#handed.delete(hash);
  }
}

/** RLP lists of raw transactions, each below the frame bound. */
function* encodeBatches(raws: readonly Bytes[]): Generator<Bytes, void, void> {
  let batch: Bytes[] = [];
  let bytes = 0;
  for (const raw of raws) {
    if (batch.length > 0 && bytes + raw.length > BATCH_BYTES_MAX) {
      yield rlpEncode(batch);
      [batch, bytes] = [[], 0];
    }
    batch.push(raw);
    bytes += raw.length;
  }
  if (batch.length > 0) yield rlpEncode(batch);
}

/** Transactions of a frame; none when it is not a list of byte strings. */
export function decodeBatch(payload: Bytes): Bytes[] {
  try {
    const items = rlpDecode(payload, BATCH_ITEMS_MAX);
    if (!Array.isArray(items)) return [];
    return items.filter((item): item is Bytes => !Array.isArray(item));
  } catch (error) {
    if (error instanceof RlpError) return [];
    throw error;
  }
}

/** One transaction, or several, as a frame: for gossip from observers. */
export function encodeBatch(raws: readonly Bytes[]): Bytes {
  return rlpEncode(raws);
}
