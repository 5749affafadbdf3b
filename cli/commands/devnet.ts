/** `quorate devnet`: a network of processes on this machine, from nothing or from where it was left. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { QuorateError } from '../../primitives/errors.ts';
import type { Address } from '../../primitives/ids.ts';
import { VALIDATORS_MAX } from '../../primitives/membership.ts';
import { portNumber, wholeNumber } from '../arguments.ts';
import { newCommand, withJson } from '../command.ts';
import { DEVNET_BALANCE } from '../devnet/accounts.ts';
import { showLiveStatus, welcomeText } from '../devnet/live-status.ts';
import { type Devnet, openDevnet } from '../devnet/network.ts';
import { requireFreePorts } from '../devnet/ports.ts';
import { type NodeProcess, startProcess, stopProcesses, untilServing } from '../devnet/processes.ts';
import { clearProgress, printJson, printLine, progress, remark } from '../output.ts';
import { bigQuantity, RpcClient } from '../rpc-client.ts';
import { warnOfFaults } from './genesis.ts';

type Options = {
  readonly validators?: number;
  readonly dir?: string;
  readonly basePort?: number;
  readonly json?: boolean;
};

const KEEP_ALIVE_MS = 60_000;

/** The first signal asks for the end; more of them change nothing, the children are being waited for. */
function stopRequest(): Promise<NodeJS.Signals> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, done);
  });
}

/** From the first validator that answers: one of a resumed network may be down by intention. */
async function balanceOf(devnet: Devnet, address: Address): Promise<bigint> {
  for (const { rpc } of devnet.validators) {
    try {
      return bigQuantity(await new RpcClient(rpc).call('eth_getBalance', [address, 'latest']));
    } catch (error) {
      if (!(error instanceof QuorateError) || error.code !== 'RPC_UNREACHABLE') throw error;
    }
  }
  return DEVNET_BALANCE;
}

/** The line a script reads: everything it needs to use the network. */
async function summary(devnet: Devnet, nodes: readonly NodeProcess[]): Promise<unknown> {
  const balances = await Promise.all(devnet.accounts.map((account) => balanceOf(devnet, account.address)));
  return {
    chainId: devnet.chainId,
    dir: devnet.dir,
    validators: devnet.validators.map((v, i) => ({
      index: v.index,
      address: v.address,
      peerId: v.peerId,
      pid: nodes[i]!.pid,
      rpc: v.rpc,
      ws: v.ws,
      p2p: v.p2p,
      metrics: v.metrics,
      dataDir: v.dataDir,
      operator: v.operator,
    })),
    accounts: devnet.accounts.map(({ address, privateKey }, i) => ({
      address,
      privateKey,
      balance: balances[i]!.toString(),
    })),
  };
}

async function serve(
  devnet: Devnet,
  nodes: readonly NodeProcess[],
  json: boolean,
  stop: Promise<NodeJS.Signals>,
): Promise<void> {
  const stopped = stop.then(() => 'stopped' as const);
  const begun = await Promise.race([untilServing(nodes, progress), stopped]);
  clearProgress();
  if (begun === 'stopped') return;
  let stopping = false;
  void stop.then((signal) => {
    stopping = true;
    remark(`stopping all validators on ${signal}`);
  });
  for (const node of nodes) {
    void node.exit.then((how) => {
      if (!stopping) remark(`validator ${node.validator.index} (pid ${node.pid}) ended: ${how}`);
    });
  }
  if (json) {
    printJson(await summary(devnet, nodes));
    // A signal handler alone keeps no process alive once all validators have been killed.
    const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
    await stopped;
    clearInterval(alive);
    return;
  }
  printLine(welcomeText(devnet));
  const endStatus = showLiveStatus(devnet);
  await stopped;
  endStatus();
}

async function run(options: Options): Promise<void> {
  const stop = stopRequest();
  const dir = options.dir === undefined ? await mkdtemp(join(tmpdir(), 'quorate-devnet-')) : resolve(options.dir);
  const choices = {
    dir,
    ...(options.validators !== undefined && { validators: options.validators }),
    ...(options.basePort !== undefined && { basePort: options.basePort }),
  };
  const devnet = await openDevnet(choices, progress);
  await requireFreePorts(devnet.validators.flatMap((v) => [v.rpcPort, v.p2pPort, v.metricsPort]));
  if (options.json !== true) warnOfFaults(devnet.validators.length);
  const nodes = devnet.validators.map(startProcess);
  try {
    await serve(devnet, nodes, options.json === true, stop);
  } finally {
    await stopProcesses(nodes);
  }
}

export function devnetCommand(): Command {
  const command = newCommand('devnet', 'a network of validators on this machine, with funded accounts', [
    'quorate devnet',
    'quorate devnet --validators 5 --dir my-devnet --base-port 9000',
  ])
    .option('--validators <n>', 'how many (default: 3)', wholeNumber(1, VALIDATORS_MAX))
    .option('--dir <dir>', 'folder of the network; one that exists is resumed (default: a temporary one)')
    .option('--base-port <port>', 'RPC port of the first validator (default: 8545)', portNumber);
  return withJson(command).description('N validators as N processes on loopback; Ctrl-C stops all').action(run);
}
