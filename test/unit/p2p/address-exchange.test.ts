import { beforeEach, describe, expect, test } from 'vitest';
import { encodeAddressRecord, parseAsk, signAddressRecord } from '../../../p2p/address-record.ts';
import { ASKED_MAX, RECORDS_MAX, RECORDS_PER_SECOND, RENEWAL_MS } from '../../../p2p/limits.ts';
import { domain, MemoryStorage, Node, Signer, signers, WALL_MS } from './exchange-bench.ts';

describe('keeping records', () => {
  const [a, b, stranger] = signers(3) as [Signer, Signer, Signer];
  let node: Node;
  beforeEach(() => {
    node = new Node();
    node.names([a, b]);
    for (const { peer } of [a, b]) node.exchange.onUp(peer);
  });

  test('the newest of a known peer is kept and told on once, to the others', () => {
    expect(node.hears(a, a.says(5, 1))).toBeUndefined();
    expect(node.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
    expect(node.news).toEqual([a.peer]);
    node.exchange.beat();
    expect(node.sent.map(({ to }) => to)).toEqual([b.peer]);
    expect(node.told(b)).toEqual([[a.nodeKey, 5]]);
    node.exchange.beat();
    expect(node.sent).toEqual([]);
  });

  test('the same again, an older one and another of the same sequence change nothing and are not told on', () => {
    node.hears(a, a.says(5, 1));
    node.exchange.beat();
    node.sent.length = 0;
    for (const payload of [a.says(5, 1), a.says(4, 2), a.says(5, 3)]) expect(node.hears(b, payload)).toBeUndefined();
    node.exchange.beat();
    expect(node.sent).toEqual([]);
    expect(node.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
    expect(node.news).toEqual([a.peer]);
  });

  test('a newer one without addresses takes back what was said', () => {
    node.hears(a, a.says(5, 1));
    node.hears(a, encodeAddressRecord(a.record(6)));
    expect(node.exchange.addressesOf(a.peer)).toEqual([]);
    expect(node.news).toEqual([a.peer, a.peer]);
  });

  test('a peer that signs all day is told on with its newest record, once a beat', () => {
    for (let sequence = 1; sequence <= 50; sequence++) node.hears(a, a.says(sequence));
    node.exchange.beat();
    expect(node.told(b)).toEqual([[a.nodeKey, 50]]);
  });

  test("a stranger's record is not kept, not told on, and no fault of whoever sent it", () => {
    expect(node.hears(a, stranger.says(5))).toBeUndefined();
    expect(node.exchange.addressesOf(stranger.peer)).toEqual([]);
    node.exchange.beat();
    expect(node.told(b)).toEqual([]);
  });

  test('a forged record and a malformed one are a fault of whoever sent them', () => {
    const forged = encodeAddressRecord({ ...a.record(9, '/ip4/6.6.6.6/tcp/1'), signature: b.record(9).signature });
    expect(node.hears(b, forged)).toContain('did not sign for this chain');
    expect(node.hears(b, new Uint8Array(3))).toContain('trailing');
    const other = signAddressRecord({ sequence: 9, addresses: [] }, a.key, { ...domain, chainId: 2 });
    expect(node.hears(b, encodeAddressRecord(other))).toContain('did not sign for this chain');
    expect(node.exchange.addressesOf(a.peer)).toEqual([]);
  });

  test('what was forged does not hide what is true', () => {
    const forged = encodeAddressRecord({ ...a.record(9), signature: b.record(9).signature });
    node.hears(b, forged);
    node.hears(a, a.says(5, 1));
    expect(node.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
  });

  test('who is not named any more is forgotten, and was not kept twice when named again', () => {
    node.hears(a, a.says(5, 1));
    node.names([b]);
    expect(node.exchange.addressesOf(a.peer)).toEqual([]);
    node.names([a, b]);
    expect(node.exchange.addressesOf(a.peer)).toEqual([]);
    node.hears(b, a.says(5, 1));
    expect(node.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
  });

  test('a validator that stays admitted keeps its record', () => {
    node.hears(a, a.says(5, 1));
    node.names([a, b], 'admitted');
    expect(node.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
  });
});

describe('peers that only our configuration allows', () => {
  test('are kept and not told on', () => {
    const [a, guest] = signers(2) as [Signer, Signer];
    const node = new Node({ allowed: ['*', guest.peer] });
    node.names([a]);
    node.exchange.onUp(a.peer);
    node.exchange.onUp(guest.peer);
    node.hears(guest, guest.says(5, 1));
    expect(node.exchange.addressesOf(guest.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
    node.exchange.beat();
    expect(node.told(a)).toEqual([]);
    node.exchange.onUp(a.peer);
    expect(node.told(a)).toEqual([]);
  });
});

test(`of peers that are no validators ${RECORDS_MAX} records are kept, of validators all`, () => {
  const many = signers(RECORDS_MAX + 1);
  const node = new Node();
  const [validator] = signers(1) as [Signer];
  const peers = many.map(({ peer }) => ({ peer, standing: 'admitted' as const, addresses: [] }));
  node.exchange.setPeers([...peers, { peer: validator.peer, addresses: [] }]);
  node.exchange.onUp(validator.peer);
  for (const signer of many) node.hears(validator, signer.says(1));
  expect(many.filter(({ peer }) => node.exchange.addressesOf(peer).length > 0)).toHaveLength(RECORDS_MAX);
  node.hears(validator, validator.says(1));
  expect(node.exchange.addressesOf(validator.peer)).toHaveLength(1);
  node.hears(validator, many[0]!.says(2, 2));
  expect(node.exchange.addressesOf(many[0]!.peer)).toEqual(['/ip4/10.0.0.1/tcp/2']);
});

describe('a link that comes up', () => {
  test('is told our own record and all that the chain names, a share in each beat', async () => {
    const many = signers(RECORDS_PER_SECOND + 9);
    const [a, b] = many as [Signer, Signer];
    const node = new Node();
    node.names(many);
    await node.exchange.announce(['/ip4/10.0.0.9/tcp/9']);
    node.exchange.onUp(a.peer);
    for (const [index, signer] of many.entries()) node.hears(a, signer.says(index + 1));
    node.sent.length = 0;
    node.exchange.onUp(b.peer);
    const first = node.told(b);
    expect(first[0]).toEqual([node.signer.nodeKey, WALL_MS]);
    expect(first).toHaveLength(RECORDS_PER_SECOND);
    node.exchange.beat();
    const rest = node.told(b);
    expect(new Map([...first, ...rest])).toEqual(
      new Map([[node.signer.nodeKey, WALL_MS], ...many.map(({ nodeKey }, i): [string, number] => [nodeKey, i + 1])]),
    );
    expect(first.length + rest.length).toBe(many.length + 1);
  });

  test('that has no room is told later, and one that went down never', async () => {
    const [a] = signers(1) as [Signer];
    const node = new Node();
    node.names([a]);
    await node.exchange.announce([]);
    node.room = 0;
    node.exchange.onUp(a.peer);
    expect(node.sent).toEqual([]);
    node.room = 1;
    node.exchange.beat();
    expect(node.told(a)).toEqual([[node.signer.nodeKey, WALL_MS]]);
    node.room = 0;
    node.exchange.onUp(a.peer);
    node.exchange.onDown(a.peer);
    node.room = 1;
    node.exchange.beat();
    expect(node.sent).toEqual([]);
  });
});

describe('peers named while links are up', () => {
  const [a, b, candidate] = signers(3) as [Signer, Signer, Signer];

  test('are asked for, since their records were not kept before', () => {
    const node = new Node();
    node.names([a, b]);
    node.exchange.onUp(a.peer);
    node.hears(a, candidate.says(5));
    node.names([a, b, candidate]);
    expect(node.sent.map(({ to, notice }) => [to, notice])).toEqual([[a.peer, 'ask']]);
    expect(parseAsk(node.sent[0]!.payload, ASKED_MAX)).toEqual({ ok: true, nodeKeys: [candidate.nodeKey] });
    node.names([a, b, candidate], 'admitted');
    expect(node.sent).toHaveLength(1);
    node.hears(a, candidate.says(5));
    expect(node.exchange.addressesOf(candidate.peer)).toHaveLength(1);
  });

  test('are asked for in parts when they are many', () => {
    const node = new Node();
    node.names([a]);
    node.exchange.onUp(a.peer);
    node.names([a, ...signers(ASKED_MAX + 1)]);
    const asked = node.sent.map(({ payload }) => parseAsk(payload, ASKED_MAX));
    expect(asked.map((ask) => ask.ok && ask.nodeKeys.length)).toEqual([ASKED_MAX, 1]);
  });

  test('a request is answered with what is held, our own record too', async () => {
    const node = new Node();
    node.names([a, b]);
    await node.exchange.announce([]);
    for (const { peer } of [a, b]) node.exchange.onUp(peer);
    node.hears(b, b.says(5));
    node.exchange.beat();
    node.sent.length = 0;
    const keys = [b.nodeKey, candidate.nodeKey, node.signer.nodeKey];
    const asking = new Node({ signer: a });
    asking.exchange.setPeers([]);
    asking.exchange.onUp(node.signer.peer);
    asking.names([b, candidate, node.signer]);
    const ask = asking.sent.find(({ notice }) => notice === 'ask')!;
    const parsed = parseAsk(ask.payload, ASKED_MAX);
    expect(new Set(parsed.ok ? parsed.nodeKeys : [])).toEqual(new Set(keys));
    expect(node.exchange.onNotice(a.peer, 'ask', ask.payload)).toBeUndefined();
    node.exchange.beat();
    expect(new Map(node.told(a))).toEqual(
      new Map([
        [b.nodeKey, 5],
        [node.signer.nodeKey, WALL_MS],
      ]),
    );
  });

  test('a malformed request is a fault', () => {
    const node = new Node();
    node.exchange.onUp(a.peer);
    expect(node.exchange.onNotice(a.peer, 'ask', new Uint8Array(0))).toContain('truncated');
  });
});

describe('our own record', () => {
  const [a] = signers(1) as [Signer];

  test('has a greater sequence in every life, also when the clock went back', async () => {
    const storage = new MemoryStorage();
    const signer = new Signer();
    const sequences: number[] = [];
    for (const wallMs of [WALL_MS, WALL_MS - 1_000, WALL_MS + 5]) {
      const node = new Node({ signer, storage });
      node.clock.wallMs = wallMs;
      node.names([a]);
      await node.exchange.load();
      await node.exchange.announce([]);
      node.exchange.onUp(a.peer);
      sequences.push(node.told(a)[0]![1]);
      await node.exchange.stop();
    }
    expect(sequences).toEqual([WALL_MS, WALL_MS + 1, WALL_MS + 5]);
  });

  test('is saved before anybody is told', async () => {
    const node = new Node();
    const announced = node.exchange.announce(['/ip4/10.0.0.9/tcp/9']);
    expect(node.sent).toEqual([]);
    await announced;
    expect(node.storage.text).toContain('/ip4/10.0.0.9/tcp/9');
  });

  test('is signed anew when a peer holds a newer one, and again at most once a minute', async () => {
    const node = new Node();
    node.names([a]);
    await node.exchange.announce(['/ip4/10.0.0.9/tcp/9']);
    node.exchange.onUp(a.peer);
    node.sent.length = 0;
    node.hears(a, node.signer.says(WALL_MS + 50));
    node.exchange.beat();
    expect(node.told(a)).toEqual([[node.signer.nodeKey, WALL_MS + 51]]);
    expect(node.warned('newer addresses under our node key')).toHaveLength(1);
    node.hears(a, node.signer.says(WALL_MS + 60));
    node.clock.now = RENEWAL_MS - 1;
    node.exchange.beat();
    expect(node.told(a)).toEqual([]);
    node.clock.now = RENEWAL_MS;
    node.exchange.beat();
    expect(node.told(a)).toEqual([[node.signer.nodeKey, WALL_MS + 61]]);
  });

  test('is signed anew when a peer holds another one of the same sequence, and not when it is the same', async () => {
    const node = new Node();
    node.names([a]);
    await node.exchange.announce(['/ip4/10.0.0.9/tcp/9']);
    node.exchange.onUp(a.peer);
    const [own] = node.sent.splice(0);
    node.hears(a, own!.payload);
    node.exchange.beat();
    expect(node.told(a)).toEqual([]);
    node.hears(a, node.signer.says(WALL_MS));
    node.exchange.beat();
    expect(node.told(a)).toEqual([[node.signer.nodeKey, WALL_MS + 1]]);
  });

  test('that is forged is a fault', async () => {
    const node = new Node();
    await node.exchange.announce([]);
    const forged = encodeAddressRecord({ ...node.signer.record(WALL_MS * 2), signature: a.record(1).signature });
    expect(node.hears(a, forged)).toContain('did not sign');
  });

  test('with the largest sequence there is stays, and stops nothing', async () => {
    const node = new Node();
    node.names([a]);
    await node.exchange.announce([]);
    node.exchange.onUp(a.peer);
    node.hears(a, node.signer.says(Number.MAX_SAFE_INTEGER));
    node.exchange.beat();
    node.clock.now = RENEWAL_MS;
    node.exchange.beat();
    expect(node.told(a).at(-1)).toEqual([node.signer.nodeKey, Number.MAX_SAFE_INTEGER]);
  });
});
