/**
 * The ledger against a plain model, through random forks, commits with delayed writes, drops, crashes and reopening, with
 * caches so small that nodes leave memory all the time, and with stores that show a batch early or late.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Block } from '../../../ledger/block.ts';
import type { Ledger } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import type { WriteBatch } from '../../../ledger/store.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { verifyStore } from '../../../ledger/verify.ts';
import type { Address } from '../../../primitives/ids.ts';
import { build, COIN, genesis, KEYS, openLedger, RULES, transfer } from './fixtures.ts';

const EXPECT = {};
const TINY = {
  stateNodesMax: 4,
  flush: { nodes: 1_000_000, changes: 1_000_000, blocks: 3 },
  history: { blocks: 6, blocksMin: 4, ageMinMs: 300, entries: 1000, entriesAtStart: 4 },
};
/** Many accounts, so that the trie has some depth. */
const ALLOC = new Map<Address, bigint>([
  ...KEYS.map((k): [Address, bigint] => [k.address, 1000n * COIN]),
  ...Array.from({ length: 60 }, (_, n): [Address, bigint] => [
    '0x' + (n + 1).toString(16).padStart(40, '0'),
    BigInt(n + 1),
  ]),
]);
const OTHERS = [...ALLOC.keys()].slice(KEYS.length);

type State = ReadonlyMap<Address, { readonly nonce: number; readonly balance: bigint }>;

/** Signing is slow: the same transfer is signed once. */
const signed = new Map<string, Transaction>();
function pay(sender: number, nonce: number, to: Address): Transaction {
  const id = `${sender} ${nonce} ${to}`;
  const known = signed.get(id) ?? transfer({ from: KEYS[sender]!, nonce, to, value: 3n, fee: 2n, tip: 1n });
  signed.set(id, known);
  return known;
}

function apply(state: State, block: Block): State {
  const next = new Map(state);
  const change = (address: Address, by: bigint, nonces = 0) => {
    const { nonce, balance } = next.get(address) ?? { nonce: 0, balance: 0n };
    next.set(address, { nonce: nonce + nonces, balance: balance + by });
  };
  for (const { from, to, value } of block.transactions) {
    change(from, -value - 21_000n, 1);
    change(to!, value);
    change(block.header.miner, 21_000n);
  }
  return next;
}

/** Applies batches only when it calls back. */
class LateStore extends MemoryStore {
  readonly #later: (run: () => void) => void;
  constructor(defer: (run: () => void) => void) {
    super({ defer: (run) => run() });
    this.#later = defer;
  }
  override write(batch: WriteBatch, options: { readonly sync: boolean }, done: (error?: Error) => void): void {
    this.#later(() => super.write(batch, options, done));
  }
  override raiseFloor(height: number, done: (error?: Error) => void): void {
    this.#later(() => super.raiseFloor(height, done));
  }
}

/** One ledger under test with the model of every block it was given. */
class Run {
  ledger!: Ledger;
  readonly store: MemoryStore;
  readonly #pending: (() => void)[] = [];
  #hold = false;
  readonly states = new Map<string, State>();
  readonly chain: string[] = [];

