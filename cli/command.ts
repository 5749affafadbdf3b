/** What every command has in common: an example in its help, `--verbose`, and where it applies `--json` and `--rpc`. */
import { Command } from 'commander';
import { collect } from './arguments.ts';

export const DEFAULT_RPC = 'http://127.0.0.1:8545';

/** A command whose help ends with examples. */
export function newCommand(name: string, summary: string, examples: readonly string[]): Command {
  const command = new Command(name).description(summary);
  command.option('--verbose', 'show the stack of an error');
  if (examples.length > 0) {
    const lines = examples.map((line) => `  ${line}`).join('\n');
    command.addHelpText('after', `\nExample${examples.length > 1 ? 's' : ''}:\n${lines}`);
  }
  return command;
}

/** A command that only holds others. */
export function newGroup(name: string, summary: string, commands: readonly Command[]): Command {
  const group = new Command(name).description(summary);
  for (const command of commands) group.addCommand(command);
  return group;
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON, for scripts');
}

export function withRpc(command: Command): Command {
  return command.option('--rpc <url>', 'node to ask', process.env['QUORATE_RPC'] ?? DEFAULT_RPC);
}

export function withPassword(command: Command): Command {
  return command.option('--password-file <file>', 'file with the password (else QUORATE_PASSWORD, else a prompt)');
}

/** A repeatable option: its value is an array, or undefined. */
export function withList(command: Command, flags: string, description: string): Command {
  return command.option(flags, description, collect);
}
