/** Blocks and what is counted in them. A block that does not exist is null, never an error. */
import type { Block } from '../../ledger/block.ts';
import { type BlockParam, finalHeight, parseBlock, parseBlockNumber, pendingBlock } from './block-param.ts';
import { blockJson, pendingBlockJson, quantity, receiptJson, transactionJson } from './format.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, parseBoolean, parseHash, parseNumber } from './params.ts';

export function blockMethods(services: Services): MethodGroup {
  const { backend, scheduler } = services;

  /** The block and whether it is only certified. */
  const find = (param: BlockParam): { readonly block: Block; readonly pending: boolean } | undefined => {
    const certified = param.kind === 'pending' ? pendingBlock(backend) : undefined;
    if (certified !== undefined) return { block: certified, pending: true };
    const height = finalHeight(backend, param);
    const block = height === undefined ? undefined : backend.blockByHeight(height);
    return block === undefined ? undefined : { block, pending: false };
  };
  const byNumber = (value: unknown) => find(parseBlockNumber(value, 'argument 0'))?.block;
  const byHash = (value: unknown) => backend.blockByHash(parseHash(value, 'argument 0'));
  const count = (block: Block | undefined) => (block === undefined ? null : quantity(block.transactions.length));
  const uncles = (block: Block | undefined) => (block === undefined ? null : '0x0');

  const show = (block: Block, pending: boolean, full: boolean): unknown => {
    const { header, hash } = block;
    const make = pending ? pendingBlockJson : blockJson;
    const list = scheduler.map(block.transactions, (tx, index) =>
      full ? transactionJson(tx, pending ? undefined : { hash, header, index }) : tx.hash,
    );
    return list instanceof Promise ? list.then((transactions) => make(block, transactions)) : make(block, list);
  };

  return {
    eth_getBlockByNumber: (params) => {
      const [number, full] = args(params, 1, 2);
      const wantsAll = parseBoolean(full, 'argument 1');
      const found = find(parseBlockNumber(number, 'argument 0'));
      return found === undefined ? null : show(found.block, found.pending, wantsAll);
    },
    eth_getBlockByHash: (params) => {
      const [hash, full] = args(params, 1, 2);
      const wantsAll = parseBoolean(full, 'argument 1');
      const block = byHash(hash);
      return block === undefined ? null : show(block, false, wantsAll);
    },
    eth_getBlockReceipts: (params) => {
      const [value] = args(params, 1, 1);
      // Explorers name the block by a bare hash, too.
      const bare = typeof value === 'string' && value.length === 66;
      const height = finalHeight(
        backend,
        bare ? { kind: 'hash', hash: parseHash(value, 'argument 0') } : parseBlock(value, 'argument 0'),
      );
      const block = height === undefined ? undefined : backend.blockByHeight(height);
      const list = block === undefined ? undefined : services.receipts.of(block.hash);
      if (block === undefined || list === undefined) return null;
      return scheduler.map(list.receipts, (receipt, i) => receiptJson(block, receipt, i, list.firstLog[i]!));
    },
    eth_getBlockTransactionCountByNumber: (params) => count(byNumber(args(params, 1, 1)[0])),
    eth_getBlockTransactionCountByHash: (params) => count(byHash(args(params, 1, 1)[0])),
    eth_getUncleCountByBlockNumber: (params) => uncles(byNumber(args(params, 1, 1)[0])),
    eth_getUncleCountByBlockHash: (params) => uncles(byHash(args(params, 1, 1)[0])),
    eth_getUncleByBlockNumberAndIndex: (params) => {
      const [number, index] = args(params, 2, 2);
      parseBlockNumber(number, 'argument 0');
      parseNumber(index, 'argument 1');
      return null;
    },
    eth_getUncleByBlockHashAndIndex: (params) => {
      const [hash, index] = args(params, 2, 2);
      parseHash(hash, 'argument 0');
      parseNumber(index, 'argument 1');
      return null;
    },
  };
}
