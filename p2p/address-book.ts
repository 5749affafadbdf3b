/**
 * The newest address record of each peer this node knows by name, and its own. A record is kept when its key is a known
 * peer's, its sequence is greater than the one held, and its signature holds, in this order, so that what is known
 * already costs no signature check. No input and no output: who is told is address-exchange.ts, the file address-store.ts.
 */
import { equalBytes, toHex } from '../primitives/bytes.ts';
import type { Bytes } from '../primitives/ids.ts';
import { publicKey } from '../primitives/secp256k1.ts';
import {
  type AddressRecord,
  encodeAddressRecord,
  parseAddressRecord,
  type RecordDomain,
  signAddressRecord,
  verifyAddressRecord,
} from './address-record.ts';
import { RECORDS_MAX } from './limits.ts';
import { nodeKeyOfPeerId } from './peers.ts';

/** A peer whose record is kept. `allowed`: by our configuration alone, so it is not passed on. */
export type Subject = { readonly peer: string; readonly named: 'validator' | 'admitted' | 'allowed' };

/** What became of a record. `refused`: whoever sent it breaks the protocol, since nobody keeps or passes on such a one. */
export type Taken =
  | { readonly kind: 'kept'; readonly subject: Subject; readonly record: AddressRecord }
  | { readonly kind: 'known' | 'stranger' | 'overtaken' }
  | { readonly kind: 'refused'; readonly reason: string };

export type AddressBookOptions = {
  readonly privateKey: Bytes;
  readonly domain: RecordDomain;
};

export class AddressBook {
  readonly #options: AddressBookOptions;
  readonly #ownKey: string;
  /** By node key. Both are replaced by `setSubjects`; records of keys that are no subjects any more go with them. */
  #subjects: ReadonlyMap<string, Subject> = new Map();
  readonly #records = new Map<string, AddressRecord>();
  /** Node key of each subject, since computing it costs a curve operation. */
  #keys: ReadonlyMap<string, string> = new Map();
  #own: AddressRecord | undefined;
  /** The greatest sequence seen under our own key, whoever signed it. */
  #ownSequence = 0;
  #overtaken = false;

  constructor(options: AddressBookOptions) {
    this.#options = options;
    this.#ownKey = toHex(publicKey(options.privateKey));
  }

  /** The peers whose records are kept from now on. Gives the node keys that were not among them before. */
  setSubjects(subjects: readonly Subject[]): readonly string[] {
    const before = this.#subjects;
    const keys = new Map<string, string>();
    const byKey = new Map<string, Subject>();
    for (const subject of subjects) {
      const nodeKey = this.#keys.get(subject.peer) ?? nodeKeyOfPeerId(subject.peer);
      if (nodeKey === undefined || nodeKey === this.#ownKey || byKey.has(nodeKey)) continue;
      keys.set(subject.peer, nodeKey);
      byKey.set(nodeKey, subject);
    }
    this.#keys = keys;
    this.#subjects = byKey;
    for (const nodeKey of this.#records.keys()) if (!byKey.has(nodeKey)) this.#records.delete(nodeKey);
    return [...byKey.keys()].filter((nodeKey) => !before.has(nodeKey));
  }

  /** Judges one record as it came from a peer or a file, and keeps it if it is news. */
  take(payload: Bytes): Taken {
    const parsed = parseAddressRecord(payload);
    if (!parsed.ok) return { kind: 'refused', reason: parsed.reason };
    const { record } = parsed;
    if (record.nodeKey === this.#ownKey) return this.#takeOwn(record);
    const subject = this.#subjects.get(record.nodeKey);
    const held = this.#records.get(record.nodeKey);
    if (subject === undefined) return { kind: 'stranger' };
    if (held !== undefined && held.sequence >= record.sequence) return { kind: 'known' };
    if (held === undefined && subject.named !== 'validator' && this.#records.size >= RECORDS_MAX) {
      return { kind: 'stranger' };
    }
    if (!verifyAddressRecord(record, this.#options.domain)) return FORGED;
    this.#records.set(record.nodeKey, record);
    return { kind: 'kept', subject, record };
  }

  /** Signs these as our own addresses from now on, newer than anything our key has signed as far as we know. */
  sign(addresses: readonly string[], nowMs: number): void {
    // The largest number is not exceeded: a record of ours that carries it can be replaced by none.
    const sequence = Math.min(Number.MAX_SAFE_INTEGER, Math.max(nowMs, this.#ownSequence + 1));
    this.#own = signAddressRecord({ sequence, addresses }, this.#options.privateKey, this.#options.domain);
    this.#ownSequence = sequence;
    this.#overtaken = false;
  }

  /** A record under our key that is not the one signed last is at least as new: peers that hold it do not take ours. */
  get overtaken(): boolean {
    return this.#overtaken;
  }

  get ownKey(): string {
    return this.#ownKey;
  }

  get ownAddresses(): readonly string[] {
    return this.#own?.addresses ?? [];
  }

  /** What the peer has signed as its addresses; none when it has said nothing. */
  addressesOf(peer: string): readonly string[] {
    const nodeKey = this.#keys.get(peer);
    return (nodeKey === undefined ? undefined : this.#records.get(nodeKey)?.addresses) ?? [];
  }

  /** Node keys whose records are told to others: our own, and those of peers that the chain names. */
  toldKeys(): string[] {
    const told = [...this.#records.keys()].filter((nodeKey) => this.#subjects.get(nodeKey)!.named !== 'allowed');
    return this.#own === undefined ? told : [this.#ownKey, ...told];
  }

  /** The record of a node key, encoded, if it is one that is told to others. */
  told(nodeKey: string): Bytes | undefined {
    if (nodeKey === this.#ownKey) return this.#own && encodeAddressRecord(this.#own);
    const record = this.#records.get(nodeKey);
    if (record === undefined || this.#subjects.get(nodeKey)?.named === 'allowed') return undefined;
    return encodeAddressRecord(record);
  }

  /** All there is to save. */
  records(): readonly AddressRecord[] {
    return [...(this.#own === undefined ? [] : [this.#own]), ...this.#records.values()];
  }

  /** Our own record, from another life, another copy of the key, or come back. */
  #takeOwn(record: AddressRecord): Taken {
    const own = this.#own;
    const isOurs = own?.sequence === record.sequence && equalBytes(own.signature, record.signature);
    if (isOurs || record.sequence < this.#ownSequence) return { kind: 'known' };
    if (!verifyAddressRecord(record, this.#options.domain)) return FORGED;
    this.#ownSequence = record.sequence;
    this.#overtaken = true;
    return { kind: 'overtaken' };
  }
}

const FORGED: Taken = { kind: 'refused', reason: 'an address record that its node key did not sign for this chain' };
