/** The JSON-RPC server: HTTP and WebSocket on one port, within the limits of limits.ts. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { errorMessage, QuorateError } from '../../primitives/errors.ts';
import type { Backend } from './backend.ts';
import { Connections } from './connections.ts';
import type { Dispatcher } from './dispatcher.ts';
import { HttpHandler } from './http.ts';
import { RPC_LIMITS, type RpcLimits } from './limits.ts';
import type { Services } from './method.ts';
import { hostAllowed, type OriginRules, webSocketOriginAllowed } from './origin.ts';
import { makeServices } from './services.ts';
import { UnreadBytes } from './unread.ts';
import { WebSocketConnection } from './websocket.ts';

export type RpcServerOptions = {
  readonly backend: Backend;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly cors?: readonly string[];
  readonly allowedHosts?: readonly string[];
  readonly limits?: Partial<RpcLimits>;
  /** Told of a bug that surfaced in a method; the caller got -32603. */
  readonly onBug: (method: string, error: unknown) => void;
  /** Milliseconds; for the age of filters. */
  readonly now?: () => number;
};

export type RpcStats = {
  readonly calls: number;
  readonly errors: number;
  readonly bugs: number;
  readonly httpConnections: number;
  readonly webSockets: number;
  readonly subscriptions: number;
  readonly filters: number;
  readonly connectionsRefused: number;
  readonly consumersDropped: number;
  readonly unreadBytes: number;
};

export class RpcServer {
  readonly #http: Server;
  readonly #webSocketServer: WebSocketServer;
  readonly #limits: RpcLimits;
  readonly #origins: OriginRules;
  readonly #connections: Connections;
  readonly #unread: UnreadBytes;
  readonly #services: Services;
  readonly #dispatcher: Dispatcher;
  readonly #webSockets = new Set<WebSocketConnection>();
  #dropped = 0;
  #pings: NodeJS.Timeout | undefined;

  constructor(options: RpcServerOptions) {
    const limits = { ...RPC_LIMITS, ...options.limits };
    const { backend, onBug, now = Date.now } = options;
    this.#limits = limits;
    this.#origins = { cors: options.cors ?? [], allowedHosts: options.allowedHosts ?? [] };
    this.#connections = new Connections({
      connectionsMax: limits.httpConnectionsMax,
      perIpMax: limits.connectionsPerIpMax,
    });
    this.#unread = new UnreadBytes(limits.unreadBytesMax);
    const { services, dispatcher } = makeServices({ backend, limits, onBug, now });
    this.#services = services;
    this.#dispatcher = dispatcher;
    this.#webSocketServer = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: limits.requestBytesMax,
      clientTracking: false,
    });
    this.#http = createServer({
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: 5000,
      noDelay: true,
    });
    this.#wire();
  }

  /** Begins to serve. Throws QuorateError PORT_IN_USE when the port is taken. */
  static async start(options: RpcServerOptions): Promise<RpcServer> {
    const server = new RpcServer(options);
    await server.#listen(options.host, options.port);
    return server;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get stats(): RpcStats {
    return {
      ...this.#dispatcher.counters,
      httpConnections: this.#connections.size,
      webSockets: this.#webSockets.size,
      subscriptions: this.#services.hub.size,
      filters: this.#services.filters.size,
      connectionsRefused: this.#connections.refused,
      consumersDropped: this.#dropped,
      unreadBytes: this.#unread.bytes,
    };
  }

  /** Pings every WebSocket and ends those that left the last ping unanswered. A timer does this. */
  pingAll(): void {
    for (const connection of this.#webSockets) connection.checkAlive();
  }

  /** Stops serving and ends every connection. */
  async stop(): Promise<void> {
    clearInterval(this.#pings);
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const connection of this.#webSockets) connection.close();
    this.#services.filters.stop();
    setImmediate(() => this.#connections.destroyAll()); // after the close frames have gone out
    await closed;
  }

  #listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', (error: NodeJS.ErrnoException) => {
        const taken = error.code === 'EADDRINUSE';
        const message = taken
          ? `port ${port} on ${host} is in use: stop what uses it, or choose another with --rpc-port`
          : `cannot listen for JSON-RPC on ${host}:${port}: ${errorMessage(error)}`;
        reject(
          new QuorateError(taken ? 'PORT_IN_USE' : 'CONFIG_INVALID', message, { data: { host, port }, cause: error }),
        );
      });
      this.#http.listen({ host, port, backlog: 511 }, () => {
        this.#pings = setInterval(() => this.pingAll(), this.#limits.pingEveryMs).unref();
        resolve();
      });
    });
  }

  #wire(): void {
    const handler = new HttpHandler({
      dispatcher: this.#dispatcher,
      connections: this.#connections,
      unread: this.#unread,
      limits: this.#limits,
      origins: this.#origins,
    });
    this.#http.timeout = this.#limits.idleTimeoutMs + this.#limits.waitMsMax;
    this.#http.on('connection', (socket: Socket) => this.#connections.admit(socket));
    this.#http.on('request', (request, response) => handler.handle(request, response));
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      else socket.destroy();
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { headers } = request;
    socket.on('error', () => socket.destroy());
    if (!hostAllowed(headers.host, this.#origins) || !webSocketOriginAllowed(headers.origin, this.#origins)) {
      refuseUpgrade(socket, '403 Forbidden');
      return;
    }
    if (this.#webSockets.size >= this.#limits.webSocketsMax) {
      refuseUpgrade(socket, '503 Service Unavailable');
      return;
    }
    this.#webSocketServer.handleUpgrade(request, socket, head, (webSocket) => {
      this.#connections.upgrade(request.socket);
      const connection = new WebSocketConnection(webSocket, {
        dispatcher: this.#dispatcher,
        hub: this.#services.hub,
        unread: this.#unread,
        limits: this.#limits,
        onDropped: () => void this.#dropped++,
      });
      this.#webSockets.add(connection);
      webSocket.once('close', () => this.#webSockets.delete(connection));
    });
  }
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
