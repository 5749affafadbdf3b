/**
 * The governance contract (consensus.md section 7): calldata in, the next state with logs and return data out, or a revert
 * with a sentence. A pure function of state, call and block, so that every node comes to the same; it never throws for what
 * a sender wrote.
 */
import { EMPTY } from '../../primitives/bytes.ts';
import type { Address, Bytes } from '../../primitives/ids.ts';
import type { Log } from '../receipt.ts';
import {
  decodeArguments,
  encodeResult,
  FUNCTIONS,
  type FunctionName,
  functionOf,
  isView,
  type TransactionName,
  type ViewName,
} from './abi.ts';
import { AbiError, type Fields } from './abi-types.ts';
import { expireProposals, type Step } from './closing.ts';
import { reportEvidence } from './evidence.ts';
import { type CallContext, propose, ready, vote, withdraw } from './methods.ts';
import type { GovernanceState } from './state.ts';
import { epochAt, membersAt, proposalAt, proposalsAt, type ReadAt, readinessAt } from './views.ts';

export type GovernanceCall = { readonly from: Address; readonly value: bigint; readonly data: Bytes };

export type GovernanceResult =
  | { readonly ok: true; readonly state: GovernanceState; readonly logs: readonly Log[]; readonly data: Bytes }
  | { readonly ok: false; readonly message: string };

/** Gas a call costs above its intrinsic gas, whatever it does or however it fails. */
export const GOVERNANCE_GAS: { readonly [K in FunctionName | 'unknown']: number } = {
  propose: 250_000,
  vote: 100_000,
  withdraw: 60_000,
  ready: 120_000,
  reportEvidence: 3_000_000,
  epoch: 5000,
  validators: 20_000,
  nextValidators: 20_000,
  policy: 5000,
  proposal: 20_000,
  proposals: 100_000,
  readiness: 10_000,
  multiaddr: 10_000,
  unknown: 5000,
};

export function governanceGas(data: Bytes): number {
  return GOVERNANCE_GAS[functionOf(data) ?? 'unknown'];
}

function refuse(message: string): GovernanceResult {
  return { ok: false, message };
}

/** Where a call is answered: views read at one block, the others take place in the same or the next one. */
export type CallAt = { readonly view: ReadAt; readonly transaction: CallContext };

/** Executes a call as of a block. In a transaction both are the block it is in. */
export function callGovernance(state: GovernanceState, call: GovernanceCall, at: CallAt): GovernanceResult {
  const name = functionOf(call.data);
  if (call.value !== 0n) return refuse('the governance contract takes no coins; send the call without value');
  if (name === undefined) {
    return refuse('the governance contract has no such function; its ABI is in docs/governance.sol');
  }
  try {
    return isView(name) ? view(state, name, call.data, at.view) : transact(state, name, call, at.transaction);
  } catch (error) {
    if (error instanceof AbiError) {
      return refuse(`the arguments of ${name} cannot be decoded (${error.message}); encode them with its ABI`);
    }
    throw error;
  }
}

function transact(
  state: GovernanceState,
  name: TransactionName,
  call: GovernanceCall,
  context: CallContext,
): GovernanceResult {
  if (state.epoch > 0 && state.rootHeight === context.number) {
    return refuse(
      `epoch ${state.epoch - 1} was closed by an earlier transaction of this block; send the call again, it then counts in epoch ${state.epoch}`,
    );
  }
  const done = perform(expireProposals(state, context), name, call, context);
  if (typeof done === 'string') return refuse(done);
  return {
    ok: true,
    state: { ...done.state, revision: state.revision + 1 },
    logs: done.logs,
    data: done.data ?? EMPTY,
  };
}

function perform(
  step: Step,
  name: TransactionName,
  { from, data }: GovernanceCall,
  context: CallContext,
): (Step & { readonly data?: Bytes }) | string {
  switch (name) {
    case 'propose': {
      const done = propose(step, decodeArguments(FUNCTIONS.propose, data), from, context);
      return typeof done === 'string' ? done : { ...done, data: encodeResult(FUNCTIONS.propose, { id: done.id }) };
    }
    case 'vote':
      return vote(step, decodeArguments(FUNCTIONS.vote, data), from, context);
    case 'withdraw':
      return withdraw(step, decodeArguments(FUNCTIONS.withdraw, data), from, context);
    case 'ready':
      return ready(step, decodeArguments(FUNCTIONS.ready, data), context);
    case 'reportEvidence':
      return reportEvidence(step, decodeArguments(FUNCTIONS.reportEvidence, data), from, context);
  }
}

function view(state: GovernanceState, name: ViewName, data: Bytes, at: ReadAt): GovernanceResult {
  const result = read(state, name, data, at);
  return typeof result === 'string' ? refuse(result) : { ok: true, state, logs: [], data: result };
}

/** Return data, or a refusal. Arguments are decoded also where there are none, so that rubbish behind is refused. */
function read(state: GovernanceState, name: ViewName, data: Bytes, at: ReadAt): Bytes | string {
  decodeArguments<Fields, Fields>(FUNCTIONS[name], data);
  switch (name) {
    case 'epoch':
      return encodeResult(FUNCTIONS.epoch, { epoch: epochAt(state, at) });
    case 'validators':
      return encodeResult(FUNCTIONS.validators, { validators: membersAt(state, at) });
    case 'nextValidators':
      return encodeResult(FUNCTIONS.nextValidators, { validators: state.members });
    case 'policy':
      return encodeResult(FUNCTIONS.policy, { policy: state.policy });
    case 'proposals':
      return encodeResult(FUNCTIONS.proposals, proposalsAt(state, at));
    case 'proposal': {
      const { id } = decodeArguments(FUNCTIONS.proposal, data);
      const found = proposalAt(state, id, at);
      if (found === undefined) return `there is no proposal ${id}, or it ended long ago; proposals() lists them`;
      return encodeResult(FUNCTIONS.proposal, { proposal: found });
    }
    case 'readiness': {
      const { validator } = decodeArguments(FUNCTIONS.readiness, data);
      return encodeResult(FUNCTIONS.readiness, readinessAt(state, validator, at));
    }
    case 'multiaddr': {
      const { validator } = decodeArguments(FUNCTIONS.multiaddr, data);
      const hint = state.multiaddrs.find((known) => known.validator === validator);
      return encodeResult(FUNCTIONS.multiaddr, { multiaddr: hint?.multiaddr ?? '' });
    }
  }
}
