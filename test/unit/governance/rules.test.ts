/** The rules of the governance contract, one by one, with what a refused sender is told (consensus.md section 7). */
import { describe, expect, it } from 'vitest';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { GOVERNANCE_LIMITS } from '../../../ledger/governance/state.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import { GOVERNANCE_ADDRESS, ZERO_ADDRESS } from '../../../primitives/ids.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import { publicKey } from '../../../primitives/secp256k1.ts';
import { memberKeys } from '../ledger/fixtures.ts';
import { Contract, candidate, operator, POLICY, proposeData, STRANGER, validator, type Wish } from './fixtures.ts';

const voteData = (id: number, approve = true) => encodeCall(FUNCTIONS.vote, { id, approve });
const withdrawData = (id: number) => encodeCall(FUNCTIONS.withdraw, { id });

describe('calls that are none', () => {
  const contract = new Contract(3);

  it.each<[string, Uint8Array, string]>([
    [
      'no calldata',
      new Uint8Array(0),
      'the governance contract has no such function; its ABI is in docs/governance.sol',
    ],
    ['half a selector', fromHex('0x1234')!, 'has no such function'],
    ['an unknown selector', fromHex('0x12345678')!, 'has no such function'],
    ['missing arguments', voteData(1).subarray(0, 40), 'the arguments of vote cannot be decoded (it ends too early)'],
    [
      'bytes behind',
      Buffer.concat([withdrawData(1), Buffer.of(0)]),
      'withdraw cannot be decoded (there are bytes behind',
    ],
    ['bytes behind a view', Buffer.concat([fromHex(FUNCTIONS.epoch.selector)!, Buffer.of(0)]), 'cannot be decoded'],
  ])('revert: %s', (_, data, problem) => {
    expect(contract.refusal(operator(0), data)).toContain(problem);
  });

  it('revert when they bring coins', () => {
    expect(contract.refusal(operator(0), voteData(1), 1n)).toBe(
      'the governance contract takes no coins; send the call without value',
    );
  });
});

describe('who may', () => {
  it('propose and vote: operators of current validators, nobody else', () => {
    const contract = new Contract(3);
    const problem = `${STRANGER} is no operator of a validator of epoch 0; only operators of current validators may do this`;
    expect(contract.refusal(STRANGER, proposeData({ additions: [candidate(3)] }))).toBe(problem);
    const id = contract.propose(0, { additions: [candidate(3)] });
    expect(contract.refusal(STRANGER, voteData(id))).toBe(problem);
    expect(contract.refusal(validator(1), voteData(id))).toContain('is no operator');
    expect(contract.refusal(operator(3), voteData(id))).toContain('is no operator');
  });

  it('withdraw: the proposer alone', () => {
    const contract = new Contract(3);
    const id = contract.propose(0, { additions: [candidate(3)] });
    expect(contract.refusal(operator(1), withdrawData(id))).toBe(
      `proposal ${id} was made by ${operator(0)}, who alone can withdraw it; vote against it instead`,
    );
    contract.send(operator(0), withdrawData(id));
    expect(contract.events).toEqual(['Withdrawn']);
    expect(contract.refusal(operator(1), voteData(id))).toBe(
      `proposal ${id} is not open any more, it was withdrawn; make a new one`,
    );
  });
});

