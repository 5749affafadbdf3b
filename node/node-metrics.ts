/** The metrics of a node: what an operator's dashboard and alerts are made of (docs/operating.md lists them). */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { faultThreshold } from '../consensus/config.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Pool } from '../ledger/pool.ts';
import type { Transport } from '../p2p/transport.ts';
import type { EvidenceDesk } from './evidence-desk.ts';
import type { Host } from './host.ts';
import { MetricsRegistry } from './metrics.ts';
import type { RpcServer } from './rpc/server.ts';
import type { TraceLog } from './trace-log.ts';

export type MetricsInput = {
  readonly host: Host;
  readonly ledger: Ledger;
  readonly pool: Pool;
  readonly transport: Transport;
  readonly server: RpcServer;
  readonly traces: TraceLog;
  readonly evidence: EvidenceDesk;
};

export function nodeMetrics(input: MetricsInput): MetricsRegistry {
  const { host, ledger, pool, transport, server, traces, evidence } = input;
  const metrics = new MetricsRegistry();
  const addressOf = (index: number) => host.epoch.members[index]!.validator;
  let transactions = 0;
  ledger.onFinal((block) => {
    transactions += block.transactions.length;
  });
  metrics.gauge('quorate_block_final', 'Height of the newest final block', () => ledger.head.height);
  metrics.gauge('quorate_block_certified', 'Height of the greatest certificate held', () => host.status.head.height);
  metrics.counterOf('quorate_transactions_final', 'Transactions made final since start', () => transactions);
  metrics.gauge('quorate_epoch', 'Epoch', () => host.status.epoch);
  metrics.gauge('quorate_view', 'View in this epoch', () => host.status.view);
  metrics.gauge('quorate_view_installed', '1 when the view has adopted its head', () => Number(host.status.installed));
  metrics.gauge('quorate_signing', '1 when this node may sign', () => Number(host.status.phase === 'running'));
  metrics.gauge('quorate_faults_tolerated', 't of this epoch', () => faultThreshold(host.epoch.members.length));
  metrics.gauge('quorate_suspicion_timeout_ms', 'Present time-out of suspicion', () => host.status.suspicionMs);
  metrics.counterOf('quorate_view_changes', 'Views entered since start', () => traces.viewChanges);
  metrics.counterOf('quorate_suspicions', 'Views this node gave up since start', () => traces.suspicions);
  metrics.counterOf('quorate_conflicts', 'Conflicting signatures seen', () => traces.conflicts);
  metrics.gauge('quorate_proven_faults', 'Pieces of evidence held', () => evidence.shelf.all().length);
  metrics.gauge('quorate_proven_fault', 'Each proven fault', () =>
    evidence.shelf.all().map(({ evidence: { kind, epoch, culprit }, view }) => {
      const validator = ledger.epochInfo(epoch)?.members[culprit]?.validator ?? '';
      return { labels: { culprit: validator, kind, epoch: String(epoch), view: String(view) }, value: 1 };
    }),
  );
  metrics.counterOf('quorate_messages_rejected', 'Consensus messages refused', () => traces.rejected);
  metrics.gauge('quorate_peer_final', 'Newest final block of each validator, as far as known', () =>
    [...host.status.peers].map(([index, peer]) => ({ labels: { validator: addressOf(index) }, value: peer.final })),
  );
  metrics.gauge('quorate_peer_silent_ms', 'Time since each validator was heard', () =>
    [...host.status.peers].map(([index, peer]) => ({
      labels: { validator: addressOf(index) },
      value: peer.sinceHeardMs,
    })),
  );
  metrics.gauge('quorate_suspected_by', 'Validators that suspect each, in this generation of suspicions', () =>
    host.epoch.members.map(({ validator }, index) => ({
      labels: { validator },
      value: host.status.suspectedBy.get(index)?.length ?? 0,
    })),
  );
  metrics.gauge('quorate_peers', 'Links that are up', () => transport.connected().length);
  metrics.gauge('quorate_peer_rtt_ms', 'Round trip to each peer', () =>
    transport.stats().flatMap(({ peer, rttMs }) => (rttMs === undefined ? [] : [{ labels: { peer }, value: rttMs }])),
  );
  metrics.gauge('quorate_pool_transactions', 'Transactions in the pool', () => pool.size);
  metrics.gauge('quorate_pool_executable', 'Transactions in the pool without a nonce gap', () => pool.executableCount);
  metrics.gauge('quorate_pool_bytes', 'Bytes in the pool', () => pool.bytes);
  metrics.counterOf('quorate_rpc_calls', 'JSON-RPC calls answered', () => server.stats.calls);
  metrics.counterOf('quorate_rpc_errors', 'JSON-RPC calls answered with an error', () => server.stats.errors);
  metrics.gauge('quorate_rpc_websockets', 'WebSocket connections', () => server.stats.webSockets);
  metrics.gauge('quorate_rpc_connections', 'HTTP connections', () => server.stats.httpConnections);
  processMetrics(metrics);
  return metrics;
}

/** The event loop's stalls are part of Δ (consensus.md section 4), so they are watched like the network is. */
function processMetrics(metrics: MetricsRegistry): void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  metrics.gauge('quorate_event_loop_delay_ms', 'Stall of the event loop since the last scrape, 99th percentile', () => {
    const value = delay.percentile(99) / 1e6;
    delay.reset();
    return value;
  });
  metrics.gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  metrics.counterOf('process_cpu_seconds_total', 'CPU time used', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
}
