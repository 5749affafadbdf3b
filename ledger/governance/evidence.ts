/**
 * Evidence on the chain (consensus.md section 6): reported by an operator, judged again by every node, recorded once, and
 * where the policy says so the culprit leaves with the block. The contract knows validators; what evidence is, the judge
 * does, which the node brings along: a pure function of the bytes and of epochs that the state and its chain name.
 */
import { hexBytes } from '../../primitives/bytes.ts';
import type { Address } from '../../primitives/ids.ts';
import { EVENTS, encodeEvent } from './abi.ts';
import { closeForEvidence, type Step } from './closing.ts';
import type { JudgedEpoch } from './judge.ts';
import { type CallContext, seatsOf } from './methods.ts';
import type { GovernanceState, Reported } from './state.ts';

/** Room for the VC-FINALs of thirteen validators and more; a judge must not take longer than a block may. */
export const REPORT_BYTES_MAX = 96 * 1024;

/** The present epoch and the one before, as far as the state knows its root: those whose evidence counts. */
function epochsOf(state: GovernanceState, hashAt: CallContext['hashAt']): JudgedEpoch[] {
  const { epoch, members, rootHeight, previousMembers, previousRoot } = state;
  const hash = hashAt(rootHeight);
  const present = hash === undefined ? [] : [{ epoch, members, root: { height: rootHeight, hash } }];
  if (previousRoot === undefined) return present;
  return [...present, { epoch: epoch - 1, members: previousMembers, root: previousRoot }];
}

export function reportEvidence(
  { state, logs }: Step,
  { evidence }: { readonly evidence: string },
  from: Address,
  context: CallContext,
): Step | string {
  const seats = seatsOf(state, from);
  if (typeof seats === 'string') return seats;
  const bytes = hexBytes(evidence);
  if (bytes.length > REPORT_BYTES_MAX)
    return `the evidence has ${bytes.length} bytes and at most ${REPORT_BYTES_MAX} are judged here; vote the validator out`;
  const { chainId, genesisHash, judgeEvidence } = context;
  const judged = judgeEvidence?.(bytes, { chainId, genesisHash, epochs: epochsOf(state, context.hashAt) });
  if (judged === undefined) return 'evidence is not judged here';
  if (!judged.ok) return `the evidence proves nothing here: ${judged.reason}`;
  const { culprit, epoch, kind, view } = judged;
  const known = state.reported.find((other) => other.epoch === epoch && other.culprit === culprit);
  const bit = 2 ** kind;
  if (known !== undefined && Math.floor(known.kinds / bit) % 2 === 1)
    return `this fault of ${culprit} in epoch ${epoch} is recorded already`;
  const record: Reported = { epoch, culprit, kinds: (known?.kinds ?? 0) + bit };
  const next = { ...state, reported: [...state.reported.filter((other) => other !== known), record] };
  const closed = closeForEvidence(next, culprit, context);
  const told = encodeEvent(EVENTS.EvidenceRecorded, {
    validator: culprit,
    epoch,
    kind,
    viewNumber: view,
    removed: closed !== undefined,
  });
  return closed === undefined
    ? { state: next, logs: [...logs, told] }
    : { state: closed.state, logs: [...logs, told, ...closed.logs] };
}
