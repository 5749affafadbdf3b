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
    ...(suspected > 0 ? [`suspected by ${suspected} ${suspected === 1 ? 'validator' : 'validators'}`] : []),
    ...(validator.provenFaulty ? ['PROVEN FAULTY'] : []),
  ];
  return words.join(', ');
}

/** What is being decided, and whether it is about this node. */
function standingLines({ openProposals, candidacy }: NodeStatus): string[] {
  const open = typeof openProposals === 'number' && openProposals > 0;
  const { proposal, ready } = (candidacy ?? {}) as { readonly proposal?: number; readonly ready?: boolean };
  return [
    ...(open ? [`open proposals: ${openProposals}; see quorate validator proposals`] : []),
    ...(proposal === undefined
      ? []
      : [`this node is to become a validator by proposal ${proposal}: ${ready === true ? 'ready' : 'not ready yet'}`]),
  ];
}

/** Where the chain was broken: nobody who looks at it should miss that. */
function breakLines({ breaks }: NodeStatus): string[] {
  const found = (breaks ?? []) as readonly {
    readonly epoch: number;
    readonly block: number;
    readonly statement: string;
  }[];
  return found.map(
    ({ epoch, block, statement }) =>
      `RECOVERED at block ${block}: epoch ${epoch} was broken off by its operators, statement ${statement}`,
  );
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
    ...standingLines(status),
    ...breakLines(status),
    `margin: ${marginText(margin)} (t = ${status.t} of ${status.validators.length})`,
    '',
    table(['#', 'validator', 'role', 'final', 'condition'], rows),
  ].join('\n');
}
