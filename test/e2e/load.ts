/**
 * Constant load from several accounts, each sending one transfer after the other, in nonce order, to one of the nodes,
 * and to the next one when that does not answer: as a wallet with a list of nodes would. Every hash a node returned is
 * remembered with the node and the time: that is what must never be lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sender, transfer } from './accounts.ts';
import { type Rpc, RpcRefusal } from './rpc.ts';

const ANSWER_TIMEOUT_MS = 5000;
const RETRY_MS = 50;
/**
 * Not a refusal but "later": the transfer before it lies on a node that is dead or cut off at the moment, and becomes
 * final when that node is back. Whoever sends on to another node meanwhile must wait there.
 */
const LATER = /behind a nonce gap/;

export type Accepted = { readonly hash: string; readonly node: number; readonly atMs: number };

export type LoadOptions = {
  readonly rpcs: readonly Rpc[];
  readonly chainId: number;
  readonly senders: readonly Sender[];
  /** Pause of a sender between two transfers. */
  readonly everyMs: number;
};

export class Load {
  /** By hash: where it was accepted first, and last. */
  readonly accepted = new Map<string, Accepted[]>();
  readonly refusals: string[] = [];
  readonly #options: LoadOptions;
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#loops = options.senders.map((sender, place) => this.#send(sender, place));
  }

  get sent(): number {
    return this.accepted.size;
  }

  /** Hashes returned by a node before a moment. */
  acceptedBy(nodes: readonly number[], beforeMs = Number.POSITIVE_INFINITY): string[] {
    const hashes: string[] = [];
    for (const [hash, answers] of this.accepted) {
      if (answers.some(({ node, atMs }) => nodes.includes(node) && atMs < beforeMs)) hashes.push(hash);
    }
    return hashes;
  }

  async #send(sender: Sender, place: number): Promise<void> {
    const { chainId, senders, everyMs, rpcs } = this.#options;
    const to = senders[(place + 1) % senders.length]!.address;
    let node = place % rpcs.length;
    for (let nonce = 0; !this.#stopped; nonce++) {
      const { raw, hash } = transfer(sender, { chainId, nonce, to, value: BigInt(1 + nonce) });
      for (let done = false; !done && !this.#stopped; ) {
        done = await this.#offer(node, raw, hash);
        if (!done) {
          node = (node + 1) % rpcs.length;
          await sleep(RETRY_MS);
        }
      }
      await sleep(everyMs);
    }
  }

  /** True once a node has it. */
  async #offer(node: number, raw: string, hash: string): Promise<boolean> {
    try {
      await this.#options.rpcs[node]!.call('eth_sendRawTransaction', [raw], ANSWER_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof RpcRefusal)) return false;
      if (LATER.test(error.message)) return false;
      // Both say that an earlier try, whose answer was lost, got through.
      if (!/already known|nonce too low/.test(error.message)) {
        this.refusals.push(error.message);
        return false;
      }
      if (/nonce too low/.test(error.message)) return true;
    }
    const answers = this.accepted.get(hash) ?? [];
    answers.push({ hash, node, atMs: performance.now() });
    this.accepted.set(hash, answers);
    return true;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }
}
