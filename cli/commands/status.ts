/** `quorate status`: the network as one node sees it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import { newCommand, withJson, withRpc } from '../command.ts';
import { fetchStatus, statusText } from '../node-status.ts';
import { printJson, printLine, remark } from '../output.ts';
import { RpcClient } from '../rpc-client.ts';

type Options = { readonly rpc: string; readonly watch?: boolean; readonly json?: boolean };

const WATCH_PERIOD_MS = 1000;

async function showOnce(rpc: RpcClient, options: Options): Promise<void> {
  const status = await fetchStatus(rpc);
  if (options.json === true) return printJson(status);
  if (options.watch === true && process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
  return printLine(statusText(status));
}

async function status(options: Options): Promise<void> {
  const rpc = new RpcClient(options.rpc);
  await showOnce(rpc, options);
  // The node may be restarted while it is watched: say so and go on.
  while (options.watch === true) {
    await sleep(WATCH_PERIOD_MS);
    await showOnce(rpc, options).catch((error: unknown) => {
      if (!(error instanceof QuorateError)) throw error;
      remark(errorMessage(error));
    });
  }
}

export function statusCommand(): Command {
  const command = newCommand('status', 'validators, roles, view, heights, suspicions, and faults still tolerable', [
    'quorate status',
    'quorate status --watch --rpc http://127.0.0.1:8546',
  ]).option('--watch', 'again every second');
  return withRpc(withJson(command)).action(status);
}
