/** READY: of candidates, which lets proposals pass; of current validators, which asks for a same-set epoch. */
import { describe, expect, it } from 'vitest';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { key } from '../ledger/fixtures.ts';
import { Contract, candidate, incarnation, operator, STRANGER, validator } from './fixtures.ts';

describe('READY of a candidate', () => {
  /** Three members; two are to be replaced, so that one of the new ones must be ready. */
  function replacing(): Contract {
    const contract = new Contract(3).pass({ blocks: 50 });
    const id = contract.propose(0, { removals: [validator(1), validator(2)], additions: [candidate(3), candidate(4)] });
    contract.vote(1, id);
    return contract;
  }

  it('makes an approved proposal pass, and the closing block carries the incarnations', () => {
    const contract = replacing();
    expect(contract.state.epoch).toBe(0);
    contract.ready(3, { life: 77 });
    expect(contract.closed).toMatchObject({ epoch: 1, ready: [validator(3)], incarnations: [incarnation(77)] });
    expect(contract.state).toMatchObject({
      epoch: 1,
      rootHeight: contract.number,
      readiness: [],
      incarnations: [{ validator: validator(3), incarnation: incarnation(77) }],
      lives: [{ validator: validator(3), incarnation: incarnation(77), rejoinedAt: 0 }],
    });
  });

  it('may come before the votes, and grows old', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    const id = contract.propose(0, { removals: [validator(1), validator(2)], additions: [candidate(3), candidate(4)] });
    contract.ready(3);
    contract.ready(4, { height: contract.number - 10 });
    contract.pass({ blocks: 10 }).vote(1, id);
    expect(contract.state.epoch).toBe(0);
    contract.ready(4);
    expect(contract.state.epoch).toBe(1);
    // The old one is carried as well: it says who may sign, not who is up.
    expect(contract.closed?.ready).toEqual([3, 4].map(validator));
  });

  it.each([
    [10, 1],
    [11, 0],
  ])('counts for as many blocks as the policy says: %i blocks later the epoch is %i', (blocks, epoch) => {
    const contract = new Contract(3).pass({ blocks: 50 });
    const id = contract.propose(0, { removals: [validator(1), validator(2)], additions: [candidate(3), candidate(4)] });
    contract.ready(3, { height: 50 });
    contract.number = 50 + blocks;
    contract.vote(1, id);
    expect(contract.state.epoch).toBe(epoch);
  });

  it('is forgotten with the last proposal that asks for it', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    const ids = [0, 1].map((n) => contract.propose(n, { additions: [candidate(3)] }));
    contract.ready(3);
    contract.send(operator(0), encodeCall(FUNCTIONS.withdraw, { id: ids[0]! }));
    expect(contract.state.readiness).toHaveLength(1);
    contract.send(operator(1), encodeCall(FUNCTIONS.withdraw, { id: ids[1]! }));
    expect(contract.state.readiness).toHaveLength(0);
    expect(contract.pass().refusal(STRANGER, contract.readyData(3))).toBe(
      `${validator(3)} is neither a validator nor a candidate of an open proposal; propose it first`,
    );
  });

  it.each<[string, Parameters<Contract['readyData']>[1], string]>([
    ['of this block', { height: 51 }, 'block 51 is not below this block 51; sign the newest final block'],
    ['of a block to come', { height: 60 }, 'is not below this block 51'],
    [
      'of a block too far back',
      { height: 40 },
      'block 40 is 11 blocks back and at most 10 are allowed; sign the newest final block',
    ],
    ['of another chain', { hash: '0x' + '00'.repeat(32) }, 'block 50 of this chain has another hash'],
    ['of another epoch', { epoch: 1 }, `the signature is not that of ${validator(3)} on this READY in epoch 0`],
    ['of another signer', { signer: 4 }, `the signature is not that of ${validator(3)}`],
  ])('not %s', (_, change, problem) => {
    const contract = replacing();
    expect(contract.refusal(STRANGER, contract.readyData(3, change))).toContain(problem);
  });

  it('not one that is older than what is known: it could name a life that is lost', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    contract.propose(0, { additions: [candidate(3)] });
    const stale = contract.readyData(3, { life: 1 });
    contract.send(STRANGER, stale);
    contract.pass();
    contract.ready(3, { life: 2 });
    expect(contract.refusal(STRANGER, contract.readyData(3, { life: 3 }))).toContain('is ready at block 51 already');
    expect(contract.refusal(STRANGER, stale)).toBe(
      `${validator(3)} is ready at block 51 already; sign a newer block than that`,
    );
    expect(contract.state.readiness).toMatchObject([
      { validator: validator(3), incarnation: incarnation(2), height: 51 },
    ]);
  });

  it('not of a candidate of a proposal past its time, nor with a signature that is none', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    contract.propose(0, { additions: [candidate(3)] });
    const args = { validator: validator(3), height: 50, hash: contract.hashAt(50), incarnation: incarnation(1) };
    for (const signature of ['0x', '0x' + '00'.repeat(65), '0x' + 'ff'.repeat(65), '0x' + '01'.repeat(200)]) {
      const data = encodeCall(FUNCTIONS.ready, { ...args, signature });
      expect(contract.refusal(STRANGER, data)).toContain('the signature is not that of');
    }
    contract.pass({ seconds: 100 });
    expect(contract.refusal(STRANGER, contract.readyData(3))).toContain('propose it first');
  });
});