  constructor(late: boolean) {
    const defer = (run: () => void) => (this.#hold ? this.#pending.push(run) : queueMicrotask(run));
    this.store = late ? new LateStore(defer) : new MemoryStore({ defer });
  }

  async open(): Promise<void> {
    this.#pending.length = 0;
    this.#hold = false;
    this.ledger = await openLedger({ store: this.store, genesis: genesis(ALLOC), ...TINY });
    this.#hold = true;
    if (this.chain.length === 0) {
      this.chain.push(this.ledger.genesisHash);
      this.states.set(this.ledger.genesisHash, new Map([...ALLOC].map(([a, balance]) => [a, { nonce: 0, balance }])));
    }
    expect(this.ledger.head.hash).toBe(this.chain[this.ledger.head.height]);
    this.chain.length = this.ledger.head.height + 1;
  }

  /** Lets up to `count` writes finish. */
  settle(count: number): void {
    for (let i = 0; i < count && this.#pending.length > 0; i++) this.#pending.shift()!();
  }

  /** Builds on one of the blocks that may be built on. */
  grow(pick: number, seeds: readonly number[]): void {
    const committed = this.chain.at(-1)!;
    const open = [
      committed,
      ...[...this.states.keys()].filter((h) => !this.chain.includes(h) && this.ledger.executed(h)),
    ];
    const parent = open[pick % open.length]!;
    const state = this.states.get(parent)!;
    const nonces = new Map<number, number>();
    const candidates = seeds.map((seed) => {
      const sender = seed % KEYS.length;
      const nonce = nonces.get(sender) ?? state.get(KEYS[sender]!.address)!.nonce;
      nonces.set(sender, nonce + 1);
      return pay(sender, nonce, OTHERS[seed % OTHERS.length]!);
    });
    const block = build(this.ledger, candidates, { parent });
    expect(block.transactions).toHaveLength(candidates.length);
    this.states.set(block.hash, apply(state, block));
    if (pick % 2 === 0) this.ledger.setTip(block.hash);
  }

  commit(pick: number): void {
    const children = [...this.states.keys()].filter(
      (h) => this.ledger.executed(h) && this.ledger.block(h)?.header.parentHash === this.chain.at(-1),
    );
    const hash = children[pick % Math.max(1, children.length)];
    if (hash === undefined) return;
    this.chain.push(hash);
    this.ledger.commit(hash, new Uint8Array(0), () => undefined);
  }

  check(): void {
    const { head, tip } = this.ledger;
    expect(head.hash).toBe(this.chain[head.height]);
    for (const address of ALLOC.keys()) {
      expect(pair(this.ledger.account(address, { final: true }))).toEqual(this.states.get(head.hash)!.get(address));
      expect(pair(this.ledger.account(address, { tip: true }))).toEqual(this.states.get(tip.hash)!.get(address));
      for (const back of [1, 3]) {
        const height = head.height - back;
        if (height < this.ledger.oldestState) continue;
        const account = this.ledger.account(address, { height });
        expect(typeof account === 'string' ? account : pair(account)).toEqual(
          this.states.get(this.chain[height]!)!.get(address),
        );
      }
    }
  }
}

function pair(account: { nonce: number; balance: bigint } | undefined) {
  return account && { nonce: account.nonce, balance: account.balance };
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('grow' as const),
      pick: fc.nat(20),
      seeds: fc.array(fc.nat(200), { maxLength: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), pick: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const), pick: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), pick: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('check' as const) }) },
);

describe('ledger model', () => {
  it.each([
    ['early', false],
    ['late', true],
  ])('reads are right at every moment, over a store that shows batches %s', async (_name, late) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const run = new Run(late);
        await run.open();
        for (const s of steps) {
          if (s.kind === 'grow') run.grow(s.pick, s.seeds);
          else if (s.kind === 'commit') run.commit(s.pick);
          else if (s.kind === 'settle') run.settle(s.pick);
          else if (s.kind === 'sync') run.ledger.sync(() => undefined);
          else if (s.kind === 'check') run.check();
          else {
            run.store.crash(s.pick);
            await run.open();
          }
        }
        run.settle(Number.POSITIVE_INFINITY);
        run.check();
        const result = await verifyStore({ store: run.store, rules: RULES, genesis: genesis(ALLOC) });
        expect(result.problems).toEqual([]);
        expect(result.head).toBe(run.ledger.head.height);
      }),
      { numRuns: 120 },
    );
  });

  it('another ledger that executes the same blocks in any order of forks agrees', async () => {
    const one = await openLedger({ genesis: genesis(ALLOC), ...TINY });
    const two = await openLedger({ genesis: genesis(ALLOC) });
    const blocks: Block[] = [];
    for (let n = 0; n < 6; n++) {
      const parent = blocks[n >> 1]?.hash ?? one.genesisHash;
      const nonce = blocks[n >> 1] === undefined ? 0 : blocks[n >> 1]!.header.number;
      blocks.push(build(one, [pay(1, nonce, OTHERS[n]!)], { parent, timeMs: 1_700_000_000_000 + n }));
    }
    for (const block of blocks) expect(two.execute(block, undefined, EXPECT)).toEqual({ ok: true, closes: false });
  });
});
