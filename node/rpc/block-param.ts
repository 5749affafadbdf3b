/**
 * Block parameters: tags, hex numbers and EIP-1898 objects. `latest`, `safe` and `finalized` are one and the same,
 * the newest final block, because blocks here are final at once; `pending` adds what is certified (interface.md).
 */
import type { Block } from '../../ledger/block.ts';
import type { Hash, Height } from '../../primitives/ids.ts';
import type { Backend, StateAt } from './backend.ts';
import { REFUSED, RpcError } from './jsonrpc.ts';
import { invalid, parseBoolean, parseHash, parseNumber, parseObject } from './params.ts';

export type BlockParam =
  | { readonly kind: 'height'; readonly height: Height }
  | { readonly kind: 'latest' }
  | { readonly kind: 'pending' }
  | { readonly kind: 'hash'; readonly hash: Hash };

const LATEST: BlockParam = { kind: 'latest' };
const TAGS: Readonly<Record<string, BlockParam>> = {
  latest: LATEST,
  safe: LATEST,
  finalized: LATEST,
  pending: { kind: 'pending' },
  earliest: { kind: 'height', height: 0 },
};

/** A tag or a hex number; `latest` when absent. */
export function parseBlockNumber(value: unknown, what: string): BlockParam {
  if (value === undefined || value === null || value === '') return LATEST;
  if (typeof value === 'string' && Object.hasOwn(TAGS, value)) return TAGS[value]!;
  if (typeof value === 'string' && !value.startsWith('0x')) {
    throw invalid(what, 'expected a block tag (latest, safe, finalized, pending, earliest) or a hex number');
  }
  return { kind: 'height', height: parseNumber(value, what) };
}

/** A tag, a hex number or an EIP-1898 object. */
export function parseBlock(value: unknown, what: string): BlockParam {
  if (typeof value !== 'object' || value === null) return parseBlockNumber(value, what);
  const { blockNumber, blockHash, requireCanonical } = parseObject(value, what);
  parseBoolean(requireCanonical, `${what}, requireCanonical`); // every block here is canonical
  const hasNumber = blockNumber !== undefined && blockNumber !== null;
  const hasHash = blockHash !== undefined && blockHash !== null;
  if (hasNumber === hasHash) throw invalid(what, 'expected either blockNumber or blockHash');
  if (hasNumber) return parseBlockNumber(blockNumber, `${what}, blockNumber`);
  return { kind: 'hash', hash: parseHash(blockHash, `${what}, blockHash`) };
}

/** Height of the final block meant; undefined when there is none. `pending` counts as the newest final one. */
export function finalHeight(backend: Backend, param: BlockParam): Height | undefined {
  const head = backend.head().height;
  if (param.kind === 'height') return param.height <= head ? param.height : undefined;
  if (param.kind === 'hash') return backend.blockByHash(param.hash)?.header.number;
  return head;
}

/** The state meant, or an error as geth gives it when there is no such block. */
export function stateAt(backend: Backend, param: BlockParam): StateAt {
  if (param.kind === 'pending') return 'tip';
  const height = finalHeight(backend, param);
  if (height !== undefined) return height;
  throw new RpcError(REFUSED, param.kind === 'hash' ? 'header for hash not found' : 'header not found');
}

/** State that is no longer kept: indexers know it by "missing trie node". */
export function orPruned<T>(value: T | 'pruned', at: StateAt): T {
  if (value !== 'pruned') return value;
  throw new RpcError(REFUSED, `missing trie node: the state of block ${at} is pruned on this node`);
}

/** The newest block `pending` shows, or undefined when nothing is certified above the final block. */
export function pendingBlock(backend: Backend): Block | undefined {
  return backend.certified().at(-1);
}
