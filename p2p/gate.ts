/**
 * Who is let in (consensus.md section 11): the validators given to the node and the others the chain names (former
 * members, candidates), always; the peers of `allowedPeers`; and with `*` up to 50 others at one time. Everyone else is
 * refused, by node key, after the handshake has proven it.
 */

import { OPEN_OBSERVERS_MAX } from './limits.ts';
import type { PeerAddress } from './transport.ts';

export type GateOptions = {
  readonly self: string;
  readonly allowedPeers: readonly string[];
  /** Peers connected at this moment. */
  readonly connectedPeers: () => Iterable<string>;
};

export class Gate {
  readonly #options: GateOptions;
  readonly #allowed: ReadonlySet<string>;
  readonly #open: boolean;
  #validators: ReadonlySet<string> = new Set();
  #admitted: ReadonlySet<string> = new Set();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#allowed = new Set(options.allowedPeers);
    this.#open = this.#allowed.has('*');
  }

  /** Gives those that were let in by name and are not any more. Who never had a name keeps the place `*` gave it. */
  setPeers(peers: readonly PeerAddress[]): ReadonlySet<string> {
    const before = [...this.#validators, ...this.#admitted];
    const isAdmitted = ({ standing }: PeerAddress) => standing === 'admitted';
    this.#admitted = new Set(peers.filter(isAdmitted).map(({ peer }) => peer));
    this.#validators = new Set(peers.filter((peer) => !isAdmitted(peer)).map(({ peer }) => peer));
    return new Set(before.filter((peer) => !this.#isNamed(peer)));
  }

  isValidator(peer: string): boolean {
    return this.#validators.has(peer);
  }

  /** Why this peer is not let in; undefined when it is. */
  refusal(peer: string): string | undefined {
    if (peer === this.#options.self) return 'it has our own node key: another node runs with a copy of it';
    if (this.#isNamed(peer)) return undefined;
    if (!this.#open) return 'it is neither a validator nor in allowedPeers';
    let others = 0;
    for (const connected of new Set(this.#options.connectedPeers())) {
      if (connected !== peer && !this.#isNamed(connected)) others++;
    }
    return others < OPEN_OBSERVERS_MAX ? undefined : `${OPEN_OBSERVERS_MAX} observers are connected already`;
  }

  #isNamed(peer: string): boolean {
    return this.#validators.has(peer) || this.#admitted.has(peer) || this.#allowed.has(peer);
  }
}
