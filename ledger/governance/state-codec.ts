/**
 * The governance state as bytes: one RLP list, the fields in the order of `GovernanceState`. One state has one encoding,
 * because its hash is in the state root: numbers are minimal, booleans 0 or 1, an unchanged policy the empty list.
 */
import { toHex, utf8 } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';
import type { Validator } from '../../primitives/membership.ts';
import type { Policy } from '../../primitives/policy.ts';
import {
  RlpError,
  type RlpInput,
  type RlpItem,
  rlpBytes,
  rlpDecode,
  rlpEncode,
  rlpList,
  rlpNumber,
} from '../../primitives/rlp.ts';
import type {
  Break,
  Candidate,
  Change,
  EndedProposal,
  GovernanceState,
  Life,
  OpenProposal,
  Outcome,
  Readiness,
  Replacement,
} from './state.ts';

/** Their places are what is written. */
const OUTCOMES: readonly Outcome[] = ['passed', 'withdrawn', 'expired', 'lapsed'];

// --- encoding

const validatorFields = (v: Validator): RlpInput => [v.validator, v.nodeKey, v.operator];
const candidateFields = (c: Candidate): RlpInput => [c.validator, c.nodeKey, c.operator, utf8(c.multiaddr)];
const policyFields = (p: Policy): RlpInput => [
  p.quorumBasisPoints,
  p.expirySeconds,
  p.evidenceRemoves ? 1 : 0,
  p.leastValidators,
  p.readyLag,
  p.rejoinIntervalSeconds,
  p.deltaMs,
  p.suspicionTimeoutMs,
  p.suspicionTimeoutMaxMs,
];

function changeFields({ additions, removals, replacements, policy }: Change): RlpInput {
  return [
    additions.map(candidateFields),
    removals,
    replacements.map(({ validator, by }) => [validator, candidateFields(by)]),
    policy === undefined ? [] : policyFields(policy),
  ];
}

/** Length of its encoding. */
export function changeBytes(change: Change): number {
  return rlpEncode(changeFields(change)).length;
}

const proposalFields = (p: OpenProposal): readonly RlpInput[] => [
  p.id,
  p.proposer,
  p.epoch,
  changeFields(p.change),
  p.createdAt,
  p.expiresAt,
  p.approvals,
  p.rejections,
];

/** Absent where there is nothing to say, as in block 0. */
function evidenceFields({ previousRoot, reported }: GovernanceState): readonly RlpInput[] {
  if (previousRoot === undefined && reported.length === 0) return [];
  const root = previousRoot === undefined ? [] : [previousRoot.height, previousRoot.hash];
  return [[root, reported.map(({ epoch, culprit, kinds }) => [epoch, culprit, kinds])]];
}

export function encodeState(state: GovernanceState): Bytes {
  return rlpEncode([
    state.revision,
    state.epoch,
    state.rootHeight,
    state.members.map(validatorFields),
    state.previousMembers.map(validatorFields),
    state.incarnations.map(({ validator, incarnation }) => [validator, incarnation]),
    state.lives.map(({ validator, incarnation, rejoinedAt }) => [validator, incarnation, rejoinedAt]),
    state.multiaddrs.map(({ validator, multiaddr }) => [validator, utf8(multiaddr)]),
    policyFields(state.policy),
    state.nextId,
    state.open.map(proposalFields),
    state.ended.map((p) => [...proposalFields(p), OUTCOMES.indexOf(p.outcome), p.endedAt]),
    state.readiness.map((r) => [r.validator, r.height, r.hash, r.incarnation]),
    state.breaks.map((b) => [b.epoch, b.height, b.digest]),
    ...evidenceFields(state),
  ]);
}

// --- decoding

type Item = RlpItem | undefined;

/** Multiaddrs are ASCII: anything else would have two encodings. */
function text(item: Item): string {
  const bytes = rlpBytes(item, 'text');
  if (bytes.some((byte) => byte > 0x7f)) throw new RlpError('text: not ASCII');
  return Buffer.from(bytes).toString('latin1');
}

const address = (item: Item): string => toHex(rlpBytes(item, 'address', 20));
const incarnationOf = (item: Item): string => toHex(rlpBytes(item, 'incarnation', 16));

function listOf<T>(item: Item, what: string, read: (item: RlpItem) => T): T[] {
  return rlpList(item, what).map(read);
}

function readValidator(item: Item): Validator {
  const [validator, nodeKey, operator] = rlpList(item, 'validator', 3);
  return {
    validator: address(validator),
    nodeKey: toHex(rlpBytes(nodeKey, 'node key', 33)),
    operator: address(operator),
  };
}

function readCandidate(item: Item): Candidate {
  const fields = rlpList(item, 'candidate', 4);
  return { ...readValidator(fields.slice(0, 3)), multiaddr: text(fields[3]) };
}

function readPolicy(item: Item): Policy {
  const [quorum, expiry, evidence, least, lag, interval, delta, start, cap] = rlpList(item, 'policy', 9);
  const removes = rlpNumber(evidence, 'evidenceRemoves');
  if (removes > 1) throw new RlpError('evidenceRemoves: not 0 or 1');
  return {
    quorumBasisPoints: rlpNumber(quorum, 'quorumBasisPoints'),
    expirySeconds: rlpNumber(expiry, 'expirySeconds'),
    evidenceRemoves: removes === 1,
    leastValidators: rlpNumber(least, 'leastValidators'),
    readyLag: rlpNumber(lag, 'readyLag'),
    rejoinIntervalSeconds: rlpNumber(interval, 'rejoinIntervalSeconds'),
    deltaMs: rlpNumber(delta, 'deltaMs'),
    suspicionTimeoutMs: rlpNumber(start, 'suspicionTimeoutMs'),
    suspicionTimeoutMaxMs: rlpNumber(cap, 'suspicionTimeoutMaxMs'),
  };
}

