/**
 * JSON-RPC over HTTP POST. JSON-RPC errors are HTTP 200, because clients take any other status for an outage; 403, 405,
 * 413 and 415 are for requests that are none. Compressed bodies are refused: 200 KB of gzip can hold 200 MB.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connections } from './connections.ts';
import type { Dispatcher } from './dispatcher.ts';
import { errorText, LIMIT_EXCEEDED } from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';
import { corsOrigin, hostAllowed, type OriginRules } from './origin.ts';
import type { UnreadBytes } from './unread.ts';

const CONTENT_TYPES = ['application/json', 'application/json-rpc', 'application/jsonrequest'];

/** HTTP status and why. */
type Refusal = readonly [number, string];

/** What is read of a refused body before the connection is cut. */
const DRAIN_BYTES_MAX = 16 * 1024 * 1024;

export type HttpOptions = {
  readonly dispatcher: Dispatcher;
  readonly connections: Connections;
  readonly unread: UnreadBytes;
  readonly limits: RpcLimits;
  readonly origins: OriginRules;
};

export class HttpHandler {
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { connections, origins } = this.#options;
    const { socket } = request;
    connections.begin(socket);
    response.once('close', () => connections.end(socket));
    const { origin } = request.headers;
    const allowed = corsOrigin(origin, origins);
    if (allowed !== undefined) response.setHeader('access-control-allow-origin', allowed);
    if (allowed !== undefined && allowed !== '*') response.setHeader('vary', 'Origin');
    const refusal = this.#unfit(request);
    if (refusal !== undefined) refuse(request, response, refusal);
    else if (request.method === 'OPTIONS') preflight(response, allowed !== undefined);
    else this.#readBody(request, response);
  }

  #unfit({ method, headers }: IncomingMessage): Refusal | undefined {
    if (!hostAllowed(headers.host, this.#options.origins)) return [403, 'invalid host specified'];
    if (method === 'OPTIONS') return undefined;
    if (method !== 'POST') return [405, 'send JSON-RPC requests by POST'];
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return [415, 'compressed bodies are refused'];
    const [type = ''] = (headers['content-type'] ?? '').split(';', 1);
    if (!CONTENT_TYPES.includes(type.trim().toLowerCase())) return [415, 'content-type must be application/json'];
    if (Number(headers['content-length'] ?? 0) > this.#options.limits.requestBytesMax) return [413, this.#tooLarge()];
    return undefined;
  }

  #tooLarge(): string {
    return `request body larger than ${this.#options.limits.requestBytesMax} bytes`;
  }

  #readBody(request: IncomingMessage, response: ServerResponse): void {
    const { requestBytesMax } = this.#options.limits;
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= requestBytesMax) chunks.push(chunk);
      else if (!response.headersSent) refuse(request, response, [413, this.#tooLarge()]);
    });
    request.on('end', () => {
      if (response.headersSent) return;
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      this.#answer(body.toString('utf8'), response);
    });
    // A client that goes away in the middle is no error of ours; 'close' on the response ends the accounting.
    request.on('error', () => response.destroy());
  }

  #answer(text: string, response: ServerResponse): void {
    const { dispatcher, unread } = this.#options;
    if (unread.full) {
      send(
        response,
        errorText('null', LIMIT_EXCEEDED, 'the node is busy: too many replies wait to be read, try again'),
      );
      return;
    }
    dispatcher.handle(text, { subscriber: undefined, created: [] }, (reply) => {
      if (response.destroyed) return;
      const bytes = send(response, reply ?? '');
      unread.add(bytes);
      response.once('close', () => unread.remove(bytes));
    });
  }
}

function send(response: ServerResponse, text: string): number {
  const body = Buffer.from(text, 'utf8');
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
  return body.length;
}

/**
 * The connection ends with the refusal, but only after the rest of the body has come: closing on unread data resets the
 * connection, and the client would never read why.
 */
function refuse(request: IncomingMessage, response: ServerResponse, [status, message]: Refusal): void {
  const body = message + '\n';
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...(status === 405 ? { allow: 'POST, OPTIONS' } : {}),
  });
  response.write(body);
  let left = DRAIN_BYTES_MAX;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  if (request.complete) response.end();
  else request.once('end', () => response.end());
  request.resume();
}

/** CORS preflight. Without the allowance headers the browser refuses by itself. */
function preflight(response: ServerResponse, allowed: boolean): void {
  response.writeHead(204, {
    ...(allowed
      ? {
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'content-type, authorization',
          'access-control-max-age': '600',
        }
      : {}),
    'content-length': '0',
  });
  response.end();
}
