/**
 * What a change of the validator set would mean, in words for the operators who decide on it: what an open proposal still
 * waits for, and what is unwise about a change. What the contract refuses is not told here. Who is in touch and how far
 * behind is what one node sees now; another may see something else.
 */
import { candidatesOf, membersAfter } from '../ledger/governance/change.ts';
import { approvalsRequired, type NewSet, newSet } from '../ledger/governance/standing.ts';
import type { Change, GovernanceState, OpenProposal } from '../ledger/governance/state.ts';
import type { Address, Height } from '../primitives/ids.ts';
import { faultsTolerated, type Validator } from '../primitives/membership.ts';

/** How one node sees another. `final`: its newest final block, as far as it told. */
export type Sight = { readonly reachable: boolean; readonly final: Height | undefined };

export type OutlookInput = {
  readonly state: GovernanceState;
  readonly change: Change;
  /** Newest final block. */
  readonly head: Height;
  readonly sight: (validator: Validator) => Sight;
};

/** Less is where every passive validator is. */
const BEHIND_WORTH_TELLING = 64;

function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}

/** `a`, `a and b`, `a, b and c`. */
function listed(items: readonly string[], word = 'and'): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${word} ${items.at(-1)}`;
}

/** n - t: with fewer the chain waits. */
function mustBeUp(validators: number): number {
  return validators - faultsTolerated(validators);
}

function verb(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}

/**
 * What an open proposal waits for, judged for the block after `head`; empty when nothing is missing. The candidates' READYs
 * come from their nodes, without anybody's doing, once these have caught up.
 */
export function missingOf(state: GovernanceState, proposal: OpenProposal, head: Height): string[] {
  const lacking = approvalsRequired(state) - proposal.approvals.length;
  const { starters, startersRequired, notReady } = newSet(state, proposal.change, head + 1);
  const unready = startersRequired - starters.length;
  const begins = `epoch ${state.epoch + 1}`;
  const missing: string[] = [];
  if (lacking > 0) {
    const approved = proposal.approvals.length;
    const more = unready > 0 ? `${verb(lacking, 'is', 'are')} needed` : `${verb(lacking, 'starts', 'start')} ${begins}`;
    const of = state.members.length;
    missing.push(`${approved} of ${of} ${verb(approved, 'has', 'have')} approved; ${lacking} more ${more}`);
  }
  if (unready > 0) {
    const some = `${unready === 1 ? 'one' : unready} of ${listed(notReady, 'or')}`;
    const whom = notReady.length === unready ? listed(notReady) : some;
    const then = lacking > 0 ? '' : `, then ${begins} starts`;
    missing.push(`it waits until ${whom} ${verb(unready, 'has', 'have')} caught up and said so on chain${then}`);
  }
  return missing;
}

/** What to know before voting for a change that the contract allows. */
export function changeWarnings(input: OutlookInput): string[] {
  const { state, change } = input;
  const after = membersAfter(state.members, change);
  return [...toleranceWarnings(input, after), ...sightWarnings(input, after), ...votingWarnings(state, change, after)];
}

function toleranceWarnings({ state }: OutlookInput, after: readonly Validator[]): string[] {
  const n = after.length;
  const t = faultsTolerated(n);
  const before = faultsTolerated(state.members.length);
  if (n === 1)
    return ['after this change no fault is tolerated: the chain stands still whenever its only validator is down'];
  if (t === 0) return [`after this change no fault is tolerated: all ${n} validators must be up`];
  if (t >= before) return [];
  return [
    `after this change ${mustBeUp(n)} of ${n} must be up: it tolerates ${count(t, 'fault')} instead of ${before}`,
  ];
}

type Seen = Validator & Sight & { readonly role: 'validator' | 'candidate'; readonly behind: number };

function isUp({ reachable, behind }: Seen): boolean {
  return reachable && behind <= BEHIND_WORTH_TELLING;
}

function sightWarnings({ state, change, head, sight }: OutlookInput, after: readonly Validator[]): string[] {
  const present = new Set(state.members.map(({ validator }) => validator));
  const see = (member: Validator): Seen => {
    const { reachable, final } = sight(member);
    const behind = final === undefined ? 0 : head - final;
    return { ...member, reachable, final, role: present.has(member.validator) ? 'validator' : 'candidate', behind };
  };
  const seen = after.map(see);
  return [
    ...presentQuorum(state.members.map(see)),
    ...seen.flatMap(conditionOf),
    ...candidatesOf(change).flatMap(({ validator, multiaddr }) =>
      multiaddr === '' ? [`candidate ${validator} names no address: the others cannot dial it, it must find them`] : [],
    ),
    ...newQuorum(seen),
    ...lateStarters(newSet(state, change, head + 1)),
  ];
}

function conditionOf({ role, validator, reachable, behind }: Seen): string[] {
  if (!reachable) return [`${role} ${validator} is not reachable now`];
  return behind > BEHIND_WORTH_TELLING ? [`${role} ${validator} is ${count(behind, 'block')} behind`] : [];
}

/** Who is up, when not one of them can be spared. */
function indispensable(seen: readonly Seen[]): string | undefined {
  const up = seen.filter(isUp);
  // Where no fault is tolerated at all, that is told already.
  if (up.length > mustBeUp(seen.length) || faultsTolerated(seen.length) === 0) return undefined;
  if (up.length > 3) return `one of the ${up.length} that are up`;
  const names = up.map(({ validator }) => validator);
  return listed(names, 'or');
}

/** The present set has to decide on the change and to close the epoch. */
function presentQuorum(seen: readonly Seen[]): string[] {
  const needed = mustBeUp(seen.length);
  const up = seen.filter(isUp).length;
  if (up < needed) {
    const found = `${needed} of ${seen.length} validators must be up and ${up} ${verb(up, 'is', 'are')}`;
    return [`the chain stands still now: ${found}; nothing can be voted on before that`];
  }
  const whom = indispensable(seen);
  return whom === undefined ? [] : [`if ${whom} fails before the change is made, the chain waits for it`];
}

function newQuorum(seen: readonly Seen[]): string[] {
  const needed = mustBeUp(seen.length);
  const up = seen.filter(isUp).length;
  const rule = `after this change ${needed} of ${seen.length} must be up`;
  if (up < needed) return [`this change could stop the chain: ${rule}, and only ${up} ${verb(up, 'is', 'are')} now`];
  const whom = indispensable(seen);
  return whom === undefined ? [] : [`${rule}; if ${whom} fails during the change, the chain waits for it`];
}

/** The epoch begins as soon as enough are ready. */
function lateStarters({ starters, startersRequired, notReady }: NewSet): string[] {
  if (starters.length < startersRequired || notReady.length === 0) return [];
  const until = verb(notReady.length, 'it has caught up, it counts', 'they have caught up, they count');
  return [`the new epoch does not wait for ${listed(notReady)}: until ${until} as down`];
}

function votingWarnings(state: GovernanceState, change: Change, after: readonly Validator[]): string[] {
  const n = after.length;
  if (n === 1) return [];
  const now = approvalsRequired(state);
  const then = approvalsRequired({ ...state, members: after, policy: change.policy ?? state.policy });
  const warnings: string[] = [];
  if (then === n && now < state.members.length) {
    warnings.push(
      `after this change all ${n} validators must approve the next one: a single one that is lost blocks it`,
    );
  }
  for (const [operator, seats] of seatsByOperator(after)) {
    const before = seatsByOperator(state.members).get(operator) ?? 0;
    if (seats >= then && before < now) {
      warnings.push(
        `operator ${operator} would cast ${seats} of ${n} votes, which is enough to change the validators alone`,
      );
    }
  }
  return warnings;
}

function seatsByOperator(members: readonly Validator[]): ReadonlyMap<Address, number> {
  const seats = new Map<Address, number>();
  for (const { operator } of members) seats.set(operator, (seats.get(operator) ?? 0) + 1);
  return seats;
}

/** What a call that succeeded brings about: an epoch, or a proposal that waits. */
export function consequenceOf(before: GovernanceState, after: GovernanceState, id: number, head: Height): string {
  if (after.epoch > before.epoch) {
    const validators = listed(after.members.map(({ validator }) => validator));
    const lapsed = before.open.filter((open) => open.id !== id).map((open) => String(open.id));
    const others = verb(lapsed.length, `proposal ${lapsed[0]} lapses`, `proposals ${listed(lapsed)} lapse`);
    const begins = `proposal ${id} passes: epoch ${after.epoch} begins after the block of this transaction`;
    return `${begins}, with ${verb(after.members.length, 'validator', 'validators')} ${validators}${lapsed.length > 0 ? `; ${others} with it` : ''}`;
  }
  const proposal = after.open.find((open) => open.id === id);
  if (proposal === undefined) return `proposal ${id} is withdrawn`;
  return `proposal ${id}: ${missingOf(after, proposal, head).join('; ')}`;
}
