import { Contract, Interface, JsonRpcProvider, Wallet } from 'ethers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { governanceAbi, UNCHANGED_POLICY } from '../../../ledger/governance/abi.ts';
import type { ProposalView } from '../../../node/governance-proposals.ts';
import { GOVERNANCE_ADDRESS } from '../../../primitives/ids.ts';
import { descriptorOf, GovernedChain, member } from '../governed-chain.ts';

let chain: GovernedChain;
beforeEach(async () => {
  chain = await GovernedChain.start();
});
afterEach(async () => {
  expect(chain.bugs).toEqual([]);
  await chain.stop();
});

type DryRun = {
  to: string;
  data: string;
  warnings: string[];
  next: string;
  id: number;
  passes: boolean;
  change: { policy: unknown };
  after: { validators: string[]; t: number; mustBeUp: number };
};

const abi = new Interface(JSON.stringify(governanceAbi()));
const [A, B, C, D, E] = [0, 1, 2, 3, 4].map(member) as [Member, Member, Member, Member, Member];
type Member = ReturnType<typeof member>;
const names = (...members: Member[]) => members.map(({ validator }) => validator);
const dryRun = (change: unknown, from?: string) => chain.call<DryRun>('xft_proposeValidators', change, from);
const proposals = () => chain.call<ProposalView[]>('xft_getProposals');
const refusal = async (method: string, ...params: unknown[]) => (await chain.rpc(method, ...params)).error;

describe('xft_proposeValidators', () => {
  test('signs nothing: it gives the call to sign and what would come of it', async () => {
    chain.connected.add(D.peerId);
    const found = await dryRun({ add: [descriptorOf(D)], remove: names(A) }, B.operator);
    expect(chain.head).toBe(0);
    expect(found).toMatchObject({ to: GOVERNANCE_ADDRESS, id: 1, passes: false });
    expect(found.after).toEqual({ validators: names(B, C, D), t: 1, mustBeUp: 2 });
    expect(found.next).toBe('proposal 1: 1 of 3 has approved; 1 more starts epoch 1');
    const { additions, removals, replacements, policy } = abi.decodeFunctionData('propose', found.data);
    expect(additions[0].toArray().map((value: string) => value.toLowerCase())).toEqual(
      [D.validator, D.nodeKey, D.operator, D.multiaddr].map((value) => value.toLowerCase()),
    );
    expect(removals.map((address: string) => address.toLowerCase())).toEqual(names(A));
    expect(replacements).toHaveLength(0);
    expect(policy.quorumBasisPoints).toBe(0n);
  });

  test('completes a policy of which some fields are named', async () => {
    const { data, change } = await dryRun({ policy: { expirySeconds: 60, evidenceRemoves: true } });
    const { policy } = abi.decodeFunctionData('propose', data);
    expect(policy.toArray()).toEqual([5000n, 60n, true, 1n, 1024n, 60n, 0n, 0n, 0n]);
    expect(change.policy).toMatchObject({ quorumBasisPoints: 5000, expirySeconds: 60 });
  });

  test('is refused with every reason the contract has', async () => {
    const error = await refusal('xft_proposeValidators', { remove: names(D, A, B, C) });
    expect(error).toMatchObject({ code: 3 });
    expect(error!.message).toContain(`${D.validator} cannot be removed: it is no validator of this epoch`);
    expect(error!.message).toContain('no validator would be left');
    const stranger = await refusal('xft_proposeValidators', { remove: names(A) }, D.operator);
    expect(stranger!.message).toContain(`${D.operator} is no operator of a validator of epoch 0`);
  });

  test.each([
    ['no object', 7, 'change: expected an object, found 7'],
    ['an unknown field', { additions: [] }, 'change.additions: unknown field'],
    ['a removal that is no address', { remove: ['0x12'] }, 'change.remove[0]: expected an address'],
    ['a descriptor without keys', { add: [{}] }, 'change.add[0].nodeKey: expected a node key'],
    ['a policy of text', { policy: { readyLag: '7' } }, 'change.policy.readyLag: expected a whole number, found "7"'],
    [
      "somebody else's public key",
      { add: [{ ...descriptorOf(D), publicKey: E.nodeKey }] },
      `change.add[0].publicKey: it is not the key of validator ${D.validator}`,
    ],
    [
      'an address of another node',
      {
        replace: [{ validator: A.validator, by: { ...descriptorOf(D), multiaddr: `${D.multiaddr}/p2p/${E.peerId}` } }],
      },
      'change.replace[0].by.multiaddr: names the peer',
    ],
  ])('with %s is a wrong parameter', async (_, change, expected) => {
    const error = await refusal('xft_proposeValidators', change);
    expect(error!.code).toBe(-32602);
    expect(error!.message).toContain(expected);
  });
});

