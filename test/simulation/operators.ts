/**
 * Simulated operators: they propose changes of the validator set, vote for and against, and withdraw, each through some
 * machine, on what that machine's final state says, which may be old. An operator has one transaction under way at a time
 * and hands it in again until it is final. Proposals lean towards what closes many epochs: most are voted for.
 */
import { encodeCall, FUNCTIONS, UNCHANGED_POLICY } from '../../ledger/governance/abi.ts';
import type { Candidate, Change, GovernanceState, OpenProposal } from '../../ledger/governance/state.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import type { SubmitResult } from './clients.ts';
import { WALL_START_MS } from './clock.ts';
import type { EpochOptions } from './epoch-options.ts';
import { IDENTITIES } from './keys.ts';
import type { Rng } from './rng.ts';
import type { Timeline } from './timeline.ts';
import { governanceCall } from './transactions.ts';

export type OperatorHooks = {
  readonly options: EpochOptions;
  readonly timeline: Timeline;
  readonly rng: Rng;
  readonly machines: number;
  readonly retryMs: number;
  /** Machines that stay members once they are: beside liars the healthy ones may not become too few. */
  readonly kept: ReadonlySet<number>;
  /** What a machine says; undefined when it does not answer. */
  readonly governance: (machine: number) => GovernanceState | undefined;
  readonly isRunning: (machine: number) => boolean;
  readonly submit: (machine: number, raw: Bytes) => SubmitResult | undefined;
  readonly note: (text: string) => void;
};

type Pending = { readonly nonce: number; readonly raw: Bytes; since: number };

const NUMBER_OF = new Map<Address, number>(IDENTITIES.map(({ validator }, machine) => [validator, machine]));

function candidate(machine: number): Candidate {
  const { validator, nodeKey, operator } = IDENTITIES[machine]!;
  return { validator, nodeKey, operator, multiaddr: '' };
}

function addressOf(machine: number): Address {
  return IDENTITIES[machine]!.validator;
}

/** Machine numbers of the present members. */
function seated({ members }: GovernanceState): number[] {
  return members.map(({ validator }) => NUMBER_OF.get(validator)!);
}

export type SetChange = Partial<Change>;

/** Calldata of a proposal. */
export function proposeCall(change: SetChange): Bytes {
  const { additions = [], removals = [], replacements = [], policy = UNCHANGED_POLICY } = change;
  return encodeCall(FUNCTIONS.propose, { additions, removals, replacements, policy });
}

/** A change in machine numbers. */
export function setChange(change: {
  readonly add?: readonly number[];
  readonly remove?: readonly number[];
  readonly replace?: readonly (readonly [machine: number, by: number])[];
}): SetChange {
  const { add = [], remove = [], replace = [] } = change;
  return {
    additions: add.map(candidate),
    removals: remove.map(addressOf),
    replacements: replace.map(([machine, by]) => ({ validator: addressOf(machine), by: candidate(by) })),
  };
}

export class Operators {
  readonly #hooks: OperatorHooks;
  readonly #pending = new Map<number, Pending>();
  /** Transactions of each operator that are final. */
  readonly #nonces: number[];
  /** What an operator thinks of a proposal, by operator and id. */
  readonly #opinions = new Map<string, boolean | undefined>();
  #servers: readonly number[];
  #stopped = false;
  #agreed = false;
  submitted = 0;

  constructor(hooks: OperatorHooks) {
    this.#hooks = hooks;
    this.#nonces = new Array<number>(hooks.machines).fill(0);
    this.#servers = Array.from({ length: hooks.machines }, (_, machine) => machine);
  }

