import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeEmptyGuard, writeEmptyGuard } from '../../../node/data-dir.ts';
import { writeKeyFile } from '../../../node/keystore.ts';
import { hasEmptyGuard, loadNodeKeys } from '../../../node/node-keys.ts';
import { toHex } from '../../../primitives/bytes.ts';
import { privateKeyAddress, publicKey, randomPrivateKey } from '../../../primitives/secp256k1.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quorate-node-keys-'));
});
afterEach(() => rm(dir, { recursive: true }));

const password = () => Promise.resolve('x');

describe('node keys', () => {
  it('of a validator are both opened', async () => {
    const node = randomPrivateKey();
    const validator = randomPrivateKey();
    await writeKeyFile(join(dir, 'node-key.json'), node, 'x', { strength: 'light' });
    await writeKeyFile(join(dir, 'validator-key.json'), validator, 'x', { strength: 'light' });
    const keys = await loadNodeKeys(dir, password);
    expect(keys.nodeKey).toBe(toHex(publicKey(node)));
    expect(toHex(keys.nodePrivateKey)).toBe(toHex(node));
    expect(keys.validator?.address).toBe(privateKeyAddress(validator));
    expect(toHex(keys.validator!.privateKey)).toBe(toHex(validator));
  });

  it('of an observer are made at its first start, and kept', async () => {
    const fresh = join(dir, 'observer');
    const first = await loadNodeKeys(fresh, password);
    expect(first.validator).toBeUndefined();
    expect((await stat(fresh)).mode & 0o777).toBe(0o700);
    expect((await loadNodeKeys(fresh, password)).nodeKey).toBe(first.nodeKey);
  });

  it('are not made anew for a validator that lost its node key', async () => {
    await writeKeyFile(join(dir, 'validator-key.json'), randomPrivateKey(), 'x', { strength: 'light' });
    await expect(loadNodeKeys(dir, password)).rejects.toMatchObject({ code: 'DATA_DIR_INVALID' });
  });
});

describe('empty guard', () => {
  const validator = `0x${'ab'.repeat(20)}`;

  it('is there from its making until it is removed', async () => {
    expect(await hasEmptyGuard(dir, validator)).toBe(false);
    await writeEmptyGuard(dir, validator);
    expect(await hasEmptyGuard(dir, validator)).toBe(true);
    await removeEmptyGuard(dir);
    expect(await hasEmptyGuard(dir, validator)).toBe(false);
  });

  it('of another key, or damaged, is refused: it does not say that this key never signed', async () => {
    await writeEmptyGuard(dir, validator);
    await expect(hasEmptyGuard(dir, `0x${'cd'.repeat(20)}`)).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
    await writeFile(join(dir, 'guard-empty'), '');
    await expect(hasEmptyGuard(dir, validator)).rejects.toMatchObject({ code: 'GUARD_MISSING' });
  });
});
