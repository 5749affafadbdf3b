/** The account that signs a transaction: a key file with its password, or the key in QUORATE_PRIVATE_KEY. */
import { openKeyFile } from '../node/keystore.ts';
import { fromHex } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { isPrivateKey } from '../primitives/secp256k1.ts';
import { findPassword } from './password.ts';

/** The key, or undefined when neither a file nor the variable names one. A named file is stronger. */
export async function findSignerKey(options: {
  readonly key?: string | undefined;
  readonly passwordFile?: string | undefined;
}): Promise<Bytes | undefined> {
  if (options.key !== undefined) {
    const password = await findPassword({ file: options.passwordFile, what: options.key });
    return openKeyFile(options.key, password);
  }
  const text = process.env['QUORATE_PRIVATE_KEY'];
  if (text === undefined) return undefined;
  const key = fromHex(text.startsWith('0x') ? text : '0x' + text);
  if (key === undefined || !isPrivateKey(key)) {
    throw new QuorateError('KEY_INVALID', 'QUORATE_PRIVATE_KEY is not a private key of 64 hex digits');
  }
  return key;
}
