/** The state as bytes, as storage, as an account; and what views show of it. */
import { keccak256 as ethersKeccak, toBeHex } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeResult,
  encodeCall,
  FUNCTIONS,
  type GovernanceFunction,
  UNCHANGED_POLICY,
} from '../../../ledger/governance/abi.ts';
import type { Fields, ValuesOf } from '../../../ledger/governance/abi-types.ts';
import { callGovernance } from '../../../ledger/governance/contract.ts';
import { decodeState, encodeState } from '../../../ledger/governance/state-codec.ts';
import { sealGovernance, storageRootOf, storageWord } from '../../../ledger/governance/storage.ts';
import { fromHex, toHex } from '../../../primitives/bytes.ts';
import { ZERO_HASH } from '../../../primitives/ids.ts';
import { RlpError, rlpEncode } from '../../../primitives/rlp.ts';
import { naiveRoot } from '../ledger/naive-trie.ts';
import { Contract, candidate, incarnation, operator, POLICY, STRANGER, validator } from './fixtures.ts';

/** A contract in which everything has happened once. */
function eventful(): Contract {
  const contract = new Contract(3).pass({ blocks: 40 });
  contract.vote(1, contract.propose(0, { additions: [candidate(3, '/ip4/10.0.0.3/tcp/1')], policy: POLICY }));
  contract.pass().ready(1, { life: 9 });
  contract.pass();
  contract.propose(0, { removals: [validator(1)] });
  contract.vote(2, 2, false);
  contract.propose(1, { replacements: [{ validator: validator(0), by: candidate(5, '/dns/a/tcp/2') }] });
  contract.ready(5, { life: 55 });
  return contract;
}

/** Slot 0 and those from keccak256(0) on, as Solidity lays out `bytes` in slot 0. */
function slotsOf(bytes: Uint8Array): [slot: string, word: string][] {
  const first = BigInt(ethersKeccak(ZERO_HASH));
  const slots: [string, string][] = [[ZERO_HASH, toBeHex(bytes.length * 2 + 1, 32)]];
  for (let at = 0; at < bytes.length; at += 32) {
    const word = toHex(bytes.subarray(at, at + 32)).padEnd(66, '0');
    slots.push([toBeHex(first + BigInt(at / 32), 32), word]);
  }
  return slots;
}

