/**
 * GET /metrics in the Prometheus text format and GET /health for load balancers, on a port of their own, so that
 * scraping never competes with clients for connections.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { MetricsRegistry } from './metrics.ts';

/** What /health says: 200 when healthy, else 503; the body is this object. */
type Health = { readonly healthy: boolean; readonly [more: string]: unknown };

export type MetricsServerOptions = {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly metrics: MetricsRegistry;
  readonly health: () => Health;
};

export class MetricsServer {
  readonly #server: Server;
  readonly #options: MetricsServerOptions;

  constructor(options: MetricsServerOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 30_000 });
    this.#server.maxConnections = 50;
    this.#server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Begins to serve. Throws QuorateError PORT_IN_USE when the port is taken. */
  static async start(options: MetricsServerOptions): Promise<MetricsServer> {
    const server = new MetricsServer(options);
    await server.#listen();
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const taken = error.code === 'EADDRINUSE';
        const message = taken
          ? `port ${port} on ${host} is in use: stop what uses it, or choose another for metrics`
          : `cannot listen for metrics on ${host}:${port}: ${errorMessage(error)}`;
        reject(
          new QuorateError(taken ? 'PORT_IN_USE' : 'CONFIG_INVALID', message, { data: { host, port }, cause: error }),
        );
      });
      this.#server.listen({ host, port }, resolve);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url?.split('?', 1)[0];
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      reply(response, 405, 'text/plain; charset=utf-8', 'only GET\n');
    } else if (path === '/metrics') {
      reply(response, 200, 'text/plain; version=0.0.4; charset=utf-8', this.#options.metrics.text());
    } else if (path === '/health') {
      const health = this.#options.health();
      reply(response, health.healthy ? 200 : 503, 'application/json', JSON.stringify(health) + '\n');
    } else {
      reply(response, 404, 'text/plain; charset=utf-8', 'see /metrics and /health\n');
    }
  }
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
