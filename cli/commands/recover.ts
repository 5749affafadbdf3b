/**
 * `quorate recover …`: the way back when more than t validators are gone for good. One statement, passed around as a file:
 * proposed on one new validator's node, signed on the others, confirmed by every operator, applied to every node.
 */
import type { Command } from 'commander';
import { newCommand, newGroup, withJson, withList, withPassword } from '../command.ts';

/** Loaded when it is needed: all other commands start without it. */
function actions() {
  return import('../recovery/actions.ts');
}

function onFolder(command: Command): Command {
  return withJson(command)
    .requiredOption('--data-dir <dir>', "a stopped node's folder")
    .option('--genesis <file>', 'genesis (default: the one in the data folder)');
}

function proposing(): Command {
  const command = newCommand('propose', 'make the statement on a node that stays, and sign it with its validator key', [
    'quorate recover propose --data-dir validator-0 --remove 0x… --remove 0x… --reason "data centre B burnt down" --out recovery.json',
    'quorate recover propose --data-dir validator-0 --remove 0x… --remove 0x… --add new.json --reason "two disks" --out recovery.json',
  ])
    .requiredOption('--reason <text>', 'one line, kept in the statement for ever')
    .requiredOption('--out <file>', 'file to write; it must not exist')
    .option('--force', 'overrule signs that the old validators could still be alive; the statement says so for ever');
  withList(command, '--remove <address>', 'validator that is gone for good; once for each');
  withList(command, '--add <file>', 'descriptor of a new validator (quorate key show --descriptor); once for each');
  return onFolder(withPassword(command)).action(async (options) => (await actions()).propose(options));
}

export function recoverCommand(): Command {
  const file = 'statement that `quorate recover propose` has written';
  const signing = newCommand('sign', 'check the statement on a new validator, and sign it with its validator key', [
    'quorate recover sign --data-dir validator-1 recovery.json',
  ]).argument('<file>', file);
  const confirming = newCommand('confirm', 'read the statement, and confirm it with an operator account', [
    'quorate recover confirm recovery.json --key operators/operator-0.json',
  ])
    .argument('<file>', file)
    .option('--key <file>', "the operator's key file (else QUORATE_PRIVATE_KEY)")
    .option('--yes', 'do not ask');
  const applying = newCommand('apply', 'put a complete statement in force in a node, before its next start', [
    'quorate recover apply --data-dir validator-1 recovery.json',
  ]).argument('<file>', file);
  const showing = newCommand('show', 'what a statement says, and what is missing', [
    'quorate recover show recovery.json',
  ]).argument('<file>', file);
  return newGroup('recover', 'the way back when more validators are gone for good than the chain tolerates', [
    proposing(),
    onFolder(withPassword(signing)).action(async (file, options) => (await actions()).sign(file, options)),
    withPassword(withJson(confirming)).action(async (file, options) => (await actions()).confirm(file, options)),
    onFolder(applying).action(async (file, options) => (await actions()).apply(file, options)),
    withJson(showing).action(async (file, options) => (await actions()).showFile(file, options)),
  ]);
}
