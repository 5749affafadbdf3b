/** `xft_status` as the command line reads and shows it. */
import type { NodeStatus } from '../node/rpc/backend.ts';
import { table } from './output.ts';
import type { RpcClient } from './rpc-client.ts';

export async function fetchStatus(rpc: RpcClient, timeoutMs?: number): Promise<NodeStatus> {
  return (await rpc.call('xft_status', [], timeoutMs)) as NodeStatus;
}

/** What the margin means for whoever runs the chain. */
function marginText(margin: number): string {
  if (margin < 0) return 'more validators are down or faulty than the chain tolerates; bring them back';
  if (margin === 0) return 'no further fault is tolerable';
  return `${margin} more fault${margin === 1 ? ' is' : 's are'} tolerable`;
}

function conditionOf(validator: NodeStatus['validators'][number]): string {
  const suspected = validator.suspectedBy.length;
  const words = [
    validator.reachable ? 'reachable' : 'UNREACHABLE',
    ...(suspected > 0 ? [`suspected by ${suspected}`] : []),
    ...(validator.provenFaulty ? ['PROVEN FAULTY'] : []),
  ];
  return words.join(', ');
}

/** A table of the validators under a line on the chain. */
export function statusText(status: NodeStatus): string {
  const { epoch, view, final, head, role, margin } = status;
  const rows = status.validators.map((validator, index) => [
    String(index),
    validator.address,
    validator.role,
    validator.final === null ? '?' : String(validator.final),
    conditionOf(validator),
  ]);
  return [
    `final block ${final}, head ${head}, epoch ${epoch}, view ${view}; this node: ${role}`,
    `margin: ${marginText(margin)} (t = ${status.t} of ${status.validators.length})`,
    '',
    table(['#', 'validator', 'role', 'final', 'condition'], rows),
  ].join('\n');
}
