/** A JSON-RPC server that answers from a table of methods: HTTP and WebSocket on one port, as a node does. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

export type Methods = Record<string, (...params: never[]) => unknown>;

/** What a method throws to answer with an error. */
export class FakeRefusal extends Error {}

export type FakeNode = {
  readonly url: string;
  /** Names of the methods called, in order. */
  readonly calls: string[];
  notifyHead(number: number): void;
  close(): Promise<void>;
};

type Request = { readonly id: number; readonly method: string; readonly params: never[] };

export async function startFakeNode(methods: Methods): Promise<FakeNode> {
  const calls: string[] = [];
  const answer = async (text: string): Promise<string> => {
    const { id, method, params } = JSON.parse(text) as Request;
    calls.push(method);
    const known = methods[method];
    const error = (code: number, message: string) => JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } });
    if (known === undefined) return error(-32601, `the method ${method} does not exist/is not available`);
    try {
      return JSON.stringify({ jsonrpc: '2.0', id, result: (await known(...params)) ?? null });
    } catch (refusal) {
      if (!(refusal instanceof FakeRefusal)) throw refusal;
      return error(-32000, refusal.message);
    }
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => void answer(body).then((text) => response.end(text)));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => void answer(String(data)).then((text) => socket.send(text)));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    notifyHead: (number) => {
      const params = { subscription: '0x1', result: { number: `0x${number.toString(16)}` } };
      const text = JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params });
      for (const client of sockets.clients) client.send(text);
    },
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