describe('warnings', () => {
  const warnings = async (change: unknown) => (await dryRun(change)).warnings;

  test('there are none about a replacement that is in touch', async () => {
    chain.connected.add(D.peerId);
    const change = { replace: [{ validator: C.validator, by: descriptorOf(D) }] };
    expect(await warnings(change)).toEqual([
      `the new epoch does not wait for ${D.validator}: until it has caught up, it counts as down`,
    ]);
  });

  test('a candidate out of touch takes the margin of the change', async () => {
    expect(await warnings({ add: [descriptorOf(D)] })).toEqual([
      `candidate ${D.validator} is not reachable now`,
      `after this change 3 of 4 must be up; if ${A.validator}, ${B.validator} or ${C.validator} fails during the change, the chain waits for it`,
      `the new epoch does not wait for ${D.validator}: until it has caught up, it counts as down`,
    ]);
  });

  test('a validator far behind is told with the number of blocks', async () => {
    await chain.extend(70);
    chain.finals.set(C.validator, 1);
    chain.connected.add(D.peerId);
    const found = await warnings({ add: [descriptorOf(D)] });
    expect(found).toContain(`validator ${C.validator} is 69 blocks behind`);
    expect(found[0]).toBe(
      `if ${A.validator} or ${B.validator} fails before the change is made, the chain waits for it`,
    );
  });

  test('a removal that ends all tolerance says so, and who is left to vote', async () => {
    expect(await warnings({ remove: names(C) })).toEqual([
      'after this change no fault is tolerated: all 2 validators must be up',
      'after this change all 2 validators must approve the next one: a single one that is lost blocks it',
    ]);
    expect(await warnings({ remove: names(B, C) })).toEqual([
      'after this change no fault is tolerated: the chain stands still whenever its only validator is down',
    ]);
  });

  test('the removal of a dead member costs nothing more than its seat', async () => {
    chain.unreachable.add(C.validator);
    expect(await warnings({ remove: names(C) })).toEqual([
      'after this change no fault is tolerated: all 2 validators must be up',
      `if ${A.validator} or ${B.validator} fails before the change is made, the chain waits for it`,
      'after this change all 2 validators must approve the next one: a single one that is lost blocks it',
    ]);
  });

  test('a change that would lose the quorum says so', async () => {
    chain.unreachable.add(C.validator);
    const found = await warnings({ remove: names(B) });
    expect(found).toContain('this change could stop the chain: after this change 2 of 2 must be up, and only 1 is now');
    chain.unreachable.add(B.validator);
    expect((await warnings({ add: [descriptorOf(D)] }))[0]).toBe(
      'the chain stands still now: 2 of 3 validators must be up and 1 is; nothing can be voted on before that',
    );
  });

  test('fewer tolerated faults, an operator who could decide alone, a candidate nobody can dial', async () => {
    await chain.stop();
    chain = await GovernedChain.start(5);
    expect(await warnings({ remove: names(E) })).toContain(
      'after this change 3 of 4 must be up: it tolerates 1 fault instead of 2',
    );
    const own = [5, 6, 7].map((n) => ({ ...descriptorOf(member(n)), operator: A.operator, multiaddr: '' }));
    const found = await warnings({ add: own, remove: names(E) });
    expect(found).toContain(
      `operator ${A.operator} would cast 4 of 7 votes, which is enough to change the validators alone`,
    );
    expect(found).toContain(
      `candidate ${member(5).validator} names no address: the others cannot dial it, it must find them`,
    );
  });
});

