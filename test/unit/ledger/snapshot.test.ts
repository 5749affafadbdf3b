/**
 * A state on its way from one store to another: served as it was after one block while the chain goes on, taken node by
 * node, taken over in one step. What is accepted is exactly the state that the header names (reliability.md, P44, Z22,
 * Z23).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../../../ledger/ledger.ts';
import { LevelStore } from '../../../ledger/level-store.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { accountPrefix, endOf, STATE_KEY } from '../../../ledger/records.ts';
import { clearSlot, StateStaging, type StateTarget, stagedState, type Wanted } from '../../../ledger/staged-state.ts';
import type { StateView } from '../../../ledger/state-view.ts';
import type { KeyValueStore } from '../../../ledger/store.ts';
import { takeOverSnapshot } from '../../../ledger/take-over.ts';
import { verifyStore } from '../../../ledger/verify.ts';
import { toHex } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { keccak256 } from '../../../primitives/keccak.ts';
import { extend, genesis, KEYS, openLedger, RULES, transfer } from './fixtures.ts';

const SENDER = KEYS[0]!;
const FLUSH = { nodes: 50, changes: 100, blocks: 7 };
const HISTORY = { blocks: 40, blocksMin: 20, ageMinMs: 0, entries: 100_000, entriesAtStart: 100_000 };
const noPause = (): Promise<void> => Promise.resolve();
const stranger = (n: number): string => toHex(keccak256(Buffer.from(`stranger ${n}`)).subarray(0, 20));

const folders: string[] = [];
const opened: KeyValueStore[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const STORES = {
  memory: () => Promise.resolve(new MemoryStore()),
  level: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quorate-snapshot-'));
    folders.push(folder);
    const store = await LevelStore.open(folder);
    opened.push(store);
    return store;
  },
};

/** Adds blocks with so many transfers each to accounts of a changing range. */
async function grow(ledger: Ledger, blocks: number, perBlock: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    const first = ledger.account(SENDER.address, { final: true })!.nonce;
    const transfers = Array.from({ length: perBlock }, (_, k) =>
      transfer({ from: SENDER, nonce: first + k, to: stranger((first + k) % 97), value: BigInt(1 + k) }),
    );
    await extend(ledger, transfers);
  }
}

function targetAt(ledger: Ledger, height: number): StateTarget {
  const { hash, header } = ledger.headerByHeight(height)!;
  return { height, hash, root: header.stateRoot };
}

/** Takes all that is missing from a view; `give` may put something else in place of an answer. */
async function fill(
  staging: StateStaging,
  view: StateView,
  { most = Number.POSITIVE_INFINITY, give = (record: Bytes, _: Wanted) => record } = {},
): Promise<number> {
  const wanted = await staging.missing();
  let taken = 0;
  for (let next = wanted.pop(); next !== undefined && taken < most; next = wanted.pop()) {
    const [record] = view.records([next.path], 1e6);
    const below = staging.put(next, give(record!, next));
    expect(below).toBeDefined();
    wanted.push(...below!);
    taken++;
  }
  await staging.flush();
  return taken;
}

async function slot(store: KeyValueStore, which: 0 | 1): Promise<Map<string, string>> {
  const prefix = accountPrefix(which);
  const out = new Map<string, string>();
  for await (const [key, value] of store.range(prefix, endOf(prefix))) out.set(toHex(key.subarray(1)), toHex(value));
  return out;
}

/** The blocks up to a height, as if they had been fetched. */
async function copyBlocks(from: KeyValueStore, to: KeyValueStore): Promise<void> {
  const put: [Bytes, Bytes][] = [];
  for (const letter of ['b', 'r', 'p', 'n', 'x']) {
    const prefix = Buffer.from(letter);
    for await (const [key, value] of from.range(prefix, endOf(prefix))) put.push([key, value]);
  }
  await new Promise<void>((resolve) => to.write({ put, del: [] }, { sync: true }, () => resolve()));
}

