/** `quorate tx …`: sends a transaction and waits until it is final; shows one. */
import type { Command } from 'commander';
import { fromHex, isHash } from '../../primitives/bytes.ts';
import { QuorateError } from '../../primitives/errors.ts';
import { formatCoins, parseAmount } from '../amount.ts';
import { addressArgument, wholeNumber } from '../arguments.ts';
import { newCommand, newGroup, withJson, withPassword, withRpc } from '../command.ts';
import { EXIT_FAILURE } from '../exit-codes.ts';
import { clearProgress, pairs, printJson, printLine } from '../output.ts';
import { bigQuantity, quantity, RpcClient } from '../rpc-client.ts';
import { type Receipt, requireSignerKey, sendTransaction, waitForReceipt } from '../send.ts';

type SendOptions = {
  readonly to: string;
  readonly value: string;
  readonly data?: string;
  readonly key?: string;
  readonly rpc: string;
  readonly wait: boolean;
  readonly timeout: number;
  readonly nonce?: number;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

function dataArgument(text: string | undefined): string {
  if (text !== undefined && fromHex(text) === undefined) {
    throw new QuorateError('USAGE', '--data is not hex; it begins with 0x and has an even number of digits');
  }
  return text ?? '0x';
}

async function send(options: SendOptions): Promise<void> {
  const to = addressArgument(options.to, '--to');
  const value = parseAmount(options.value);
  const data = dataArgument(options.data);
  const rpc = new RpcClient(options.rpc);
  const privateKey = await requireSignerKey(options);
  const hash = await sendTransaction(rpc, { privateKey, to, value, data, nonce: options.nonce });
  if (!options.wait) {
    if (options.json === true) printJson({ hash });
    else printLine(hash);
    return;
  }
  const receipt = await waitForReceipt(rpc, hash, options.timeout);
  clearProgress();
  report(hash, receipt, options.json === true);
}

function report(hash: string, receipt: Receipt, json: boolean): void {
  const fee = bigQuantity(receipt.gasUsed) * bigQuantity(receipt.effectiveGasPrice);
  const blockNumber = quantity(receipt.blockNumber);
  const status = quantity(receipt.status);
  const gasUsed = quantity(receipt.gasUsed);
  if (json) {
    printJson({ hash, blockNumber, blockHash: receipt.blockHash, status, gasUsed, fee });
  } else {
    printLine(
      pairs([
        ['hash', hash],
        ['block', `${blockNumber} ${receipt.blockHash}`],
        ['status', status === 1 ? 'final' : 'final, but the transaction failed'],
        ['fee', `${formatCoins(fee)} coins (${gasUsed} gas)`],
      ]),
    );
  }
  if (status !== 1) process.exitCode = EXIT_FAILURE;
}

async function show(hash: string, options: { readonly rpc: string; readonly json?: boolean }): Promise<void> {
  const wanted = hash.toLowerCase();
  if (!isHash(wanted)) throw new QuorateError('USAGE', 'a transaction hash is 0x and 64 hex digits');
  const rpc = new RpcClient(options.rpc);
  const [found, receipt] = await Promise.all([
    rpc.call('eth_getTransactionByHash', [wanted]),
    rpc.call('eth_getTransactionReceipt', [wanted]),
  ]);
  if (found === null) throw new QuorateError('NOT_FOUND', `the node at ${options.rpc} knows no transaction ${wanted}`);
  if (options.json === true) return printJson({ transaction: found, receipt });
  const tx = found as Record<string, string | null>;
  const lines: [string, unknown][] = [
    ['hash', wanted],
    ['from', tx['from']],
    ['to', tx['to']],
    ['value', `${formatCoins(bigQuantity(tx['value']))} coins`],
    ['nonce', quantity(tx['nonce'])],
  ];
  if (receipt === null) lines.push(['block', 'not final yet']);
  else {
    const { blockNumber, blockHash, status, gasUsed, effectiveGasPrice } = receipt as Receipt;
    const fee = bigQuantity(gasUsed) * bigQuantity(effectiveGasPrice);
    lines.push(
      ['block', `${quantity(blockNumber)} ${blockHash}`],
      ['status', quantity(status) === 1 ? 'final' : 'final, but the transaction failed'],
      ['fee', `${formatCoins(fee)} coins (${quantity(gasUsed)} gas)`],
    );
  }
  return printLine(pairs(lines));
}

export function txCommand(): Command {
  const sending = newCommand('send', 'sign a transaction here, send it, wait until it is final', [
    'quorate tx send --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --value 1.5 --key alice.json',
  ])
    .requiredOption('--to <address>', 'receiver')
    .requiredOption('--value <amount>', 'coins such as 1.5, or wei such as 100wei')
    .option('--data <hex>', 'call data')
    .option('--key <file>', 'key file of the sender (else the key in QUORATE_PRIVATE_KEY)')
    .option('--nonce <n>', 'instead of the next one', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('--no-wait', 'print the hash and do not wait')
    .option('--timeout <s>', 'seconds to wait for finality', wholeNumber(1, 86_400), 120);
  const showing = newCommand('show', 'show a transaction', ['quorate tx show 0xHASH']).argument('<hash>', 'its hash');
  return newGroup('tx', 'send and show transactions', [
    withPassword(withRpc(withJson(sending))).action(send),
    withRpc(withJson(showing)).action(show),
  ]);
}
