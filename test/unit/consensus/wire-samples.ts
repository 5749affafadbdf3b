/**
 * One message or record of every kind, signed with fixed keys: what docs/wire.md shows and the fuzzers start from.
 * Three validators (t = 1), private keys 1, 2 and 3; view 1 of epoch 2, opened after the block at height 7.
 */
import type { EpochConfig } from '../../../consensus/config.ts';
import type { DurableRecord } from '../../../consensus/durable.ts';
import type {
  Certificate,
  Evidence,
  Message,
  NewView,
  Row,
  Seal,
  Suspect,
  VcFinal,
  ViewChange,
  Vote,
} from '../../../consensus/message.ts';
import { type Statement, statementDigest, vcFinalDigest, viewCertificate } from '../../../consensus/statement.ts';
import { toHex, utf8 } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { keccak256, keccakHash } from '../../../primitives/keccak.ts';
import { rlpEncode } from '../../../primitives/rlp.ts';
import { privateKeyAddress, sign } from '../../../primitives/secp256k1.ts';

const KEYS: readonly Bytes[] = [1, 2, 3].map((last) =>
  Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? last : 0)),
);
const INCARNATIONS = KEYS.map((_, index) => toHex(keccak256(utf8(`incarnation ${index}`)).subarray(0, 16)));

export const SAMPLE_CONFIG: EpochConfig = {
  chainId: 4242,
  genesisHash: keccakHash(utf8('genesis')),
  epoch: 2,
  validators: KEYS.map(privateKeyAddress),
  membershipHash: keccakHash(utf8('membership')),
  root: { height: 7, hash: keccakHash(utf8('block 7')) },
  parameters: {
    deltaMs: 250,
    suspicionTimeoutMs: 1000,
    suspicionTimeoutMaxMs: 30_000,
    pipelineWindow: 4,
    emptyBlockPeriodMs: 0,
  },
};

function seal<S extends Statement>(signer: number, content: Omit<S, keyof Seal>): S & Seal {
  const unsigned = { ...content, signer, incarnation: INCARNATIONS[signer]! } as unknown as S;
  return { ...unsigned, signature: sign(statementDigest(SAMPLE_CONFIG, unsigned), KEYS[signer]!) } as S & Seal;
}

const SAMPLE_BLOCK = Uint8Array.from(rlpEncode([[utf8('not a real header'), 8], []]));
const OLD = { epoch: 2, view: 0, viewCertificate: '', height: 8, hash: keccakHash(SAMPLE_BLOCK) } as const;

function vote(kind: Vote['kind'], signer: number, at: Omit<Vote, keyof Seal | 'kind'>): Vote {
  return seal<Vote>(signer, { kind, ...at });
}

const { epoch } = SAMPLE_CONFIG;
const oldPrepare = vote('PREPARE', 0, OLD);
const oldCommit = vote('COMMIT', 1, OLD);
const oldQc: Certificate = { kind: 'QC', ...OLD, seals: [oldPrepare, oldCommit].map(sealOf) };

function sealOf({ signer, incarnation, signature }: Seal): Seal {
  return { signer, incarnation, signature };
}

const row = seal<Row>(0, { kind: 'ROW', epoch, generation: 0, members: [1] });
const suspect = seal<Suspect>(0, { kind: 'SUSPECT', epoch, view: 0, target: 1, accused: [1], rows: [row] });

function viewChange(signer: number, known: Pick<ViewChange, 'lastSigned' | 'head'>): ViewChange {
  return seal<ViewChange>(signer, { kind: 'VIEW-CHANGE', epoch, view: 1, ...known, final: undefined });
}

function vcFinal(signer: number, viewChanges: readonly ViewChange[]): VcFinal {
  return seal<VcFinal>(signer, { kind: 'VC-FINAL', epoch, view: 1, viewChanges });
}

const fromPrimary = viewChange(0, { lastSigned: { prepare: oldPrepare, commit: undefined }, head: oldQc });
const fromFollower = viewChange(1, { lastSigned: { prepare: oldPrepare, commit: oldCommit }, head: oldQc });
const fromPassive = viewChange(2, { lastSigned: undefined, head: undefined });
const vcFinals = [vcFinal(2, [fromFollower, fromPassive]), vcFinal(0, [fromPrimary, fromFollower])];
const digests = vcFinals.map((message) => vcFinalDigest(SAMPLE_CONFIG, message));
const NOW = { ...OLD, view: 1, viewCertificate: viewCertificate({ view: 1, head: oldQc, digests }) };

