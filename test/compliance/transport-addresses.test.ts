/** libp2p only: a validator that moves is found by its signed address record, with nobody's files edited. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import { peerIdOfPrivateKey } from '../../p2p/peers.ts';
import type { AddressStorage, PeerAddress, TransportOptions } from '../../p2p/transport.ts';
import { randomPrivateKey } from '../../primitives/secp256k1.ts';
import { acquaint, Cluster, linked, type Member, numbered, until } from './transport-cluster.ts';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster(createLibp2pTransport);
});
afterEach(() => cluster.stop());

function memoryStorage(): AddressStorage & { text: string | undefined } {
  const storage = {
    text: undefined as string | undefined,
    load: async () => storage.text,
    save: async (text: string) => {
      storage.text = text;
    },
  };
  return storage;
}

async function started(options: Partial<TransportOptions> = {}): Promise<Member> {
  const member = cluster.member(options);
  await member.transport.start();
  return member;
}

/** Keys in the order of their peer ids: of two, the first dials. */
function keysInOrder(count: number) {
  const keys = Array.from({ length: count }, () => randomPrivateKey());
  return keys.sort((x, y) => (peerIdOfPrivateKey(x) < peerIdOfPrivateKey(y) ? -1 : 1));
}

/** Somebody whose address is not known. */
function nowhere({ self }: Member): PeerAddress {
  return { peer: self, addresses: [] };
}

test('of three validators one moves, one of the others is told where, and the third finds it', async () => {
  const [keyA, keyB, keyC] = keysInOrder(3) as [Uint8Array, Uint8Array, Uint8Array];
  const book = memoryStorage();
  const a = await started({ privateKey: keyA, addressBook: book });
  const b = await started({ privateKey: keyB });
  const old = await started({ privateKey: keyC });
  acquaint([a, b, old]);
  await linked(a, b, old);
  const listen = { host: '127.0.0.1', port: old.port() };
  await old.transport.stop();
  await until(() => expect([a.downs.length, b.downs.length]).toEqual([1, 1]));
  // Somebody else lives at the old address now, so whoever knows no other one dials in vain.
  await started({ listen });

  const moved = await started({ privateKey: keyC });
  // It lets the third in and does not look for it itself: being found is what is shown here.
  moved.transport.setPeers([{ ...nowhere(a), standing: 'admitted' }, b.address(), moved.address()]);
  b.transport.setPeers([a.address(), b.address(), moved.address()]);
  await linked(a, b, moved);

  const ups = a.events.filter(({ event, peer }) => event === 'p2p.up' && peer === moved.self);
  expect(ups).toMatchObject([{}, { data: { dialled: true } }]);
  expect(a.transport.send(moved.self, 'consensus', numbered(1))).toBe(true);
  await until(() => expect(moved.on('consensus')).toHaveLength(1));
  await a.transport.stop();
  expect(book.text).toContain(`/ip4/127.0.0.1/tcp/${moved.port()}`);
});

test('a node that starts anew finds peers where its saved records say, whatever its other addresses say', async () => {
  const [keyA, keyB] = keysInOrder(2) as [Uint8Array, Uint8Array];
  const addressBook = memoryStorage();
  const first = await started({ privateKey: keyA, addressBook });
  const b = await started({ privateKey: keyB });
  b.transport.setPeers([nowhere(first), b.address()]);
  first.transport.setPeers([first.address(), b.address()]);
  await linked(first, b);
  await until(() => expect(first.said(`addresses of ${b.self}`)).toHaveLength(1));
  await first.transport.stop();
  const validators = [nowhere(first), { peer: b.self, addresses: [], hints: ['/ip4/127.0.0.1/tcp/1'] }];
  const again = await started({ privateKey: keyA, addressBook, validators });
  await linked(again, b);
});

test("a candidate is found by a node that took its record for a stranger's, once the chain names it", async () => {
  const [keyA, keyB, keyC] = keysInOrder(3) as [Uint8Array, Uint8Array, Uint8Array];
  const b = await started({ privateKey: keyB });
  const candidate = await started({ privateKey: keyC });
  const other = await started();
  const a = cluster.member({ privateKey: keyA, validators: [nowhere(b), nowhere(other)] });
  // Both let a in and do not look for it: a must find them.
  for (const member of [candidate, other]) {
    member.transport.setPeers([b.address(), { ...nowhere(a), standing: 'admitted' }]);
  }
  const known: PeerAddress[] = [b.address(), { ...candidate.address(), standing: 'admitted' }];
  b.transport.setPeers(known);
  await until(() => expect(b.said(`addresses of ${candidate.self}`)).toHaveLength(1));
  b.transport.setPeers([...known, other.address(), nowhere(a)]);
  await until(() => expect(b.said(`addresses of ${other.self}`)).toHaveLength(1));

  await a.transport.start();
  const validators = [b.address(), nowhere(other), nowhere(a)];
  a.transport.setPeers(validators);
  // In the order in which b came to know them: when a has heard of the last, it has heard of the candidate.
  await until(() => expect(a.said(`addresses of ${other.self}`)).toHaveLength(1));
  expect(a.said(candidate.self)).toEqual([]);
  a.transport.setPeers([...validators, { ...nowhere(candidate), standing: 'admitted', dialled: true }]);
  await linked(a, b, candidate);
  await linked(a, b, other);
});

test('what is configured to be announced is what others are told', async () => {
  const b = await started();
  const port = await freePort();
  const a = await started({ announce: [`/ip4/192.0.2.7/tcp/7`, `/dns4/localhost/tcp/${port}/p2p/${b.self}`] }).catch(
    (error: unknown) => error,
  );
  expect(a).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('cannot be announced') });
  const announce = ['/ip4/192.0.2.7/tcp/7', `/dns4/localhost/tcp/${port}`];
  const c = await started({ listen: { host: '127.0.0.1', port }, announce });
  acquaint([b, c]);
  await linked(b, c);
  await until(() => expect(b.said(`addresses of ${c.self}: ${announce.join(', ')}`)).toHaveLength(1));
});

async function freePort(): Promise<number> {
  const member = await started();
  const port = member.port();
  await member.transport.stop();
  return port;
}
