/**
 * The gate as libp2p asks it: before the handshake by host (knock-limit.ts), after it by node key (gate.ts), and by how
 * many connections the peer has already. Refusals of strangers are logged with the reason, once a minute for each.
 */
import type { Connection, ConnectionGater } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Gate } from './gate.ts';
import { KnockLimit } from './knock-limit.ts';
import { CONNECTIONS_PER_PEER_MAX } from './limits.ts';
import type { QuietLog } from './quiet-log.ts';

export type AdmissionOptions = {
  readonly gate: Gate;
  readonly log: QuietLog;
  /** Milliseconds on a clock that does not go back. */
  readonly now: () => number;
  readonly connections: () => readonly Connection[];
  /** An address of a peer that the chain names is on this host. */
  readonly isKnown: (host: string) => boolean;
};

/** The IP address (or name) in a multiaddr. */
function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents()[0]?.value;
}

export function connectionGater(options: AdmissionOptions): ConnectionGater {
  const { gate, log, now, connections, isKnown } = options;
  const knocks = new KnockLimit({
    now,
    isHome: (host) => isKnown(host) || connections().some(({ remoteAddr }) => hostOf(remoteAddr) === host),
  });
  const tooMany = (peer: string): string | undefined => {
    const count = connections().filter(({ remotePeer }) => remotePeer.toString() === peer).length;
    return count < CONNECTIONS_PER_PEER_MAX ? undefined : `it has ${count} connections already`;
  };
  return {
    denyDialPeer: (peer) => gate.refusal(peer.toString()) !== undefined,
    denyOutboundEncryptedConnection: (peer) => gate.refusal(peer.toString()) !== undefined,
    denyInboundConnection: ({ remoteAddr }) => knocks.isTurnedAway(hostOf(remoteAddr) ?? ''),
    denyInboundEncryptedConnection: (peerId, { remoteAddr }) => {
      const peer = peerId.toString();
      const reason = gate.refusal(peer) ?? tooMany(peer);
      if (reason === undefined) return false;
      const host = hostOf(remoteAddr) ?? '';
      knocks.onRefused(host);
      const message = `refused peer ${peer}: ${reason}`;
      log.sayOnce(`refused ${peer}`, { level: 'warn', event: 'p2p.refused', message, peer, data: { host } });
      return true;
    },
  };
}
