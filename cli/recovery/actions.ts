/** What the commands of `quorate recover` do: a statement from a file, a stopped node's folder or a key, and back. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { loadConfig } from '../../node/config.ts';
import { VALIDATOR_KEY_FILE } from '../../node/data-dir.ts';
import { openKeyFile } from '../../node/keystore.ts';
import { applyRecovery, confirmRecovery, proposeRecovery, signRecovery } from '../../node/recovery.ts';
import { readStatement, replaceStatement, writeStatement } from '../../node/recovery-files.ts';
import type { RecoveryStatement } from '../../node/recovery-statement.ts';
import { QuorateError } from '../../primitives/errors.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { addressArgument } from '../arguments.ts';
import { readDescriptor } from '../descriptor.ts';
import { clearProgress, printJson, printLine, progress, remark, warn } from '../output.ts';
import { findPassword } from '../password.ts';
import { requireSignerKey } from '../send.ts';
import { statementReport, statementText } from './text.ts';

type FolderOptions = { readonly dataDir: string; readonly genesis?: string; readonly json?: boolean };
type KeyOptions = FolderOptions & { readonly passwordFile?: string };

function folderOf({ dataDir, genesis }: FolderOptions) {
  return { dataDir, genesisPath: genesis };
}

function show(statement: RecoveryStatement, { json }: { readonly json?: boolean }): void {
  clearProgress();
  if (json === true) printJson(statementReport(statement));
  else printLine(statementText(statement));
}

/** The validator key of a folder, with the password from where its node would take it. */
function secretOf({ dataDir, passwordFile }: KeyOptions): () => Promise<Bytes> {
  return async () => {
    const path = join(dataDir, VALIDATOR_KEY_FILE);
    const { passwordFile: configuredFile } = await loadConfig({ dataDir, env: process.env });
    const password = await findPassword({ file: passwordFile, configuredFile, what: path });
    progress('opening the validator key');
    return await openKeyFile(path, password);
  };
}

type ProposeOptions = KeyOptions & {
  readonly remove?: readonly string[];
  readonly add?: readonly string[];
  readonly reason: string;
  readonly out: string;
  readonly force?: boolean;
};

/** Found out before anything is signed. */
async function requireAbsent(path: string): Promise<void> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) throw new QuorateError('USAGE', `${path} exists already and is never overwritten; choose another name`);
}

export async function propose(options: ProposeOptions): Promise<void> {
  const { remove = [], add = [], reason, out } = options;
  if (remove.length === 0)
    throw new QuorateError('USAGE', 'name every validator that is gone for good: --remove ADDRESS, once for each');
  await requireAbsent(out);
  const { statement, isSigned, overruled } = await proposeRecovery({
    ...folderOf(options),
    removed: remove.map((item) => addressArgument(item, '--remove')),
    added: await Promise.all(add.map(readDescriptor)),
    reason,
    force: options.force === true,
    secret: secretOf(options),
  });
  await writeStatement(out, statement);
  for (const problem of overruled) warn(`overruled, as the statement says for ever: ${problem}`);
  if (!isSigned) remark(`the validator of ${options.dataDir} is none of the new list, so it has not signed`);
  show(statement, options);
  if (isSigned)
    remark(`this validator signs nothing more in epoch ${statement.epoch}, also if the recovery is dropped`);
}

export async function sign(file: string, options: KeyOptions): Promise<void> {
  const found = await readStatement(file);
  const statement = await signRecovery({ ...folderOf(options), statement: found, secret: secretOf(options) });
  await replaceStatement(file, statement);
  show(statement, options);
  remark(`this validator signs nothing more in epoch ${statement.epoch}, also if the recovery is dropped`);
}

type ConfirmOptions = {
  readonly key?: string;
  readonly passwordFile?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
};

export async function confirm(file: string, options: ConfirmOptions): Promise<void> {
  const found = await readStatement(file);
  if (options.yes !== true) await askFor(found);
  const statement = confirmRecovery(found, await requireSignerKey(options));
  await replaceStatement(file, statement);
  if (options.json === true || options.yes === true) return show(statement, options);
  return printLine('confirmed');
}

/** On a terminal only: a recovery is confirmed by somebody who has read it, or by who says so with --yes. */
async function askFor(statement: RecoveryStatement): Promise<void> {
  if (!process.stdin.isTTY)
    throw new QuorateError('USAGE', 'nobody to ask: read it with quorate recover show, then confirm with --yes');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    process.stderr.write(statementText(statement) + '\n\n');
    const answer = await terminal.question(
      'Confirm this with your operator account? It cannot be taken back. (yes/no) ',
    );
    if (answer.trim() !== 'yes') throw new QuorateError('USAGE', 'not confirmed');
  } finally {
    terminal.close();
  }
}

export async function apply(file: string, options: FolderOptions): Promise<void> {
  const statement = await readStatement(file);
  const { digest, path, head } = await applyRecovery({ ...folderOf(options), statement });
  if (options.json === true) return printJson({ digest, path, head });
  printLine(`applied: ${path}`);
  const behind = statement.base.number - head;
  if (behind > 0) printLine(`this folder is ${behind} blocks below the base; it fetches them from the others`);
  return printLine(`start the node: quorate node --data-dir ${options.dataDir}`);
}

export async function showFile(file: string, options: { readonly json?: boolean }): Promise<void> {
  show(await readStatement(file), options);
}
