/** Recoveries as rules of the chain: which epoch follows a base, what the state remembers, and what a store must have. */
import { describe, expect, it } from 'vitest';
import { type Block, encodeExtraData, headerEpoch, headerTimeMs, makeBlock } from '../../../ledger/block.ts';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { decodeState, encodeState } from '../../../ledger/governance/state-codec.ts';
import type { Ledger } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import type { Recovery } from '../../../ledger/recovery.ts';
import { verifyStore } from '../../../ledger/verify.ts';
import { hexBytes } from '../../../primitives/bytes.ts';
import { GOVERNANCE_ADDRESS } from '../../../primitives/ids.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import { incarnation, proposeData } from '../governance/fixtures.ts';
import { build, commit, genesis, KEYS, MEMBERS, member, memberKeys, openLedger, RULES, transfer } from './fixtures.ts';

const FLUSH = { flush: { nodes: 1_000_000, changes: 1_000_000, blocks: 4 } };
const list = (...numbers: number[]) => numbers.map(member);

function recovery(ledger: Ledger, more: Partial<Recovery> & { members?: Recovery['members'] } = {}): Recovery {
  const { height, hash } = ledger.head;
  const { epoch } = ledger.epochAfter(hash);
  const members = list(0, 5).map((entry, i) => ({ ...entry, multiaddr: '', incarnation: incarnation(40 + i) }));
  const digest = '0x' + (70 + epoch).toString(16).repeat(32);
  return { epoch, base: { height, hash }, members, digest, certificate: hexBytes('0xc0'), ...more };
}

class Chain {
  ledger!: Ledger;
  readonly store: MemoryStore;
  recoveries: Recovery[] = [];

  constructor(store = new MemoryStore()) {
    this.store = store;
  }

  async reopen(recoveries = this.recoveries): Promise<this> {
    this.ledger = await openLedger({ store: this.store, recoveries, ...FLUSH });
    this.recoveries = recoveries;
    return this;
  }

  async add(count: number): Promise<Block> {
    let last: Block | undefined;
    for (let i = 0; i < count; i++) {
      const nonce = this.ledger.account(KEYS[0]!.address, { tip: true })?.nonce ?? 0;
      last = await this.final(build(this.ledger, [transfer({ from: KEYS[0]!, nonce })]));
    }
    return last!;
  }

  async final(block: Block): Promise<Block> {
    this.ledger.setTip(block.hash);
    await commit(this.ledger, block.hash);
    return block;
  }

  async propose(): Promise<Block> {
    const { operator } = memberKeys(0);
    const nonce = this.ledger.account(operator.address, { tip: true })?.nonce ?? 0;
    const call = { from: operator, nonce, to: GOVERNANCE_ADDRESS, value: 0n, gasLimit: 2_000_000 };
    return this.final(
      build(this.ledger, [transfer({ ...call, data: proposeData({ removals: [member(2).validator] }) })]),
    );
  }

  /** Breaks the epoch off at the head. */
  async recover(more: Parameters<typeof recovery>[1] = {}): Promise<Recovery> {
    const made = recovery(this.ledger, more);
    await this.ledger.close();
    await this.reopen([...this.recoveries, made]);
    return made;
  }

  async problems(recoveries = this.recoveries): Promise<readonly string[]> {
    return (await verifyStore({ store: this.store, rules: RULES, genesis: genesis(), recoveries })).problems;
  }
}

const opened = () => new Chain().reopen();

/** Five blocks of epoch 0, the third with a proposal; broken off; three blocks of epoch 1. */
async function recovered(): Promise<{ chain: Chain; made: Recovery }> {
  const chain = await opened();
  await chain.add(2);
  await chain.propose();
  await chain.add(2);
  const made = await chain.recover();
  await chain.add(3);
  return { chain, made };
}

