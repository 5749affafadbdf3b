/** Governance in a ledger: transactions, closing blocks, epochs by height, restarts, crashes, and a store that was touched. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Block, encodeExtraData, headerEpoch, headerTimeMs, makeBlock } from '../../../ledger/block.ts';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { GOVERNANCE_GAS } from '../../../ledger/governance/contract.ts';
import { storageRootOf } from '../../../ledger/governance/storage.ts';
import type { Ledger, LedgerOptions } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { bloomOf } from '../../../ledger/receipt.ts';
import { GOVERNANCE_PREFIX, governanceKey, SUPERSEDED_KEY } from '../../../ledger/records.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import { verifyStore } from '../../../ledger/verify.ts';
import { toHex } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { GOVERNANCE_ADDRESS } from '../../../primitives/ids.ts';
import { keccakHash } from '../../../primitives/keccak.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import { DEFAULT_POLICY } from '../../../primitives/policy.ts';
import { readyDigest } from '../../../primitives/ready.ts';
import { sign } from '../../../primitives/secp256k1.ts';
import {
  build,
  CHAIN_ID,
  commit,
  GENESIS_MS,
  genesis,
  KEYS,
  type Key,
  MEMBERS,
  MINER,
  memberKeys,
  openLedger,
  RULES,
  transfer,
} from '../ledger/fixtures.ts';
import { candidate, incarnation, proposeData, validator, type Wish } from './fixtures.ts';

const PAYER = KEYS[0]!;
const GENESIS = { ...genesis(), policy: { ...DEFAULT_POLICY, rejoinIntervalSeconds: 1 } };
const TINY = {
  stateNodesMax: 4,
  flush: { nodes: 1_000_000, changes: 1_000_000, blocks: 4 },
  history: { blocks: 6, blocksMin: 4, ageMinMs: 300, entries: 1000, entriesAtStart: 4 },
};

/** A ledger that grows, with the nonces of whoever sends to it. */
class Chain {
  ledger!: Ledger;
  readonly store: MemoryStore;
  /** Between blocks. */
  paceMs = 500;
  readonly #options: Partial<LedgerOptions>;

  private constructor(store: MemoryStore, options: Partial<LedgerOptions>) {
    this.store = store;
    this.#options = options;
  }

  static async open(options: Partial<LedgerOptions> = TINY): Promise<Chain> {
    const chain = new Chain(new MemoryStore(), options);
    await chain.reopen();
    return chain;
  }

