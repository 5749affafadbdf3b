/**
 * Whom we dial, where and how often: one Redial per peer, each attempt made to the addresses known at that moment, in
 * this order: those given with the peer (configuration), those it has signed itself, hints (genesis, proposals). Always
 * by full multiaddr, never by peer id alone: libp2p's own address book forgets.
 *
 * libp2p tries the addresses of one attempt one after the other, and a host that is gone without a word takes most of the
 * attempt's time. So each attempt after a failed one begins an address further on, and every address comes to be the
 * first; after a success, or when an address changes, the order is as above again.
 */
import type { Multiaddr } from '@multiformats/multiaddr';
import { dialAddress } from './peers.ts';
import type { QuietLog } from './quiet-log.ts';
import { Redial } from './redial.ts';
import type { PeerAddress } from './transport.ts';

export type DiallingOptions = {
  readonly log: QuietLog;
  /** We are the side that dials this peer. */
  readonly isDesignated: (peer: string) => boolean;
  readonly isLinked: (peer: string) => boolean;
  /** What the peer itself has signed as its addresses. */
  readonly signed: (peer: string) => readonly string[];
  /** The multiaddr, without a peer id, is one we listen on: whoever is meant, it would be us. */
  readonly isOwn: (address: string) => boolean;
  /** One attempt; it is reported by `linked` or `failed`. */
  readonly attempt: (peer: string, addresses: Multiaddr[]) => void;
};

type Target = { readonly redial: Redial; given: PeerAddress; designated: boolean; attempts: number };

export class Dialling {
  readonly #options: DiallingOptions;
  readonly #targets = new Map<string, Target>();

  constructor(options: DiallingOptions) {
    this.#options = options;
  }

  /** The peers to dial from now on. One that was among them before is tried anew only if something changed for it. */
  setPeers(peers: readonly PeerAddress[]): void {
    const wanted = new Map(peers.map((peer) => [peer.peer, peer]));
    for (const [peer, { redial }] of this.#targets) {
      if (wanted.has(peer)) continue;
      redial.stop();
      this.#targets.delete(peer);
    }
    for (const given of wanted.values()) this.#set(given);
  }

  /** What the peer has signed as its addresses is another now. */
  addressesChanged(peer: string): void {
    const target = this.#targets.get(peer);
    if (target !== undefined) this.#restart(target);
  }

  wants(peer: string): boolean {
    return this.#targets.has(peer);
  }

  linked(peer: string): void {
    const target = this.#targets.get(peer);
    if (target === undefined) return;
    target.attempts = 0;
    target.redial.linked();
  }

  /** An attempt failed or a link is gone; `refused` means that trying again at once would be the same again. */
  failed(peer: string, refused: boolean): void {
    if (!this.#options.isLinked(peer)) this.#targets.get(peer)?.redial.failed(refused);
  }

  stop(): void {
    for (const { redial } of this.#targets.values()) redial.stop();
    this.#targets.clear();
  }

  #set(given: PeerAddress): void {
    const { peer } = given;
    const designated = this.#options.isDesignated(peer);
    const known = this.#targets.get(peer);
    if (known !== undefined) {
      const same = known.designated === designated && sameAddresses(known.given, given);
      known.given = given;
      known.designated = designated;
      if (!same) this.#restart(known);
      return;
    }
    const redial = new Redial(designated, { attempt: () => this.#attempt(peer), random: Math.random });
    this.#targets.set(peer, { redial, given, designated, attempts: 0 });
    if (!this.#options.isLinked(peer)) redial.start();
  }

  #restart(target: Target): void {
    target.attempts = 0;
    target.redial.retry(target.designated);
  }

  #attempt(peer: string): void {
    if (this.#options.isLinked(peer)) {
      this.linked(peer);
      return;
    }
    const target = this.#targets.get(peer)!;
    const addresses = this.#usable(target.given);
    if (addresses.length > 0) {
      const first = target.attempts++ % addresses.length;
      this.#options.attempt(peer, [...addresses.slice(first), ...addresses.slice(0, first)]);
      return;
    }
    const message = `cannot dial ${peer}: no address of it is known`;
    this.#options.log.sayOnce(`no address ${peer}`, { level: 'info', event: 'p2p.address', message, peer });
    this.failed(peer, true);
  }

  /** All known addresses, in their order, each once. */
  #usable({ peer, addresses, hints = [] }: PeerAddress): Multiaddr[] {
    const usable = new Map<string, Multiaddr>();
    for (const text of [...addresses, ...this.#options.signed(peer), ...hints]) {
      const parsed = dialAddress(peer, text);
      if (!parsed.ok) {
        const message = `address of ${peer} ignored: ${parsed.reason}`;
        this.#options.log.sayOnce(`address ${text}`, { level: 'warn', event: 'p2p.address', message, peer });
      } else if (!this.#options.isOwn(parsed.address.toString().split('/p2p/')[0]!)) {
        const key = parsed.address.toString();
        if (!usable.has(key)) usable.set(key, parsed.address);
      }
    }
    return [...usable.values()];
  }
}

function sameAddresses(a: PeerAddress, b: PeerAddress): boolean {
  const same = (x: readonly string[], y: readonly string[]) => x.join('\n') === y.join('\n');
  return same(a.addresses, b.addresses) && same(a.hints ?? [], b.hints ?? []);
}
