/**
 * One load run: fund, warm up, sign, load, measure. In `max` mode the warm-up also tells how much must be signed. The
 * measured window begins after a second warm-up under full load and ends when sending ends: what is still draining
 * then is not counted, so that the rate is one the network sustains.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../../primitives/ids.ts';
import { suggestedFees } from '../fees.ts';
import { quantity, RpcClient } from '../rpc-client.ts';
import { type Baseline, measureBaseline } from './baseline.ts';
import { FinalityWatch } from './finality-watch.ts';
import { fundAccounts } from './funding.ts';
import { Lane } from './lane.ts';
import { percentile, Tracker } from './tracker.ts';
import { makeAccounts, type Terms, TRANSFER_GAS, Workload } from './workload.ts';

export type BenchOptions = {
  readonly urls: readonly string[];
  readonly durationS: number;
  readonly warmUpS: number;
  /** Transactions per second, or as many as become final. */
  readonly rate: number | 'max';
  readonly accounts: number;
  readonly batch: number;
  readonly outstandingMax: number;
  readonly funder: Bytes;
  readonly onProgress: (text: string) => void;
};

export type BenchResult = {
  readonly mode: string;
  /** Length of the measured window. */
  readonly seconds: number;
  readonly final: number;
  readonly tps: number;
  readonly blocks: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  readonly refusals: number;
  /** Requests that found no node. */
  readonly unanswered: number;
  /** Not final when the run gave up waiting. */
  readonly lost: number;
  readonly accounts: number;
  /** The signed transactions ran out before the time did. */
  readonly cutShort: boolean;
  readonly baseline: Baseline;
  /** tps over the baseline's ceiling. */
  readonly ratio: number;
};

const LANES_PER_NODE = 4;
/** Warming up: code paths compile, connections open. The second part is what the estimate is made of. */
const WARM_UP_TRANSACTIONS = [4000, 8000];
/** A network gets faster while it warms up. */
const ESTIMATE_MARGIN = 2;
const SIGNED_MAX = 2_000_000;
const SIGN_SLICE = 1000;
const DRAIN_TIMEOUT_MS = 15_000;

type Load = {
  readonly clients: readonly RpcClient[];
  readonly workloads: readonly Workload[];
  readonly tracker: Tracker;
};

/** Signs in slices, so that progress is seen and sockets stay alive. */
async function signAll(load: Load, count: number, onProgress: (text: string) => void): Promise<void> {
  const each = Math.ceil(count / load.workloads.length);
  let signed = 0;
  for (const workload of load.workloads) {
    for (let rest = each; rest > 0; rest -= SIGN_SLICE) {
      workload.sign(Math.min(SIGN_SLICE, rest));
      signed += Math.min(SIGN_SLICE, rest);
      await sleep(0);
      if (signed % 20_000 < SIGN_SLICE) onProgress(`signed ${signed} of ${count} transactions`);
    }
  }
}

function lanesOf(load: Load, options: BenchOptions, rate: number | undefined): Lane[] {
  return load.workloads.map((workload, i) => {
    const common = { clients: load.clients, first: i, workload, tracker: load.tracker, batch: options.batch };
    return new Lane(rate === undefined ? common : { ...common, rate: rate / load.workloads.length });
  });
}

async function drained(tracker: Tracker): Promise<void> {
  for (const end = performance.now() + DRAIN_TIMEOUT_MS; tracker.outstanding > 0; await sleep(20)) {
    if (performance.now() > end) return;
  }
}

/** Sends all that is signed and gives the rate at which it became final. */
async function sendAll(load: Load, options: BenchOptions): Promise<number> {
  const start = performance.now();
  const before = load.tracker.final;
  await Promise.all(lanesOf(load, options, undefined).map((lane) => lane.run()));
  await drained(load.tracker);
  return ((load.tracker.final - before) / (performance.now() - start)) * 1000;
}

/** How many transactions the run needs. */
async function estimate(load: Load, options: BenchOptions): Promise<number> {
  const seconds = options.durationS + options.warmUpS;
  if (options.rate !== 'max') return Math.ceil(options.rate * (seconds + 1));
  let rate = 0;
  for (const count of WARM_UP_TRANSACTIONS) {
    options.onProgress(`warming up with ${count} transactions`);
    await signAll(load, count, () => undefined);
    rate = await sendAll(load, options);
  }
  return Math.min(SIGNED_MAX, Math.ceil(rate * ESTIMATE_MARGIN * seconds));
}

