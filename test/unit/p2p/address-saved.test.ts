import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeAddressRecord } from '../../../p2p/address-record.ts';
import { formatRecords, parseRecords } from '../../../p2p/address-store.ts';
import { SAVE_MS, SAVED_CHARS_MAX } from '../../../p2p/limits.ts';
import { MemoryStorage, Node, type Signer, signers } from './exchange-bench.ts';

describe('what is saved', () => {
  const [a, b] = signers(2) as [Signer, Signer];
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is gathered for a while, saved as a whole, and read back by the next life', async () => {
    const node = new Node();
    node.names([a, b]);
    for (const { peer } of [a, b]) node.exchange.onUp(peer);
    node.hears(a, a.says(1, 1));
    node.hears(b, b.says(1, 2));
    expect(node.storage.saves).toBe(0);
    await vi.advanceTimersByTimeAsync(SAVE_MS);
    expect(node.storage.saves).toBe(1);
    const next = new Node({ storage: node.storage });
    next.names([a, b]);
    await next.exchange.load();
    expect(next.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
    expect(next.exchange.addressesOf(b.peer)).toEqual(['/ip4/10.0.0.1/tcp/2']);
    expect(next.events).toEqual([]);
    await vi.advanceTimersByTimeAsync(10 * SAVE_MS);
    expect(node.storage.saves).toBe(1);
  });

  test('is saved at once by a stop', async () => {
    const node = new Node();
    node.names([a]);
    node.exchange.onUp(a.peer);
    node.hears(a, a.says(1, 1));
    await node.exchange.stop();
    expect(node.storage.saves).toBe(1);
    await vi.advanceTimersByTimeAsync(SAVE_MS);
    expect(node.storage.saves).toBe(1);
  });

  test('and of nobody known now is left out', async () => {
    const storage = new MemoryStorage();
    storage.text = formatRecords([a.record(1, '/ip4/10.0.0.1/tcp/1')]);
    const node = new Node({ storage });
    node.names([b]);
    await node.exchange.load();
    node.names([a, b]);
    expect(node.exchange.addressesOf(a.peer)).toEqual([]);
  });

  test.each([
    ['that is not JSON', '{', 'saved addresses of peers: 1 ignored'],
    ['that is a list', '[]', 'no list of records'],
    ['that is null', 'null', 'no list of records'],
    ['that is too long', ' '.repeat(SAVED_CHARS_MAX + 1), 'characters'],
  ])('a text %s is ignored with a warning', async (_name, text, warning) => {
    const storage = new MemoryStorage();
    storage.text = text;
    const node = new Node({ storage });
    await node.exchange.load();
    expect(node.warned(warning)).toHaveLength(1);
  });

  test('rubbish among good records is ignored with a warning, the good ones are not', async () => {
    const good = JSON.parse(formatRecords([a.record(1, '/ip4/10.0.0.1/tcp/1')])).records[0];
    const forged = { ...good, sequence: 2 };
    const bad = [null, 7, {}, { ...good, nodeKey: 'x' }, { ...good, sequence: -1 }, { ...good, sequence: 1.5 }];
    const worse = [{ ...good, addresses: [7] }, { ...good, addresses: 'x' }, { ...good, signature: '0xzz' }, forged];
    const storage = new MemoryStorage();
    storage.text = JSON.stringify({ records: [...bad, ...worse, good] });
    const node = new Node({ storage });
    node.names([a]);
    await node.exchange.load();
    expect(node.exchange.addressesOf(a.peer)).toEqual(['/ip4/10.0.0.1/tcp/1']);
    expect(node.warned('saved addresses of peers: 9 ignored, the first: records[0] is no address record')).toHaveLength(
      1,
    );
    expect(node.warned('did not sign for this chain')).toHaveLength(1);
  });

  test('and cannot be read or written costs a warning', async () => {
    const node = new Node();
    node.storage.failing = true;
    node.names([a]);
    await node.exchange.load();
    await node.exchange.announce([]);
    expect(node.warned('cannot be read: no such disk')).toHaveLength(1);
    node.storage.failing = false;
    node.exchange.onUp(a.peer);
    node.hears(a, a.says(1));
    await vi.advanceTimersByTimeAsync(SAVE_MS);
    expect(node.storage.saves).toBe(1);
  });

  test('comes back as it was', () => {
    const records = [a.record(1, '/ip4/10.0.0.1/tcp/1'), b.record(2)];
    expect(parseRecords(formatRecords(records))).toEqual({ records: records.map(encodeAddressRecord), problems: [] });
  });
});
