/** An address exchange without a network: what it sends is written down, what it hears is what a test hands it. */
import { AddressExchange, type Notice } from '../../../p2p/address-exchange.ts';
import { encodeAddressRecord, parseAddressRecord, signAddressRecord } from '../../../p2p/address-record.ts';
import { peerIdOfPrivateKey } from '../../../p2p/peers.ts';
import { QuietLog } from '../../../p2p/quiet-log.ts';
import type { AddressStorage, PeerAddress, TransportEvent } from '../../../p2p/transport.ts';
import { toHex } from '../../../primitives/bytes.ts';
import { publicKey, randomPrivateKey } from '../../../primitives/secp256k1.ts';

export const domain = { chainId: 1, genesisHash: '0x' + '11'.repeat(32) };
export const WALL_MS = 1_700_000_000_000;

/** A peer that signs records. */
export class Signer {
  readonly key = randomPrivateKey();
  readonly peer = peerIdOfPrivateKey(this.key);
  readonly nodeKey = toHex(publicKey(this.key));

  record(sequence: number, ...addresses: string[]) {
    return signAddressRecord({ sequence, addresses }, this.key, domain);
  }

  says(sequence: number, port = 30_300): Uint8Array {
    return encodeAddressRecord(this.record(sequence, `/ip4/10.0.0.1/tcp/${port}`));
  }
}

export class MemoryStorage implements AddressStorage {
  text: string | undefined;
  saves = 0;
  failing = false;

  async load() {
    if (this.failing) throw new Error('no such disk');
    return this.text;
  }
  async save(text: string) {
    if (this.failing) throw new Error('no space left');
    this.text = text;
    this.saves++;
  }
}

type Sent = { readonly to: string; readonly notice: Notice; readonly payload: Uint8Array };

/** One node's exchange; its links are whatever was brought up. */
export class Node {
  readonly signer: Signer;
  readonly storage: MemoryStorage;
  readonly sent: Sent[] = [];
  readonly news: string[] = [];
  readonly events: TransportEvent[] = [];
  readonly clock = { now: 0, wallMs: WALL_MS };
  room = Number.POSITIVE_INFINITY;
  readonly exchange: AddressExchange;

  constructor(options: { signer?: Signer; storage?: MemoryStorage; allowed?: string[] } = {}) {
    this.signer = options.signer ?? new Signer();
    this.storage = options.storage ?? new MemoryStorage();
    this.exchange = new AddressExchange({
      privateKey: this.signer.key,
      domain,
      allowedPeers: options.allowed ?? [],
      storage: this.storage,
      log: new QuietLog({ log: (event) => void this.events.push(event), now: () => 0 }),
      wallMs: () => this.clock.wallMs,
      now: () => this.clock.now,
      send: (to, notice, payload) => {
        if (this.room-- <= 0) return false;
        this.sent.push({ to, notice, payload });
        return true;
      },
      onNews: (peer) => void this.news.push(peer),
    });
  }

  names(signers: readonly Signer[], standing: PeerAddress['standing'] = 'validator'): void {
    this.exchange.setPeers([this.signer, ...signers].map(({ peer }) => ({ peer, standing, addresses: [] })));
  }

  hears(from: Signer, payload: Uint8Array): string | undefined {
    return this.exchange.onNotice(from.peer, 'address', payload);
  }

  /** The records sent to a peer since the last call, as node key and sequence. */
  told(to: Signer): [string, number][] {
    const records = this.sent.filter((sent) => sent.to === to.peer && sent.notice === 'address');
    this.sent.splice(0);
    return records.map(({ payload }) => {
      const parsed = parseAddressRecord(payload);
      if (!parsed.ok) throw new Error(parsed.reason);
      return [parsed.record.nodeKey, parsed.record.sequence];
    });
  }

  warned(text: string): TransportEvent[] {
    return this.events.filter((event) => event.level === 'warn' && event.message.includes(text));
  }
}

export function signers(count: number): Signer[] {
  return Array.from({ length: count }, () => new Signer());
}