type Measured = Pick<BenchResult, 'cutShort' | 'refusals' | 'unanswered'> & {
  readonly fromMs: number;
  readonly toMs: number;
};

function stopAll(lanes: readonly Lane[]): void {
  for (const lane of lanes) lane.stop();
}

/** The run itself. */
async function measure(load: Load, options: BenchOptions): Promise<Measured> {
  const lanes = lanesOf(load, options, options.rate === 'max' ? undefined : options.rate);
  const running = Promise.all(
    lanes.map((lane) =>
      // One lane without transactions is a smaller load: the window ends there for all.
      lane.run().finally(() => stopAll(lanes)),
    ),
  );
  const fromMs = performance.now() + options.warmUpS * 1000;
  const ended = running.then(
    () => true,
    () => true,
  );
  const endMs = fromMs + options.durationS * 1000;
  let before = load.tracker.final;
  while (performance.now() < endMs) {
    const over = await Promise.race([
      ended,
      sleep(Math.min(1000, Math.max(1, endMs - performance.now()))).then(() => false),
    ]);
    if (over) break;
    const { final, outstanding } = load.tracker;
    const left = Math.max(0, Math.ceil((endMs - performance.now()) / 1000));
    options.onProgress(`${final - before} final in the last second, ${outstanding} under way, ${left} s left`);
    before = final;
  }
  const toMs = performance.now();
  stopAll(lanes);
  load.tracker.release();
  const complete = await running;
  options.onProgress('waiting for the last transactions');
  await drained(load.tracker);
  const refusals = lanes.reduce((sum, lane) => sum + lane.refusals, 0);
  const unanswered = lanes.reduce((sum, lane) => sum + lane.unanswered, 0);
  return { fromMs, toMs, cutShort: complete.includes(false), refusals, unanswered };
}

function summarize(load: Load, options: BenchOptions, measured: Measured, baseline: Baseline): BenchResult {
  const seconds = Math.max(0, measured.toMs - measured.fromMs) / 1000;
  const { blocks, latenciesMs } = load.tracker.within(measured);
  latenciesMs.sort();
  const at = (share: number) => Math.round(percentile(latenciesMs, share) * 10) / 10;
  const tps = seconds === 0 ? 0 : Math.round(latenciesMs.length / seconds);
  return {
    mode: options.rate === 'max' ? 'max' : `${options.rate}/s`,
    seconds: Math.round(seconds * 10) / 10,
    final: latenciesMs.length,
    tps,
    blocks,
    latencyMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
    refusals: measured.refusals,
    unanswered: measured.unanswered,
    lost: load.tracker.outstanding,
    accounts: options.accounts,
    cutShort: measured.cutShort,
    baseline,
    ratio: Math.round((tps / baseline.ceilingTps) * 1000) / 1000,
  };
}

/** What each account needs: a wei per transfer on a chain without fees, and the fees of its share on one with. */
function spendingOf(terms: Terms, options: BenchOptions): bigint {
  const rate = options.rate === 'max' ? 20_000 : options.rate;
  const transfers = Math.ceil((rate * (options.durationS + options.warmUpS + 5)) / options.accounts) + 1000;
  return BigInt(transfers) * (1n + BigInt(TRANSFER_GAS) * terms.maxFeePerGas);
}

export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const { onProgress } = options;
  const clients = options.urls.map((url) => new RpcClient(url));
  const rpc = clients[0]!;
  const [chainId, fees] = await Promise.all([rpc.call('eth_chainId'), suggestedFees(rpc)]);
  const terms: Terms = { chainId: quantity(chainId), ...fees };
  onProgress('measuring what one core can recover');
  const baseline = measureBaseline();
  const accounts = makeAccounts(options.accounts);
  onProgress(`funding ${accounts.length} accounts`);
  await fundAccounts(rpc, options.funder, accounts, terms, spendingOf(terms, options));
  const laneCount = Math.min(accounts.length, LANES_PER_NODE * clients.length);
  const workloads = Array.from({ length: laneCount }, (_, lane) => {
    return new Workload(
      accounts.filter((_account, i) => i % laneCount === lane),
      terms,
    );
  });
  const load: Load = { clients, workloads, tracker: new Tracker(options.outstandingMax) };
  const watch = new FinalityWatch(options.urls, (hashes, atMs) => load.tracker.onFinal(hashes, atMs));
  await watch.start();
  try {
    const count = await estimate(load, options);
    await signAll(load, count, onProgress);
    return summarize(load, options, await measure(load, options), baseline);
  } finally {
    watch.close();
  }
}