describe('the encoding of the state', () => {
  it('is read back, and nothing else is', () => {
    const { state } = eventful();
    expect(state.open).toHaveLength(2);
    const bytes = encodeState(state);
    expect(decodeState(bytes)).toEqual(state);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const broken = Uint8Array.from(bytes);
        broken[at]! ^= by;
        try {
          expect(toHex(encodeState(decodeState(broken)))).toBe(toHex(broken));
        } catch (error) {
          if (!(error instanceof RlpError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the storage', () => {
  it('has the root of a secure trie over the slots of a Solidity `bytes`, and every slot can be read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 3000 }), fc.nat(3), (random, holes) => {
        const bytes = Uint8Array.from(random);
        for (let i = 0; i < holes; i++) bytes.fill(0, 32 * i, 32 * (i + 1));
        const slots = slotsOf(bytes);
        const trie = slots
          .filter(([, word]) => word !== ZERO_HASH)
          .map(([slot, word]) => [fromHex(ethersKeccak(slot))!, rlpEncode(BigInt(word))] as const);
        expect(storageRootOf(bytes)).toBe(naiveRoot(trie));
        for (const [slot, word] of slots) expect(storageWord(bytes, slot)).toBe(word);
      }),
    );
  });

  it('is zero elsewhere', () => {
    const { bytes } = sealGovernance(eventful().state);
    const last = BigInt(slotsOf(bytes).at(-1)![0]);
    for (const slot of [1n, last + 1n, BigInt(ethersKeccak(ZERO_HASH)) - 1n, 2n ** 256n - 1n]) {
      expect(storageWord(bytes, toBeHex(slot, 32))).toBe(ZERO_HASH);
    }
  });
});

type At = { readonly number: number; readonly timestamp: number };

function view<I extends Fields, O extends Fields>(
  contract: Contract,
  fn: GovernanceFunction<I, O>,
  args: ValuesOf<I>,
  at: Partial<At> = {},
): ValuesOf<O> {
  const where = { number: contract.number, timestamp: contract.timestamp, ...at };
  const transaction = {
    chainId: 1,
    genesisHash: ZERO_HASH,
    hashAt: () => undefined,
    judgeEvidence: undefined,
    ...where,
  };
  const call = { from: STRANGER, value: 0n, data: encodeCall(fn, args) };
  const result = callGovernance(contract.state, call, { view: where, transaction });
  if (!result.ok) throw new Error(result.message);
  expect(result.state).toBe(contract.state);
  expect(result.logs).toEqual([]);
  return decodeResult(fn, result.data);
}

describe('views', () => {
  const contract = eventful();
  const { epoch, validators, nextValidators, proposal, proposals, readiness, policy, multiaddr } = FUNCTIONS;

  it('show the epoch and validators of the block, and those of the next', () => {
    const fresh = new Contract(3).pass({ blocks: 4 });
    fresh.vote(1, fresh.propose(0, { removals: [validator(2)] }));
    const closing = { number: fresh.number };
    const names = (of: { readonly validators: readonly { readonly validator: string }[] }) =>
      of.validators.map((member) => member.validator);
    expect(view(fresh, epoch, {}, closing)).toEqual({ epoch: 0 });
    expect(names(view(fresh, validators, {}, closing))).toEqual([0, 1, 2].map(validator));
    expect(names(view(fresh, nextValidators, {}, closing))).toEqual([0, 1].map(validator));
    const next = { number: fresh.number + 1 };
    expect(view(fresh, epoch, {}, next)).toEqual({ epoch: 1 });
    expect(names(view(fresh, validators, {}, next))).toEqual([0, 1].map(validator));
    expect(view(new Contract(3), epoch, {}, { number: 0 })).toEqual({ epoch: 0 });
  });

  it('show proposals with their tallies, open and ended', () => {
    const { open, ended } = view(contract, proposals, {});
    expect(open).toMatchObject([
      {
        id: 2,
        status: 1,
        proposer: operator(0),
        endedAt: 0,
        removals: [validator(1)],
        policy: UNCHANGED_POLICY,
        approvals: [validator(0)],
        rejections: [validator(2)],
      },
      { id: 3, status: 1, replacements: [{ validator: validator(0), by: candidate(5, '/dns/a/tcp/2') }] },
    ]);
    expect(ended).toMatchObject([{ id: 1, status: 2, epoch: 0, policy: POLICY, approvals: [0, 1].map(validator) }]);
    expect(view(contract, proposal, { id: 1 })).toEqual({ proposal: ended[0] });
    const unknown = encodeCall(proposal, { id: 9 });
    expect(contract.refusal(STRANGER, unknown)).toBe(
      'there is no proposal 9, or it ended long ago; proposals() lists them',
    );
  });

  it('show a proposal past its time as expired before a call takes note of it', () => {
    const late = { timestamp: contract.timestamp + 100 };
    expect(view(contract, proposal, { id: 2 }, late).proposal).toMatchObject({ status: 4, endedAt: late.timestamp });
    const { open, ended } = view(contract, proposals, {}, late);
    expect([open.length, ended.length]).toEqual([0, 3]);
  });

  it('show readiness of candidates and of members', () => {
    const height = contract.number - 1;
    const said = { height, hash: contract.hashAt(height), incarnation: incarnation(55) };
    expect(view(contract, readiness, { validator: validator(5) })).toEqual({ counts: true, ...said });
    const old = view(contract, readiness, { validator: validator(5) }, { number: height + 11 });
    expect(old).toEqual({ counts: false, ...said });
    const none = { height: 0, hash: ZERO_HASH };
    const member = { counts: true, ...none, incarnation: incarnation(9) };
    expect(view(contract, readiness, { validator: validator(1) })).toEqual(member);
    expect(view(contract, readiness, { validator: validator(8) })).toMatchObject({ counts: false, ...none });
  });

  it('show the policy and where members are found', () => {
    expect(view(contract, policy, {})).toEqual({ policy: POLICY });
    expect(view(contract, multiaddr, { validator: validator(3) })).toEqual({ multiaddr: '/ip4/10.0.0.3/tcp/1' });
    expect(view(contract, multiaddr, { validator: validator(0) })).toEqual({ multiaddr: '' });
  });
});