describe.each(Object.entries(STORES))('a view of the state, %s store', (_name, makeStore) => {
  it('is the state after its block, and stays it while the chain goes on', async () => {
    const store = await makeStore();
    const ledger = await openLedger({ store, flush: FLUSH, history: HISTORY });
    await grow(ledger, 30, 5);
    for (const height of [30, 29, 22, 15, 11]) {
      const view = (await ledger.stateView(height, noPause))!;
      await grow(ledger, 3, 8);
      const target = targetAt(ledger, height);
      const copy = new MemoryStore();
      await openLedger({ store: copy });
      const staging = await StateStaging.begin(copy, target);
      await fill(staging, view);
      expect(await staging.missing()).toEqual([]);
      expect(await staging.complete(view.contract()!)).toBe(true);
      await copyBlocks(store, copy);
      expect(await takeOverSnapshot(copy)).toBe(height);
      const taken = await openLedger({ store: copy });
      expect(taken.account(SENDER.address, { final: true })).toEqual(ledger.account(SENDER.address, { height }));
      await view.close();
    }
  });

  it('of a block that is too old or not final yet there is none', async () => {
    const ledger = await openLedger({ store: await makeStore(), flush: FLUSH, history: HISTORY });
    await grow(ledger, 50, 2);
    expect(await ledger.stateView(ledger.oldestState - 1, noPause)).toBeUndefined();
    expect(await ledger.stateView(51, noPause)).toBeUndefined();
    const oldest = await ledger.stateView(ledger.oldestState, noPause);
    expect(oldest).toBeDefined();
    await oldest!.close();
  });
});

