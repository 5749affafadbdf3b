/** What a client that means harm does to the JSON-RPC port of every node: slow, huge, deep, and never reading. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Flood, Target } from './floods.ts';

const MIB = 1024 * 1024;
const BODY_MAX = MIB - 1024;

function portOf(url: string): number {
  return Number(new URL(url).port);
}

function opened(url: string): Socket {
  const socket = connect(portOf(url), '127.0.0.1');
  socket.on('error', () => undefined);
  return socket;
}

function post(body: string): string {
  const length = Buffer.byteLength(body);
  return `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`;
}

function call(method: string, params: readonly unknown[]): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
}

/** Sockets that do something and stay open until the time is over. Gives how many there were. */
function held(name: string, count: number, begin: (socket: Socket) => void): Flood {
  return {
    name,
    run: async ({ honest }, ms) => {
      const sockets: Socket[] = [];
      for (const { rpc } of honest) {
        for (let i = 0; i < count; i++) {
          const socket = opened(rpc.url);
          sockets.push(socket);
          begin(socket);
        }
      }
      await sleep(ms);
      for (const socket of sockets) socket.destroy();
      return sockets.length;
    },
  };
}

/** Requests one after the other, from several clients to each node, whatever the answer. */
function asked(name: string, clients: number, make: (i: number) => string): Flood {
  return {
    name,
    run: async ({ honest }: Target, ms) => {
      const end = performance.now() + ms;
      let sent = 0;
      const ask = async (url: string): Promise<void> => {
        while (performance.now() < end) {
          sent++;
          try {
            const signal = AbortSignal.timeout(ms);
            const headers = { 'content-type': 'application/json' };
            const response = await fetch(url, { method: 'POST', body: make(sent), headers, signal });
            await response.arrayBuffer();
          } catch {
            await sleep(20); // refused: that is what it came for
          }
        }
      };
      await Promise.all(honest.flatMap(({ rpc }) => Array.from({ length: clients }, () => ask(rpc.url))));
      return sent;
    },
  };
}

const BATCH = `[${new Array(900).fill(call('eth_getBlockByNumber', ['latest', true])).join(',')}]`;
const SUBSCRIBE = ['newHeads', 'logs', 'newPendingTransactions'].map((what) => call('eth_subscribe', [what]));

/** WebSockets that subscribe and ask, and read nothing. */
const unreadSockets: Flood = {
  name: 'JSON-RPC: WebSockets that subscribe, ask and never read',
  run: async ({ honest }, ms) => {
    const sockets: WebSocket[] = [];
    for (const { rpc } of honest) {
      for (let i = 0; i < 100; i++) {
        const socket = new WebSocket(rpc.url.replace('http', 'ws'));
        socket.on('error', () => undefined);
        socket.on('open', () => {
          socket.pause();
          for (const text of SUBSCRIBE) socket.send(text);
          for (let asking = 0; asking < 20; asking++) socket.send(BATCH);
        });
        sockets.push(socket);
      }
    }
    await sleep(ms);
    for (const socket of sockets) socket.terminate();
    return sockets.length;
  },
};

export const RPC_FLOODS: readonly Flood[] = [
  held('JSON-RPC: clients that send a byte of a header a second', 1200, (socket) => {
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
    const timer = setInterval(() => socket.write('a'), 1000);
    socket.on('close', () => clearInterval(timer));
  }),
  held('JSON-RPC: bodies of a megabyte that never end', 300, (socket) => {
    const body = post(' '.repeat(BODY_MAX));
    socket.write(body.slice(0, -1));
  }),
  held('JSON-RPC: requests without end on one connection, no answer read', 50, (socket) => {
    const request = post(BATCH);
    socket.pause();
    const more = (): void => {
      while (!socket.destroyed && socket.write(request));
    };
    socket.on('drain', more);
    socket.on('connect', more);
  }),
  unreadSockets,
  asked('JSON-RPC: the largest batches', 10, () => BATCH),
  asked('JSON-RPC: brackets, as deep as they go', 10, () => '['.repeat(BODY_MAX)),
  asked('JSON-RPC: bodies over the bound', 10, () => ' '.repeat(8 * MIB)),
  asked('JSON-RPC: logs of all blocks', 10, () => call('eth_getLogs', [{ fromBlock: '0x0', toBlock: 'latest' }])),
  asked('JSON-RPC: filters, never polled', 10, () => call('eth_newBlockFilter', [])),
  asked('JSON-RPC: junk in place of transactions', 10, (i) =>
    call('xft_sendRawTransactions', [
      Array.from({ length: 1000 }, (_, k) => '0x02' + (i * 1000 + k).toString(16).padStart(200, '0')),
    ]),
  ),
];