const prepare = vote('PREPARE', 2, NOW);
const commit = vote('COMMIT', 0, NOW);
const committed = vote('COMMITTED', 2, NOW);
const newView = seal<NewView>(2, { kind: 'NEW-VIEW', epoch, view: 1, head: oldQc, digests, prepare });
const qc: Certificate = { kind: 'QC', ...NOW, seals: [prepare, commit].map(sealOf) };
const proof: Certificate = { kind: 'FP', ...NOW, seals: [committed, commit].map(sealOf) };

/** The follower of view 0 committed a second block at height 8. */
const SAMPLE_EVIDENCE: Evidence = {
  kind: 'double-commit',
  epoch,
  culprit: 1,
  messages: [oldCommit, vote('COMMIT', 1, { ...OLD, hash: keccakHash(utf8('another block 8')) })],
  headers: [],
  block: undefined,
};

/** By kind. Every signed message and every seal in them has a valid signature. */
export const SAMPLE_MESSAGES: { readonly [K in Message['kind']]: Message & { kind: K } } = {
  PREPARE: prepare as Vote & { kind: 'PREPARE' },
  COMMIT: commit as Vote & { kind: 'COMMIT' },
  COMMITTED: committed as Vote & { kind: 'COMMITTED' },
  SUSPECT: suspect,
  'VIEW-CHANGE': fromFollower,
  'VC-FINAL': vcFinals[0]!,
  'NEW-VIEW': newView,
  PROPOSAL: { kind: 'PROPOSAL', prepare, block: SAMPLE_BLOCK },
  CHAIN: { kind: 'CHAIN', suspects: [suspect] },
  HEARTBEAT: {
    kind: 'HEARTBEAT',
    epoch,
    view: 1,
    final: 7,
    head: 8,
    tick: 123_456,
    echo: 120_000,
    row,
  },
  'FETCH-FINAL': { kind: 'FETCH-FINAL', nonce: 1, from: 8 },
  'FETCH-BODIES': { kind: 'FETCH-BODIES', nonce: 2, hash: NOW.hash, height: 8, floor: 7 },
  BLOCKS: {
    kind: 'BLOCKS',
    nonce: 1,
    blocks: [
      { block: Uint8Array.from(rlpEncode([[utf8('another header'), 7], []])), proof: undefined },
      { block: SAMPLE_BLOCK, proof },
    ],
  },
  FINAL: { kind: 'FINAL', block: SAMPLE_BLOCK, proof },
  'START-EPOCH': { kind: 'START-EPOCH', block: SAMPLE_BLOCK, proof },
  'EPOCH-STARTED': { kind: 'EPOCH-STARTED', epoch },
  FINALITY: { kind: 'FINALITY', proof },
  ASK: { kind: 'ASK', epoch, nonce: 3 },
  ANSWER: { kind: 'ANSWER', nonce: 3, held: [committed, suspect] },
  EVIDENCE: { kind: 'EVIDENCE', evidence: SAMPLE_EVIDENCE },
};

export const SAMPLE_CERTIFICATES: { readonly [K in Certificate['kind']]: Certificate } = { QC: qc, FP: proof };

/** By kind. */
export const SAMPLE_RECORDS: { readonly [K in DurableRecord['kind']]: DurableRecord & { kind: K } } = {
  epoch: { kind: 'epoch', epoch, self: 2, forgot: true, rolledBack: false },
  block: { kind: 'block', hash: NOW.hash, height: 8, bytes: SAMPLE_BLOCK },
  vote: { kind: 'vote', vote: commit },
  certificate: { kind: 'certificate', certificate: qc },
  view: { kind: 'view', view: 1, suspects: [suspect], viewChange: fromPassive },
  suspect: { kind: 'suspect', suspect },
  row: { kind: 'row', row },
  'vc-final': { kind: 'vc-final', vcFinal: vcFinals[0]! },
  'new-view': { kind: 'new-view', newView },
  mark: { kind: 'mark', type: 'COMMIT', view: 1, height: 8 },
  pin: { kind: 'pin', signer: 2, incarnation: INCARNATIONS[2]! },
  forgot: { kind: 'forgot', rolledBack: true },
};
