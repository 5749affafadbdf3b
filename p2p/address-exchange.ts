/**
 * How address records spread (consensus.md section 11): a link that comes up is told our own record and those of peers
 * that the chain names; a record that is news is told once to every other link; and when the chain names new peers, the
 * links are asked for their records, since one that arrived earlier was a stranger's and not kept. What a link is still
 * owed is a set of node keys, not a queue of records: of a peer that signs all day only the newest goes out, at most once
 * a second, and nothing here grows with what arrives.
 */
import type { Bytes } from '../primitives/ids.ts';
import { AddressBook, type Subject } from './address-book.ts';
import { encodeAsk, parseAsk, type RecordDomain } from './address-record.ts';
import { AddressStore } from './address-store.ts';
import { ASKED_MAX, RECORDS_PER_SECOND, RENEWAL_MS } from './limits.ts';
import type { QuietLog } from './quiet-log.ts';
import type { AddressStorage, PeerAddress } from './transport.ts';

/** Frames of the control stream that carry this: a record, and a request for records. */
export type Notice = 'address' | 'ask';

export type AddressExchangeOptions = {
  /** Node key: 32 bytes. */
  readonly privateKey: Bytes;
  readonly domain: RecordDomain;
  readonly allowedPeers: readonly string[];
  readonly storage: AddressStorage | undefined;
  readonly log: QuietLog;
  /** Milliseconds since the epoch. */
  readonly wallMs: () => number;
  /** Milliseconds on a clock that does not go back. */
  readonly now: () => number;
  /** To a peer whose link is up. False: there is no room now. */
  readonly send: (peer: string, notice: Notice, payload: Bytes) => boolean;
  /** The addresses that this peer has signed are others now. */
  readonly onNews: (peer: string) => void;
};

export class AddressExchange {
  readonly #options: AddressExchangeOptions;
  readonly #book: AddressBook;
  readonly #store: AddressStore;
  /** For each peer whose link is up: node keys whose records it is still to be told. */
  readonly #owed = new Map<string, Set<string>>();
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(options: AddressExchangeOptions) {
    this.#options = options;
    this.#book = new AddressBook(options);
    this.#store = new AddressStore({
      storage: options.storage,
      records: () => this.#book.records(),
      onProblem: (message) => options.log.sayOnce('saved', { level: 'warn', event: 'p2p.saved', message }),
    });
  }

  /** Reads back what was saved, of the peers named by now. Never rejects. */
  async load(): Promise<void> {
    for (const payload of await this.#store.load()) {
      const taken = this.#book.take(payload);
      if (taken.kind !== 'refused') continue;
      const message = `a saved address record was ignored: ${taken.reason}`;
      this.#options.log.sayOnce('saved record', { level: 'warn', event: 'p2p.saved', message });
    }
  }

  /** Signs our own record for this life. It is saved before anybody is told. */
  async announce(addresses: readonly string[]): Promise<void> {
    this.#book.sign(addresses, this.#options.wallMs());
    await this.#store.save();
  }

  /** The peers the chain names from now on. */
  setPeers(peers: readonly PeerAddress[]): void {
    const subjects: Subject[] = peers.map(({ peer, standing }) => ({ peer, named: standing ?? 'validator' }));
    for (const peer of this.#options.allowedPeers) if (peer !== '*') subjects.push({ peer, named: 'allowed' });
    const added = this.#book.setSubjects(subjects);
    for (let at = 0; at < added.length; at += ASKED_MAX) {
      const payload = encodeAsk(added.slice(at, at + ASKED_MAX));
      for (const peer of this.#owed.keys()) this.#options.send(peer, 'ask', payload);
    }
  }

  /** What the peer has signed as its addresses. */
  addressesOf(peer: string): readonly string[] {
    return this.#book.addressesOf(peer);
  }

  onUp(peer: string): void {
    this.#owed.set(peer, new Set(this.#book.toldKeys()));
    this.#pay(peer);
  }

  onDown(peer: string): void {
    this.#owed.delete(peer);
  }

  /** A frame from a peer whose link is up. Gives the reason when it breaks the protocol. */
  onNotice(from: string, notice: Notice, payload: Bytes): string | undefined {
    return notice === 'address' ? this.#onRecord(from, payload) : this.#onAsk(from, payload);
  }

  /** Called every second. */
  beat(): void {
    const now = this.#options.now();
    if (this.#book.overtaken && now - this.#renewedAt >= RENEWAL_MS) {
      this.#renewedAt = now;
      this.#book.sign(this.#book.ownAddresses, this.#options.wallMs());
      this.#store.changed();
      for (const owed of this.#owed.values()) owed.add(this.#book.ownKey);
    }
    for (const peer of this.#owed.keys()) this.#pay(peer);
  }

  /** Saves what is not saved yet. */
  async stop(): Promise<void> {
    this.#owed.clear();
    await this.#store.flush();
  }

  #onRecord(from: string, payload: Bytes): string | undefined {
    const taken = this.#book.take(payload);
    if (taken.kind === 'refused') return taken.reason;
    if (taken.kind === 'overtaken') {
      const message =
        'a peer holds newer addresses under our node key: the clock went back, or another node runs with a copy of it';
      this.#options.log.sayOnce('overtaken', { level: 'warn', event: 'p2p.overtaken', message });
    }
    if (taken.kind !== 'kept') return undefined;
    const { peer, named } = taken.subject;
    const { nodeKey, addresses } = taken.record;
    const message = `addresses of ${peer}: ${addresses.join(', ') || 'none'}`;
    this.#options.log.sayOnce(`record ${peer}`, { level: 'debug', event: 'p2p.record', message, peer });
    this.#store.changed();
    if (named !== 'allowed') {
      for (const [other, owed] of this.#owed) if (other !== from && other !== peer) owed.add(nodeKey);
    }
    // Whoever passes it on has it.
    this.#owed.get(from)?.delete(nodeKey);
    this.#options.onNews(peer);
    return undefined;
  }

  #onAsk(from: string, payload: Bytes): string | undefined {
    const parsed = parseAsk(payload, ASKED_MAX);
    if (!parsed.ok) return parsed.reason;
    const owed = this.#owed.get(from);
    for (const nodeKey of parsed.nodeKeys) if (this.#book.told(nodeKey) !== undefined) owed?.add(nodeKey);
    return undefined;
  }

  /** Tells a link what it is owed, up to a beat's share; what finds no room waits for the next beat. */
  #pay(peer: string): void {
    const owed = this.#owed.get(peer)!;
    let paid = 0;
    for (const nodeKey of owed) {
      if (paid === RECORDS_PER_SECOND) return;
      const payload = this.#book.told(nodeKey);
      if (payload !== undefined && !this.#options.send(peer, 'address', payload)) return;
      owed.delete(nodeKey);
      paid++;
    }
  }
}
