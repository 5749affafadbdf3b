/**
 * Names of the files in a node's data folder, and writing them so that they last: secrets are created exclusively with
 * mode 0600 (never written first and restricted afterwards), contents and folder entries are synced.
 */
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { QuorateError } from '../primitives/errors.ts';

export const GENESIS_FILE = 'genesis.json';
export const CONFIG_FILE = 'config.json';
export const VALIDATOR_KEY_FILE = 'validator-key.json';
export const NODE_KEY_FILE = 'node-key.json';
export const OPERATOR_KEY_FILE = 'operator-key.json';
export const PASSWORD_FILE = 'password';
/** What others need to add the node as a validator; public, and of no use to the node itself. */
export const DESCRIPTOR_FILE = 'descriptor.json';
/** The database: what can be fetched again. */
export const STORE_FOLDER = 'store';
export const PEERS_FILE = 'peers.json';
/**
 * Written with a new validator key: "this key has never signed". The node turns it into the first segment of its log
 * and removes it. Neither the marker nor a log means that the log is lost, and with it what the key promised.
 */
export const EMPTY_GUARD_FILE = 'guard-empty';

/** Makes names created or removed in a folder durable. Windows cannot open folders and needs no such call. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Creates a folder, private to its owner, and its parents. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Writes a file that must not exist yet. Secrets get mode 0600 from the first moment. */
export async function writeNewFile(path: string, text: string, kind: 'secret' | 'public'): Promise<void> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'wx', kind === 'secret' ? 0o600 : 0o644);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new QuorateError(
      'DATA_DIR_INVALID',
      `${path} exists already and is never overwritten; choose another folder`,
      {
        cause,
      },
    );
  }
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(dirname(path));
}

/** Puts the empty guard beside a validator key that was just made. */
export async function writeEmptyGuard(dataDir: string, validator: string): Promise<void> {
  const marker = { validator, created: new Date().toISOString() };
  await writeNewFile(join(dataDir, EMPTY_GUARD_FILE), JSON.stringify(marker) + '\n', 'secret');
}

/** Takes the empty guard away, once the log it stood for is durable. */
export async function removeEmptyGuard(dataDir: string): Promise<void> {
  await rm(join(dataDir, EMPTY_GUARD_FILE), { force: true });
  await syncFolder(dataDir);
}
