/** Changes of the validator set: what a proposal would make of it, and what is wrong with the proposal. */
import { hexBytes } from '../../primitives/bytes.ts';
import { type Address, GOVERNANCE_ADDRESS, ZERO_ADDRESS } from '../../primitives/ids.ts';
import { VALIDATORS_MAX, type Validator } from '../../primitives/membership.ts';
import { policyProblems } from '../../primitives/policy.ts';
import { publicKeyAddress } from '../../primitives/secp256k1.ts';
import { type Candidate, type Change, GOVERNANCE_LIMITS, type GovernanceState } from './state.ts';
import { changeBytes } from './state-codec.ts';

/** Replacements keep their place, removals close up, additions go to the end. */
export function membersAfter(members: readonly Validator[], change: Change): Validator[] {
  const { additions, removals, replacements } = change;
  const kept = members
    .filter(({ validator }) => !removals.includes(validator))
    .map((member) => replacements.find(({ validator }) => validator === member.validator)?.by ?? member);
  return [...kept, ...additions].map(({ validator, nodeKey, operator }) => ({ validator, nodeKey, operator }));
}

/** Everybody a change names as a member to be. */
export function candidatesOf(change: Change): Candidate[] {
  return [...change.additions, ...change.replacements.map(({ by }) => by)];
}

/** What forbids a change, one sentence each that says what to do; empty: it may be proposed. */
export function changeProblems(state: GovernanceState, change: Change): string[] {
  const { additions, removals, replacements, policy } = change;
  const count = additions.length + removals.length + replacements.length;
  if (count === 0 && policy === undefined) {
    return ['the proposal changes nothing; name additions, removals, replacements or a policy'];
  }
  if (count > GOVERNANCE_LIMITS.changes) {
    return [`the proposal has ${count} changes; make it at most ${GOVERNANCE_LIMITS.changes}, and the rest another`];
  }
  if (changeBytes(change) > GOVERNANCE_LIMITS.changeBytes) {
    return [`the proposal takes over ${GOVERNANCE_LIMITS.changeBytes} bytes; make several of it`];
  }
  const policyFaults = policy === undefined ? [] : policyProblems(policy).map((problem) => `policy: ${problem}`);
  return [
    ...subjectProblems(state.members, change),
    ...candidatesOf(change).flatMap(candidateProblems),
    ...policyFaults,
    ...setProblems(membersAfter(state.members, change), (policy ?? state.policy).leastValidators),
  ];
}

/** Removals and replacements name members, each once. */
function subjectProblems(members: readonly Validator[], { removals, replacements }: Change): string[] {
  const problems: string[] = [];
  const named = new Set<Address>();
  const check = (validator: Address, what: string) => {
    if (named.has(validator)) problems.push(`${validator} is removed or replaced twice; name it once`);
    named.add(validator);
    if (members.some((member) => member.validator === validator)) return;
    problems.push(`${validator} cannot be ${what}: it is no validator of this epoch; validators() lists them`);
  };
  for (const validator of removals) check(validator, 'removed');
  for (const { validator } of replacements) check(validator, 'replaced');
  return problems;
}

/** Printable, and a path as all multiaddrs are; whether anybody answers there is judged before a vote, never here. */
const MULTIADDR = /^(\/[!-.0-~]+)+$/;

export function candidateProblems({ validator, nodeKey, operator, multiaddr }: Candidate): string[] {
  const problems: string[] = [];
  const refused = (problem: string) => problems.push(`candidate ${validator}: ${problem}`);
  const identity = publicKeyAddress(hexBytes(nodeKey));
  if (identity === undefined) refused('its node key is no compressed secp256k1 public key of 33 bytes');
  if (validator === operator) refused('its validator key is also its operator account; use three different keys');
  if (identity === validator) refused('its node key is also its validator key; use three different keys');
  if (identity === operator) refused('its node key is also its operator account; use three different keys');
  for (const [address, role] of [
    [validator, 'validator'],
    [operator, 'operator'],
  ] as const) {
    if (address === ZERO_ADDRESS || address === GOVERNANCE_ADDRESS)
      refused(`nobody holds a key of its ${role} address`);
  }
  if (multiaddr.length > GOVERNANCE_LIMITS.multiaddrBytes || (multiaddr !== '' && !MULTIADDR.test(multiaddr))) {
    refused(
      `its address is no multiaddr of at most ${GOVERNANCE_LIMITS.multiaddrBytes} characters; /ip4/10.0.0.7/tcp/30300 is one`,
    );
  }
  return problems;
}

export function setProblems(members: readonly Validator[], leastValidators: number): string[] {
  if (members.length === 0) return ['no validator would be left; the chain needs at least one'];
  const problems: string[] = [];
  if (members.length < leastValidators) {
    problems.push(
      `${members.length} validators would be left and the policy asks for ${leastValidators}; remove fewer`,
    );
  }
  if (members.length > VALIDATORS_MAX) {
    problems.push(`${members.length} validators are too many; the most is ${VALIDATORS_MAX}`);
  }
  for (const [role, what] of [
    ['validator', 'validator key'],
    ['nodeKey', 'node key'],
  ] as const) {
    const seen = new Set<string>();
    for (const member of members) {
      if (seen.has(member[role]))
        problems.push(`the ${what} ${member[role]} would be there twice; every member has its own`);
      seen.add(member[role]);
    }
  }
  return problems;
}
