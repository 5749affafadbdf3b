/** A served FakeChain and plain clients for it. Loopback, port 0. */
import { request } from 'node:http';
import { WebSocket } from 'ws';
import { RpcServer, type RpcServerOptions } from '../../../node/rpc/server.ts';
import { FakeChain, type FakeOptions } from './fake-chain.ts';

export type Reply = { id: unknown; result?: unknown; error?: { code: number; message: string; data?: unknown } };

export type HttpReply = { readonly status: number; readonly headers: Record<string, unknown>; readonly text: string };

export type ServedOptions = Partial<RpcServerOptions> & FakeOptions & { readonly chain?: FakeChain };

export class Served {
  readonly chain: FakeChain;
  readonly server: RpcServer;
  /** Bugs that surfaced; a test that expects none asserts so. */
  readonly bugs: unknown[];
  readonly clock: { ms: number };
  readonly #sockets: WebSocket[] = [];

  private constructor(chain: FakeChain, server: RpcServer, bugs: unknown[], clock: { ms: number }) {
    this.chain = chain;
    this.server = server;
    this.bugs = bugs;
    this.clock = clock;
  }

  static async start({ chain: given, ...options }: ServedOptions = {}): Promise<Served> {
    const chain = given ?? new FakeChain(options);
    const bugs: unknown[] = [];
    const clock = { ms: 1_000_000 };
    const server = await RpcServer.start({
      backend: chain,
      host: '127.0.0.1',
      port: 0,
      now: () => clock.ms,
      onBug: (method, error) => bugs.push({ method, error }),
      ...options,
    });
    return new Served(chain, server, bugs, clock);
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    await this.server.stop();
  }

  /** One HTTP request, any body, any headers. */
  http(body: string | Buffer, headers: Record<string, string> = {}, method = 'POST'): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: this.server.port,
          method,
          headers: { 'content-type': 'application/json', ...headers },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({
              status: response.statusCode!,
              headers: response.headers as Record<string, unknown>,
              text: Buffer.concat(chunks).toString('utf8'),
            }),
          );
          response.on('error', reject);
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  async rpc(method: string, ...params: unknown[]): Promise<Reply> {
    const { text, status } = await this.http(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    if (status !== 200) throw new Error(`HTTP ${status}: ${text}`);
    return JSON.parse(text) as Reply;
  }

  async result<T = unknown>(method: string, ...params: unknown[]): Promise<T> {
    const reply = await this.rpc(method, ...params);
    if (reply.error !== undefined) throw new Error(`${reply.error.code} ${reply.error.message}`);
    return reply.result as T;
  }

  async error(method: string, ...params: unknown[]): Promise<{ code: number; message: string; data?: unknown }> {
    const reply = await this.rpc(method, ...params);
    if (reply.error === undefined) throw new Error(`no error but ${JSON.stringify(reply.result)}`);
    return reply.error;
  }

  /** Waits, by asking the server something, until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    for (let i = 0; !condition(); i++) {
      if (i === 5000) throw new Error('this never came true');
      await this.result('eth_chainId');
    }
  }

  async webSocket(
    options: { readonly origin?: string; readonly headers?: Record<string, string> } = {},
  ): Promise<Socket> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.server.port}`, options);
    this.#sockets.push(socket);
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return new Socket(socket);
  }
}

/** A WebSocket whose messages are taken one by one. */
export class Socket {
  readonly raw: WebSocket;
  readonly closed: Promise<number>;
  readonly #messages: string[] = [];
  #waiting: ((text: string) => void)[] = [];

  constructor(raw: WebSocket) {
    this.raw = raw;
    this.closed = new Promise((resolve) => raw.once('close', resolve));
    raw.on('message', (data: Buffer) => {
      const text = data.toString('utf8');
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#messages.push(text);
      else waiting(text);
    });
  }

  next<T = Reply>(): Promise<T> {
    const text = this.#messages.shift();
    if (text !== undefined) return Promise.resolve(JSON.parse(text) as T);
    return new Promise((resolve) => this.#waiting.push((late) => resolve(JSON.parse(late) as T)));
  }

  send(method: string, ...params: unknown[]): void {
    this.raw.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
  }

  async call(method: string, ...params: unknown[]): Promise<Reply> {
    this.send(method, ...params);
    return this.next();
  }
}
