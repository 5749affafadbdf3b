/**
 * What the network layer costs: 300-byte round trips (idle, and while blocks fill the link) and one-way throughput of
 * 1 MiB frames, against raw TCP between the same two processes in the same run. `tsx bench/p2p-latency.ts`
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createLibp2pTransport } from '../p2p/libp2p-transport.ts';
import type { PeerAddress, Transport } from '../p2p/transport.ts';
import { randomPrivateKey } from '../primitives/secp256k1.ts';

const ROUND_TRIPS = { idle: 3_000, loaded: 300 };
const WARM_UP = 100;
const REQUEST_BYTES = 300;
const BULK_BYTES = 1024 * 1024;
const BULK_FRAMES = 400;
const END = Uint8Array.of(1);

type Peer = { readonly tcpPort: number; readonly address: PeerAddress };

function transport(): Transport {
  return createLibp2pTransport({
    privateKey: randomPrivateKey(),
    listen: { host: '127.0.0.1', port: 0 },
    genesisHash: '0x' + '11'.repeat(32),
    chainId: 1337,
    validators: [],
    allowedPeers: [],
    log: (event) => event.level === 'warn' && console.error(event.message),
  });
}

/** The other process: echoes requests, counts bulk and says when all of it is there. */
async function serve(): Promise<void> {
  const node = transport();
  node.setHandlers({
    onMessage: (peer, channel, payload) => {
      if (channel === 'consensus') node.send(peer, 'consensus', payload);
      else if (payload.length === 1) node.send(peer, 'sync', END);
    },
  });
  await node.start();
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    let bulk = 0;
    // The first byte of a chunk says what the client is measuring.
    socket.on('data', (chunk) => {
      if (bulk === 0 && chunk.length === REQUEST_BYTES) socket.write(chunk);
      else {
        bulk += chunk.length;
        if (bulk === BULK_BYTES * BULK_FRAMES) socket.write(END);
      }
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', (client: PeerAddress) => {
    node.setPeers([client, { peer: node.self, addresses: node.addresses() }]);
    process.send?.({ tcpPort: (server.address() as AddressInfo).port, address: { peer: node.self, addresses: node.addresses() } }); // biome-ignore format: one message
  });
  process.on('disconnect', () => process.exit(0));
}

/** Calls `request` and waits for the `answered` it causes, one at a time; the milliseconds of each. */
async function roundTrips(
  count: number,
  request: () => void,
  onAnswer: (answered: () => void) => void,
): Promise<number[]> {
  const times: number[] = [];
  let startedAt = 0;
  await new Promise<void>((resolve) => {
    const next = () => {
      startedAt = performance.now();
      request();
    };
    onAnswer(() => {
      times.push(performance.now() - startedAt);
      if (times.length === WARM_UP + count) resolve();
      else setImmediate(next);
    });
    next();
  });
  return times.slice(WARM_UP);
}

function percentiles(times: number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(3);
  return `p50 ${at(0.5)} ms  p99 ${at(0.99)} ms`;
}

async function tcpBench(port: number): Promise<void> {
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    await once(socket, 'connect');
    return socket;
  };
  const socket = await open();
  const request = Buffer.alloc(REQUEST_BYTES);
  const times = await roundTrips(
    ROUND_TRIPS.idle,
    () => void socket.write(request),
    (answered) => socket.on('data', answered),
  );
  console.log(`raw TCP   ${REQUEST_BYTES} B round trip     ${percentiles(times)}`);
  socket.destroy();

  const bulk = await open();
  const frame = Buffer.alloc(BULK_BYTES);
  const startedAt = performance.now();
  for (let i = 0; i < BULK_FRAMES; i++) if (!bulk.write(frame)) await once(bulk, 'drain');
  await once(bulk, 'data');
  report('raw TCP  ', startedAt);
  bulk.destroy();
}

function report(name: string, startedAt: number): void {
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`${name} 1 MiB one way           ${((BULK_BYTES * BULK_FRAMES) / 1e6 / seconds).toFixed(0)} MB/s`);
}

async function linkBench(node: Transport, peer: string): Promise<void> {
  const request = new Uint8Array(REQUEST_BYTES);
  const measure = (count: number) =>
    roundTrips(
      count,
      () => void node.send(peer, 'consensus', request),
      (answered) => node.setHandlers({ onMessage: answered }),
    );
  console.log(`transport ${REQUEST_BYTES} B round trip     ${percentiles(await measure(ROUND_TRIPS.idle))}`);

  const frame = new Uint8Array(BULK_BYTES);
  const startedAt = performance.now();
  await new Promise<void>((resolve) => {
    let sent = 0;
    const fill = () => {
      while (sent < BULK_FRAMES && node.send(peer, 'sync', frame)) sent++;
      if (sent === BULK_FRAMES && node.send(peer, 'sync', END)) sent++;
    };
    node.setHandlers({ onMessage: () => resolve(), onDrain: fill });
    fill();
  });
  report('transport', startedAt);

  let filling = true;
  const fill = () => {
    while (filling && node.send(peer, 'blocks', frame));
    if (filling) setTimeout(fill, 1);
  };
  fill();
  console.log(`transport ${REQUEST_BYTES} B under full load ${percentiles(await measure(ROUND_TRIPS.loaded))}`);
  filling = false;
}

async function main(): Promise<void> {
  const child: ChildProcess = fork(process.argv[1]!, ['serve'], { stdio: 'inherit' });
  const node = transport();
  await node.start();
  const self = { peer: node.self, addresses: node.addresses() };
  child.send(self);
  const [peer] = (await once(child, 'message')) as [Peer];
  const up = new Promise<void>((resolve) => node.setHandlers({ onUp: () => resolve() }));
  node.setPeers([self, peer.address]);
  await up;
  await tcpBench(peer.tcpPort);
  await linkBench(node, peer.address.peer);
  await node.stop();
  child.disconnect();
}

await (process.argv[2] === 'serve' ? serve() : main());
