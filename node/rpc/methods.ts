/** The table of all methods. */

import { blockMethods } from './eth-blocks.ts';
import { callMethods } from './eth-call.ts';
import { feeMethods } from './eth-fees.ts';
import { logMethods } from './eth-logs.ts';
import { stateMethods } from './eth-state.ts';
import { subscriptionMethods } from './eth-subscribe.ts';
import { transactionMethods } from './eth-transactions.ts';
import type { Method, Services } from './method.ts';
import { nodeInfoMethods } from './node-info.ts';
import { xftMethods } from './xft.ts';

/** Methods by name; the backend's extensions may add to them and override them. */
export function methodTable(services: Services): ReadonlyMap<string, Method> {
  const groups = [
    nodeInfoMethods(services),
    stateMethods(services),
    blockMethods(services),
    transactionMethods(services),
    callMethods(services),
    feeMethods(services),
    logMethods(services),
    subscriptionMethods(services.hub),
    xftMethods(services),
  ];
  const table = new Map<string, Method>(groups.flatMap((group) => Object.entries(group)));
  for (const [name, method] of services.backend.extensions) table.set(name, method);
  return table;
}
