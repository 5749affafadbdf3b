/**
 * The keys a node runs with. A folder with a validator key is a validator's, whatever the current set says; one without
 * is an observer's, and gets a node key of its own at its first start, so that starting an observer is one command.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { privateKeyAddress, publicKey, randomPrivateKey } from '../primitives/secp256k1.ts';
import { EMPTY_GUARD_FILE, makeFolder, NODE_KEY_FILE, VALIDATOR_KEY_FILE } from './data-dir.ts';
import { decryptKey, keyFileExists, readKeyText, writeKeyFile } from './keystore.ts';

export type NodeKeys = {
  /** libp2p identity: private key and its 33-byte public key as 0x hex. */
  readonly nodePrivateKey: Bytes;
  readonly nodeKey: string;
  /** Absent on an observer. */
  readonly validator?: { readonly privateKey: Bytes; readonly address: Address };
};

/**
 * Opens the node key, and the validator key when there is one. `password` is asked at most once, and only after the
 * files were found fit to be opened.
 */
export async function loadNodeKeys(dataDir: string, password: () => Promise<string>): Promise<NodeKeys> {
  const nodePath = join(dataDir, NODE_KEY_FILE);
  const validatorPath = join(dataDir, VALIDATOR_KEY_FILE);
  const isValidator = await keyFileExists(validatorPath);
  if (!(await keyFileExists(nodePath))) {
    if (isValidator) {
      const message = `${dataDir} has a validator key but no ${NODE_KEY_FILE}; restore it, the other nodes know this node by it`;
      throw new QuorateError('DATA_DIR_INVALID', message);
    }
    return createObserverKeys(dataDir, await password());
  }
  const nodeText = await readKeyText(nodePath);
  const validatorText = isValidator ? await readKeyText(validatorPath) : undefined;
  const secret = await password();
  const [nodePrivateKey, validatorKey] = await Promise.all([
    decryptKey(nodeText, secret, nodePath),
    validatorText === undefined ? undefined : decryptKey(validatorText, secret, validatorPath),
  ]);
  return {
    nodePrivateKey,
    nodeKey: toHex(publicKey(nodePrivateKey)),
    ...(validatorKey !== undefined && {
      validator: { privateKey: validatorKey, address: privateKeyAddress(validatorKey) },
    }),
  };
}

/** An observer's identity guards nothing but its name, so that its file may be quick to open. */
async function createObserverKeys(dataDir: string, password: string): Promise<NodeKeys> {
  await makeFolder(dataDir);
  const nodePrivateKey = randomPrivateKey();
  const options = { strength: 'light', withPublicKey: true } as const;
  await writeKeyFile(join(dataDir, NODE_KEY_FILE), nodePrivateKey, password, options);
  return { nodePrivateKey, nodeKey: toHex(publicKey(nodePrivateKey)) };
}

/** True when the folder still has the marker "this validator key has never signed". A marker of another key is refused. */
export async function hasEmptyGuard(dataDir: string, validator: Address): Promise<boolean> {
  const path = join(dataDir, EMPTY_GUARD_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  let marked: unknown;
  try {
    marked = (JSON.parse(text) as { validator?: unknown } | null)?.validator;
  } catch (cause) {
    throw new QuorateError('GUARD_MISSING', `${path} is damaged (${errorMessage(cause)}); see docs/errors.md`, {
      cause,
    });
  }
  if (marked !== validator) {
    throw new QuorateError('KEY_MISMATCH', `${path} belongs to another validator key than the one in this folder`);
  }
  return true;
}