describe('what is taken', () => {
  async function source(): Promise<{ ledger: Ledger; store: MemoryStore; view: StateView; target: StateTarget }> {
    const store = new MemoryStore();
    const ledger = await openLedger({ store });
    await grow(ledger, 12, 20);
    const view = (await ledger.stateView(12, noPause))!;
    return { ledger, store, view, target: targetAt(ledger, 12) };
  }

  /** Every node of the state with its record. */
  async function nodesOf(view: StateView, target: StateTarget): Promise<{ wanted: Wanted; record: Bytes }[]> {
    const staging = await StateStaging.begin(new MemoryStore(), target);
    const out: { wanted: Wanted; record: Bytes }[] = [];
    await fill(staging, view, {
      give: (record, wanted) => {
        out.push({ wanted, record });
        return record;
      },
    });
    return out;
  }

  it('is every node in its place, and nothing else: not with any byte changed, added or left out', async () => {
    const { view, target } = await source();
    const nodes = await nodesOf(view, target);
    expect(nodes.length).toBeGreaterThan(15);
    const staging = await StateStaging.begin(new MemoryStore(), target);
    for (const { wanted, record } of nodes) expect(staging.put(wanted, record)).toBeDefined();
    const property = fc.property(
      fc.nat({ max: nodes.length - 1 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('flip', 'cut', 'add', 'drop'),
      (index, at, mask, how) => {
        const { wanted, record } = nodes[index]!;
        const place = at % record.length;
        const changed = Buffer.from(record);
        changed[place]! ^= mask;
        const forged = {
          flip: changed,
          cut: record.subarray(0, place),
          add: Buffer.concat([record, Buffer.of(mask)]),
          drop: Buffer.concat([record.subarray(0, place), record.subarray(place + 1)]),
        }[how];
        const taken = staging.put(wanted, forged);
        // Cut exactly behind the branch or one of its leaves it is true, only not all: then the rest is asked for.
        if (taken !== undefined) expect([how, taken.length > 0]).toEqual(['cut', true]);
      },
    );
    await fc.assert(property, { numRuns: 3000 });
  });

  it('is no node of another place, though it is one of the same state', async () => {
    const { view, target } = await source();
    const nodes = await nodesOf(view, target);
    const staging = await StateStaging.begin(new MemoryStore(), target);
    for (const { wanted } of nodes) {
      for (const { record, wanted: elsewhere } of nodes) {
        if (elsewhere !== wanted) expect(staging.put(wanted, record)).toBeUndefined();
      }
    }
  });

  it('is no node of another block’s state', async () => {
    const { ledger, view, target } = await source();
    const older = (await ledger.stateView(11, noPause))!;
    const staging = await StateStaging.begin(new MemoryStore(), target);
    const root = (await staging.missing())[0]!;
    expect(staging.put(root, older.records([root.path], 1e6)[0]!)).toBeUndefined();
    expect(staging.put(root, view.records([root.path], 1e6)[0]!)).toBeDefined();
  });

  it('a source that keeps leaves back, or turns their order round, changes nothing of what is stored', async () => {
    const { view, target, store } = await source();
    const copy = new MemoryStore();
    const staging = await StateStaging.begin(copy, target);
    let kept = 0;
    await fill(staging, view, {
      give: (record, { path }) => {
        const branch = Buffer.from(record);
        const header = branch[0]! === 0xf9 ? 3 + branch.readUInt16BE(1) : branch[0]! === 0xf8 ? 2 + branch[1]! : 0;
        if (header === 0 || header >= branch.length || path.length > 2) return record;
        kept++;
        if (kept % 2 === 0) return branch.subarray(0, header);
        const leaves: Buffer[] = [];
        for (let at = header; at < branch.length; ) {
          const end = at + 3 + branch[at + 2]!;
          leaves.push(branch.subarray(at, end));
          at = end;
        }
        return Buffer.concat([branch.subarray(0, header), ...leaves.reverse()]);
      },
    });
    expect(kept).toBeGreaterThan(5);
    expect(await staging.missing()).toEqual([]);
    const honest = new MemoryStore();
    const other = await StateStaging.begin(honest, target);
    await fill(other, view);
    expect(await slot(copy, 1)).toEqual(await slot(honest, 1));
    expect((await slot(store, 0)).size).toBe((await slot(copy, 1)).size);
  });

  it('a branch passed off as one of the leaves is refused', async () => {
    const { view, target } = await source();
    const nodes = await nodesOf(view, target);
    const root = nodes.find(({ wanted }) => wanted.path.length === 0)!;
    const child = nodes.find(({ wanted }) => wanted.path.length === 1)!;
    const staging = await StateStaging.begin(new MemoryStore(), target);
    const length = child.record[0]! === 0xf9 ? 3 + Buffer.from(child.record).readUInt16BE(1) : 2 + child.record[1]!;
    const forged = Buffer.concat([root.record, Buffer.of(child.wanted.path[0]!), child.record.subarray(0, length)]);
    expect(staging.put(root.wanted, forged)).toBeUndefined();
  });

  it('a governance state that is not the contract’s is refused', async () => {
    const { view, target } = await source();
    const staging = await StateStaging.begin(new MemoryStore(), target);
    await fill(staging, view);
    const contract = Buffer.from(view.contract()!);
    contract[contract.length - 1]! ^= 1;
    expect(await staging.complete(contract)).toBe(false);
    expect(await staging.complete(view.contract()!)).toBe(true);
  });
});

describe.each(Object.entries(STORES))('a state being put together, %s store', (_name, makeStore) => {
  it('goes on after any kill where it was, and heals what was damaged meanwhile', async () => {
    const ledger = await openLedger();
    await grow(ledger, 15, 20);
    const view = (await ledger.stateView(15, noPause))!;
    const target = targetAt(ledger, 15);
    const whole = new MemoryStore();
    const total = await fill(await StateStaging.begin(whole, target), view);
    const store = await makeStore();
    let taken = 0;
    for (let life = 0; taken < total; life++) {
      const staging = await StateStaging.begin(store, target);
      const some = await fill(staging, view, { most: 3 });
      taken += some;
      if (life === 2) {
        // A record damaged, one gone, one that never belonged there.
        const [damaged, gone] = [...(await slot(store, 1)).keys()].slice(2, 4);
        const key = (path: string) => Buffer.concat([accountPrefix(1), Buffer.from(path.slice(2), 'hex')]);
        const put = [
          [key(damaged!), Buffer.from('damaged')] as const,
          [key('0x0f0f0f0f0f'), Buffer.from('foreign')] as const,
        ];
        await new Promise<void>((done) => store.write({ put, del: [key(gone!)] }, { sync: false }, () => done()));
        taken = 0;
      }
      if (some === 0) break;
    }
    expect(await (await StateStaging.begin(store, target)).missing()).toEqual([]);
    expect(await slot(store, 1)).toEqual(await slot(whole, 1));
  });

  it('begins anew for another block, and leaves nothing of the first', async () => {
    const ledger = await openLedger();
    await grow(ledger, 10, 10);
    const [first, second] = [9, 10].map((height) => targetAt(ledger, height)) as [StateTarget, StateTarget];
    const store = await makeStore();
    await fill(await StateStaging.begin(store, first), (await ledger.stateView(9, noPause))!, { most: 9 });
    const staging = await StateStaging.begin(store, second);
    expect((await slot(store, 1)).size).toBe(0);
    expect((await staging.missing()).map(({ path }) => path.length)).toEqual([0]);
    expect(stagedState(store)).toMatchObject({ ...second, complete: false });
  });
});

describe('taking over', () => {
  async function prepared(height: number) {
    const source = new MemoryStore();
    const ledger = await openLedger({ store: source });
    await grow(ledger, 12, 6);
    const store = new MemoryStore();
    const behind = await openLedger({ store });
    await grow(behind, 4, 6);
    await behind.close();
    await copyBlocks(source, store);
    const view = (await ledger.stateView(height, noPause))!;
    const staging = await StateStaging.begin(store, targetAt(ledger, height));
    await fill(staging, view);
    return { source, ledger, store, staging, contract: view.contract()! };
  }

  const problems = async (store: KeyValueStore) =>
    (await verifyStore({ store, rules: RULES, genesis: genesis() })).problems;

  it('makes the node one that is at that block, goes on from there, and verifies from block 0', async () => {
    const { ledger, store, staging, contract } = await prepared(10);
    expect(await takeOverSnapshot(store)).toBeUndefined();
    await staging.complete(contract);
    expect(await problems(store)).toEqual([]);
    expect(await takeOverSnapshot(store)).toBe(10);
    expect(await takeOverSnapshot(store)).toBeUndefined();
    expect(store.floor).toBe(10);
    const node = await openLedger({ store });
    expect(node.head.hash).toBe(ledger.headerByHeight(10)!.hash);
    expect(node.oldestState).toBe(10);
    expect(node.account(SENDER.address, { height: 9 })).toBe('pruned');
    for (const height of [11, 12]) {
      const decoded = node.decodeBlock(ledger.rawBlock(height)!);
      if (!decoded.ok) throw new Error(decoded.reason);
      expect(node.execute(decoded.block, undefined, {})).toEqual({ ok: true, closes: false });
      await new Promise<void>((done) => node.commit(decoded.block.hash, Buffer.from('proof'), () => done()));
    }
    expect(node.head.hash).toBe(ledger.head.hash);
    for (let n = 0; n < 97; n++) {
      expect(node.account(stranger(n), { final: true })).toEqual(ledger.account(stranger(n), { final: true }));
    }
    expect(node.account(SENDER.address, { height: 11 })).toEqual(ledger.account(SENDER.address, { height: 11 }));
    await node.close();
    expect(await problems(store)).toEqual([]);
    await clearSlot(store);
    expect((await slot(store, 0)).size).toBe(0);
    expect(await problems(store)).toEqual([]);
    await openLedger({ store });
  });

  it('is all or nothing, whatever a power cut takes', async () => {
    for (let kept = 0; kept < 3; kept++) {
      const { ledger, store, staging, contract } = await prepared(10);
      await staging.complete(contract);
      await takeOverSnapshot(store);
      store.crash(kept);
      expect((await openLedger({ store })).head.hash).toBe(ledger.headerByHeight(10)!.hash);
    }
  });

  it('never lowers the head: a node that went past the block meanwhile stays where it is', async () => {
    const { ledger, store, staging, contract } = await prepared(6);
    await staging.complete(contract);
    const node = await openLedger({ store });
    for (let height = 5; height <= 8; height++) {
      const decoded = node.decodeBlock(ledger.rawBlock(height)!);
      if (!decoded.ok) throw new Error(decoded.reason);
      node.execute(decoded.block, undefined, {});
      await new Promise<void>((done) => node.commit(decoded.block.hash, Buffer.from('proof'), () => done()));
    }
    await node.close();
    const before = toHex(store.get(STATE_KEY)!);
    expect(await takeOverSnapshot(store)).toBeUndefined();
    expect(toHex(store.get(STATE_KEY)!)).toBe(before);
    expect(stagedState(store)).toBeUndefined();
    expect((await openLedger({ store })).head.height).toBe(8);
    await clearSlot(store);
    expect(await problems(store)).toEqual([]);
  });
});
