/** xft_getProposals, and the dry runs behind what operators sign: these methods sign and send nothing. */
import { Problems } from '../../primitives/parse.ts';
import { type ChangeRequest, parseChange } from '../governance-change.ts';
import type { DryRun } from '../governance-desk.ts';
import type { ProposalView } from '../governance-proposals.ts';
import type { Extension } from './backend.ts';
import { EXECUTION_REVERTED, INVALID_PARAMS, RpcError } from './jsonrpc.ts';
import { args, invalid, parseAddress, parseBoolean, parseCount } from './params.ts';

export type GovernanceSource = {
  proposals(): readonly ProposalView[];
  propose(change: ChangeRequest, from: string | undefined): DryRun;
  vote(id: number, approve: boolean, from: string | undefined): DryRun;
  withdraw(id: number, from: string | undefined): DryRun;
};

function changeParam(value: unknown): ChangeRequest {
  const problems = new Problems();
  const change = parseChange(value, 'change', problems);
  if (problems.list.length > 0) throw new RpcError(INVALID_PARAMS, `invalid argument 0: ${problems.list.join('; ')}`);
  return change;
}

function operatorParam(value: unknown, what: string): string | undefined {
  return value === undefined || value === null ? undefined : parseAddress(value, what);
}

/** What the contract would refuse is refused here with its own words, under the code of a revert. */
function answer(dryRun: DryRun): unknown {
  if (!dryRun.ok) throw new RpcError(EXECUTION_REVERTED, dryRun.problem);
  const { ok: _, ...found } = dryRun;
  return found;
}

export function governanceMethods(source: GovernanceSource): Readonly<Record<string, Extension>> {
  return {
    xft_getProposals: (params) => {
      args(params, 0, 0);
      return source.proposals();
    },
    xft_proposeValidators: (params) => {
      const [change, from] = args(params, 1, 2);
      return answer(source.propose(changeParam(change), operatorParam(from, 'argument 1')));
    },
    xft_voteProposal: (params) => {
      const [id, approve, from] = args(params, 2, 3);
      if (approve === undefined) throw invalid('argument 1', 'expected true or false');
      const proposal = parseCount(id, 'argument 0');
      return answer(source.vote(proposal, parseBoolean(approve, 'argument 1'), operatorParam(from, 'argument 2')));
    },
    xft_withdrawProposal: (params) => {
      const [id, from] = args(params, 1, 2);
      return answer(source.withdraw(parseCount(id, 'argument 0'), operatorParam(from, 'argument 1')));
    },
  };
}
