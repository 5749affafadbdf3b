import { Transaction } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../primitives/bytes.ts';
import { isPrivateKey, privateKeyAddress } from '../../../primitives/secp256k1.ts';
import { signTransaction } from '../../../primitives/sign-transaction.ts';

describe('signed transactions', () => {
  it('are what ethers reads: every field, the sender and the hash', () => {
    const wei = fc.bigInt({ min: 0n, max: 2n ** 128n });
    const fields = fc.record({
      chainId: fc.integer({ min: 1, max: 2 ** 40 }),
      nonce: fc.integer({ min: 0, max: 2 ** 40 }),
      maxPriorityFeePerGas: wei,
      maxFeePerGas: wei,
      gasLimit: fc.integer({ min: 0, max: 2 ** 40 }),
      to: fc.uint8Array({ minLength: 20, maxLength: 20 }).map(toHex),
      value: wei,
      data: fc.uint8Array({ maxLength: 100 }).map(toHex),
    });
    const keys = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter(isPrivateKey);
    fc.assert(
      fc.property(fields, keys, (drawn, key) => {
        // ethers refuses a tip above the cap.
        const transaction = { ...drawn, maxFeePerGas: drawn.maxFeePerGas + drawn.maxPriorityFeePerGas };
        const { raw, hash } = signTransaction(transaction, key);
        const read = Transaction.from(raw);
        expect(read.hash).toBe(hash);
        expect(read.serialized).toBe(raw);
        expect(read.from?.toLowerCase()).toBe(privateKeyAddress(key));
        expect({
          chainId: Number(read.chainId),
          nonce: read.nonce,
          maxPriorityFeePerGas: read.maxPriorityFeePerGas,
          maxFeePerGas: read.maxFeePerGas,
          gasLimit: Number(read.gasLimit),
          to: read.to?.toLowerCase(),
          value: read.value,
          data: read.data,
        }).toEqual(transaction);
      }),
      { numRuns: 50 },
    );
  });
});
