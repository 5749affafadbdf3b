/** Reads of accounts: eth_getBalance, eth_getTransactionCount, eth_getCode, eth_getStorageAt. */
import { toHex } from '../../primitives/bytes.ts';
import { orPruned, parseBlock, stateAt } from './block-param.ts';
import { quantity } from './format.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, parseAddress, parseSlot } from './params.ts';

export function stateMethods({ backend }: Services): MethodGroup {
  return {
    eth_getBalance: (params) => {
      const [address, block] = args(params, 1, 2);
      const who = parseAddress(address, 'argument 0');
      const at = stateAt(backend, parseBlock(block, 'argument 1'));
      return quantity(orPruned(backend.account(who, at), at).balance);
    },
    eth_getTransactionCount: (params) => {
      const [address, block] = args(params, 1, 2);
      const who = parseAddress(address, 'argument 0');
      const param = parseBlock(block, 'argument 1');
      if (param.kind === 'pending') return quantity(backend.pendingNonce(who));
      const at = stateAt(backend, param);
      return quantity(orPruned(backend.account(who, at), at).nonce);
    },
    eth_getCode: (params) => {
      const [address, block] = args(params, 1, 2);
      const who = parseAddress(address, 'argument 0');
      const at = stateAt(backend, parseBlock(block, 'argument 1'));
      return toHex(orPruned(backend.code(who, at), at));
    },
    eth_getStorageAt: (params) => {
      const [address, slot, block] = args(params, 2, 3);
      const who = parseAddress(address, 'argument 0');
      const where = parseSlot(slot, 'argument 1');
      const at = stateAt(backend, parseBlock(block, 'argument 2'));
      return orPruned(backend.storage(who, where, at), at);
    },
  };
}
