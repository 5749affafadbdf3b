/**
 * Whom this node links with and whom it lets in (consensus.md section 11): the present validators, and as guests the
 * members of earlier sets and the candidates of open proposals. Addresses come from the configuration, then from the
 * peer's own signed records, then, as hints, from the genesis and the proposals that brought a member.
 */
import type { Genesis } from '../genesis/genesis.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { GovernanceState } from '../ledger/governance/state.ts';
import { peerIdOfNodeKey } from '../p2p/peers.ts';
import type { PeerAddress } from '../p2p/transport.ts';
import type { Epoch } from '../primitives/ids.ts';

export type PeerSetOptions = {
  readonly genesis: Genesis;
  /** Multiaddrs by node key. */
  readonly configured: Readonly<Record<string, readonly string[]>>;
  readonly epochInfo: (epoch: Epoch) => EpochInfo | undefined;
};

export class PeerSet {
  readonly #options: PeerSetOptions;
  /** Node keys of members of the epochs before `#collected`. */
  readonly #former = new Set<string>();
  #collected = 0;

  constructor(options: PeerSetOptions) {
    this.#options = options;
  }

  peers(present: EpochInfo, governance: GovernanceState): PeerAddress[] {
    for (; this.#collected < present.epoch; this.#collected++) {
      const members = this.#options.epochInfo(this.#collected)?.members ?? [];
      for (const { nodeKey } of members) this.#former.add(nodeKey);
    }
    const candidates = governance.open.flatMap(({ change }) => [
      ...change.additions,
      ...change.replacements.map(({ by }) => by),
    ]);
    const multiaddrs = new Map<string, string[]>();
    const hint = (nodeKey: string, address: string): void => {
      if (address !== '') multiaddrs.set(nodeKey, [...(multiaddrs.get(nodeKey) ?? []), address]);
    };
    for (const { validator, multiaddr } of governance.multiaddrs) {
      const member = present.members.find((known) => known.validator === validator);
      if (member !== undefined) hint(member.nodeKey, multiaddr);
    }
    for (const { nodeKey, multiaddr } of candidates) hint(nodeKey, multiaddr);
    const named = new Set(present.members.map(({ nodeKey }) => nodeKey));
    const coming = new Set(candidates.map(({ nodeKey }) => nodeKey).filter((key) => !named.has(key)));
    const former = [...this.#former].filter((key) => !named.has(key) && !coming.has(key));
    return [
      ...[...named].flatMap((nodeKey) => this.#peer(nodeKey, 'validator', multiaddrs)),
      // Sought, so that a link is there when the epoch begins.
      ...[...coming].flatMap((key) =>
        this.#peer(key, 'admitted', multiaddrs).map((peer) => ({ ...peer, dialled: true })),
      ),
      ...former.flatMap((nodeKey) => this.#peer(nodeKey, 'admitted', multiaddrs)),
    ];
  }

  #peer(
    nodeKey: string,
    standing: 'validator' | 'admitted',
    multiaddrs: ReadonlyMap<string, readonly string[]>,
  ): PeerAddress[] {
    const { genesis, configured } = this.#options;
    const peer = peerIdOfNodeKey(nodeKey);
    if (peer === undefined) return []; // no point of the curve: nobody can have it
    const founding = genesis.validators.find((validator) => validator.nodeKey === nodeKey)?.addresses ?? [];
    const hints = [...new Set([...founding, ...(multiaddrs.get(nodeKey) ?? [])])];
    return [{ peer, standing, addresses: configured[nodeKey] ?? [], hints }];
  }
}
