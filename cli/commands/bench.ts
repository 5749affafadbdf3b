/** `quorate bench`: load from real signed transfers, and what the network makes of it. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { type BenchResult, runBench } from '../bench/run.ts';
import { DEFAULT_RPC, newCommand, withJson, withPassword } from '../command.ts';
import { devnetAccounts } from '../devnet/accounts.ts';
import { clearProgress, pairs, printJson, printLine, progress, warn } from '../output.ts';
import { findSignerKey } from '../signer-key.ts';

type Options = {
  readonly rpc: string;
  readonly duration: number;
  readonly warmUp: number;
  readonly rate: number | 'max';
  readonly accounts: number;
  readonly batch: number;
  readonly outstanding: number;
  readonly key?: string;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

function parseRate(text: string): number | 'max' {
  if (text === 'max') return text;
  const rate = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || rate <= 0 || rate > 1_000_000) {
    throw new InvalidArgumentError('Expected transactions per second, or max.');
  }
  return rate;
}

function resultText(result: BenchResult): string {
  const { latencyMs, baseline } = result;
  return pairs([
    [
      'throughput',
      `${result.tps} final transfers/s over ${result.seconds} s (${result.final} in ${result.blocks} blocks)`,
    ],
    ['latency', `p50 ${latencyMs.p50} ms, p95 ${latencyMs.p95} ms, p99 ${latencyMs.p99} ms, from sending to final`],
    ['load', `${result.mode}, ${result.accounts} accounts, ${result.refusals} refusals, ${result.lost} not final`],
    [
      'baseline',
      `${baseline.recoveriesPerSecond} recoveries/s on one of ${baseline.cores} cores: ` +
        `three validators here cannot pass ${baseline.ceilingTps}/s; reached ${(result.ratio * 100).toFixed(1)} %`,
    ],
  ]);
}

async function run(options: Options): Promise<void> {
  const funder = (await findSignerKey(options)) ?? (await devnetAccounts(1))[0]!.key;
  const result = await runBench({
    urls: options.rpc.split(',').map((url) => url.trim()),
    durationS: options.duration,
    warmUpS: options.warmUp,
    rate: options.rate,
    accounts: options.accounts,
    batch: options.batch,
    outstandingMax: options.outstanding,
    funder,
    onProgress: progress,
  });
  clearProgress();
  if (options.json === true) printJson(result);
  else printLine(resultText(result));
  if (result.cutShort) warn('the signed transactions ran out early; the figures are those of the shorter time');
  if (result.unanswered > 0)
    warn(`${result.unanswered} requests found no node; the figures are those of a network in trouble`);
  if (result.lost > 0) warn(`${result.lost} transactions were not final in time`);
}

export function benchCommand(): Command {
  const command = newCommand('bench', 'throughput and latency to finality under real signed transfers', [
    'quorate bench --duration 30',
    'quorate bench --rate 500 --rpc http://127.0.0.1:8545,http://127.0.0.1:8546 --json',
  ])
    .option(
      '--rpc <url,...>',
      'nodes to load; the first is asked for finality',
      process.env['QUORATE_RPC'] ?? DEFAULT_RPC,
    )
    .option('--duration <s>', 'seconds measured', wholeNumber(1, 86_400), 20)
    .option('--warm-up <s>', 'seconds under load before that, not counted', wholeNumber(0, 3600), 3)
    .option('--rate <tps|max>', 'transactions per second, or as many as become final', parseRate, 'max')
    .option('--accounts <n>', 'senders', wholeNumber(1, 1000), 100)
    .option('--batch <n>', 'most transactions per request', wholeNumber(1, 1000), 150)
    .option('--outstanding <n>', 'most transactions sent and not yet final', wholeNumber(1, 1_000_000), 4000)
    .option('--key <file>', 'account that funds the senders (else QUORATE_PRIVATE_KEY, else the first devnet account)');
  return withPassword(withJson(command)).action(run);
}
