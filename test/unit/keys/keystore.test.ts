import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decryptKeystoreJson, encryptKeystoreJson, isKeystoreJson } from 'ethers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decryptKey, encryptKey, openKeyFile, summarizeKey, writeKeyFile } from '../../../node/keystore.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import { privateKeyAddress, publicKey } from '../../../primitives/secp256k1.ts';

const KEY = fromHex('0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318')!;
const LIGHT = { strength: 'light' } as const;

/** The test vectors of the Web3 Secret Storage definition: password "testpassword", key 7a28…8c9d. */
const VECTOR_KEY = '0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d';
const VECTOR_PBKDF2 = {
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2',
    kdfparams: {
      c: 262144,
      dklen: 32,
      prf: 'hmac-sha256',
      salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd',
    },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
  id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
  version: 3,
};
const VECTOR_SCRYPT = {
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '83dbcc02d8ccb40e466191a123791e0e' },
    ciphertext: 'd172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c',
    kdf: 'scrypt',
    kdfparams: {
      dklen: 32,
      n: 262144,
      p: 8,
      r: 1,
      salt: 'ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19',
    },
    mac: '2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097',
  },
  id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
  version: 3,
};

describe('keystore: interchange', () => {
  it("opens the definition's test vector for pbkdf2", async () => {
    expect(toHex(await decryptKey(JSON.stringify(VECTOR_PBKDF2), 'testpassword'))).toBe(VECTOR_KEY);
  });

  it("refuses the definition's vector for scrypt, which breaks RFC 7914, as ethers does", async () => {
    const text = JSON.stringify(VECTOR_SCRYPT);
    await expect(decryptKey(text, 'testpassword')).rejects.toMatchObject({ code: 'KEY_INVALID' });
    await expect(decryptKeystoreJson(text, 'testpassword')).rejects.toThrow(/N must be/);
  });

  it('writes what ethers opens', async () => {
    const text = await encryptKey(KEY, 'sesame', { ...LIGHT, withPublicKey: true });
    expect(isKeystoreJson(text)).toBe(true);
    const opened = await decryptKeystoreJson(text, 'sesame');
    expect(opened.privateKey).toBe(toHex(KEY));
    expect(opened.address.toLowerCase()).toBe(privateKeyAddress(KEY));
  });

  it('opens what ethers writes, with letters that are composed too', async () => {
    const account = { address: privateKeyAddress(KEY), privateKey: toHex(KEY) };
    const scrypt = { N: 4096, r: 8, p: 1 };
    const text = await encryptKeystoreJson(account, 'cafe\u0301', { scrypt });
    expect(await decryptKey(text, 'caf\u00e9')).toEqual(Uint8Array.from(KEY));
    expect(await decryptKey(text, 'cafe\u0301')).toEqual(Uint8Array.from(KEY));
  });

  it('uses scrypt with N = 2^18 unless told to be light', async () => {
    const { crypto } = JSON.parse(await encryptKey(KEY, 'x')) as typeof VECTOR_SCRYPT & {
      crypto: { kdfparams: object };
    };
    expect(crypto.kdfparams).toMatchObject({ n: 262144, r: 8, p: 1, dklen: 32 });
    const light = JSON.parse(await encryptKey(KEY, 'x', LIGHT)) as { crypto: { kdfparams: object } };
    expect(light.crypto.kdfparams).toMatchObject({ n: 4096, r: 8, p: 6 });
  });
});

describe('keystore: wrong input', () => {
  const damaged = (change: (file: typeof VECTOR_SCRYPT) => unknown) =>
    JSON.stringify(change(structuredClone(VECTOR_SCRYPT)));

  it('says that the password is wrong', async () => {
    const text = await encryptKey(KEY, 'right', LIGHT);
    await expect(decryptKey(text, 'wrong', 'k.json')).rejects.toMatchObject({
      code: 'KEY_PASSWORD',
      message: 'the password does not open k.json; check it and try again',
    });
  });

  it.each([
    ['no JSON', '{'],
    ['another version', damaged((file) => ({ ...file, version: 1 }))],
    ['another cipher', damaged((file) => ({ ...file, crypto: { ...file.crypto, cipher: 'aes-128-cbc' } }))],
    ['another kdf', damaged((file) => ({ ...file, crypto: { ...file.crypto, kdf: 'argon2' } }))],
    ['a short key', damaged((file) => ({ ...file, crypto: { ...file.crypto, ciphertext: '00' } }))],
    [
      '64 GiB of memory',
      damaged((file) => ({
        ...file,
        crypto: { ...file.crypto, kdfparams: { ...file.crypto.kdfparams, r: 64, n: 2 ** 23 } },
      })),
    ],
    [
      'an N that is no power of two',
      damaged((file) => ({ ...file, crypto: { ...file.crypto, kdfparams: { ...file.crypto.kdfparams, n: 3 } } })),
    ],
    ['nothing at all', 'null'],
  ])('refuses a file with %s', async (_, text) => {
    await expect(decryptKey(text, 'testpassword')).rejects.toMatchObject({ code: 'KEY_INVALID' });
  });

  it('refuses a file whose address, or public key, is not of the key it holds', async () => {
    const file = JSON.parse(await encryptKey(KEY, 'x', { ...LIGHT, withPublicKey: true })) as Record<string, unknown>;
    const other = new Uint8Array(32).fill(9);
    const wrongAddress = JSON.stringify({ ...file, address: privateKeyAddress(other).slice(2) });
    const wrongKey = JSON.stringify({ ...file, publicKey: toHex(publicKey(other)) });
    await expect(decryptKey(wrongAddress, 'x')).rejects.toThrow('its address is not that of the key it holds');
    await expect(decryptKey(wrongKey, 'x')).rejects.toThrow('its public key is not that of the key it holds');
  });

  it('tells address and public key without the password', async () => {
    const text = await encryptKey(KEY, 'x', { ...LIGHT, withPublicKey: true });
    expect(summarizeKey(text)).toEqual({ address: privateKeyAddress(KEY), publicKey: toHex(publicKey(KEY)) });
  });
});

describe('keystore: files', () => {
  let dir: string;
  let path: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'quorate-keys-'));
    path = join(dir, 'key.json');
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('are readable by their owner alone, and open again', async () => {
    await writeKeyFile(path, KEY, 'x', LIGHT);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await openKeyFile(path, 'x')).toEqual(Uint8Array.from(KEY));
  });

  it('are never overwritten, not even through a link', async () => {
    await writeKeyFile(path, KEY, 'x', LIGHT);
    const before = await readFile(path, 'utf8');
    const link = join(dir, 'link.json');
    await symlink(path, link);
    for (const target of [path, link]) {
      await expect(writeKeyFile(target, KEY, 'y', LIGHT)).rejects.toMatchObject({ code: 'DATA_DIR_INVALID' });
    }
    expect(await readFile(path, 'utf8')).toBe(before);
  });

  it.each([0o640, 0o604, 0o620])('with mode %o are refused', async (mode) => {
    await writeKeyFile(path, KEY, 'x', LIGHT);
    await chmod(path, mode);
    await expect(openKeyFile(path, 'x')).rejects.toMatchObject({ code: 'KEY_PERMISSIONS' });
  });

  it('that are missing, or huge, are named', async () => {
    await expect(openKeyFile(path, 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await writeFile(path, ' '.repeat(100_000), { mode: 0o600 });
    await expect(openKeyFile(path, 'x')).rejects.toThrow('larger than');
  });
});
