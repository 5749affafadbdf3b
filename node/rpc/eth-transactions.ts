/** Transactions and receipts by hash or place, and the way in for raw transactions. */
import type { Block } from '../../ledger/block.ts';
import type { SubmitResult } from './backend.ts';
import { finalHeight, parseBlockNumber, pendingBlock } from './block-param.ts';
import { receiptJson, transactionJson } from './format.ts';
import { INVALID_PARAMS, REFUSED, RpcError } from './jsonrpc.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, decodeHex, invalid, parseHash, parseNumber } from './params.ts';

type Refused = { readonly code: number; readonly message: string };

export function transactionMethods(services: Services): MethodGroup {
  const { backend, limits, scheduler } = services;

  const atIndex = (block: Block | undefined, index: number, pending: boolean): unknown => {
    const tx = block?.transactions[index];
    if (block === undefined || tx === undefined) return null;
    return transactionJson(tx, pending ? undefined : { hash: block.hash, header: block.header, index });
  };

  /** Hex to the backend; what is no hex never gets there. */
  const submit = (value: unknown): SubmitResult | Promise<SubmitResult> => {
    const raw = decodeHex(value, limits.transactionBytesMax);
    if (typeof raw !== 'string') return backend.submit(raw);
    return raw.startsWith('oversized data')
      ? { code: REFUSED, message: raw }
      : { code: INVALID_PARAMS, message: `invalid argument 0: ${raw}` };
  };

  return {
    eth_getTransactionByHash: (params) => {
      const hash = parseHash(args(params, 1, 1)[0], 'argument 0');
      const found = backend.transaction(hash);
      if (found === undefined) return null;
      const { transaction, place } = found;
      if (place === undefined) return transactionJson(transaction, undefined);
      return transactionJson(transaction, { hash: place.block.hash, header: place.block.header, index: place.index });
    },
    eth_getTransactionReceipt: (params) => {
      const hash = parseHash(args(params, 1, 1)[0], 'argument 0');
      const place = backend.transaction(hash)?.place;
      const list = place === undefined ? undefined : services.receipts.of(place.block.hash);
      const receipt = place === undefined ? undefined : list?.receipts[place.index];
      if (place === undefined || list === undefined || receipt === undefined) return null;
      return receiptJson(place.block, receipt, place.index, list.firstLog[place.index]!);
    },
    eth_getTransactionByBlockNumberAndIndex: (params) => {
      const [number, position] = args(params, 2, 2);
      const param = parseBlockNumber(number, 'argument 0');
      const index = parseNumber(position, 'argument 1');
      const certified = param.kind === 'pending' ? pendingBlock(backend) : undefined;
      if (certified !== undefined) return atIndex(certified, index, true);
      const height = finalHeight(backend, param);
      return atIndex(height === undefined ? undefined : backend.blockByHeight(height), index, false);
    },
    eth_getTransactionByBlockHashAndIndex: (params) => {
      const [hash, position] = args(params, 2, 2);
      const block = backend.blockByHash(parseHash(hash, 'argument 0'));
      return atIndex(block, parseNumber(position, 'argument 1'), false);
    },
    eth_sendRawTransaction: (params) => {
      const result = submit(args(params, 1, 1)[0]);
      return result instanceof Promise ? result.then(hashOrThrow) : hashOrThrow(result);
    },
    xft_sendRawTransactions: async (params) => {
      const [raws] = args(params, 1, 1);
      if (!Array.isArray(raws)) throw invalid('argument 0', 'expected an array of raw transactions');
      if (raws.length > limits.sendManyMax) throw invalid('argument 0', `more than ${limits.sendManyMax} transactions`);
      const results: (SubmitResult | Promise<SubmitResult>)[] = [];
      for (const raw of raws) {
        const pause = scheduler.breathe();
        if (pause !== undefined) await pause;
        results.push(submit(raw));
      }
      return (await Promise.all(results)).map(hashOrRefusal);
    },
  };
}

function hashOrThrow(result: SubmitResult): string {
  if ('hash' in result) return result.hash;
  throw new RpcError(result.code, result.message);
}

function hashOrRefusal(result: SubmitResult): string | Refused {
  return 'hash' in result ? result.hash : { code: result.code, message: result.message };
}
