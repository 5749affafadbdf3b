/** Strangers at the p2p port: nobody has let them in, and they knock, talk nonsense, or say nothing at all. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { multiaddr } from '@multiformats/multiaddr';
import { multiaddrOf } from '../../genesis/peer-address.ts';
import { createNode, startNode } from '../../p2p/node-factory.ts';
import { randomPrivateKey } from '../../primitives/secp256k1.ts';
import type { Flood } from './floods.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };
const ROUND_MS = 200;
const SOCKETS = 100;

/** New connections all the time, each of which does this and stays. */
function knocking(name: string, talk: (socket: Socket) => void): Flood {
  return {
    name,
    run: async ({ doors }, ms) => {
      const sockets = new Set<Socket>();
      let count = 0;
      for (const end = performance.now() + ms; performance.now() < end; await sleep(ROUND_MS)) {
        for (const door of doors) {
          for (let i = 0; i < SOCKETS && sockets.size < 3000; i++, count++) {
            const socket = connect(door);
            sockets.add(socket);
            socket.on('error', () => undefined);
            socket.on('close', () => sockets.delete(socket));
            socket.on('connect', () => talk(socket));
          }
        }
      }
      for (const socket of sockets) socket.destroy();
      return count;
    },
  };
}

const NOISE = Buffer.alloc(64 * 1024, 'nonsense');

export const STRANGERS: readonly Flood[] = [
  knocking('strangers who say nothing', () => undefined),
  knocking('strangers who talk nonsense', (socket) => socket.write(NOISE)),
  knocking('strangers who begin the handshake and stop', (socket) =>
    socket.write('\x13/multistream/1.0.0\n\x07/noise\n'),
  ),
  {
    name: 'strangers with keys of their own',
    run: async ({ doors }, ms) => {
      const node = await createNode({ privateKey: randomPrivateKey(), listen: LISTEN, gater: {}, topics: [] });
      await startNode(node, LISTEN);
      let count = 0;
      const knock = async (address: string): Promise<void> => {
        for (const end = performance.now() + ms; performance.now() < end; count++) {
          try {
            const signal = AbortSignal.timeout(2000);
            const connection = await node.dial(multiaddr(address), { force: true, signal });
            await connection.close();
          } catch {
            await sleep(5); // turned away
          }
        }
      };
      await Promise.all(doors.flatMap((door) => Array.from({ length: 10 }, () => knock(multiaddrOf(door)))));
      await node.stop();
      return count;
    },
  },
];
