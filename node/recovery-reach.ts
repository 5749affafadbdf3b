/**
 * Whether somebody still answers where validators are found that are said to be gone. A TCP connection is all that is
 * tried: on a machine that answers the node may come up again, and with it the old validators.
 */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Genesis } from '../genesis/genesis.ts';
import type { GovernanceState } from '../ledger/governance/state.ts';
import { parseAddressRecord } from '../p2p/address-record.ts';
import { parseRecords } from '../p2p/address-store.ts';
import type { Validator } from '../primitives/membership.ts';
import { loadConfig } from './config.ts';
import { PEERS_FILE } from './data-dir.ts';

const CONNECT_TIMEOUT_MS = 3000;
const TCP_ADDRESS = /^\/(?:ip4|ip6|dns|dns4|dns6)\/(?<host>[^/]+)\/tcp\/(?<port>\d{1,5})(?:\/|$)/;

export type Places = {
  readonly dataDir: string;
  readonly genesis: Genesis;
  readonly governance: GovernanceState;
};

/** Multiaddrs by node key: all that configuration, genesis, proposals and the members themselves ever said. */
async function addressesOf(members: readonly Validator[], places: Places): Promise<Map<string, Set<string>>> {
  const { dataDir, genesis, governance } = places;
  const { peers } = await loadConfig({ dataDir, env: process.env });
  const signed = await signedAddresses(dataDir);
  return new Map(
    members.map(({ validator, nodeKey }) => {
      const founding = genesis.validators.find((founder) => founder.nodeKey === nodeKey)?.addresses ?? [];
      const proposed = governance.multiaddrs.flatMap((hint) => (hint.validator === validator ? [hint.multiaddr] : []));
      return [nodeKey, new Set([...(peers[nodeKey] ?? []), ...founding, ...proposed, ...(signed.get(nodeKey) ?? [])])];
    }),
  );
}

/** What this node remembers of its peers. Of no weight, so that a file that cannot be read is no reason to stop. */
async function signedAddresses(dataDir: string): Promise<Map<string, readonly string[]>> {
  const text = await readFile(join(dataDir, PEERS_FILE), 'utf8').catch(() => '{"records": []}');
  const parsed = parseRecords(text).records.map(parseAddressRecord);
  return new Map(parsed.flatMap((entry) => (entry.ok ? [[entry.record.nodeKey, entry.record.addresses]] : [])));
}

function answers(multiaddr: string): Promise<boolean> {
  const { host, port } = TCP_ADDRESS.exec(multiaddr)?.groups ?? {};
  if (host === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: CONNECT_TIMEOUT_MS });
    const end = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

/** Addresses at which a TCP connection to one of these members succeeds from here, each as `validator at multiaddr`. */
export async function reachable(members: readonly Validator[], places: Places): Promise<string[]> {
  const known = await addressesOf(members, places);
  const tried = members.flatMap(({ validator, nodeKey }) =>
    [...(known.get(nodeKey) ?? [])].map(async (multiaddr) =>
      (await answers(multiaddr)) ? [`${validator} at ${multiaddr}`] : [],
    ),
  );
  return (await Promise.all(tried)).flat();
}
