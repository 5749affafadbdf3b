/** `quorate tx …`: sends a transaction and waits until it is final; shows one. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { fromHex, isHash } from '../../primitives/bytes.ts';
import { QuorateError } from '../../primitives/errors.ts';
import { privateKeyAddress } from '../../primitives/secp256k1.ts';
import { formatCoins, parseAmount } from '../amount.ts';
import { addressArgument, wholeNumber } from '../arguments.ts';
import { newCommand, newGroup, withJson, withPassword, withRpc } from '../command.ts';
import { EXIT_FAILURE } from '../exit-codes.ts';
import { suggestedFees } from '../fees.ts';
import { clearProgress, pairs, printJson, printLine, progress } from '../output.ts';
import { bigQuantity, quantity, RpcClient, toQuantity } from '../rpc-client.ts';
import { findSignerKey } from '../signer-key.ts';
import { signTransaction } from '../transaction.ts';

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

type Receipt = Readonly<Record<'blockNumber' | 'blockHash' | 'status' | 'gasUsed' | 'effectiveGasPrice', string>>;

/** Finality takes milliseconds; polling starts fast and slows down for a chain that stands still. */
const POLL_FIRST_MS = 20;
const POLL_MAX_MS = 500;
const SAID_AFTER_MS = 1000;

async function waitForReceipt(rpc: RpcClient, hash: string, timeoutS: number): Promise<Receipt> {
  const start = Date.now();
  for (let pause = POLL_FIRST_MS; ; pause = Math.min(POLL_MAX_MS, pause * 1.3)) {
    const receipt = await rpc.call('eth_getTransactionReceipt', [hash]);
    if (receipt !== null) return receipt as Receipt;
    const waited = Date.now() - start;
    if (waited > timeoutS * 1000) {
      throw new QuorateError('TIMEOUT', `${hash} is not final after ${timeoutS} s; look again with quorate tx show`);
    }
    if (waited > SAID_AFTER_MS) progress(`waiting for ${hash} to be final`);
    await sleep(pause);
  }
}

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
  const privateKey = await findSignerKey(options);
  if (privateKey === undefined) {
    throw new QuorateError('USAGE', 'no key to sign with: give --key FILE, or set QUORATE_PRIVATE_KEY');
  }
  const from = privateKeyAddress(privateKey);
  const [chainId, nonce, gas, fees] = await Promise.all([
    rpc.call('eth_chainId'),
    options.nonce === undefined ? rpc.call('eth_getTransactionCount', [from, 'pending']) : toQuantity(options.nonce),
    rpc.call('eth_estimateGas', [{ from, to, value: toQuantity(value), data }]),
    suggestedFees(rpc),
  ]);
  const fields = {
    chainId: quantity(chainId),
    nonce: quantity(nonce),
    gasLimit: quantity(gas),
    to,
    value,
    data,
    ...fees,
  };
  const { raw, hash } = signTransaction(fields, privateKey);
  await rpc.call('eth_sendRawTransaction', [raw]);
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