function readReplacement(item: RlpItem): Replacement {
  const [validator, by] = rlpList(item, 'replacement', 2);
  return { validator: address(validator), by: readCandidate(by) };
}

function readChange(item: Item): Change {
  const [additions, removals, replacements, policy] = rlpList(item, 'change', 4);
  return {
    additions: listOf(additions, 'additions', readCandidate),
    removals: listOf(removals, 'removals', address),
    replacements: listOf(replacements, 'replacements', readReplacement),
    policy: rlpList(policy, 'policy').length === 0 ? undefined : readPolicy(policy),
  };
}

function readProposal(fields: readonly RlpItem[]): OpenProposal {
  const [id, proposer, epoch, change, createdAt, expiresAt, approvals, rejections] = fields;
  return {
    id: rlpNumber(id, 'id'),
    proposer: address(proposer),
    epoch: rlpNumber(epoch, 'epoch'),
    change: readChange(change),
    createdAt: rlpNumber(createdAt, 'createdAt'),
    expiresAt: rlpNumber(expiresAt, 'expiresAt'),
    approvals: listOf(approvals, 'approvals', address),
    rejections: listOf(rejections, 'rejections', address),
  };
}

function readEnded(item: RlpItem): EndedProposal {
  const fields = rlpList(item, 'ended proposal', 10);
  const outcome = OUTCOMES[rlpNumber(fields[8], 'outcome')];
  if (outcome === undefined) throw new RlpError('outcome: unknown');
  return { ...readProposal(fields), outcome, endedAt: rlpNumber(fields[9], 'endedAt') };
}

function readLife(item: RlpItem): Life {
  const [validator, incarnation, rejoinedAt] = rlpList(item, 'life', 3);
  return {
    validator: address(validator),
    incarnation: incarnationOf(incarnation),
    rejoinedAt: rlpNumber(rejoinedAt, 'rejoinedAt'),
  };
}

function readReadiness(item: RlpItem): Readiness {
  const [validator, height, hash, incarnation] = rlpList(item, 'readiness', 4);
  return {
    validator: address(validator),
    height: rlpNumber(height, 'height'),
    hash: toHex(rlpBytes(hash, 'hash', 32)),
    incarnation: incarnationOf(incarnation),
  };
}

function readBreak(item: Item): Break {
  const [epoch, height, digest] = rlpList(item, 'break', 3);
  return {
    epoch: rlpNumber(epoch, 'epoch'),
    height: rlpNumber(height, 'height'),
    digest: toHex(rlpBytes(digest, 'digest', 32)),
  };
}

function readEvidence(item: Item): Pick<GovernanceState, 'previousRoot' | 'reported'> {
  if (item === undefined) return { previousRoot: undefined, reported: [] };
  const [first, second] = rlpList(item, 'evidence', 2);
  const root = rlpList(first, 'previous root');
  const reported = listOf(second, 'reported', (entry) => {
    const [epoch, culprit, kinds] = rlpList(entry, 'reported', 3);
    return { epoch: rlpNumber(epoch, 'epoch'), culprit: address(culprit), kinds: rlpNumber(kinds, 'kinds') };
  });
  if (root.length === 0 && reported.length === 0) throw new RlpError('evidence: nothing in it');
  if (root.length === 0) return { previousRoot: undefined, reported };
  const [height, hash] = rlpList(first, 'previous root', 2);
  const previousRoot = { height: rlpNumber(height, 'height'), hash: toHex(rlpBytes(hash, 'hash', 32)) };
  return { previousRoot, reported };
}

/** Throws RlpError on anything that `encodeState` does not write. */
export function decodeState(bytes: Bytes): GovernanceState {
  const f = rlpList(rlpDecode(bytes), 'governance');
  if (f.length !== 14 && f.length !== 15) throw new RlpError('governance: wrong number of fields');
  return {
    revision: rlpNumber(f[0], 'revision'),
    epoch: rlpNumber(f[1], 'epoch'),
    rootHeight: rlpNumber(f[2], 'rootHeight'),
    members: listOf(f[3], 'members', readValidator),
    previousMembers: listOf(f[4], 'previousMembers', readValidator),
    incarnations: listOf(f[5], 'incarnations', (item) => {
      const [validator, incarnation] = rlpList(item, 'incarnation', 2);
      return { validator: address(validator), incarnation: incarnationOf(incarnation) };
    }),
    lives: listOf(f[6], 'lives', readLife),
    multiaddrs: listOf(f[7], 'multiaddrs', (item) => {
      const [validator, multiaddr] = rlpList(item, 'multiaddr', 2);
      return { validator: address(validator), multiaddr: text(multiaddr) };
    }),
    policy: readPolicy(f[8]),
    nextId: rlpNumber(f[9], 'nextId'),
    open: listOf(f[10], 'open', (item) => readProposal(rlpList(item, 'proposal', 8))),
    ended: listOf(f[11], 'ended', readEnded),
    readiness: listOf(f[12], 'readiness', readReadiness),
    breaks: listOf(f[13], 'breaks', readBreak),
    ...readEvidence(f[14]),
  };
}
