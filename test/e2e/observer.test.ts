/** A node without a validator key, from nothing but the genesis file: follows, serves, and passes transactions on. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transfer, untilFinal } from './accounts.ts';
import { agreedChain } from './agreement.ts';
import { Devnet, Node, type Status, temporaryFolder } from './devnet.ts';
import { freeBasePort } from './ports.ts';
import { run } from './processes.ts';

let devnet: Devnet;
let folder: string;
let observer: Node;
let ports: string[];
let url: string;
let nonce = 0;

const env = { QUORATE_PASSWORD: 'observer' };

beforeAll(async () => {
  devnet = await Devnet.start();
  folder = await temporaryFolder();
  const base = await freeBasePort(1);
  url = `http://127.0.0.1:${base}`;
  const port = (offset: number): string => String(base + offset);
  ports = ['--rpc-port', port(0), '--p2p-port', port(21_755), '--metrics-port', port(1000)];
  await send(devnet.rpc(0).url, 10);
});

afterAll(async () => {
  await observer?.program.stop();
  await devnet?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function start(): Node {
  return new Node(join(folder, 'observer'), url, ['--genesis', join(devnet.dir, 'genesis.json'), ...ports], { env });
}

async function send(rpcUrl: string, count: number): Promise<string[]> {
  const rpc = devnet.rpcs.find((known) => known.url === rpcUrl) ?? observer.rpc;
  const [from, to] = devnet.line.accounts;
  const hashes: string[] = [];
  for (let i = 0; i < count; i++) {
    const { raw } = transfer(from!, { chainId: 1337, nonce: nonce++, to: to!.address, value: 1n });
    hashes.push(await rpc.call<string>('eth_sendRawTransaction', [raw]));
  }
  await untilFinal(rpc, hashes);
  return hashes;
}

test('an observer joins with its own node key, fetches the chain and agrees with the validators', async () => {
  observer = start();
  await observer.serving();
  await agreedChain([...devnet.rpcs, observer.rpc]);
  const status = await observer.rpc.call<Status>('xft_status');
  expect(status.role).toBe('observer');
  expect(status.validators.map(({ address }) => address)).toEqual(devnet.line.validators.map(({ address }) => address));
  expect(await observer.rpc.call('net_peerCount')).not.toBe('0x0');
});

test('it follows new blocks, and passes on a transaction sent to it', async () => {
  const viaValidator = await send(devnet.rpc(2).url, 5);
  await untilFinal(observer.rpc, viaValidator);
  const viaObserver = await send(url, 5);
  for (const rpc of devnet.rpcs) await untilFinal(rpc, viaObserver);
  await agreedChain([...devnet.rpcs, observer.rpc]);
});

test('it goes on while a validator is down, and after it was killed itself', async () => {
  await devnet.kill(0);
  await send(url, 3);
  await observer.program.kill();
  await devnet.restart(0);
  await send(devnet.rpc(1).url, 3);
  observer = start();
  await observer.serving();
  await agreedChain([...devnet.rpcs, observer.rpc]);
  await send(url, 2);
});

test('without a genesis, or with another node on its folder, it refuses', async () => {
  const nothing = await run(['node', '--data-dir', join(folder, 'nothing'), ...ports], { env });
  expect(nothing.code).toBe(1);
  expect(nothing.stderr).toMatch(/^error: .*genesis/m);
  const second = await run(
    ['node', '--data-dir', join(folder, 'observer'), '--genesis', join(devnet.dir, 'genesis.json')],
    { env },
  );
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/^error: process \d+ is running on/m);
});
