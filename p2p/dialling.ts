/**
 * Whom we dial, where and how often: one Redial per validator, each attempt made to the addresses known at that moment.
 * Always by full multiaddr, never by peer id alone: libp2p's own address book forgets.
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
  /** One attempt; it is reported by `linked` or `failed`. */
  readonly attempt: (peer: string, addresses: Multiaddr[]) => void;
};

export class Dialling {
  readonly #options: DiallingOptions;
  readonly #redials = new Map<string, Redial>();
  #addresses: ReadonlyMap<string, PeerAddress> = new Map();

  constructor(options: DiallingOptions) {
    this.#options = options;
  }

  /** The peers to dial from now on. */
  setPeers(peers: readonly PeerAddress[]): void {
    this.#addresses = new Map(peers.map((peer) => [peer.peer, peer]));
    for (const [peer, redial] of this.#redials) {
      if (this.#addresses.has(peer)) continue;
      redial.stop();
      this.#redials.delete(peer);
    }
    for (const peer of this.#addresses.keys()) this.#dialSoon(peer);
  }

  wants(peer: string): boolean {
    return this.#redials.has(peer);
  }

  linked(peer: string): void {
    this.#redials.get(peer)?.linked();
  }

  /** An attempt failed or a link is gone; `refused` means that trying again at once would be the same again. */
  failed(peer: string, refused: boolean): void {
    if (!this.#options.isLinked(peer)) this.#redials.get(peer)?.failed(refused);
  }

  stop(): void {
    for (const redial of this.#redials.values()) redial.stop();
    this.#redials.clear();
  }

  #dialSoon(peer: string): void {
    const designated = this.#options.isDesignated(peer);
    const known = this.#redials.get(peer);
    if (known !== undefined) {
      known.retry(designated);
      return;
    }
    const redial = new Redial(designated, { attempt: () => this.#attempt(peer), random: Math.random });
    this.#redials.set(peer, redial);
    if (!this.#options.isLinked(peer)) redial.start();
  }

  #attempt(peer: string): void {
    if (this.#options.isLinked(peer)) {
      this.linked(peer);
      return;
    }
    const addresses = this.#usable(peer);
    if (addresses.length > 0) {
      this.#options.attempt(peer, addresses);
      return;
    }
    const message = `cannot dial ${peer}: no address of it is known`;
    this.#options.log.sayOnce(`no address ${peer}`, { level: 'info', event: 'p2p.address', message, peer });
    this.failed(peer, true);
  }

  #usable(peer: string): Multiaddr[] {
    return (this.#addresses.get(peer)?.addresses ?? []).flatMap((text) => {
      const parsed = dialAddress(peer, text);
      if (parsed.ok) return parsed.address;
      const message = `address of ${peer} ignored: ${parsed.reason}`;
      this.#options.log.sayOnce(`address ${text}`, { level: 'warn', event: 'p2p.address', message, peer });
      return [];
    });
  }
}