  start(): void {
    const { options, timeline, rng, machines, retryMs } = this.#hooks;
    const every = (meanMs: number, act: () => void): void => {
      timeline.after(rng.exponential(meanMs), () => {
        if (this.#stopped) return;
        act();
        every(meanMs, act);
      });
    };
    every(options.proposeMs, () => this.#propose());
    every(options.voteMs / machines, () => this.#look(rng.int(machines)));
    const retry = (): void => {
      this.#retry();
      timeline.after(retryMs / 2, retry);
    };
    timeline.after(retryMs, retry);
  }

  /** The state some machine is in. */
  #ask(): GovernanceState | undefined {
    return this.#hooks.governance(this.#hooks.rng.pick(this.#servers));
  }

  /** The contract ends what is past its time when it is next called with success; until then it stays in the list. */
  #openIn({ open }: GovernanceState): OpenProposal[] {
    const seconds = (WALL_START_MS + this.#hooks.timeline.now) / 1000;
    return open.filter(({ expiresAt }) => expiresAt > seconds);
  }

  #propose(): void {
    const { rng } = this.#hooks;
    const state = this.#ask();
    if (state === undefined) return;
    const free = seated(state).filter((machine) => !this.#pending.has(machine));
    if (free.length === 0) return;
    const operator = rng.pick(free);
    const { change, text } = this.#drawChange(state);
    this.#hooks.note(`operator ${operator} proposes ${text}`);
    this.call(operator, proposeCall(change));
  }

  #drawChange(state: GovernanceState): { readonly change: SetChange; readonly text: string } {
    const { rng, options, machines, kept, isRunning } = this.#hooks;
    const { sizeMin, sizeMax } = options;
    const present = seated(state);
    const n = present.length;
    const outside = Array.from({ length: machines }, (_, machine) => machine).filter((m) => !present.includes(m));
    const free = rng.shuffle(outside);
    const removable = rng.shuffle(present.filter((machine) => !kept.has(machine)));
    // Who is down goes first, as it does in life.
    if (rng.chance(0.5)) removable.sort((a, b) => Number(isRunning(a)) - Number(isRunning(b)));
    const kind = rng.pick(['resize', 'resize', 'resize', 'replace', 'replace', 'mixed', 'swap', 'policy']);
    const count = 1 + rng.int(2);
    const changed = (change: Parameters<typeof setChange>[0], text: string) => ({ change: setChange(change), text });
    if (kind === 'resize') {
      const size = sizeMin + rng.int(sizeMax - sizeMin + 1);
      const add = free.slice(0, Math.max(0, size - n));
      const remove = removable.slice(0, Math.max(0, n - size));
      if (add.length + remove.length > 0) return changed({ add, remove }, `+${add} -${remove}`);
    }
    if (kind === 'mixed') {
      const add = free.slice(0, Math.min(count, sizeMax - n + 1));
      const remove = removable.slice(0, Math.min(1 + rng.int(2), n + add.length - sizeMin));
      if (add.length + remove.length > 0 && n + add.length - remove.length <= sizeMax)
        return changed({ add, remove }, `+${add} -${remove}`);
    }
    if (kind === 'replace' || kind === 'swap') {
      const most = Math.min(free.length, removable.length, kind === 'swap' ? n : count);
      const replace = removable.slice(0, most).map((machine, place): [number, number] => [machine, free[place]!]);
      if (most > 0) return changed({ replace }, replace.map(([machine, by]) => `${by} for ${machine}`).join(', '));
    }
    const rules = { quorumBasisPoints: rng.pick([5000, 6000]), readyLag: rng.pick([2, 10, 1024]) };
    const timing = rules.quorumBasisPoints === 6000 ? options.timing : undefined;
    const text = timing === undefined ? 'another policy' : 'another policy with longer times';
    return { change: { policy: { ...options.policy, ...rules, ...timing } }, text };
  }

  /** Votes on what is open, as it thinks of it. */
  #look(operator: number): void {
    const { rng } = this.#hooks;
    const state = this.#ask();
    if (state === undefined || this.#pending.has(operator) || !seated(state).includes(operator)) return;
    for (const proposal of this.#openIn(state)) {
      if (proposal.proposer === IDENTITIES[operator]!.operator) {
        if (!this.#agreed && rng.chance(0.03)) {
          this.call(operator, encodeCall(FUNCTIONS.withdraw, { id: proposal.id }));
          return;
        }
        continue;
      }
      const approve = this.#opinion(operator, proposal);
      const voted = approve ? proposal.approvals : proposal.rejections;
      if (approve === undefined || voted.includes(addressOf(operator))) continue;
      this.call(operator, encodeCall(FUNCTIONS.vote, { id: proposal.id, approve }));
      return;
    }
  }

  /** For, against, or none of its business; now and then it changes its mind. */
  #opinion(operator: number, { id }: OpenProposal): boolean | undefined {
    const { rng, options } = this.#hooks;
    const key = `${operator}/${id}`;
    if (!this.#opinions.has(key) || (!this.#agreed && rng.chance(0.02))) {
      const against = rng.chance(0.5) ? false : undefined;
      this.#opinions.set(key, rng.chance(options.approveChance) ? true : against);
    }
    return this.#opinions.get(key);
  }

  /** Sends a call in an operator's name, unless it has one under way. */
  call(operator: number, data: Bytes): void {
    if (this.#pending.has(operator)) return;
    const nonce = this.#nonces[operator]!;
    const raw = governanceCall(IDENTITIES[operator]!.operatorSecret, nonce, data);
    this.#pending.set(operator, { nonce, raw, since: this.#hooks.timeline.now });
    this.submitted++;
    this.#hooks.submit(this.#hooks.rng.pick(this.#servers), raw);
  }

  #retry(): void {
    const { timeline, retryMs, rng, submit } = this.#hooks;
    for (const pending of this.#pending.values()) {
      if (timeline.now - pending.since < retryMs) continue;
      pending.since = timeline.now;
      submit(rng.pick(this.#servers), pending.raw);
    }
  }

  /** A final block holds an operator's transaction. */
  onFinal(sender: Address, nonce: number): void {
    const operator = IDENTITIES.findIndex((identity) => identity.operator === sender);
    if (operator < 0) return;
    this.#nonces[operator] = nonce + 1;
    this.#pending.delete(operator);
  }

  /** Nothing new: only what is still under way is handed in again, to these. */
  drain(servers: readonly number[]): void {
    this.#stopped = true;
    this.#servers = servers;
  }

  /** From now on there is always something open, and everybody is for it. */
  agree(): void {
    const { timeline, machines, options } = this.#hooks;
    this.#stopped = false;
    this.#agreed = true;
    const act = (): void => {
      if (this.#stopped) return;
      const state = this.#ask();
      const open = state === undefined ? [] : this.#openIn(state);
      if (open.length === 0 && this.#pending.size === 0) this.#propose();
      for (let operator = 0; operator < machines; operator++) {
        for (const { id } of open) this.#opinions.set(`${operator}/${id}`, true);
        this.#look(operator);
      }
      timeline.after(Math.min(options.voteMs, 1000), act);
    };
    act();
  }

  get open(): number {
    return this.#pending.size;
  }
}