describe('what may be proposed', () => {
  const twice = `${validator(1)} is removed or replaced twice; name it once`;
  const long = '/dns/' + 'a'.repeat(GOVERNANCE_LIMITS.multiaddrBytes) + '/tcp/1';

  it.each<[string, Wish, string]>([
    ['nothing', {}, 'the proposal changes nothing; name additions, removals, replacements or a policy'],
    [
      'removal of a stranger',
      { removals: [validator(5)] },
      `${validator(5)} cannot be removed: it is no validator of this epoch`,
    ],
    [
      'replacement of a stranger',
      { replacements: [{ validator: validator(5), by: candidate(6) }] },
      `${validator(5)} cannot be replaced: it is no validator of this epoch`,
    ],
    ['a removal twice', { removals: [validator(1), validator(1)] }, twice],
    [
      'removal and replacement',
      { removals: [validator(1)], replacements: [{ validator: validator(1), by: candidate(6) }] },
      twice,
    ],
    [
      'an empty set',
      { removals: [0, 1, 2].map(validator) },
      'no validator would be left; the chain needs at least one',
    ],
    [
      'a validator that is there',
      { additions: [candidate(1)] },
      `the validator key ${validator(1)} would be there twice`,
    ],
    [
      'one addition twice',
      { additions: [candidate(3), candidate(3)] },
      `the validator key ${validator(3)} would be there twice`,
    ],
    [
      'a node key that is there',
      { additions: [{ ...candidate(3), nodeKey: candidate(1).nodeKey }] },
      `the node key ${candidate(1).nodeKey} would be there twice; every member has its own`,
    ],
    [
      'a node key that is none',
      { additions: [{ ...candidate(3), nodeKey: '0x02' + 'ff'.repeat(32) }] },
      `candidate ${validator(3)}: its node key is no compressed secp256k1 public key of 33 bytes`,
    ],
    ['a short node key', { additions: [{ ...candidate(3), nodeKey: '0x02' }] }, 'its node key is no compressed'],
    [
      'one key as validator and operator',
      { additions: [{ ...candidate(3), operator: validator(3) }] },
      `candidate ${validator(3)}: its validator key is also its operator account; use three different keys`,
    ],
    [
      'one key as validator and node',
      { additions: [{ ...candidate(3), nodeKey: toHex(publicKey(memberKeys(3).validator.secret)) }] },
      'its node key is also its validator key',
    ],
    [
      'one key as operator and node',
      { additions: [{ ...candidate(3), nodeKey: toHex(publicKey(memberKeys(3).operator.secret)) }] },
      'its node key is also its operator account',
    ],
    [
      'nobody as operator',
      { additions: [{ ...candidate(3), operator: ZERO_ADDRESS }] },
      'nobody holds a key of its operator',
    ],
    [
      'the contract as validator',
      { additions: [{ ...candidate(3), validator: GOVERNANCE_ADDRESS }] },
      'of its validator',
    ],
    [
      'an address that is none',
      { additions: [candidate(3, '10.0.0.7:30300')] },
      'its address is no multiaddr of at most 200',
    ],
    ['an address in two lines', { additions: [candidate(3, '/dns/a\n/tcp/1')] }, 'its address is no multiaddr'],
    ['an address without end', { additions: [candidate(3, long)] }, 'its address is no multiaddr'],
    [
      'too many changes',
      { removals: Array.from({ length: 101 }, (_, n) => validator(n)) },
      'the proposal has 101 changes',
    ],
    [
      'too many bytes',
      { additions: Array.from({ length: 90 }, (_, n) => candidate(3 + n, '/dns/' + 'a'.repeat(150))) },
      'the proposal takes over 8192 bytes; make several of it',
    ],
    [
      'too many validators',
      { additions: Array.from({ length: 98 }, (_, n) => candidate(3 + n)) },
      '101 validators are too many; the most is 100',
    ],
    [
      'a quorum of less than a half',
      { policy: { ...POLICY, quorumBasisPoints: 4999 } },
      'policy: quorumBasisPoints is 4999; give a whole number from 5000 to 9999',
    ],
    ['a quorum nobody reaches', { policy: { ...POLICY, quorumBasisPoints: 10_000 } }, 'quorumBasisPoints is 10000'],
    [
      'half a policy',
      { policy: { ...POLICY, quorumBasisPoints: 0 } },
      'quorumBasisPoints is 0, which leaves the policy as it is',
    ],
    [
      'a delta alone',
      { policy: { ...POLICY, deltaMs: 500 } },
      'policy: suspicionTimeoutMs is 0; give a whole number from 20 to 600000, or 0 for all three times as the genesis has them',
    ],
    [
      'a time-out without room for an answer',
      { policy: { ...POLICY, deltaMs: 500, suspicionTimeoutMs: 999, suspicionTimeoutMaxMs: 4000 } },
      'policy: suspicionTimeoutMs is 999; give at least 1000 (twice deltaMs, a message and its answer)',
    ],
    ['proposals without time', { policy: { ...POLICY, expirySeconds: 0 } }, 'expirySeconds is 0'],
    [
      'a least size above the size',
      { policy: { ...POLICY, leastValidators: 4 } },
      '3 validators would be left and the policy asks for 4',
    ],
  ])('not %s', (_, wish, problem) => {
    expect(new Contract(3).refusal(operator(0), proposeData(wish))).toContain(problem);
  });

  it('not fewer validators than the policy asks for', () => {
    const contract = new Contract(3, { ...POLICY, leastValidators: 3 });
    expect(contract.refusal(operator(0), proposeData({ removals: [validator(2)] }))).toBe(
      '2 validators would be left and the policy asks for 3; remove fewer',
    );
    const policy = { ...POLICY, leastValidators: 2 };
    contract.propose(0, { removals: [validator(2)], policy });
  });

  it('not a third open proposal of one operator', () => {
    const contract = new Contract(3);
    const ids = [
      contract.propose(0, { additions: [candidate(3)] }),
      contract.propose(0, { additions: [candidate(4)] }),
    ];
    expect(contract.refusal(operator(0), proposeData({ removals: [validator(1)] }))).toBe(
      `${operator(0)} has 2 open proposals (${ids.join(', ')}); withdraw one first`,
    );
    contract.propose(1, { additions: [candidate(5)] });
    contract.send(operator(0), withdrawData(ids[0]!));
    contract.propose(0, { removals: [validator(1)] });
  });

  it('one key for the operators of several, and a removed validator back with new keys in one proposal', () => {
    const contract = new Contract(3);
    const shared = { ...candidate(3), operator: operator(0) };
    const back = { ...candidate(1), nodeKey: candidate(7).nodeKey };
    const id = contract.propose(0, { removals: [validator(1)], additions: [shared, back] });
    contract.vote(2, id);
    expect(contract.members).toEqual([0, 2, 3, 1].map(validator));
    expect(contract.state.members[3]!.nodeKey).toBe(back.nodeKey);
  });
});