  async reopen(): Promise<this> {
    this.ledger = await openLedger({ store: this.store, genesis: GENESIS, ...this.#options });
    return this;
  }

  #nonce(from: Key, offset: number): number {
    return (this.ledger.account(from.address, { tip: true })?.nonce ?? 0) + offset;
  }

  call(
    from: Key,
    data: Bytes,
    more: { offset?: number; value?: bigint; gasLimit?: number; fee?: bigint; tip?: bigint } = {},
  ) {
    const { offset = 0, value = 0n, ...rest } = more;
    return transfer({
      from,
      nonce: this.#nonce(from, offset),
      to: GOVERNANCE_ADDRESS,
      value,
      gasLimit: 2_000_000,
      data,
      ...rest,
    });
  }

  propose(n: number, wish: Wish): Transaction {
    return this.call(memberKeys(n).operator, proposeData(wish));
  }

  vote(n: number, id: number): Transaction {
    return this.call(memberKeys(n).operator, encodeCall(FUNCTIONS.vote, { id, approve: true }));
  }

  ready(n: number, life: number): Transaction {
    const { ledger } = this;
    const { height, hash } = ledger.head;
    const said = { validator: validator(n), height, hash, incarnation: incarnation(life) };
    const { epoch } = ledger.governance({ tip: true });
    const digest = readyDigest({ chainId: CHAIN_ID, genesisHash: ledger.genesisHash, epoch, ...said });
    const signature = toHex(sign(digest, memberKeys(n).validator.secret));
    return this.call(PAYER, encodeCall(FUNCTIONS.ready, { ...said, signature }));
  }

  pay(offset = 0): Transaction {
    return transfer({ from: PAYER, nonce: this.#nonce(PAYER, offset), to: MINER });
  }

  /** Builds on the tip and makes it final. */
  async add(...transactions: Transaction[]): Promise<Block> {
    const timeMs = GENESIS_MS + (this.ledger.tip.height + 1) * this.paceMs;
    const block = build(this.ledger, transactions, { timeMs });
    expect(block.transactions).toHaveLength(transactions.length);
    this.ledger.setTip(block.hash);
    await commit(this.ledger, block.hash);
    return block;
  }

  async verify(): Promise<readonly string[]> {
    return (await verifyStore({ store: this.store, rules: RULES, genesis: GENESIS })).problems;
  }

  async governanceRecords(): Promise<(readonly [Bytes, Bytes])[]> {
    const found: (readonly [Bytes, Bytes])[] = [];
    const end = Uint8Array.of(GOVERNANCE_PREFIX[0]! + 1);
    for await (const entry of this.store.range(GOVERNANCE_PREFIX, end)) found.push(entry);
    return found;
  }

  write(put: readonly (readonly [Bytes, Bytes])[], del: readonly Bytes[] = []): Promise<void> {
    return new Promise((resolve) => this.store.write({ put, del }, { sync: true }, () => resolve()));
  }
}

describe('the contract as an account', () => {
  it('is in block 0, with nonce, code and storage', async () => {
    const { ledger } = await Chain.open();
    const account = ledger.account(GOVERNANCE_ADDRESS, { final: true });
    expect(account).toMatchObject({ nonce: 1, balance: 0n, codeHash: keccakHash(Uint8Array.of(0xfe)) });
    expect(account?.storageRoot).toMatch(/^0x[0-9a-f]{64}$/);
    expect(ledger.governance({ final: true })).toMatchObject({ epoch: 0, members: MEMBERS, open: [], nextId: 1 });
    expect(ledger.head.header.mixHash).toBe(membershipHash(MEMBERS));
    const other = await openLedger({ genesis: { ...GENESIS, validators: MEMBERS.slice(1) } });
    expect(other.head.header.stateRoot).not.toBe(ledger.head.header.stateRoot);
  });

  it('changes with calls alone, and a block without one shares the state of its parent', async () => {
    const chain = await Chain.open();
    const before = chain.ledger.governance({ final: true });
    await chain.add(chain.pay());
    expect(chain.ledger.governance({ final: true })).toBe(before);
    await chain.add(chain.propose(0, { additions: [candidate(3)] }));
    expect(chain.ledger.governance({ final: true })).not.toBe(before);
    expect(chain.ledger.governance({ height: 1 })).toEqual(before);
    expect(chain.ledger.account(GOVERNANCE_ADDRESS, { height: 1 })).not.toEqual(
      chain.ledger.account(GOVERNANCE_ADDRESS, { final: true }),
    );
  });

  it('has its words in storage, at the height asked for', async () => {
    const chain = await Chain.open();
    const zero = '0x' + '00'.repeat(32);
    const first = chain.ledger.storage(GOVERNANCE_ADDRESS, zero, { final: true });
    await chain.add(chain.propose(0, { additions: [candidate(3)] }));
    expect(chain.ledger.storage(GOVERNANCE_ADDRESS, zero, { height: 0 })).toBe(first);
    expect(BigInt(chain.ledger.storage(GOVERNANCE_ADDRESS, zero, { height: 1 }))).toBeGreaterThan(BigInt(first));
    expect(chain.ledger.storage(PAYER.address, zero, { final: true })).toBe(zero);
    expect(chain.ledger.storage(PAYER.address, zero, { height: 9 })).toBe('unknown');
  });
});

describe('a call as a transaction', () => {
  let chain: Chain;
  beforeEach(async () => {
    chain = await Chain.open({ ...TINY, baseFee: 2n });
  });
  const rich = KEYS[1]!;
  const proposal = proposeData({ additions: [candidate(3)] });
  const receiptOf = (block: Block) => chain.ledger.receipts(block.hash)![0]!;

  it('costs its intrinsic gas and the fixed gas of its method, and logs what it did', async () => {
    const funds = transfer({ from: rich, nonce: 0, to: memberKeys(0).operator.address, value: 10n ** 18n, fee: 2n });
    await chain.add(funds);
    const call = chain.call(memberKeys(0).operator, proposal, { fee: 5n, tip: 3n });
    const block = await chain.add(call);
    const receipt = receiptOf(block);
    expect(receipt).toMatchObject({ status: 1, gasUsed: call.intrinsicGas + GOVERNANCE_GAS.propose });
    expect(receipt.logs.map(({ address }) => address)).toEqual([GOVERNANCE_ADDRESS, GOVERNANCE_ADDRESS]);
    expect(receipt.logsBloom).toEqual(bloomOf(receipt.logs));
    expect(block.header.logsBloom).toEqual(receipt.logsBloom);
    expect(chain.ledger.account(MINER, { final: true })?.balance).toBe(3n * BigInt(receipt.gasUsed));
  });

  it('that reverts costs the same, raises the nonce, and changes nothing else', async () => {
    const before = chain.ledger.governance({ final: true });
    const call = chain.call(rich, proposal, { fee: 2n, value: 0n });
    const block = await chain.add(call);
    expect(receiptOf(block)).toMatchObject({
      status: 0,
      logs: [],
      gasUsed: call.intrinsicGas + GOVERNANCE_GAS.propose,
    });
    expect(chain.ledger.governance({ final: true })).toBe(before);
    expect(chain.ledger.account(rich.address, { final: true })).toMatchObject({
      nonce: 1,
      balance: 1000n * 10n ** 18n - 2n * BigInt(receiptOf(block).gasUsed),
    });
  });

  it('with coins reverts, and the coins stay', async () => {
    const block = await chain.add(chain.call(rich, new Uint8Array(0), { fee: 2n, value: 5n }));
    expect(receiptOf(block)).toMatchObject({ status: 0, gasUsed: 21_000 + GOVERNANCE_GAS.unknown });
    expect(chain.ledger.account(GOVERNANCE_ADDRESS, { final: true })?.balance).toBe(0n);
  });

  it('with too little gas uses up all it has', async () => {
    const operator = memberKeys(0).operator;
    await chain.add(transfer({ from: rich, nonce: 0, to: operator.address, value: 10n ** 18n, fee: 2n }));
    const { intrinsicGas } = chain.call(operator, proposal);
    const gasLimit = intrinsicGas + GOVERNANCE_GAS.propose - 1;
    const block = await chain.add(chain.call(operator, proposal, { fee: 2n, gasLimit }));
    expect(receiptOf(block)).toMatchObject({ status: 0, logs: [], gasUsed: gasLimit });
    const enough = await chain.add(chain.call(operator, proposal, { fee: 2n, gasLimit: gasLimit + 1 }));
    expect(receiptOf(enough).status).toBe(1);
  });
});

describe('a closing block', () => {
  it('names the next list, belongs to its own epoch, and the next block to the next', async () => {
    const chain = await Chain.open();
    await chain.add(chain.propose(0, { removals: [validator(2)] }));
    const { block, closes } = chain.ledger.build({
      parent: chain.ledger.tip.hash,
      timeMs: 1_700_000_005_000,
      miner: MINER,
      candidates: [chain.pay(), chain.vote(1, 1), chain.vote(2, 1), chain.pay(1)],
      bytesMax: 1_000_000,
      transactionsMax: 100,
    });
    expect(closes).toBe(true);
    expect(headerEpoch(block.header)).toBe(0);
    expect(block.header.mixHash).toBe(membershipHash(MEMBERS.slice(0, 2)));
    // Only governance calls behind the one that closed it fail.
    expect(chain.ledger.receipts(block.hash)!.map(({ status }) => status)).toEqual([1, 1, 0, 1]);
    const next = build(chain.ledger, [], { parent: block.hash });
    expect(headerEpoch(next.header)).toBe(1);
    expect(next.header.mixHash).toBe(block.header.mixHash);

    const other = await Chain.open();
    for (const known of [chain.ledger.blockByHeight(1)!, block, next]) {
      const decoded = other.ledger.decodeBlock(known.bytes);
      if (!decoded.ok) throw new Error(decoded.reason);
      const expected = { ok: true, closes: known === block };
      expect(other.ledger.execute(decoded.block, undefined, {})).toEqual(expected);
      expect(other.ledger.execute(decoded.block, undefined, {})).toEqual(expected);
    }
    expect(other.ledger.epochAfter(block.hash)).toEqual({
      epoch: 1,
      members: MEMBERS.slice(0, 2),
      membershipHash: block.header.mixHash,
      root: { height: 2, hash: block.hash },
      incarnations: new Map(),
    });
  });

  it('is refused when its header says otherwise, and so is a block above it', async () => {
    const chain = await Chain.open();
    await chain.add(chain.propose(0, { removals: [validator(2)] }));
    const good = build(chain.ledger, [chain.vote(1, 1)]);
    const other = await Chain.open();
    await other.add(...chain.ledger.blockByHeight(1)!.transactions);
    const claim = (block: Block, change: Partial<Block['header']>) => {
      const result = other.ledger.execute(makeBlock({ ...block.header, ...change }, block.transactions), undefined, {});
      return result.ok ? 'ok' : result.reason;
    };
    expect(claim(good, { mixHash: membershipHash(MEMBERS) })).toBe('mix-hash');
    expect(claim(good, { mixHash: membershipHash(MEMBERS.slice(1)) })).toBe('mix-hash');
    expect(claim(good, { extraData: encodeExtraData(headerTimeMs(good.header), 1) })).toBe('epoch');
    expect(claim(good, {})).toBe('ok');
    const above = build(chain.ledger, [], { parent: good.hash });
    expect(claim(above, { extraData: encodeExtraData(headerTimeMs(above.header), 0) })).toBe('epoch');
    expect(claim(above, { mixHash: membershipHash(MEMBERS) })).toBe('mix-hash');
    expect(claim(above, {})).toBe('ok');
  });

  it('on one fork leaves the other in its epoch', async () => {
    const chain = await Chain.open();
    await chain.add(chain.propose(0, { removals: [validator(2)] }));
    const parent = chain.ledger.tip.hash;
    const closing = build(chain.ledger, [chain.vote(1, 1)], { parent });
    const plain = build(chain.ledger, [chain.pay()], { parent });
    expect(chain.ledger.epochAfter(closing.hash)).toMatchObject({ epoch: 1, root: { hash: closing.hash } });
    expect(chain.ledger.epochAfter(plain.hash)).toMatchObject({ epoch: 0, root: { height: 0 } });
    const later = build(chain.ledger, [chain.vote(1, 1)], { parent: plain.hash });
    expect(chain.ledger.epochAfter(later.hash)).toMatchObject({ epoch: 1, root: { height: 3, hash: later.hash } });
    expect(chain.ledger.governance({ block: closing.hash })).toMatchObject({ rootHeight: 2 });
  });

  it('carries what READY said of a block on its chain, and not of one on another', async () => {
    const chain = await Chain.open();
    for (let n = 0; n < 5; n++) await chain.add(chain.pay());
    const block = await chain.add(chain.ready(1, 7));
    expect(chain.ledger.epochAfter(block.hash).incarnations).toEqual(new Map([[validator(1), incarnation(7)]]));
    const fork = await Chain.open();
    fork.paceMs = 499;
    for (let n = 0; n < 5; n++) await fork.add(fork.pay());
    const said = await fork.add(...chain.ledger.block(block.hash)!.transactions);
    expect(fork.ledger.receipts(said.hash)![0]!.status).toBe(0);
  });
});

/** Twelve epochs of different lengths, with blocks that change nothing between; what each is expected to be. */
async function manyEpochs(chain: Chain) {
  const expected = [{ epoch: 0, height: 0, members: MEMBERS.map((member) => member.validator), life: 0 }];
  let next = 3;
  for (let epoch = 1; epoch <= 12; epoch++) {
    for (let n = 0; n < epoch % 3; n++) await chain.add(chain.pay());
    const { members, nextId } = chain.ledger.governance({ final: true });
    if (epoch % 4 === 0) {
      const block = await chain.add(chain.ready(0, 100 + epoch));
      const { height } = { height: block.header.number };
      expected.push({ epoch, height, members: expected.at(-1)!.members, life: 100 + epoch });
      continue;
    }
    const leaves = members[1]!.validator;
    await chain.add(chain.propose(0, { replacements: [{ validator: leaves, by: candidate(next) }] }));
    const voter = [2, ...Array.from({ length: next }, (_, n) => n)].find(
      (n) => validator(n) === members[2]!.validator,
    )!;
    const block = await chain.add(chain.vote(voter, nextId));
    const names = members.map((member) => (member.validator === leaves ? validator(next) : member.validator));
    expected.push({ epoch, height: block.header.number, members: names, life: 0 });
    next++;
  }
  return expected;
}

describe('epochs of a chain', () => {
  const check = (ledger: Ledger, expected: Awaited<ReturnType<typeof manyEpochs>>) => {
    for (const { epoch, height, members, life } of expected) {
      const info = ledger.epochInfo(epoch);
      expect(info?.members.map((member) => member.validator)).toEqual(members);
      const root = { height, hash: ledger.headerByHeight(height)!.hash };
      expect(info).toMatchObject({ epoch, root, membershipHash: ledger.headerByHeight(height)!.header.mixHash });
      expect([...info!.incarnations.values()]).toEqual(life === 0 ? [] : [incarnation(life)]);
      expect(ledger.epochAfter(root.hash)).toEqual(info);
    }
    for (let height = 1; height <= ledger.head.height; height++) {
      const { header, hash } = ledger.headerByHeight(height)!;
      const parent = ledger.epochAfter(header.parentHash);
      expect(headerEpoch(header)).toBe(parent.epoch);
      expect(ledger.epochAfter(hash).membershipHash).toBe(header.mixHash);
    }
    expect(ledger.epochInfo(expected.length)).toBeUndefined();
    expect(ledger.epochInfo(-1)).toBeUndefined();
    expect(ledger.epochInfo(0.5)).toBeUndefined();
    expect(() => ledger.epochAfter('0x' + '00'.repeat(32))).toThrow(/not executed/);
  };

  it('are all found, also after a restart that knows nothing of them', async () => {
    const chain = await Chain.open();
    const expected = await manyEpochs(chain);
    check(chain.ledger, expected);
    check((await chain.reopen()).ledger, expected);
    await chain.ledger.close();
    check((await chain.reopen()).ledger, expected);
    expect(await chain.verify()).toEqual([]);
  });

  it('are entered one by one when the chain is verified', async () => {
    const chain = await Chain.open();
    const expected = await manyEpochs(chain);
    const entered: string[] = [];
    const { ok } = await verifyStore({
      store: chain.store,
      rules: RULES,
      genesis: GENESIS,
      enterEpoch: (info) => entered.push(`enter ${info.epoch} at ${info.root.height}`),
      checkProof: (block) => {
        const { epoch } = expected.findLast(({ height }) => height < block.header.number)!;
        expect(entered.at(-1)).toMatch(new RegExp(`^enter ${epoch} `));
        return undefined;
      },
    });
    expect(ok).toBe(true);
    expect(entered).toEqual(expected.map(({ epoch, height }) => `enter ${epoch} at ${height}`));
  });

  it('survive a crash at every batch: the same epochs up to there, and the chain goes on', async () => {
    const whole = await Chain.open();
    await manyEpochs(whole);
    const blocks = Array.from({ length: whole.ledger.head.height }, (_, n) => whole.ledger.blockByHeight(n + 1)!);
    for (let kept = 0; kept <= blocks.length; kept += 3) {
      const chain = await Chain.open();
      for (const block of blocks) {
        expect(chain.ledger.execute(block, undefined, {})).toMatchObject({ ok: true });
        await commit(chain.ledger, block.hash);
      }
      chain.store.crash(kept);
      await chain.reopen();
      expect(chain.ledger.head.height).toBe(kept);
      const newest = chain.ledger.epochAfter(chain.ledger.head.hash);
      expect(newest).toEqual(whole.ledger.epochAfter(chain.ledger.head.hash));
      for (const block of blocks.slice(kept)) {
        const result = chain.ledger.execute(block, undefined, {});
        expect(result).toEqual({ ok: true, closes: whole.ledger.epochAfter(block.hash).root.hash === block.hash });
        await commit(chain.ledger, block.hash);
      }
      await chain.ledger.close();
      expect(await chain.verify()).toEqual([]);
    }
  });
});

describe('governance states in the store', () => {
  it('are kept for the heights that are served, and no longer', async () => {
    const chain = await Chain.open();
    for (let n = 0; n < 40; n++) {
      const { open } = chain.ledger.governance({ final: true });
      const withdrawal = encodeCall(FUNCTIONS.withdraw, { id: open[0]?.id ?? 0 });
      const first = open.length === 0;
      await chain.add(
        first ? chain.propose(0, { additions: [candidate(3)] }) : chain.call(memberKeys(0).operator, withdrawal),
      );
      const { oldestState, head } = chain.ledger;
      for (let height = oldestState; height <= head.height; height++) {
        expect(chain.ledger.governance({ height })).toMatchObject({ revision: height });
      }
      expect((await chain.governanceRecords()).length).toBeLessThanOrEqual(12);
      if (n % 9 === 8) await chain.reopen();
    }
    expect(chain.ledger.governance({ height: 3 })).toBe('pruned');
    expect(chain.ledger.governance({ height: 41 })).toBe('unknown');
    await chain.ledger.close();
    expect(await chain.verify()).toEqual([]);
  });

  describe('that were touched', () => {
    let chain: Chain;
    let root: string;
    let record: readonly [Bytes, Bytes];
    beforeEach(async () => {
      chain = await Chain.open();
      await chain.add(chain.propose(0, { additions: [candidate(3)] }));
      await chain.add(chain.vote(1, 1));
      await chain.add(chain.pay());
      await chain.ledger.close();
      root = chain.ledger.account(GOVERNANCE_ADDRESS, { final: true })!.storageRoot;
      record = (await chain.governanceRecords()).find(([key]) => toHex(key) === toHex(governanceKey(root)))!;
      expect(storageRootOf(record[1])).toBe(root);
      expect(await chain.verify()).toEqual([]);
    });

    it('are refused at start and found by verification: one byte anywhere', async () => {
      for (let at = 0; at < record[1].length; at += 41) {
        const broken = Uint8Array.from(record[1]);
        broken[at]! ^= 1;
        await chain.write([[record[0], broken]]);
        await expect(chain.reopen()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
        expect(await chain.verify()).toEqual([`governance: the state with root ${root} is damaged`]);
      }
    });

    it('are refused at start and found by verification: one that is gone', async () => {
      await chain.write([], [record[0]]);
      await expect(chain.reopen()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
      expect(await chain.verify()).toEqual([`governance: the state under ${toHex(record[0])} is missing`]);
    });

    it('are found by verification: one that is none of this chain, and a list that forgets one', async () => {
      const alien = governanceKey('0x' + '77'.repeat(32));
      await chain.write([[alien, record[1]]], [SUPERSEDED_KEY]);
      expect(await chain.verify()).toEqual([
        'governance: the state before block 1 is not listed',
        'governance: the state before block 2 is not listed',
        `governance: the state under ${toHex(alien)} is none of this chain`,
      ]);
    });
  });
});
