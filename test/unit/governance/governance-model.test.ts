/**
 * The contract against a model of a few lines: whatever operators, strangers and clocks do, a call is taken or refused as
 * the model says, epochs go up one by one, and members are who they should be.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeCall, FUNCTIONS } from '../../../ledger/governance/abi.ts';
import { decodeState, encodeState } from '../../../ledger/governance/state-codec.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { Contract, candidate, operator, POLICY, proposeData, STRANGER, validator } from './fixtures.ts';

type Proposal = {
  readonly id: number;
  readonly by: number;
  readonly adds: readonly number[];
  readonly removes: readonly number[];
  readonly expiresAt: number;
  readonly votes: Map<number, boolean>;
};

/** People are numbers: the n-th has the n-th validator key and operator account. */
class Model {
  epoch = 0;
  members: number[];
  open: Proposal[] = [];
  /** Block of the newest READY of each candidate. */
  readonly ready = new Map<number, number>();
  readonly rejoined = new Map<number, { at: number; life: number }>();
  closedAt = -1;
  nextId = 1;
  number = 1;
  now: number;

  constructor(members: number, now: number) {
    this.members = Array.from({ length: members }, (_, n) => n);
    this.now = now;
  }

  #begin(): boolean {
    return this.closedAt !== this.number;
  }

  /** Done by every call that is taken. */
  #expire(): void {
    this.open = this.#alive();
    this.#forget();
  }

  #alive(): Proposal[] {
    return this.open.filter(({ expiresAt }) => expiresAt > this.now);
  }

  #forget(): void {
    for (const n of this.ready.keys()) if (!this.open.some(({ adds }) => adds.includes(n))) this.ready.delete(n);
  }

  #after({ adds, removes }: Pick<Proposal, 'adds' | 'removes'>): number[] {
    return [...this.members.filter((n) => !removes.includes(n)), ...adds];
  }

  #settle(proposals: readonly Proposal[]): void {
    for (const proposal of proposals) {
      const approvals = [...proposal.votes.values()].filter((approve) => approve).length;
      if (2 * approvals <= this.members.length) continue;
      const after = this.#after(proposal);
      const able = after.filter(
        (n) => this.members.includes(n) || this.number - (this.ready.get(n) ?? -1000) <= POLICY.readyLag,
      );
      if (able.length < Math.floor((after.length - 1) / 2) + 1) continue;
      for (const n of this.rejoined.keys()) if (!after.includes(n)) this.rejoined.delete(n);
      for (const n of this.ready.keys()) if (after.includes(n)) this.rejoined.set(n, { at: -1000, life: n });
      this.members = after;
      this.open = [];
      this.ready.clear();
      this.#close();
      return;
    }
  }

  #close(): void {
    this.epoch++;
    this.closedAt = this.number;
  }

  propose(by: number, adds: readonly number[], removes: readonly number[]): boolean {
    const after = this.#after({ adds, removes });
    const distinct = new Set(after).size === after.length && new Set(removes).size === removes.length;
    const known = removes.every((n) => this.members.includes(n));
    const own = this.#alive().filter((proposal) => proposal.by === by).length;
    const something = adds.length + removes.length > 0;
    if (!this.#begin() || !this.members.includes(by) || own >= 2) return false;
    if (!something || !distinct || !known || after.length === 0) return false;
    this.#expire();
    const votes = new Map([[by, true]]);
    const proposal = { id: this.nextId++, by, adds, removes, expiresAt: this.now + POLICY.expirySeconds, votes };
    this.open.push(proposal);
    this.#settle([proposal]);
    return true;
  }

  vote(by: number, id: number, approve: boolean): boolean {
    const proposal = this.#alive().find((one) => one.id === id);
    if (!this.#begin() || !this.members.includes(by) || proposal?.votes.get(by) === approve || !proposal) return false;
    this.#expire();
    proposal.votes.set(by, approve);
    this.#settle([proposal]);
    return true;
  }

  withdraw(by: number, id: number): boolean {
    const proposal = this.#alive().find((one) => one.id === id);
    if (!this.#begin() || proposal?.by !== by) return false;
    this.#expire();
    this.open = this.open.filter((one) => one !== proposal);
    this.#forget();
    return true;
  }

  sayReady(n: number, height: number, life: number): boolean {
    const seemly = height >= 0 && height < this.number && this.number - height <= POLICY.readyLag;
    if (!this.#begin() || !seemly) return false;
    const last = this.rejoined.get(n);
    if (this.members.includes(n)) {
      const wait = (last?.at ?? -1000) + POLICY.rejoinIntervalSeconds > this.now;
      if (last?.life === life || wait) return false;
      this.#expire();
      this.rejoined.set(n, { at: this.now, life });
      this.#close();
      return true;
    }
    const named = this.#alive().some(({ adds }) => adds.includes(n));
    if (!named || height <= (this.ready.get(n) ?? -1)) return false;
    this.#expire();
    this.ready.set(n, height);
    this.#settle(this.open);
    return true;
  }
}

const person = fc.nat(6);
const mostly = fc.nat(4).map((n) => n > 0);
const people = fc.array(person, { maxLength: 3 });
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('propose' as const), by: person, adds: people, removes: people }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('vote' as const), by: fc.nat(4), back: fc.nat(1), approve: mostly }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('withdraw' as const), by: person, back: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('ready' as const), by: person, back: fc.nat(11), life: fc.nat(2) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      blocks: fc.integer({ min: 1, max: 4 }),
      seconds: fc.nat(40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rubbish' as const), data: fc.uint8Array({ maxLength: 80 }) }),
  },
);

