/**
 * Key files in Web3 Secret Storage version 3, as geth and ethers write and read them: the private key under
 * AES-128-CTR, its key from the password by scrypt (or pbkdf2, when reading), a keccak256 MAC to tell a wrong password
 * from a right one. Source: ethereum.org "Web3 secret storage definition"; scrypt: RFC 7914.
 */
import {
  createCipheriv,
  createDecipheriv,
  pbkdf2,
  randomBytes,
  randomUUID,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { concat, fromHex, toHex } from '../primitives/bytes.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { isPrivateKey, privateKeyAddress, publicKey } from '../primitives/secp256k1.ts';
import { writeNewFile } from './data-dir.ts';

/** How hard guessing the password is made: `standard` takes most of a second and 256 MiB, `light` a tenth of that. */
export type KeystoreStrength = 'standard' | 'light';

type ScryptParams = { readonly n: number; readonly r: number; readonly p: number };

const SCRYPT: Readonly<Record<KeystoreStrength, ScryptParams>> = {
  standard: { n: 2 ** 18, r: 8, p: 1 },
  light: { n: 2 ** 12, r: 8, p: 6 },
};

/** Bounds on what a file may ask of this machine. */
const SCRYPT_MEMORY_MAX = 1024 ** 3;
const SCRYPT_PARALLEL_MAX = 16;
const PBKDF2_ROUNDS_MAX = 10_000_000;
const KEY_FILE_BYTES_MAX = 16 * 1024;

type Kdf = { readonly kdf: string; readonly kdfparams: Readonly<Record<string, unknown>> };

/** The fields of a key file that decryption needs, checked. */
type Keystore = Kdf & {
  readonly address: Address | undefined;
  readonly publicKey: string | undefined;
  readonly iv: Bytes;
  readonly ciphertext: Bytes;
  readonly mac: Bytes;
};

export type KeystoreSummary = {
  readonly address: Address | undefined;
  /** Present in node key files: it is the node's identity on the network, and no secret. */
  readonly publicKey: string | undefined;
};

function deriveScrypt(password: string, salt: Bytes, params: ScryptParams, length: number): Promise<Bytes> {
  const { n, r, p } = params;
  return new Promise((resolve, reject) => {
    const options = { N: n, r, p, maxmem: 128 * n * r + 128 * r * p + 1024 * 1024 };
    scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function derivePbkdf2(password: string, salt: Bytes, rounds: number, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, rounds, length, 'sha256', (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function macOf(derived: Bytes, ciphertext: Bytes): Bytes {
  return keccak256(concat(derived.subarray(16, 32), ciphertext));
}

function bare(bytes: Bytes): string {
  return toHex(bytes).slice(2);
}

/** The form in which a password is used for writing, so that any way of typing a letter opens the file (as ethers). */
function normalized(password: string): string {
  return password.normalize('NFKC');
}

/** The JSON text of a key file. With `withPublicKey` it also carries the public key, which readers elsewhere ignore. */
export async function encryptKey(
  privateKey: Bytes,
  password: string,
  options: { readonly strength?: KeystoreStrength; readonly withPublicKey?: boolean } = {},
): Promise<string> {
  const params = SCRYPT[options.strength ?? 'standard'];
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derived = await deriveScrypt(normalized(password), salt, params, 32);
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
  const ciphertext = concat(cipher.update(privateKey), cipher.final());
  const file = {
    version: 3,
    id: randomUUID(),
    address: privateKeyAddress(privateKey).slice(2),
    ...(options.withPublicKey === true && { publicKey: toHex(publicKey(privateKey)) }),
    crypto: {
      cipher: 'aes-128-ctr',
      cipherparams: { iv: bare(iv) },
      ciphertext: bare(ciphertext),
      kdf: 'scrypt',
      kdfparams: { dklen: 32, ...params, salt: bare(salt) },
      mac: bare(macOf(derived, ciphertext)),
    },
  };
  return JSON.stringify(file, undefined, 2) + '\n';
}

function invalid(source: string, why: string, cause?: unknown): QuorateError {
  const message = `${source} is not a key file this program can read: ${why}`;
  return new QuorateError('KEY_INVALID', message, { data: { source }, cause });
}

type Fields = Readonly<Record<string, unknown>>;

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** Hex with or without 0x, as the various writers have it. */
function hexField(fields: Fields, name: string, length: number, source: string): Bytes {
  const text = fields[name];
  const bytes = typeof text === 'string' ? fromHex(text.startsWith('0x') ? text : '0x' + text) : undefined;
  if (bytes?.length !== length) throw invalid(source, `${name} must be ${length} bytes of hex`);
  return bytes;
}

/** Old writers spell the field `Crypto`, and ids and addresses with or without 0x: all of that is read. */
function parseKeystore(text: string, source: string): Keystore {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(source, `not JSON (${errorMessage(cause)})`, cause);
  }
  const file = asFields(value);
  const crypto = asFields(file['crypto'] ?? file['Crypto']);
  if (file['version'] !== 3) throw invalid(source, 'it must be Web3 Secret Storage version 3');
  if (crypto['cipher'] !== 'aes-128-ctr') throw invalid(source, 'the cipher must be aes-128-ctr');
  const known = file['publicKey'];
  return {
    address: file['address'] === undefined ? undefined : toHex(hexField(file, 'address', 20, source)),
    publicKey: typeof known === 'string' ? known : undefined,
    iv: hexField(asFields(crypto['cipherparams']), 'iv', 16, source),
    ciphertext: hexField(crypto, 'ciphertext', 32, source),
    mac: hexField(crypto, 'mac', 32, source),
    kdf: String(crypto['kdf']),
    kdfparams: asFields(crypto['kdfparams']),
  };
}

function integerParam(params: Fields, name: string, max: number, source: string): number {
  const value = params[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > max) {
    throw invalid(source, `${name} must be an integer from 1 to ${max}`);
  }
  return value;
}

function deriveFrom({ kdf, kdfparams }: Kdf, password: string, source: string): Promise<Bytes> {
  const saltText = kdfparams['salt'];
  const salt =
    typeof saltText === 'string' ? fromHex(saltText.startsWith('0x') ? saltText : '0x' + saltText) : undefined;
  if (salt === undefined) throw invalid(source, 'salt must be hex');
  const length = integerParam(kdfparams, 'dklen', 64, source);
  if (length < 32) throw invalid(source, 'dklen must be at least 32');
  if (kdf === 'pbkdf2') {
    if (kdfparams['prf'] !== 'hmac-sha256') throw invalid(source, 'prf must be hmac-sha256');
    return derivePbkdf2(password, salt, integerParam(kdfparams, 'c', PBKDF2_ROUNDS_MAX, source), length);
  }
  if (kdf !== 'scrypt') throw invalid(source, 'kdf must be scrypt or pbkdf2');
  const r = integerParam(kdfparams, 'r', 64, source);
  const n = integerParam(kdfparams, 'n', SCRYPT_MEMORY_MAX / (128 * r), source);
  const p = integerParam(kdfparams, 'p', SCRYPT_PARALLEL_MAX, source);
  if (n < 2 || (n & (n - 1)) !== 0) throw invalid(source, 'n must be a power of two');
  if (Math.log2(n) >= 16 * r) throw invalid(source, 'n must be below 2^(16r), as RFC 7914 and other readers want it');
  return deriveScrypt(password, salt, { n, r, p }, length);
}

/** The derived key, or undefined when the password is not the file's. */
async function deriveChecked(keystore: Keystore, password: string, source: string): Promise<Bytes | undefined> {
  const derived = await deriveFrom(keystore, password, source);
  return timingSafeEqual(macOf(derived, keystore.ciphertext), keystore.mac) ? derived : undefined;
}

/** The private key of a key file's text. A password with composed letters is tried as ethers, then as geth, uses it. Throws KEY_PASSWORD for a wrong password, KEY_INVALID for a broken file. */
export async function decryptKey(text: string, password: string, source = 'the key file'): Promise<Bytes> {
  const keystore = parseKeystore(text, source);
  const derived =
    (await deriveChecked(keystore, normalized(password), source)) ??
    (password === normalized(password) ? undefined : await deriveChecked(keystore, password, source));
  if (derived === undefined) {
    throw new QuorateError('KEY_PASSWORD', `the password does not open ${source}; check it and try again`);
  }
  const decipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), keystore.iv);
  const privateKey = Uint8Array.from(concat(decipher.update(keystore.ciphertext), decipher.final()));
  if (!isPrivateKey(privateKey)) throw invalid(source, 'what it holds is not a secp256k1 key');
  if (keystore.address !== undefined && keystore.address !== privateKeyAddress(privateKey)) {
    throw invalid(source, 'its address is not that of the key it holds');
  }
  if (keystore.publicKey !== undefined && keystore.publicKey !== toHex(publicKey(privateKey))) {
    throw invalid(source, 'its public key is not that of the key it holds');
  }
  return privateKey;
}

/** What a key file says of itself without its password; believed only after `decryptKey` agreed. */
export function summarizeKey(text: string, source = 'the key file'): KeystoreSummary {
  const { address, publicKey } = parseKeystore(text, source);
  return { address, publicKey };
}

/** Writes a key file that must not exist yet, readable by its owner alone. */
export async function writeKeyFile(
  path: string,
  privateKey: Bytes,
  password: string,
  options: { readonly strength?: KeystoreStrength; readonly withPublicKey?: boolean } = {},
): Promise<void> {
  await writeNewFile(path, await encryptKey(privateKey, password, options), 'secret');
}

/** Text of a key file; KEY_PERMISSIONS when others may read it. Checked on the opened file, so that it cannot be swapped. */
export async function readKeyText(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new QuorateError('NOT_FOUND', `there is no key file ${path}`, { cause });
    throw new QuorateError('KEY_INVALID', `the key file ${path} cannot be opened: ${cause.message}`, { cause });
  });
  try {
    const { mode, size } = await file.stat();
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(4, '0');
      throw new QuorateError(
        'KEY_PERMISSIONS',
        `${path} may be read by others (mode ${shown}); run: chmod 600 ${path}`,
      );
    }
    if (size > KEY_FILE_BYTES_MAX) throw invalid(path, `it is larger than ${KEY_FILE_BYTES_MAX} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** The private key of a key file. */
export async function openKeyFile(path: string, password: string): Promise<Bytes> {
  return decryptKey(await readKeyText(path), password, path);
}

/** Whether there is a file at all, to tell a validator from an observer. */
export async function keyFileExists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
