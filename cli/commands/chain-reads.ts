/** `quorate block show` and `quorate account show`: reads of final state. */
import type { Command } from 'commander';
import { checksumAddress } from '../../genesis/address.ts';
import { isHash } from '../../primitives/bytes.ts';
import { QuorateError } from '../../primitives/errors.ts';
import { formatCoins } from '../amount.ts';
import { addressArgument } from '../arguments.ts';
import { newCommand, newGroup, withJson, withRpc } from '../command.ts';
import { pairs, printJson, printLine } from '../output.ts';
import { bigQuantity, quantity, RpcClient, toQuantity } from '../rpc-client.ts';

type Options = { readonly rpc: string; readonly json?: boolean };

async function fetchBlock(rpc: RpcClient, which: string): Promise<unknown> {
  const wanted = which.toLowerCase();
  if (isHash(wanted)) return rpc.call('eth_getBlockByHash', [wanted, false]);
  if (wanted === 'latest') return rpc.call('eth_getBlockByNumber', ['latest', false]);
  if (!/^\d{1,15}$/.test(wanted)) throw new QuorateError('USAGE', 'name a block by number, by hash, or as latest');
  return rpc.call('eth_getBlockByNumber', [toQuantity(Number(wanted)), false]);
}

async function showBlock(which: string, options: Options): Promise<void> {
  const found = (await fetchBlock(new RpcClient(options.rpc), which)) as Record<string, unknown> | null;
  if (found === null) throw new QuorateError('NOT_FOUND', `the node at ${options.rpc} has no final block ${which}`);
  if (options.json === true) return printJson(found);
  const seconds = quantity(found['timestamp']);
  const transactions = found['transactions'] as readonly string[];
  return printLine(
    pairs([
      ['block', quantity(found['number'])],
      ['hash', found['hash']],
      ['parent', found['parentHash']],
      ['time', new Date(seconds * 1000).toISOString()],
      ['made by', found['miner']],
      ['gas used', `${quantity(found['gasUsed'])} of ${quantity(found['gasLimit'])}`],
      ['state root', found['stateRoot']],
      ['transactions', [transactions.length, ...transactions].join('\n              ')],
    ]),
  );
}

async function showAccount(address: string, options: Options): Promise<void> {
  const account = addressArgument(address);
  const rpc = new RpcClient(options.rpc);
  const [balanceHex, nonceHex, pendingHex, code] = await Promise.all([
    rpc.call('eth_getBalance', [account, 'latest']),
    rpc.call('eth_getTransactionCount', [account, 'latest']),
    rpc.call('eth_getTransactionCount', [account, 'pending']),
    rpc.call('eth_getCode', [account, 'latest']),
  ]);
  const balance = bigQuantity(balanceHex);
  const nonce = quantity(nonceHex);
  const pendingNonce = quantity(pendingHex);
  const contract = code !== '0x';
  if (options.json === true) return printJson({ address: account, balance, nonce, pendingNonce, contract });
  const waiting = pendingNonce > nonce ? ` (${pendingNonce - nonce} more waiting)` : '';
  return printLine(
    pairs([
      ['address', checksumAddress(account) + (contract ? ' (a contract)' : '')],
      ['balance', `${formatCoins(balance)} coins`],
      ['transactions', `${nonce} sent${waiting}`],
    ]),
  );
}

export function blockCommand(): Command {
  const showing = newCommand('show', 'show a final block', ['quorate block show', 'quorate block show 42']).argument(
    '[block]',
    'number, hash or latest',
    'latest',
  );
  return newGroup('block', 'show blocks', [withRpc(withJson(showing)).action(showBlock)]);
}

export function accountCommand(): Command {
  const showing = newCommand('show', 'show balance and nonce of an account', [
    'quorate account show 0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
  ]).argument('<address>', 'the account');
  return newGroup('account', 'show accounts', [withRpc(withJson(showing)).action(showAccount)]);
}