it('a call is taken or refused as the model says, and leads where it says', () => {
  let closings = 0;
  let refusals = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { minLength: 5, maxLength: 60 }), (founders, steps) => {
      const contract = new Contract(founders);
      const model = new Model(founders, contract.timestamp);
      const call = (from: string, data: Bytes, taken: boolean) => {
        const epochBefore = contract.state.epoch;
        if (!taken) {
          contract.refusal(from, data);
          refusals++;
          return;
        }
        contract.send(from, data);
        const closed = contract.state.epoch > epochBefore;
        if (closed) closings++;
        expect(contract.closed?.epoch).toBe(closed ? epochBefore + 1 : undefined);
      };
      for (const s of steps) {
        if (s.kind === 'pass') {
          contract.pass(s);
          model.number = contract.number;
          model.now = contract.timestamp;
        } else if (s.kind === 'propose') {
          const wish = { additions: s.adds.map((n) => candidate(n)), removals: s.removes.map(validator) };
          call(operator(s.by), proposeData(wish), model.propose(s.by, s.adds, s.removes));
        } else if (s.kind === 'vote') {
          const id = model.nextId - 1 - s.back;
          if (id < 0) continue;
          call(operator(s.by), encodeCall(FUNCTIONS.vote, { id, approve: s.approve }), model.vote(s.by, id, s.approve));
        } else if (s.kind === 'withdraw') {
          const id = model.nextId - 1 - s.back;
          if (id < 0) continue;
          call(operator(s.by), encodeCall(FUNCTIONS.withdraw, { id }), model.withdraw(s.by, id));
        } else if (s.kind === 'ready') {
          const height = contract.number - s.back;
          if (height < 0) continue;
          // A candidate's READY names the life that has its number.
          const life = model.members.includes(s.by) ? s.by + 100 * s.life : s.by;
          const data = contract.readyData(s.by, { height, life });
          call(STRANGER, data, model.sayReady(s.by, height, life));
        } else expect(contract.try(STRANGER, s.data).ok).toBe(false);
        expect(contract.state.epoch).toBe(model.epoch);
        expect(contract.members).toEqual(model.members.map(validator));
        expect(contract.state.open.map(({ id }) => id)).toEqual(model.open.map(({ id }) => id));
        expect(contract.state.readiness.map(({ height }) => height)).toHaveLength(model.ready.size);
        expect(decodeState(encodeState(contract.state))).toEqual(contract.state);
      }
    }),
    { numRuns: 400 },
  );
  expect(closings).toBeGreaterThan(100);
  expect(refusals).toBeGreaterThan(100);
});
