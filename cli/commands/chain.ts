/** `quorate chain …`: a stopped node's chain checked, and carried to another machine, without trusting what computed it. */
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { newCommand, newGroup, withJson } from '../command.ts';
import { clearProgress, jsonLine, pairs, printLine, progress } from '../output.ts';

type Options = { readonly dataDir: string; readonly json?: boolean };
type TransferOptions = Options & { readonly genesis?: string };
type ExportOptions = TransferOptions & { readonly out: string; readonly from?: number; readonly to?: number };

function printReport(report: object, json: boolean | undefined): void {
  clearProgress();
  printLine(json === true ? jsonLine(report) : pairs(Object.entries(report)));
}

async function verify(options: Options): Promise<void> {
  const { verifyChain } = await import('../../node/verify-chain.ts');
  const result = await verifyChain({
    dataDir: options.dataDir,
    onProgress: (done: number, total: number) => progress(`checked block ${done} of ${total}`),
  });
  printReport(result, options.json);
}

async function exportTo({ dataDir, out, from, to, genesis, json }: ExportOptions): Promise<void> {
  const { exportChain } = await import('../../node/chain-transfer.ts');
  const report = await exportChain({
    dataDir,
    out,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(genesis !== undefined && { genesisPath: genesis }),
    onProgress: (done: number, last: number) => progress(`exported block ${done} of ${last}`),
  });
  printReport({ file: out, ...report }, json);
}

async function importFrom(file: string, { dataDir, genesis, json }: TransferOptions): Promise<void> {
  const { importChain } = await import('../../node/chain-transfer.ts');
  const report = await importChain({
    dataDir,
    file,
    ...(genesis !== undefined && { genesisPath: genesis }),
    onProgress: (done: number, last: number) => progress(`imported block ${done} of ${last}`),
  });
  printReport(report, json);
}

function exportCommand(): Command {
  const height = wholeNumber(0, Number.MAX_SAFE_INTEGER);
  const command = newCommand('export', 'write final blocks with their finality proofs to a file', [
    'quorate chain export --data-dir network/validator-0 --out chain.quorate',
    'quorate chain export --data-dir network/validator-0 --out later.quorate --from 1001 --to 2000',
  ])
    .requiredOption('--data-dir <dir>', "a stopped node's folder")
    .requiredOption('--out <file>', 'file to write; it must not exist')
    .option('--from <block>', 'first block (default: 1)', height)
    .option('--to <block>', 'last block, or the next one above with a finality proof (default: the newest)', height)
    .option('--genesis <file>', 'genesis (default: the one in the data folder)');
  return withJson(command).action(exportTo);
}

function importCommand(): Command {
  const command = newCommand('import', 'verify the blocks of a file and add those that are missing', [
    'quorate chain import --data-dir network/validator-1 chain.quorate',
    'quorate chain import --data-dir observer --genesis network/genesis.json chain.quorate',
  ])
    .argument('<file>', 'what `quorate chain export` has written')
    .requiredOption('--data-dir <dir>', "a stopped node's folder")
    .option('--genesis <file>', 'genesis (default: the one in the data folder); copied there if there is none');
  return withJson(command).action(importFrom);
}

export function chainCommand(): Command {
  const verifying = newCommand('verify', 'check every hash, signature, root and finality proof, offline', [
    'quorate chain verify --data-dir network/validator-0',
  ]).requiredOption('--data-dir <dir>', "a stopped node's folder");
  const commands = [withJson(verifying).action(verify), exportCommand(), importCommand()];
  return newGroup('chain', 'check a chain, move it between machines', commands);
}
