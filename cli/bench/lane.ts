/**
 * One sender of the load: takes signed transactions, sends a batch, waits for the answer, goes on. As fast as the window
 * of outstanding transactions lets it, or at a fixed rate, where a transaction's clock starts when it was due, so that
 * a network that stalls the sender does not make its own latency look better.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { QuorateError } from '../../primitives/errors.ts';
import type { SignedTransaction } from '../../primitives/sign-transaction.ts';
import type { RpcClient } from '../rpc-client.ts';
import type { Tracker } from './tracker.ts';
import type { Workload } from './workload.ts';

export type LaneOptions = {
  readonly clients: readonly RpcClient[];
  /** Which of the clients this lane begins with. */
  readonly first: number;
  readonly workload: Workload;
  readonly tracker: Tracker;
  readonly batch: number;
  /** Transactions per second of this lane; undefined: as many as the window allows. */
  readonly rate?: number;
};

const PACE_MS = 10;
const RETRY_MS = 50;
/** A node that refuses, or is away, for longer than this ends the run. */
const PATIENCE_MS = 20_000;

type Item = SignedTransaction & { readonly sentMs: number };

export class Lane {
  readonly #options: LaneOptions;
  #client: number;
  #stopped = false;
  #refusals = 0;
  #unanswered = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#client = options.first;
  }

  /** Answers that refused a transaction; each was sent again. */
  get refusals(): number {
    return this.#refusals;
  }

  /** Requests that found no node; each was made again, to the next one. */
  get unanswered(): number {
    return this.#unanswered;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Sends until stopped; false when the transactions ran out first. */
  async run(): Promise<boolean> {
    return this.#options.rate === undefined ? this.#runFreely() : this.#runPaced(this.#options.rate);
  }

  async #runFreely(): Promise<boolean> {
    const { tracker, workload, batch } = this.#options;
    while (!this.#stopped) {
      await tracker.room(batch);
      if (this.#stopped) break;
      const items = workload.take(batch);
      if (items.length === 0) return false;
      const sentMs = performance.now();
      await this.#send(items.map((item) => ({ ...item, sentMs })));
    }
    return true;
  }

  async #runPaced(rate: number): Promise<boolean> {
    const { tracker, workload, batch } = this.#options;
    const start = performance.now();
    let sent = 0;
    while (!this.#stopped) {
      const due = Math.floor(((performance.now() - start) / 1000) * rate) - sent;
      if (due <= 0) {
        await sleep(PACE_MS);
        continue;
      }
      const items = workload.take(Math.min(batch, due));
      if (items.length === 0) return false;
      await tracker.room(items.length);
      await this.#send(items.map((item, i) => ({ ...item, sentMs: start + ((sent + i) / rate) * 1000 })));
      sent += items.length;
    }
    return true;
  }

  /** Sends a batch until every one of it was taken. */
  async #send(batch: readonly Item[]): Promise<void> {
    for (const item of batch) this.#options.tracker.sent(item.hash, item.sentMs);
    let rest = batch;
    for (const end = performance.now() + PATIENCE_MS; rest.length > 0; ) {
      const { refused, reason } = await this.#post(rest);
      rest = refused;
      if (rest.length === 0) return;
      if (this.#stopped) {
        for (const item of rest) this.#options.tracker.refused(item.hash);
        return;
      }
      if (performance.now() > end) {
        throw new QuorateError('RPC_ERROR', `no transaction was taken for ${PATIENCE_MS / 1000} s: ${reason}`);
      }
      await sleep(RETRY_MS);
    }
  }

  /** One request; which transactions must be sent again, and why. A node that is away leaves its place to the next. */
  async #post(items: readonly Item[]): Promise<{ readonly refused: readonly Item[]; readonly reason: string }> {
    const { clients } = this.#options;
    let answers: unknown;
    try {
      const raws = items.map((item) => item.raw);
      answers = await clients[this.#client % clients.length]!.call('xft_sendRawTransactions', [raws]);
    } catch (error) {
      if (!(error instanceof QuorateError) || error.code !== 'RPC_UNREACHABLE') throw error;
      this.#client++;
      this.#unanswered++;
      return { refused: items, reason: error.message };
    }
    let reason = '';
    const refused = items.filter((_, i) => {
      const answer = (answers as readonly unknown[])[i];
      if (typeof answer === 'string') return false;
      const message = String((answer as { message?: unknown } | undefined)?.message);
      // Both mean that it got there before: a request whose answer was lost, or one that another node passed on.
      if (/already known|nonce too low/.test(message)) return false;
      reason = message;
      return true;
    });
    this.#refusals += refused.length;
    return { refused, reason };
  }
}
