/** What a devnet shows while it runs: one line that changes on a terminal, a line per change elsewhere. */

import type { NodeStatus } from '../../node/rpc/backend.ts';
import { QuorateError } from '../../primitives/errors.ts';
import { formatCoins } from '../amount.ts';
import { fetchStatus } from '../node-status.ts';
import { printLine, table } from '../output.ts';
import { RpcClient } from '../rpc-client.ts';
import { DEVNET_BALANCE } from './accounts.ts';
import type { Devnet } from './network.ts';

const PERIOD_MS = 1000;
const ANSWER_TIMEOUT_MS = 800;

/** The table shown once all serve. */
export function welcomeText(devnet: Devnet): string {
  const validators = devnet.validators.map((v) => [String(v.index), v.address, v.rpc, v.metrics]);
  const accounts = devnet.accounts.slice(0, 3).map((account) => [account.address, account.privateKey]);
  return [
    `Devnet ${devnet.resumed ? 'resumed' : 'ready'}: chain id ${devnet.chainId}, ${devnet.dir}`,
    '',
    table(['#', 'validator', 'RPC (HTTP and WebSocket)', 'metrics'], validators),
    '',
    table(['account', 'private key (public knowledge: for tests only)'], accounts),
    `… and ${devnet.accounts.length - accounts.length} more, ${formatCoins(DEVNET_BALANCE)} coins each at the start; gas is free.`,
    '',
    'Ctrl-C stops all. A validator killed stays dead until: quorate node --data-dir DIR/validator-K',
    '',
  ].join('\n');
}

async function statusOf(url: string): Promise<NodeStatus | undefined> {
  try {
    return await fetchStatus(new RpcClient(url), ANSWER_TIMEOUT_MS);
  } catch (error) {
    if (error instanceof QuorateError) return undefined;
    throw error;
  }
}

type Sample = {
  readonly line: string /** What must change for a line to be worth printing to a file. */;
  readonly key: string;
};

function sampleOf(devnet: Devnet, statuses: readonly (NodeStatus | undefined)[]): Sample {
  const down = devnet.validators.filter((_, i) => statuses[i] === undefined).map((v) => v.index);
  const seen = statuses.filter((status) => status !== undefined);
  const best = seen.reduce<NodeStatus | undefined>((a, b) => (a === undefined || b.final > a.final ? b : a), undefined);
  const up = `${seen.length} of ${statuses.length} up${down.length > 0 ? ` (down: ${down.join(', ')})` : ''}`;
  if (best === undefined) return { line: up, key: up };
  const primary = devnet.validators.find((v) => v.address === best.primary)?.index ?? '?';
  const view = `epoch ${best.epoch}, view ${best.view}, primary ${primary}, margin ${best.margin}`;
  return { line: `final block ${best.final} · ${view} · ${up}`, key: `${view} ${up}` };
}

/** Shows the status every second until told to stop. */
export function showLiveStatus(devnet: Devnet): () => void {
  let shownKey = '';
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const showOnce = async () => {
    const statuses = await Promise.all(devnet.validators.map((v) => statusOf(v.rpc)));
    const { line, key } = sampleOf(devnet, statuses);
    if (stopped) return;
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[2K${line}`);
    else if (key !== shownKey) printLine(line);
    shownKey = key;
    timer = setTimeout(next, PERIOD_MS);
  };
  const next = () => {
    showOnce().catch((error: unknown) => {
      throw error; // a bug: statusOf lets nothing operational through
    });
  };
  next();
  return () => {
    stopped = true;
    clearTimeout(timer);
    if (process.stdout.isTTY) process.stdout.write('\n');
  };
}
