/**
 * Hears of final blocks as a client does: the subscription `newHeads`, then the block's transaction hashes, over one
 * WebSocket. When the node goes away, the next one of the list is asked, from the block after the last one seen.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import type { Hash } from '../../primitives/ids.ts';
import { quantity, toQuantity } from '../rpc-client.ts';

const RETRY_MS = 250;
const CONNECT_TIMEOUT_MS = 5000;

type Message = {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
  readonly params?: { readonly result?: { readonly number?: string } };
};

type Pending = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };

export class FinalityWatch {
  readonly #urls: readonly string[];
  readonly #onFinal: (hashes: readonly Hash[], atMs: number) => void;
  readonly #pending = new Map<number, Pending>();
  /** When each announced block was heard of. */
  readonly #heardMs = new Map<number, number>();
  #socket: WebSocket | undefined;
  #id = 0;
  #url = 0;
  #fetched = -1;
  #announced = -1;
  #fetching = false;
  #closed = false;

  constructor(urls: readonly string[], onFinal: (hashes: readonly Hash[], atMs: number) => void) {
    this.#urls = urls.map((url) => url.replace(/^http/, 'ws'));
    this.#onFinal = onFinal;
  }

  /** Connects; blocks final from now on are reported. */
  async start(): Promise<void> {
    await this.#connect();
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  async #connect(): Promise<void> {
    const url = this.#urls[this.#url]!;
    const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: CONNECT_TIMEOUT_MS });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', (cause) => {
        reject(new QuorateError('RPC_UNREACHABLE', `no WebSocket at ${url}: ${errorMessage(cause)}`, { cause }));
      });
    });
    this.#socket = socket;
    socket.on('error', () => socket.terminate());
    socket.on('message', (data) => this.#onMessage(String(data)));
    socket.on('close', () => this.#onClose());
    const head = quantity(await this.#request('eth_blockNumber', []));
    await this.#request('eth_subscribe', ['newHeads']);
    if (this.#fetched < 0) this.#fetched = head;
    else this.#onHead(head);
  }

  #request(method: string, params: readonly unknown[]): Promise<unknown> {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket!.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  #onMessage(text: string): void {
    const message = JSON.parse(text) as Message;
    if (message.id === undefined) {
      const number = message.params?.result?.number;
      if (number !== undefined) this.#onHead(quantity(number));
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error === undefined) pending?.resolve(message.result);
    else pending?.reject(new QuorateError('RPC_ERROR', `the node refused: ${message.error.message}`));
  }

  #onHead(number: number): void {
    const now = performance.now();
    for (let n = Math.max(this.#announced, this.#fetched) + 1; n <= number; n++) this.#heardMs.set(n, now);
    this.#announced = Math.max(this.#announced, number);
    if (!this.#fetching) this.#fetchAll().catch(() => this.#socket?.terminate());
  }

  /** One block at a time, in order, until the newest one announced. */
  async #fetchAll(): Promise<void> {
    this.#fetching = true;
    try {
      while (this.#fetched < this.#announced) {
        const number = this.#fetched + 1;
        const block = await this.#request('eth_getBlockByNumber', [toQuantity(number), false]);
        const { transactions } = block as { transactions: Hash[] };
        this.#fetched = number;
        this.#onFinal(transactions, this.#heardMs.get(number)!);
        this.#heardMs.delete(number);
      }
    } finally {
      this.#fetching = false;
    }
  }

  #onClose(): void {
    const error = new QuorateError('RPC_UNREACHABLE', 'the node closed the connection');
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    if (!this.#closed) void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed) {
      this.#url = (this.#url + 1) % this.#urls.length;
      try {
        return await this.#connect();
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error;
        await sleep(RETRY_MS);
      }
    }
  }
}
