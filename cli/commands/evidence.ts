/** `quorate evidence …`: what validators have signed that no correct one ever would. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseGenesisText } from '../../genesis/parse.ts';
import type { EvidenceDetail, EvidenceSummary } from '../../node/evidence-view.ts';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import { newCommand, newGroup, withJson, withList, withRpc } from '../command.ts';
import { printJson, printLine } from '../output.ts';
import { RpcClient } from '../rpc-client.ts';

type ReadOptions = { readonly rpc: string; readonly json?: boolean };
type VerifyOptions = {
  readonly genesis: string;
  readonly acceptBreak?: readonly string[];
  readonly json?: boolean;
};

type Told = Pick<EvidenceSummary, 'id' | 'kind' | 'epoch' | 'view' | 'culprit' | 'what'>;

function told({ id, kind, epoch, view, culprit, what }: Told): string {
  return `${id}  ${kind} by ${culprit} in epoch ${epoch}, view ${view}: ${what}`;
}

async function list({ rpc, json }: ReadOptions): Promise<void> {
  const held = (await new RpcClient(rpc).call('xft_getEvidence')) as readonly EvidenceSummary[];
  if (json === true) printJson(held);
  else if (held.length === 0) printLine('no evidence: this node has seen nobody lie');
  else for (const summary of held) printLine(told(summary));
}

async function show(id: string, { rpc, json }: ReadOptions): Promise<void> {
  if (!/^0x[0-9a-f]{64}$/i.test(id))
    throw new QuorateError('USAGE', 'name it by its id: 0x and 64 hex digits, from the list');
  const found = (await new RpcClient(rpc).call('xft_getEvidence', [id])) as EvidenceDetail | null;
  if (found === null)
    throw new QuorateError('NOT_FOUND', `the node holds no evidence ${id}; quorate evidence list shows what it has`);
  if (json === true) return printJson(found);
  printLine(told(found));
  for (const { type, view, signer, ...fields } of found.messages) {
    printLine(`  ${type} of validator ${signer}, view ${view}: ${JSON.stringify(fields)}`);
  }
  return printLine(
    'with --json it is whole, to be verified by quorate evidence verify and handed in with reportEvidence',
  );
}

async function readText(path: string, code: 'GENESIS_INVALID' | 'EVIDENCE_INVALID'): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new QuorateError(code, `cannot read ${path} (${errorMessage(cause)})`, { cause });
  }
}

function parseExported(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${path} is not JSON (${errorMessage(cause)}); write it with quorate evidence show ID --json`;
    throw new QuorateError('EVIDENCE_INVALID', message, { cause });
  }
}

async function verify(path: string, { genesis, acceptBreak = [], json }: VerifyOptions): Promise<void> {
  const [{ anchorOf }, { verifyEvidence }] = await Promise.all([
    import('../../node/epoch-walk.ts'),
    import('../../node/evidence-offline.ts'),
  ]);
  const anchor = anchorOf(parseGenesisText(await readText(genesis, 'GENESIS_INVALID'), genesis));
  const exported = parseExported(await readText(path, 'EVIDENCE_INVALID'), path);
  const fault = verifyEvidence({ anchor, exported, acceptedBreaks: new Set(acceptBreak) });
  if (json === true) printJson(fault);
  else printLine(`proven: ${told(fault)}`);
}

function listCommand(): Command {
  const command = newCommand('list', 'the proven faults a node holds', ['quorate evidence list']);
  return withRpc(withJson(command)).action(list);
}

function showCommand(): Command {
  const command = newCommand('show', 'one of them; with --json whole, for a file', [
    'quorate evidence show 0x5d41…',
    'quorate evidence show 0x5d41… --json > fault.json',
  ]).argument('<id>', 'as the list has it');
  return withRpc(withJson(command)).action(show);
}

function verifyCommand(): Command {
  const command = newCommand('verify', 'check exported evidence with nothing but the genesis', [
    'quorate evidence verify fault.json --genesis genesis.json',
  ])
    .argument('<file>', 'what `quorate evidence show ID --json` has written')
    .requiredOption('--genesis <file>', "the chain's genesis: all that is trusted");
  withList(command, '--accept-break <digest>', 'recovery that you know to be in order, where the chain was broken');
  return withJson(command).action(verify);
}

export function evidenceCommand(): Command {
  return newGroup('evidence', 'faults that validators have proven against themselves', [
    listCommand(),
    showCommand(),
    verifyCommand(),
  ]);
}