describe('a same-set epoch', () => {
  it('is what READY of a current validator asks for: same members, its incarnation carried', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    contract.ready(1, { life: 9 });
    expect(contract.events).toEqual(['Ready', 'EpochClosed']);
    expect(contract.closed).toMatchObject({ epoch: 1, ready: [validator(1)], incarnations: [incarnation(9)] });
    expect(contract.state.members).toEqual(contract.state.previousMembers);
  });

  it('is limited in rate, for each validator by itself', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    contract.ready(1, { life: 9 });
    contract.pass({ seconds: 10 }).ready(2, { life: 8 });
    contract.pass({ seconds: 5 });
    expect(contract.refusal(STRANGER, contract.readyData(1, { life: 10 }))).toBe(
      `${validator(1)} has had a same-set epoch lately; ask again in 15 s`,
    );
    contract.pass({ seconds: 15 }).ready(1, { life: 10 });
    expect(contract.state).toMatchObject({
      epoch: 3,
      incarnations: [{ validator: validator(1), incarnation: incarnation(10) }],
    });
    expect(contract.state.lives.map((life) => life.incarnation)).toEqual([incarnation(10), incarnation(8)]);
  });

  it('is refused for an incarnation that may sign already', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    contract.ready(1, { life: 9 });
    contract.pass({ seconds: 1000 });
    contract.vote(0, contract.propose(2, { additions: [candidate(3)] }));
    contract.pass();
    expect(contract.state.epoch).toBe(2);
    expect(contract.refusal(STRANGER, contract.readyData(1, { life: 9 }))).toBe(
      `${validator(1)} may sign as ${incarnation(9)} already; a same-set epoch is for a new incarnation`,
    );
  });

  it('keeps open proposals with their votes: a liar cannot veto its own removal with it', () => {
    const contract = new Contract(3).pass({ blocks: 50 });
    const id = contract.propose(0, { removals: [validator(2)], additions: [candidate(3)] });
    contract.ready(3);
    contract.pass().ready(2, { life: 9 });
    expect(contract.state).toMatchObject({ epoch: 1, open: [{ id, approvals: [validator(0)] }] });
    contract.pass().vote(1, id);
    expect(contract.state.epoch).toBe(2);
    expect(contract.members).toEqual([0, 1, 3].map(validator));
    expect(contract.closed?.ready).toEqual([validator(3)]);
  });
});

describe('rotation', () => {
  it('of the validator key needs READY of the new one only where too few others could start', () => {
    const three = new Contract(3);
    const by = { ...candidate(0), validator: key(77).address };
    three.vote(1, three.propose(0, { replacements: [{ validator: validator(0), by }] }));
    expect(three.members).toEqual([by.validator, validator(1), validator(2)]);
    const alone = new Contract(1).pass({ blocks: 50 });
    alone.propose(0, { replacements: [{ validator: validator(0), by: candidate(5) }] });
    expect(alone.state.epoch).toBe(0);
    alone.ready(5);
    expect(alone.members).toEqual([validator(5)]);
  });
});
