/** Proposals and validators as people read them. */
import type { EpochView } from '../../node/epoch-view.ts';
import type { CandidateView, ProposalView } from '../../node/governance-proposals.ts';
import type { NodeStatus } from '../../node/rpc/backend.ts';
import { pairs, table } from '../output.ts';

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '');
}

function changeLines({ change }: ProposalView): [string, string][] {
  const { add, remove, replace, policy } = change;
  return [
    ...add.map(({ validator, multiaddr }): [string, string] => ['adds', `${validator}  ${multiaddr}`]),
    ...remove.map((validator): [string, string] => ['removes', validator]),
    ...replace.map(({ validator, by }): [string, string] => [
      'replaces',
      `${validator} by ${by.validator}  ${by.multiaddr}`,
    ]),
    ...(policy === null ? [] : [['policy', policyText(policy)] satisfies [string, string]]),
  ];
}

function policyText(policy: object): string {
  return Object.entries(policy)
    .map(([field, value]) => `${field}=${String(value)}`)
    .join(' ');
}

function candidateText({ validator, reachable, ready, readyAt, behind }: CandidateView): string {
  const seen = reachable ? '' : ', not reachable from this node';
  if (ready && readyAt === null) return `${validator} is a validator already${seen}`;
  const blocks = behind === null ? '' : `, ${behind} block${behind === 1 ? '' : 's'} behind when last heard of`;
  const said = readyAt === null ? 'has not said that it is ready' : `${ready ? 'is' : 'was'} ready at block ${readyAt}`;
  return `${validator} ${said}${blocks}${seen}`;
}

/** An open proposal at length. */
export function proposalText(proposal: ProposalView): string {
  const { id, expiresAt, proposer, votes, after, candidates, missing } = proposal;
  const voters = (vote: 'approve' | 'reject' | null): string =>
    votes
      .filter((cast) => cast.vote === vote)
      .map(({ validator }) => validator)
      .join(' ');
  const lines: [string, string][] = [
    ['made by', proposer],
    ...changeLines(proposal),
    ['leads to', after === null ? '' : `${after.validators.length} validators, of which ${after.mustBeUp} must be up`],
    ['approve', voters('approve')],
    ['reject', voters('reject')],
    ['not voted', voters(null)],
    ...candidates.map((candidate): [string, string] => ['candidate', candidateText(candidate)]),
    ...missing.map((sentence): [string, string] => ['waits', sentence]),
  ];
  const shown = lines.filter(([, text]) => text !== '');
  return `proposal ${id}, open until ${timeText(expiresAt)}\n${indent(pairs(shown))}`;
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}

function summary({ change }: ProposalView): string {
  const { add, remove, replace, policy } = change;
  const parts = [
    ...add.map(({ validator }) => `+${validator}`),
    ...remove.map((validator) => `-${validator}`),
    ...replace.map(({ validator, by }) => `${validator}→${by.validator}`),
    ...(policy === null ? [] : ['policy']),
  ];
  return parts.join(' ');
}

export function proposalsText(proposals: readonly ProposalView[]): string {
  const open = proposals.filter(({ status }) => status === 'open');
  const ended = proposals.filter(({ status }) => status !== 'open');
  const past = ended.map((proposal) => {
    const { id, status, endedAt, approvals, rejections, votes } = proposal;
    const tally = `${approvals} for, ${rejections} against, of ${votes.length}`;
    return [String(id), status, endedAt === null ? '' : timeText(endedAt), tally, summary(proposal)];
  });
  return [
    ...(open.length === 0 ? ['no proposal is open'] : open.map(proposalText)),
    ...(past.length === 0 ? [] : [table(['#', 'ended', 'at', 'votes', 'change'], past)]),
  ].join('\n\n');
}

/** The present validators with what one node sees of them. */
export function validatorsText(epoch: EpochView, status: NodeStatus): string {
  const rows = epoch.validators.map(({ address, operator, multiaddr }, index) => {
    const seen = status.validators.find((known) => known.address === address);
    const state = seen === undefined ? '?' : seen.reachable ? 'reachable' : 'UNREACHABLE';
    return [String(index), address, operator, state, multiaddr ?? ''];
  });
  const n = epoch.validators.length;
  return [
    `epoch ${epoch.epoch} since block ${epoch.firstBlock}: ${n} validator${n === 1 ? '' : 's'}, of which ${n - epoch.t} must be up`,
    '',
    table(['#', 'validator', 'operator', 'condition', 'found at'], rows),
  ].join('\n');
}
