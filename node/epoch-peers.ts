/**
 * Who is who in an epoch: the core knows validators by their index in the epoch's list, the network by their node key,
 * which outlives epochs. Peers that are no validators of the epoch, but may be of a later one, get numbers of their own.
 */
import type { EpochConfig, Parameters } from '../consensus/config.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Address, Hash } from '../primitives/ids.ts';
import type { Timing } from '../primitives/timing.ts';

/** This node as validator lists name it. */
export type Identity = { readonly validator: Address | undefined; readonly nodeKey: string };

/** What all epochs of a chain share. */
export type Chain = { readonly chainId: number; readonly genesisHash: Hash; readonly parameters: Parameters };

/** `timing`: what a vote put in place of the genesis'; who only checks signatures needs none. */
export function epochConfig(chain: Chain, info: EpochInfo, timing?: Timing): EpochConfig {
  const { epoch, members, membershipHash, root } = info;
  const parameters = { ...chain.parameters, ...timing };
  return { ...chain, parameters, epoch, validators: members.map(({ validator }) => validator), membershipHash, root };
}

/** Its index in the epoch's list, -1 when it is not in it. Both keys must be those that the list binds together. */
export function indexIn(info: EpochInfo, { validator, nodeKey }: Identity): number {
  return info.members.findIndex((member) => member.validator === validator && member.nodeKey === nodeKey);
}

/** Above every index in a list. */
const FIRST_GUEST = 1_000_000;
const GUESTS_MAX = 256;

export class EpochPeers {
  readonly #members: readonly string[];
  readonly #indexOf: ReadonlyMap<string, number>;
  /** Numbers of other peers, oldest first. */
  readonly #guests = new Map<string, number>();
  readonly #guestOf = new Map<number, string>();
  #next = FIRST_GUEST;

  constructor(info: EpochInfo) {
    this.#members = info.members.map(({ nodeKey }) => nodeKey);
    this.#indexOf = new Map(this.#members.map((nodeKey, index) => [nodeKey, index]));
  }

  isMember(peer: string): boolean {
    return this.#indexOf.has(peer);
  }

  /** The core's number for a peer. */
  number(peer: string): number {
    return this.#indexOf.get(peer) ?? this.#guests.get(peer) ?? this.#welcome(peer);
  }

  #welcome(peer: string): number {
    const [oldest] = this.#guests;
    if (oldest !== undefined && this.#guests.size >= GUESTS_MAX) {
      this.#guests.delete(oldest[0]);
      this.#guestOf.delete(oldest[1]);
    }
    const number = this.#next++;
    this.#guests.set(peer, number);
    this.#guestOf.set(number, peer);
    return number;
  }

  /** The peer behind a number; undefined for a guest forgotten meanwhile. */
  peer(number: number): string | undefined {
    return this.#members[number] ?? this.#guestOf.get(number);
  }
}
