/**
 * The command line. Commands are thin: they read arguments, call the node or its RPC, and print. An error is one
 * sentence on stderr; the exit code tells wrong use from failure.
 */
import { type Command, CommanderError } from 'commander';
import { VERSION } from '../node/version.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import { newGroup } from './command.ts';
import { benchCommand } from './commands/bench.ts';
import { chainCommand } from './commands/chain.ts';
import { accountCommand, blockCommand } from './commands/chain-reads.ts';
import { devnetCommand } from './commands/devnet.ts';
import { epochCommand } from './commands/epoch.ts';
import { evidenceCommand } from './commands/evidence.ts';
import { genesisCommand } from './commands/genesis.ts';
import { keyCommand } from './commands/key.ts';
import { nodeCommand } from './commands/node.ts';
import { recoverCommand } from './commands/recover.ts';
import { statusCommand } from './commands/status.ts';
import { txCommand } from './commands/tx.ts';
import { validatorCommand } from './commands/validator.ts';
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE } from './exit-codes.ts';
import { remark } from './output.ts';

function buildProgram(): Command {
  const program = newGroup('quorate', 'A permissioned blockchain node: final at once, Ethereum formats', [
    devnetCommand(),
    genesisCommand(),
    keyCommand(),
    nodeCommand(),
    statusCommand(),
    txCommand(),
    blockCommand(),
    accountCommand(),
    validatorCommand(),
    epochCommand(),
    evidenceCommand(),
    recoverCommand(),
    chainCommand(),
    benchCommand(),
  ]).version(VERSION, '--version');
  program.addHelpText('after', '\nExample:\n  quorate devnet        three validators on this machine\n');
  prepare(program);
  return program;
}

/** Commander ends the process itself unless told otherwise, for each command. */
function prepare(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(oneSentence(text) + '\n'),
  });
  for (const child of command.commands) prepare(child);
}

/** Commander's message, which may span lines and end in a full stop, as one sentence that says where to look. */
function oneSentence(text: string): string {
  return (
    text
      .trim()
      .replace(/\.?\s*\n\s*/g, ' ')
      .replace(/\.$/, '') + '; see --help'
  );
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  return error instanceof QuorateError && error.code === 'USAGE' ? EXIT_USAGE : EXIT_FAILURE;
}

/** Runs one command line and gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? EXIT_OK);
  } catch (error) {
    // Commander has already written its own messages.
    if (!(error instanceof CommanderError)) {
      remark(`error: ${errorMessage(error)}`);
      if (args.includes('--verbose') && error instanceof Error) remark(error.stack ?? '');
    }
    return exitCodeOf(error);
  }
}
