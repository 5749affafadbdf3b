/** libp2p only: nodes that are cut off and come back, many times, under load. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLibp2pTransport } from '../../p2p/libp2p-transport.ts';
import { randomPrivateKey } from '../../primitives/secp256k1.ts';
import { acquaint, Cluster, linked, type Member, numbered, range, until } from './transport-cluster.ts';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster(createLibp2pTransport);
});
afterEach(() => cluster.stop());

test('a validator killed and restarted five times under load is linked again each time, once', async () => {
  const [a, b] = (await cluster.validators(2)) as [Member, Member];
  const key = randomPrivateKey();
  let victim = cluster.member({ privateKey: key });
  await victim.transport.start();
  acquaint([a, b, victim]);
  await linked(a, b, victim);
  const port = victim.port();
  const load = setInterval(() => {
    for (const member of [a, b, victim]) {
      for (const peer of member.transport.connected()) {
        member.transport.send(peer, 'consensus', numbered(1, 300));
        member.transport.send(peer, 'blocks', numbered(2, 200_000));
      }
    }
  }, 5);
  for (const round of range(5)) {
    await victim.transport.stop();
    await until(() => expect(a.downs.length + b.downs.length).toBe(2 * (round + 1)));
    victim = cluster.member({ privateKey: key, listen: { host: '127.0.0.1', port } });
    await victim.transport.start();
    victim.transport.setPeers([a.address(), b.address(), victim.address()]);
    await linked(a, b, victim);
    await until(() => expect(victim.on('blocks').length).toBeGreaterThan(3));
  }
  clearInterval(load);
  expect(a.ups.filter((peer) => peer === victim.self)).toHaveLength(6);
  expect(a.downs.map((down) => down.peer)).toEqual(range(5).map(() => victim.self));
  expect(a.transport.stats().find((peer) => peer.peer === victim.self)).toMatchObject({ up: true, reconnects: 5 });
  expect(a.transport.stats().find((peer) => peer.peer === b.self)).toMatchObject({ up: true, reconnects: 0 });
});

test('gossip works again after a validator restarted', async () => {
  const key = randomPrivateKey();
  let validator = cluster.member({ privateKey: key, allowedPeers: ['*'] });
  await validator.transport.start();
  const set = [validator.address()];
  validator.transport.setPeers(set);
  const port = validator.port();
  const observer = cluster.member({ validators: set });
  await observer.transport.start();
  await linked(validator, observer);
  let count = 0;
  const heard = async () => {
    await until(() => {
      observer.transport.publish('transactions', numbered(++count));
      validator.transport.publish('blocks', numbered(++count));
      expect(validator.gossip.length).toBeGreaterThan(0);
      expect(observer.gossip.length).toBeGreaterThan(0);
    });
  };
  await heard();
  await validator.transport.stop();
  observer.gossip.length = 0;
  validator = cluster.member({ privateKey: key, allowedPeers: ['*'], listen: { host: '127.0.0.1', port } });
  await validator.transport.start();
  validator.transport.setPeers(set);
  await linked(validator, observer);
  await heard();
});

test('a pair links through whichever side knows an address, the designated dialler or not', async () => {
  const members = await cluster.validators(2);
  const [low, high] = [...members].sort((x, y) => (x.self < y.self ? -1 : 1)) as [Member, Member];
  low.transport.setPeers([low.address(), { peer: high.self, addresses: [] }]);
  high.transport.setPeers([low.address(), high.address()]);
  await linked(low, high);
  await low.transport.stop();
});

test('a dead address beside a good one does not prevent the link', async () => {
  const [a] = (await cluster.validators(1)) as [Member];
  const b = cluster.member({ allowedPeers: [] });
  await b.transport.start();
  a.transport.setPeers([a.address(), b.address()]);
  b.transport.setPeers([
    b.address(),
    { peer: a.self, addresses: ['/ip4/127.0.0.1/tcp/1', 'nonsense', ...a.transport.addresses()] },
  ]);
  await linked(a, b);
});