describe('the first block above a recovery base', () => {
  it('belongs to the next epoch, of the new list, and names that list', async () => {
    const chain = await opened();
    await chain.add(3);
    const { ledger: before } = chain;
    expect(before.epochAfter(before.head.hash).epoch).toBe(0);
    const made = await chain.recover();
    const { ledger } = chain;
    const info = {
      epoch: 1,
      members: list(0, 5),
      membershipHash: membershipHash(list(0, 5)),
      root: { height: 3, hash: made.base.hash },
      incarnations: new Map(made.members.map((entry) => [entry.validator, entry.incarnation])),
      recovery: made.digest,
    };
    expect(ledger.epochAfter(made.base.hash)).toEqual(info);
    expect(ledger.epochInfo(1)).toEqual(info);
    expect(ledger.epochInfo(0)!.members).toEqual(MEMBERS);
    expect(ledger.recoveries).toEqual([made]);
    const { header } = await chain.add(1);
    expect(headerEpoch(header)).toBe(1);
    expect(header.mixHash).toBe(membershipHash(list(0, 5)));
    expect(ledger.epochAfter(ledger.head.hash)).toEqual(info);
    expect(ledger.epochInfo(1)).toEqual(info);
    expect(ledger.epochInfo(2)).toBeUndefined();
  });

  it('begins with the break in the state, for ever, with lives of the statement and without open proposals', async () => {
    const { chain, made } = await recovered();
    const { ledger } = chain;
    const [before, after] = [ledger.governance({ height: 5 }), ledger.governance({ height: 6 })];
    if (typeof before === 'string' || typeof after === 'string') throw new Error('state not served');
    expect(before).toMatchObject({ epoch: 0, breaks: [], open: [{ id: 1 }] });
    expect(after).toMatchObject({
      epoch: 1,
      rootHeight: 5,
      members: list(0, 5),
      previousMembers: MEMBERS,
      lives: made.members.map(({ validator, incarnation }) => ({ validator, incarnation, rejoinedAt: 0 })),
      open: [],
      ended: [{ id: 1, outcome: 'lapsed' }],
      breaks: [{ epoch: 0, height: 5, digest: made.digest }],
      revision: before.revision + 1,
    });
    expect(decodeState(encodeState(after))).toEqual(after);
    expect(ledger.governance({ final: true }).breaks).toEqual(after.breaks);
    expect(ledger.headerByHeight(5)!.header.stateRoot).not.toBe(ledger.headerByHeight(6)!.header.stateRoot);
  });

  it('keeps the address of who stays and takes that of who comes', async () => {
    const chain = await opened();
    await chain.add(1);
    const members = list(0, 5).map((entry, i) => ({
      ...entry,
      multiaddr: i === 0 ? '' : '/ip4/10.0.0.5/tcp/30300',
      incarnation: incarnation(i),
    }));
    await chain.recover({ members });
    const { multiaddrs } = chain.ledger.governanceAfter(chain.ledger.head.hash);
    expect(multiaddrs).toEqual([{ validator: member(5).validator, multiaddr: '/ip4/10.0.0.5/tcp/30300' }]);
  });

  it('lets the new operators vote in that very block, and nobody else', async () => {
    const chain = await opened();
    await chain.propose();
    await chain.recover();
    const { ledger } = chain;
    const call = (n: number, data: Uint8Array) =>
      transfer({
        from: memberKeys(n).operator,
        nonce: 0,
        to: GOVERNANCE_ADDRESS,
        value: 0n,
        gasLimit: 2_000_000,
        data,
      });
    const wish = { additions: [], removals: [member(5).validator] };
    const stale = call(1, encodeCall(FUNCTIONS.vote, { id: 1, approve: true }));
    const block = await chain.final(build(ledger, [call(5, proposeData(wish)), stale]));
    expect(block.transactions).toHaveLength(2);
    expect(ledger.receipts(block.hash)!.map(({ status }) => status)).toEqual([1, 0]);
    expect(ledger.governance({ final: true }).open).toMatchObject([{ id: 2, epoch: 1 }]);
    expect(await chain.problems()).toEqual([]);
  });
});