describe('the majority', () => {
  it.each([
    [1, 5000, 1],
    [2, 5000, 2],
    [3, 5000, 2],
    [4, 5000, 3],
    [5, 5000, 3],
    [7, 5000, 4],
    [3, 6666, 2],
    [3, 6667, 3],
    [4, 7500, 4],
    [7, 9999, 7],
  ])('of %i validators with a quorum of %i basis points is %i', (n, quorumBasisPoints, needed) => {
    const contract = new Contract(n, { ...POLICY, quorumBasisPoints });
    contract.propose(0, { policy: { ...POLICY, expirySeconds: 7 } });
    for (let cast = 1; cast < needed; cast++) {
      expect(contract.state.epoch).toBe(0);
      contract.vote(cast, 1);
    }
    expect(contract.state.epoch).toBe(1);
    expect(contract.state.policy.expirySeconds).toBe(7);
  });

  it('is of approvals: rejections and changed minds do not help', () => {
    const contract = new Contract(5);
    const id = contract.propose(0, { removals: [validator(4)] });
    contract.vote(1, id);
    contract.vote(1, id, false);
    contract.vote(2, id);
    contract.vote(3, id, false);
    expect(contract.state.epoch).toBe(0);
    expect(contract.state.open[0]).toMatchObject({
      approvals: [0, 2].map(validator),
      rejections: [1, 3].map(validator),
    });
    expect(contract.refusal(operator(2), voteData(id))).toBe(`${operator(2)} has voted for proposal ${id} already`);
    expect(contract.refusal(operator(3), voteData(id, false))).toContain(`against proposal ${id} already`);
    contract.vote(3, id);
    expect(contract.state.epoch).toBe(1);
  });

  it('counts one vote for every validator of an operator', () => {
    const contract = new Contract(3);
    const seats = [3, 4].map((n) => ({ ...candidate(n), operator: operator(0) }));
    contract.vote(1, contract.propose(0, { additions: seats }));
    expect(contract.members).toHaveLength(5);
    contract.pass();
    contract.propose(0, { removals: [validator(2)] });
    expect(contract.events).toEqual(['Proposed', 'Voted', 'Voted', 'Voted', 'Passed', 'EpochClosed']);
    expect(contract.members).toEqual([0, 1, 3, 4].map(validator));
  });
});

describe('the end of a proposal', () => {
  it('by time: the votes of the second before count, those from then on do not', () => {
    const contract = new Contract(3).pass({ seconds: 10 });
    const id = contract.propose(0, { removals: [validator(2)] });
    const late = new Contract(3).pass({ seconds: 10 });
    late.propose(0, { removals: [validator(2)] });
    contract.pass({ seconds: 99 }).vote(1, id);
    expect(contract.state.epoch).toBe(1);
    expect(late.pass({ seconds: 100 }).refusal(operator(1), voteData(id))).toBe(
      `proposal ${id} is not open any more, it has expired; make a new one`,
    );
    expect(late.state.open).toHaveLength(1);
    late.propose(1, { additions: [candidate(3)] });
    expect(late.events).toEqual(['Expired', 'Proposed', 'Voted']);
    expect(late.state.ended).toMatchObject([{ id, outcome: 'expired', endedAt: late.timestamp }]);
  });

  it('is kept for the last 64, fewer when they are large', () => {
    const contract = new Contract(3);
    for (let n = 0; n < 70; n++)
      contract.send(operator(0), withdrawData(contract.propose(0, { additions: [candidate(3)] })));
    expect(contract.state.ended.map(({ id }) => id)).toEqual(Array.from({ length: 64 }, (_, n) => n + 7));
    expect(contract.refusal(operator(0), voteData(6))).toBe('proposal 6 ended long ago; make a new one');
    expect(contract.refusal(operator(0), voteData(71))).toBe('there is no proposal 71; proposals() lists them');
    expect(contract.refusal(operator(0), voteData(0))).toBe('there is no proposal 0; proposals() lists them');
    const large = { additions: Array.from({ length: 40 }, (_, n) => candidate(3 + n, '/dns/' + 'a'.repeat(90))) };
    for (let n = 0; n < 6; n++) contract.send(operator(0), withdrawData(contract.propose(0, large)));
    expect(contract.state.ended.map(({ id }) => id)).toEqual([73, 74, 75, 76]);
  });
});

