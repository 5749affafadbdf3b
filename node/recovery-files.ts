/**
 * Statements of recoveries as files: the one that operators pass around, and those applied to a data folder, in
 * `recoveries/EPOCH.json`. An applied one is read at every start, so it is there whole or not at all.
 */
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Recovery } from '../ledger/recovery.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Hash } from '../primitives/ids.ts';
import { Problems } from '../primitives/parse.ts';
import { makeFolder, syncFolder, writeNewFile } from './data-dir.ts';
import {
  missingSignatures,
  parseStatement,
  type RecoveryStatement,
  recoveryOf,
  STATEMENT_BYTES_MAX,
  statementText,
} from './recovery-statement.ts';

const RECOVERIES_FOLDER = 'recoveries';
const APPLIED_NAME = /^(0|[1-9]\d{0,15})\.json$/;

/** A statement that is in force in a folder. */
export type AppliedRecovery = { readonly statement: RecoveryStatement; readonly recovery: Recovery };

function invalid(path: string, problem: string, cause?: unknown): QuorateError {
  const message = `${path} is no statement of a recovery that can be used: ${problem}`;
  return new QuorateError('RECOVERY_INVALID', message, { cause });
}

/** Throws RECOVERY_INVALID with every problem, or NOT_FOUND. */
export async function readStatement(path: string): Promise<RecoveryStatement> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const message = `cannot read ${path} (${errorMessage(cause)}); name a file that \`quorate recover propose\` has written`;
    throw new QuorateError('NOT_FOUND', message, { cause });
  }
  if (text.length > STATEMENT_BYTES_MAX) throw invalid(path, `it has over ${STATEMENT_BYTES_MAX} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, `it is not JSON (${errorMessage(cause)})`, cause);
  }
  const problems = new Problems();
  const statement = parseStatement(value, problems);
  if (statement === undefined) throw invalid(path, problems.list.join('; '));
  return statement;
}

/** A new file; one that exists is never overwritten. */
export async function writeStatement(path: string, statement: RecoveryStatement): Promise<void> {
  await writeNewFile(path, statementText(statement), 'public');
}

/** Puts a statement with one more signature in the place of the file it came from, at once. */
export async function replaceStatement(path: string, statement: RecoveryStatement): Promise<void> {
  const next = `${path}.next`;
  try {
    await writeFile(next, statementText(statement), { flush: true });
    await rename(next, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    throw new QuorateError('DISK_FAILED', `cannot write ${path} (${errorMessage(cause)}); check its folder's rights`, {
      cause,
    });
  }
}

type Chain = { readonly chainId: number; readonly genesisHash: Hash };

/** Throws GENESIS_MISMATCH for a statement about another chain. */
export function requireChain({ chainId, genesisHash }: RecoveryStatement, chain: Chain, path: string): void {
  if (chainId === chain.chainId && genesisHash === chain.genesisHash) return;
  const message = `${path} is about another chain (chain id ${chainId}, block 0 ${genesisHash}); use it on a node of that chain`;
  throw new QuorateError('GENESIS_MISMATCH', message, { data: { found: genesisHash, expected: chain.genesisHash } });
}

/** The statements applied to a data folder, by epoch; all their signatures are verified. Throws RECOVERY_INVALID. */
export async function loadRecoveries(dataDir: string, chain: Chain): Promise<AppliedRecovery[]> {
  const folder = join(dataDir, RECOVERIES_FOLDER);
  const applied: AppliedRecovery[] = [];
  for (const name of await namesIn(folder)) {
    const epoch = APPLIED_NAME.exec(name)?.[1];
    if (epoch === undefined) continue;
    const path = join(folder, name);
    const statement = await readStatement(path);
    requireChain(statement, chain, path);
    if (statement.epoch !== Number(epoch)) throw invalid(path, `it is about epoch ${statement.epoch}`);
    const missing = missingSignatures(statement);
    if (missing.length > 0) throw invalid(path, missing.join('; '));
    applied.push({ statement, recovery: recoveryOf(statement) });
  }
  return applied.sort((a, b) => a.statement.epoch - b.statement.epoch);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Puts a complete statement in force: durable when this resolves. There is none for its epoch. Returns the path. */
export async function storeRecovery(dataDir: string, statement: RecoveryStatement): Promise<string> {
  const folder = join(dataDir, RECOVERIES_FOLDER);
  const path = join(folder, `${statement.epoch}.json`);
  await makeFolder(folder);
  await syncFolder(dataDir);
  // The name appears with the whole text only.
  await replaceStatement(path, statement);
  return path;
}