describe('a base', () => {
  it('closes its epoch for whoever executes it, and no block of the old epoch may follow', async () => {
    const whole = await opened();
    await whole.add(4);
    const blocks = [1, 2, 3, 4].map((height) => whole.ledger.blockByHeight(height)!);
    const base = { height: 3, hash: blocks[2]!.hash };
    const chain = await new Chain().reopen([recovery(whole.ledger, { base })]);
    const closes: boolean[] = [];
    for (const block of blocks.slice(0, 3)) {
      const result = chain.ledger.execute(block, undefined, {});
      closes.push(result.ok && result.closes);
      await commit(chain.ledger, block.hash);
    }
    expect(closes).toEqual([false, false, true]);
    expect(chain.ledger.execute(blocks[2]!, undefined, {})).toEqual({ ok: true, closes: true });
    const refused = chain.ledger.execute(blocks[3]!, undefined, {});
    expect(refused).toMatchObject({ ok: false, reason: 'epoch', detail: 'epoch 0, expected 1' });
  });

  it('is followed by nothing on a ledger that lacks the statement, which says so', async () => {
    const { chain } = await recovered();
    const behind = await opened();
    for (let height = 1; height <= 5; height++) {
      const block = chain.ledger.blockByHeight(height)!;
      expect(behind.ledger.execute(block, undefined, {})).toEqual({ ok: true, closes: false });
      await commit(behind.ledger, block.hash);
    }
    const refused = behind.ledger.execute(chain.ledger.blockByHeight(6)!, undefined, {});
    expect(refused).toMatchObject({ ok: false, reason: 'epoch' });
    expect(refused.ok ? '' : refused.detail).toMatch(/recovered at block 5, .* quorate recover apply/);
  });

  it('must be followed by the list of the statement: another in the header is refused', async () => {
    const { chain } = await recovered();
    const first = chain.ledger.blockByHeight(6)!;
    const other = await new Chain().reopen(chain.recoveries);
    for (let height = 1; height <= 5; height++) {
      const block = chain.ledger.blockByHeight(height)!;
      other.ledger.execute(block, undefined, {});
      await commit(other.ledger, block.hash);
    }
    const forged = makeBlock({ ...first.header, mixHash: membershipHash(MEMBERS) }, first.transactions);
    expect(other.ledger.execute(forged, undefined, {})).toMatchObject({ ok: false, reason: 'mix-hash' });
    const late = encodeExtraData(headerTimeMs(first.header), 2);
    const later = makeBlock({ ...first.header, extraData: late }, first.transactions);
    expect(other.ledger.execute(later, undefined, {})).toMatchObject({ ok: false, reason: 'epoch' });
    expect(other.ledger.execute(first, undefined, {})).toEqual({ ok: true, closes: false });
  });

  it('may be block 0', async () => {
    const chain = await opened();
    const made = await chain.recover({ certificate: new Uint8Array(0) });
    expect(chain.ledger.epochAfter(chain.ledger.genesisHash)).toMatchObject({ epoch: 1, recovery: made.digest });
    await chain.add(2);
    expect(chain.ledger.epochInfo(0)!.members).toEqual(MEMBERS);
    expect(chain.ledger.epochInfo(1)!.members).toEqual(list(0, 5));
    await chain.ledger.close();
    expect(await chain.problems()).toEqual([]);
    expect((await chain.reopen()).ledger.epochInfo(1)!.root.height).toBe(0);
  });

  it('may be broken off again before a block was made, or later', async () => {
    const chain = await opened();
    await chain.add(2);
    const first = await chain.recover();
    const members = list(5, 6).map((entry, i) => ({ ...entry, multiaddr: '', incarnation: incarnation(60 + i) }));
    const second = await chain.recover({ members });
    expect(second).toMatchObject({ epoch: 1, base: { height: 2 } });
    await chain.add(2);
    const third = await chain.recover();
    await chain.add(1);
    const check = ({ ledger }: Chain) => {
      expect([0, 1, 2, 3].map((epoch) => ledger.epochInfo(epoch)?.root.height)).toEqual([0, 2, 2, 4]);
      expect(ledger.epochInfo(1)).toMatchObject({ members: list(0, 5), recovery: first.digest });
      expect(ledger.epochInfo(2)).toMatchObject({ members: list(5, 6), recovery: second.digest });
      expect(ledger.governance({ final: true }).breaks).toEqual([
        { epoch: 0, height: 2, digest: first.digest },
        { epoch: 1, height: 2, digest: second.digest },
        { epoch: 2, height: 4, digest: third.digest },
      ]);
    };
    check(chain);
    await chain.ledger.close();
    expect(await chain.problems()).toEqual([]);
    check(await chain.reopen());
  });

  it('may be the block that opened an epoch which never had one of its own', async () => {
    const chain = await opened();
    await chain.propose();
    const vote = (n: number) =>
      transfer({
        from: memberKeys(n).operator,
        nonce: 0,
        to: GOVERNANCE_ADDRESS,
        value: 0n,
        gasLimit: 2_000_000,
        data: encodeCall(FUNCTIONS.vote, { id: 1, approve: true }),
      });
    await chain.final(build(chain.ledger, [vote(1)]));
    expect(chain.ledger.epochAfter(chain.ledger.head.hash).epoch).toBe(1);
    await chain.recover();
    await chain.add(2);
    const { ledger } = chain;
    expect([0, 1, 2].map((epoch) => ledger.epochInfo(epoch)?.members)).toEqual([MEMBERS, list(0, 1), list(0, 5)]);
    expect([1, 2].map((epoch) => ledger.epochInfo(epoch)?.root.height)).toEqual([2, 2]);
    expect(ledger.epochInfo(1)!.recovery).toBeUndefined();
    await ledger.close();
    expect(await chain.problems()).toEqual([]);
    await chain.reopen();
    expect(chain.ledger.epochInfo(1)!.members).toEqual(list(0, 1));
  });
});