describe('closing the epoch', () => {
  it('the first to pass counts, the others lapse, and calls after it in its block are refused', () => {
    const contract = new Contract(3);
    const [first, second] = [
      contract.propose(0, { removals: [validator(2)] }),
      contract.propose(1, { additions: [candidate(3)] }),
    ];
    contract.vote(0, second);
    expect(contract.events).toEqual(['Voted', 'Passed', 'Lapsed', 'EpochClosed']);
    expect(contract.state.ended).toMatchObject([
      { id: second, outcome: 'passed', approvals: [1, 0].map(validator) },
      { id: first, outcome: 'lapsed' },
    ]);
    const closed =
      'epoch 0 was closed by an earlier transaction of this block; send the call again, it then counts in epoch 1';
    expect(contract.refusal(operator(1), voteData(first))).toBe(closed);
    expect(contract.refusal(operator(1), proposeData({ removals: [validator(0)] }))).toBe(closed);
    contract.pass();
    expect(contract.refusal(operator(1), voteData(first))).toBe(
      `proposal ${first} is not open any more, it lapsed with its epoch; make a new one`,
    );
    contract.propose(1, { removals: [validator(0)] });
  });

  it('replacements keep their place, removals close up, additions go to the end', () => {
    const contract = new Contract(5);
    const id = contract.propose(0, {
      removals: [validator(0), validator(3)],
      replacements: [{ validator: validator(1), by: { ...candidate(8), validator: validator(1) } }],
      additions: [candidate(5), candidate(6)],
    });
    contract.vote(1, id);
    expect(contract.state.epoch).toBe(0);
    contract.vote(2, id);
    expect(contract.members).toEqual([1, 2, 4, 5, 6].map(validator));
    expect(contract.state.members[0]!.operator).toBe(operator(8));
    expect(contract.state.previousMembers.map((m) => m.validator)).toEqual([0, 1, 2, 3, 4].map(validator));
    expect(contract.closed).toEqual({
      epoch: 1,
      membershipHash: membershipHash(contract.state.members),
      validators: contract.state.members,
      ready: [],
      incarnations: [],
    });
  });

  it('one validator becomes two at once, and four are added at once, once enough are ready', () => {
    const alone = new Contract(1);
    alone.propose(0, { additions: [candidate(1)] });
    expect(alone.members).toEqual([0, 1].map(validator));
    const three = new Contract(3);
    const id = three.propose(0, { additions: [3, 4, 5, 6].map((n) => candidate(n)) });
    three.vote(1, id);
    // t' + 1 = 4 of seven: the three current ones and one more.
    expect(three.state.epoch).toBe(0);
    three.ready(5);
    expect(three.events).toEqual(['Ready', 'Passed', 'EpochClosed']);
    expect(three.members).toEqual([0, 1, 2, 3, 4, 5, 6].map(validator));
  });

  it('a change of the policy closes it too, and holds from then on', () => {
    const contract = new Contract(3);
    const policy = { ...POLICY, quorumBasisPoints: 9999 };
    contract.vote(1, contract.propose(0, { policy }));
    expect(contract.closed?.validators).toEqual(contract.state.previousMembers);
    expect(contract.state.policy).toEqual(policy);
    contract.pass();
    contract.vote(1, contract.propose(0, { removals: [validator(2)] }));
    expect(contract.state.epoch).toBe(1);
    contract.vote(2, 2);
    expect(contract.state.epoch).toBe(2);
  });

  it('keeps where members are found, as proposals said', () => {
    const contract = new Contract(3);
    const moved = { ...candidate(0), multiaddr: '/dns/new.example/tcp/1' };
    const wish = {
      additions: [candidate(3, '/ip4/10.0.0.3/tcp/1')],
      replacements: [{ validator: validator(0), by: moved }],
    };
    contract.vote(1, contract.propose(0, wish));
    expect(contract.state.multiaddrs).toEqual([
      { validator: validator(0), multiaddr: moved.multiaddr },
      { validator: validator(3), multiaddr: '/ip4/10.0.0.3/tcp/1' },
    ]);
    contract.pass();
    contract.vote(1, contract.propose(0, { removals: [validator(0)] }));
    contract.vote(3, 2);
    expect(contract.state.multiaddrs.map((hint) => hint.validator)).toEqual([validator(3)]);
  });
});
