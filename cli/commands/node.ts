/** `quorate node`: runs one node in this process until a signal stops it. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadConfig, type Overrides } from '../../node/config.ts';
import { VALIDATOR_KEY_FILE } from '../../node/data-dir.ts';
import { QuorateError } from '../../primitives/errors.ts';
import { wholeNumber } from '../arguments.ts';
import { newCommand, withPassword } from '../command.ts';
import { passwordOnce } from '../password.ts';

type Options = {
  readonly dataDir: string;
  readonly genesis?: string;
  readonly config?: string;
  readonly rpcHost?: string;
  readonly rpcPort?: number;
  readonly rpcCors?: string;
  readonly p2pHost?: string;
  readonly p2pPort?: number;
  readonly metricsHost?: string;
  readonly metricsPort?: number;
  readonly allowedPeers?: string;
  readonly snapshotAfter?: number;
  readonly logLevel?: string;
  readonly rebuildStore?: boolean;
  readonly passwordFile?: string;
};

/** Flags under the names of the settings they override. */
function overrides(options: Options): Overrides {
  return {
    'rpc.host': options.rpcHost,
    'rpc.port': options.rpcPort?.toString(),
    'rpc.cors': options.rpcCors,
    'p2p.host': options.p2pHost,
    'p2p.port': options.p2pPort?.toString(),
    'metrics.host': options.metricsHost,
    'metrics.port': options.metricsPort?.toString(),
    allowedPeers: options.allowedPeers,
    snapshotAfter: options.snapshotAfter?.toString(),
    logLevel: options.logLevel,
    rebuildStore: options.rebuildStore?.toString(),
  };
}

/** A second signal this long after the first means that stopping hangs. Sooner it is an echo: Ctrl-C reaches a whole
 * process group, and the parent of this process passes it on. */
const INSIST_AFTER_MS = 2000;

/** Resolves at the first SIGINT or SIGTERM; a later one ends the process at once. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (first === undefined) {
        first = Date.now();
        resolve(signal);
      } else if (Date.now() - first > INSIST_AFTER_MS) {
        process.exit(signal === 'SIGINT' ? 130 : 143);
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}

async function run(options: Options): Promise<void> {
  const config = await loadConfig({
    dataDir: options.dataDir,
    file: options.config,
    env: process.env,
    flags: overrides(options),
  });
  const stopped = stopSignal();
  const { startNode } = await import('../../node/node.ts');
  const { createLog } = await import('../../node/log.ts');
  const password = passwordOnce({
    file: options.passwordFile,
    configuredFile: config.passwordFile,
    what: join(options.dataDir, VALIDATOR_KEY_FILE),
  });
  const log = createLog(config.logLevel);
  // A bug must not be survived: what it left behind is unknown. The next start reads what is on disk.
  process.on('uncaughtException', (error) => {
    if (error instanceof QuorateError) log.error(`stopping: ${error.message}`);
    else log.error('stopping: this is a bug, please report it', { problem: error.stack ?? String(error) });
    process.exit(1);
  });
  const node = await startNode({
    dataDir: options.dataDir,
    ...(options.genesis !== undefined && { genesisPath: options.genesis }),
    config,
    password,
    log,
  });
  const signal = await stopped;
  log.info(`stopping on ${signal}`);
  await node.stop();
  // Whatever a library left running must not keep a stopped node's process alive.
  process.exit();
}

export function nodeCommand(): Command {
  const port = wholeNumber(0, 65_535);
  const command = newCommand('node', 'run a node: a validator, or an observer', [
    'quorate node --data-dir network/validator-0',
    'quorate node --data-dir observer --genesis network/genesis.json --rpc-port 8600 --p2p-port 30400',
  ])
    .requiredOption('--data-dir <dir>', 'folder with the keys, the configuration and the data of the node')
    .option('--genesis <file>', 'genesis (default: the one in the data folder)')
    .option('--config <file>', 'configuration (default: config.json in the data folder)')
    .option('--rpc-host <host>', 'address to serve JSON-RPC on')
    .option('--rpc-port <port>', 'port of JSON-RPC, HTTP and WebSocket', port)
    .option('--rpc-cors <origins>', 'origins whose pages may call, comma-separated, or *')
    .option('--p2p-host <host>', 'address to listen for peers on')
    .option('--p2p-port <port>', 'port for peers', port)
    .option('--metrics-host <host>', 'address to serve metrics on')
    .option('--metrics-port <port>', 'port of the metrics', port)
    .option('--allowed-peers <keys>', 'node keys admitted besides the validators, comma-separated, or *')
    .option(
      '--snapshot-after <blocks>',
      'take a snapshot when so many blocks behind; 0: never',
      wholeNumber(0, 2 ** 40),
    )
    .option('--log-level <level>', 'error, warn, info or debug')
    .option('--rebuild-store', 'when the database is damaged, move it aside and fetch the chain anew');
  command.addHelpText(
    'after',
    '\nEvery setting may also be a variable, for example QUORATE_RPC_PORT; flags are strongest.',
  );
  return withPassword(command).action(run);
}