describe('a store that has crossed a break', () => {
  it('is the same after a restart, and verifies with the statement only', async () => {
    const { chain, made } = await recovered();
    const { head } = chain.ledger;
    await chain.reopen();
    expect(chain.ledger.head).toMatchObject({ height: head.height, hash: head.hash });
    expect(chain.ledger.epochInfo(1)).toMatchObject({ recovery: made.digest, members: list(0, 5) });
    await chain.ledger.close();
    expect(await chain.problems()).toEqual([]);
    expect((await chain.problems([]))[0]).toMatch(/^block 6: epoch 1, expected 0; .*recover apply/);
    const other = { ...made, digest: '0x' + '99'.repeat(32) };
    expect((await chain.problems([other]))[0]).toMatch(/^block 6: stateRoot /);
  });

  it('survives a crash at every batch, and goes on', async () => {
    const { chain } = await recovered();
    const blocks = Array.from({ length: chain.ledger.head.height }, (_, n) => chain.ledger.blockByHeight(n + 1)!);
    for (let kept = 0; kept <= blocks.length; kept++) {
      const other = await new Chain().reopen(chain.recoveries);
      for (const block of blocks) {
        expect(other.ledger.execute(block, undefined, {})).toMatchObject({ ok: true });
        await commit(other.ledger, block.hash);
      }
      other.store.crash(kept);
      await other.reopen();
      expect(other.ledger.head.height).toBe(kept);
      for (const block of blocks.slice(kept)) {
        const result = other.ledger.execute(block, undefined, {});
        expect(result).toEqual({ ok: true, closes: block.header.number === 5 });
        await commit(other.ledger, block.hash);
      }
      await other.ledger.close();
      expect(await other.problems()).toEqual([]);
    }
  });

  it('is not opened without the statement, nor with another', async () => {
    const { chain, made } = await recovered();
    const missing = expect.objectContaining({ code: 'RECOVERY_MISSING', message: expect.stringMatching(/at block 5/) });
    // The state in the store is older than the break: the blocks above it are executed again.
    await expect(chain.reopen([])).rejects.toEqual(missing);
    await chain.reopen([made]);
    await chain.ledger.close();
    await expect(chain.reopen([])).rejects.toEqual(missing);
    await expect(chain.reopen([{ ...made, digest: '0x' + '99'.repeat(32) }])).rejects.toEqual(missing);
  });
});

describe('a store that went on above the base', () => {
  it('is not opened with the statement: what it holds was given up', async () => {
    const chain = await opened();
    await chain.add(2);
    const made = recovery(chain.ledger);
    await chain.add(2);
    const refused = { code: 'RECOVERY_CONFLICT', message: expect.stringMatching(/went on above block 2/) };
    await expect(chain.reopen([made])).rejects.toMatchObject(refused);
    const fork = { ...made, base: { height: 2, hash: '0x' + '12'.repeat(32) } };
    await expect(chain.reopen([fork])).rejects.toMatchObject(refused);
    const ahead = { ...made, base: { height: 9, hash: '0x' + '12'.repeat(32) } };
    expect((await chain.reopen([ahead])).ledger.head.height).toBe(4);
  });
});
