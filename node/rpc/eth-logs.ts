/** eth_getLogs and the six filter methods. */

import { REFUSED, RpcError } from './jsonrpc.ts';
import { type LogQuery, logRange, logsAt, parseLogQuery, scanLogs } from './log-filter.ts';
import type { MethodGroup, Services } from './method.ts';
import { args } from './params.ts';

function tooMany(most: number): RpcError {
  return new RpcError(REFUSED, `query returns more than ${most} logs; narrow the block range or the filter`);
}

/** All logs of a query, or an error where there are too many. */
async function queryLogs(services: Services, query: LogQuery): Promise<Record<string, unknown>[]> {
  const { backend, limits } = services;
  if (query.blockHash !== undefined) {
    const block = backend.blockByHash(query.blockHash);
    if (block === undefined) throw new RpcError(REFUSED, 'unknown block');
    const logs = logsAt(services, block, query);
    if (logs.length > limits.logsMax) throw tooMany(limits.logsMax);
    return logs;
  }
  const range = logRange(backend, query, limits.logBlocksMax);
  if (range === undefined) return [];
  const { logs, next } = await scanLogs(services, query, range.from, range.to);
  if (next <= range.to || logs.length > limits.logsMax) throw tooMany(limits.logsMax);
  return logs;
}

export function logMethods(services: Services): MethodGroup {
  const { filters } = services;
  return {
    eth_getLogs: (params) => queryLogs(services, parseLogQuery(args(params, 0, 1)[0], 'argument 0')),
    eth_newFilter: (params) => filters.addLogs(parseLogQuery(args(params, 0, 1)[0], 'argument 0')),
    eth_newBlockFilter: (params) => {
      args(params, 0, 0);
      return filters.addBlocks();
    },
    eth_newPendingTransactionFilter: (params) => {
      args(params, 0, 1);
      return filters.addPending();
    },
    eth_getFilterChanges: (params) => filters.changes(services, args(params, 1, 1)[0]),
    eth_getFilterLogs: (params) => queryLogs(services, filters.logQuery(args(params, 1, 1)[0])),
    eth_uninstallFilter: (params) => filters.remove(args(params, 1, 1)[0]),
  };
}
