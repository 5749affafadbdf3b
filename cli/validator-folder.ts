/** The keys of a validator in its data folder. */
import { join } from 'node:path';
import { NODE_KEY_FILE, VALIDATOR_KEY_FILE, writeEmptyGuard } from '../node/data-dir.ts';
import { type KeystoreStrength, keyFileExists, writeKeyFile } from '../node/keystore.ts';
import type { Bytes } from '../primitives/ids.ts';
import { privateKeyAddress } from '../primitives/secp256k1.ts';

export type ValidatorKeys = {
  readonly validator: Bytes;
  /** Written unless the folder has one. */
  readonly node: Bytes;
};

/**
 * Public keys are written beside the encrypted ones: they are no secret, and others need them. Only a key that was made just
 * now gets the empty guard: an imported one may have signed elsewhere, and a node that starts with it must behave as one that
 * lost its log. The validator key comes last, so that a folder that has it has everything.
 */
export async function writeValidatorKeys(
  folder: string,
  keys: ValidatorKeys,
  options: { readonly password: string; readonly strength: KeystoreStrength; readonly made: boolean },
): Promise<void> {
  const { password, strength, made } = options;
  const file = { strength, withPublicKey: true };
  if (made) await writeEmptyGuard(folder, privateKeyAddress(keys.validator));
  const nodePath = join(folder, NODE_KEY_FILE);
  if (!(await keyFileExists(nodePath))) await writeKeyFile(nodePath, keys.node, password, file);
  await writeKeyFile(join(folder, VALIDATOR_KEY_FILE), keys.validator, password, file);
}