describe('xft_getProposals', () => {
  test('shows an open proposal with everyone and all that is missing', async () => {
    const id = await chain.propose(A, { add: [D, E], remove: [A, B] });
    expect(await proposals()).toEqual([
      {
        id,
        status: 'open',
        epoch: 0,
        proposer: A.operator,
        createdAt: expect.any(Number),
        expiresAt: expect.any(Number),
        endedAt: null,
        change: { add: [descriptorOf(D), descriptorOf(E)], remove: names(A, B), replace: [], policy: null },
        votes: [
          { validator: A.validator, operator: A.operator, vote: 'approve' },
          { validator: B.validator, operator: B.operator, vote: null },
          { validator: C.validator, operator: C.operator, vote: null },
        ],
        approvals: 1,
        rejections: 0,
        required: 2,
        after: { validators: names(C, D, E), t: 1, mustBeUp: 2 },
        candidates: [D, E].map(({ validator, peerId }) => ({
          validator,
          peerId,
          reachable: false,
          ready: false,
          readyAt: null,
          behind: null,
        })),
        missing: [
          '1 of 3 has approved; 1 more is needed',
          `it waits until one of ${D.validator} or ${E.validator} has caught up and said so on chain`,
        ],
      },
    ]);
  });

  test('counts votes and READYs, and remembers how proposals ended', async () => {
    const first = await chain.propose(A, { add: [D, E], remove: [A, B] });
    const second = await chain.propose(B, { remove: [C] });
    await chain.vote(C, second, false);
    await chain.vote(B, first);
    expect((await proposals())[0]).toMatchObject({
      approvals: 2,
      missing: [
        `it waits until one of ${D.validator} or ${E.validator} has caught up and said so on chain, then epoch 1 starts`,
      ],
    });
    await chain.ready(D);
    const [passed, lapsed] = await proposals();
    expect(passed).toMatchObject({ id: first, status: 'passed', required: null, after: null, missing: [] });
    expect(passed!.votes.map(({ vote }) => vote)).toEqual(['approve', 'approve', null]);
    expect(lapsed).toMatchObject({ id: second, status: 'lapsed', approvals: 1, rejections: 1 });
    expect(lapsed!.votes.map(({ vote }) => vote)).toEqual([null, 'approve', 'reject']);
    expect(lapsed!.endedAt).toBeGreaterThan(0);
  });

  test('a candidate that has said it is ready is shown with the block, until that is too old', async () => {
    await chain.stop();
    chain = await GovernedChain.start(3, { governance: { readyLag: 3 } });
    await chain.propose(A, { add: [D] });
    await chain.ready(D);
    const candidate = async () => (await proposals())[0]!.candidates[0];
    expect(await candidate()).toMatchObject({ ready: true, readyAt: 1, behind: 1 });
    await chain.extend(2);
    expect(await candidate()).toMatchObject({ ready: false, readyAt: 1, behind: 3 });
  });

  test('a proposal past its time is expired before the chain takes note', async () => {
    const id = await chain.propose(A, { remove: [C] });
    const [{ expiresAt }] = (await proposals()) as [ProposalView];
    vi.useFakeTimers({ toFake: ['Date'], now: expiresAt * 1000 });
    try {
      expect(await proposals()).toMatchObject([{ id, status: 'expired', endedAt: expiresAt, missing: [] }]);
      expect((await refusal('xft_voteProposal', id, true))!.message).toMatch(/not open any more.* expired/);
      expect(await chain.call('xft_status')).toMatchObject({ openProposals: 0 });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('xft_voteProposal and xft_withdrawProposal', () => {
  test('say what the vote brings about', async () => {
    const id = await chain.propose(A, { remove: [C] });
    await chain.propose(B, { remove: [A] });
    const approve = await chain.call<DryRun>('xft_voteProposal', id, true, B.operator);
    expect(approve).toMatchObject({ to: GOVERNANCE_ADDRESS, id, passes: true });
    expect(approve.next).toBe(
      `proposal 1 passes: epoch 1 begins after the block of this transaction, with validators ${A.validator} and ${B.validator}; proposal 2 lapses with it`,
    );
    expect(approve.warnings).toContain('after this change no fault is tolerated: all 2 validators must be up');
    expect(abi.decodeFunctionData('vote', approve.data).toArray()).toEqual([1n, true]);
    const reject = await chain.call<DryRun>('xft_voteProposal', `0x${id}`, false, C.operator);
    expect(reject).toMatchObject({ passes: false, warnings: [] });
    expect(reject.next).toBe('proposal 1: 1 of 3 has approved; 1 more starts epoch 1');
    const withdraw = await chain.call<DryRun>('xft_withdrawProposal', id);
    expect(withdraw.next).toBe('proposal 1 is withdrawn');
    expect(abi.decodeFunctionData('withdraw', withdraw.data).toArray()).toEqual([1n]);
    expect(chain.head).toBe(2);
  });

  test('are refused in the words of the contract', async () => {
    const id = await chain.propose(A, { remove: [C] });
    expect(await refusal('xft_voteProposal', 9, true)).toEqual({
      code: 3,
      message: 'there is no proposal 9; proposals() lists them',
    });
    expect((await refusal('xft_voteProposal', id, true, A.operator))!.message).toContain('has voted for proposal 1');
    expect((await refusal('xft_withdrawProposal', id, B.operator))!.message).toContain('alone can withdraw it');
    expect(await refusal('xft_voteProposal', id)).toMatchObject({ code: -32602 });
    expect(await refusal('xft_voteProposal', id, 'yes')).toMatchObject({ code: -32602 });
  });
});

test('xft_status counts open proposals and says whether this node is to become a member', async () => {
  expect(await chain.call('xft_status')).toMatchObject({ epoch: 0, t: 1, openProposals: 0, candidacy: null });
  await chain.propose(A, { add: [D] });
  expect(await chain.call('xft_status')).toMatchObject({ openProposals: 1, candidacy: null });
  await chain.propose(B, { remove: [C], replace: [[A, A]] });
  expect(await chain.call('xft_status')).toMatchObject({ openProposals: 2, candidacy: { proposal: 2, ready: true } });
});

describe('ethers on the governance contract', () => {
  let provider: JsonRpcProvider;
  beforeEach(() => {
    provider = new JsonRpcProvider(chain.url, undefined, {
      pollingInterval: 20,
      cacheTimeout: -1,
      staticNetwork: true,
    });
  });
  afterEach(() => provider.destroy());

  test('reads, proposes, votes, and reads events', async () => {
    const contract = new Contract(GOVERNANCE_ADDRESS, abi, provider);
    const as = ({ operatorKey }: Member) => contract.connect(new Wallet(operatorKey, provider)) as Contract;
    expect(await provider.getCode(GOVERNANCE_ADDRESS)).toBe('0xfe');
    expect(await contract['epoch']!()).toBe(0n);
    const sent = await as(A)['propose']!([], names(C), [], UNCHANGED_POLICY);
    const { id } = (await sent.wait()).logs.map((log: never) => abi.parseLog(log))[0].args;
    expect(id).toBe(1n);
    expect((await contract['proposal']!(id)).approvals).toHaveLength(1);
    const receipt = await (await as(B)['vote']!(id, true)).wait();
    const events = receipt.logs.map((log: never) => abi.parseLog(log)!.name);
    expect(events).toEqual(['Voted', 'Passed', 'EpochClosed']);
    // The block that closes an epoch is its last one.
    expect(await contract['epoch']!({ blockTag: receipt.blockNumber - 1 })).toBe(0n);
    expect(await contract['nextValidators']!()).toHaveLength(2);
    await chain.extend(1);
    expect(await contract['epoch']!()).toBe(1n);
    expect(await contract['validators']!()).toHaveLength(2);
  });

  test('is told by the estimate why a call would be refused', async () => {
    const contract = new Contract(GOVERNANCE_ADDRESS, abi, new Wallet(D.operatorKey, provider));
    await expect(contract['vote']!(1, true)).rejects.toMatchObject({
      code: 'CALL_EXCEPTION',
      reason: expect.stringContaining('is no operator of a validator of epoch 0'),
    });
    expect(chain.head).toBe(0);
  });

  test('finds the state in storage as Solidity lays out bytes', async () => {
    const word = await provider.getStorage(GOVERNANCE_ADDRESS, 0);
    expect(BigInt(word) % 2n).toBe(1n);
    expect(await provider.getStorage(A.operator, 0)).toBe(`0x${'0'.repeat(64)}`);
  });
});
