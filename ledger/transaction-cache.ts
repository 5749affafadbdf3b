/**
 * Remembers verified transactions by hash, so that each is recovered once per node: when it arrives by gossip or RPC, not
 * again in a block. Bounded: the newest between one and two times `size`.
 */
import type { Bytes, Hash } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { decodeTransaction, type Transaction, type TransactionResult } from './transaction.ts';

export type TransactionCacheOptions = {
  readonly chainId: number;
  /** Default 16,384. */
  readonly size?: number;
  /** Another place to look, such as the pool. */
  readonly known?: (hash: Hash) => Transaction | undefined;
};

export class TransactionCache {
  readonly #options: TransactionCacheOptions;
  readonly #size: number;
  #young = new Map<Hash, Transaction>();
  #old = new Map<Hash, Transaction>();

  constructor(options: TransactionCacheOptions) {
    this.#options = options;
    this.#size = options.size ?? 16_384;
  }

  get(hash: Hash): Transaction | undefined {
    return this.#young.get(hash) ?? this.#old.get(hash) ?? this.#options.known?.(hash);
  }

  /** Decodes raw bytes, or finds what they decoded to before. Never throws. Copies bytes that are new. */
  decode(raw: Bytes): TransactionResult {
    const hash = keccakHash(raw);
    const transaction = this.get(hash);
    if (transaction !== undefined) return { ok: true, transaction };
    const result = decodeTransaction(Uint8Array.from(raw), { chainId: this.#options.chainId, hash });
    if (result.ok) this.#add(result.transaction);
    return result;
  }

  #add(transaction: Transaction): void {
    if (this.#young.size >= this.#size) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(transaction.hash, transaction);
  }
}
