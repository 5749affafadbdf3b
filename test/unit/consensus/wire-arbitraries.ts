/** Any well-formed message or record, for property tests: shapes and sizes only, the signatures are noise. */
import fc from 'fast-check';
import type { DurableRecord } from '../../../consensus/durable.ts';
import type {
  Certificate,
  Message,
  NewView,
  Row,
  SignedMessage,
  Suspect,
  VcFinal,
  ViewChange,
  Vote,
  VoteType,
} from '../../../consensus/message.ts';
import { EVIDENCE_KINDS, type Evidence } from '../../../consensus/message.ts';
import { toHex } from '../../../primitives/bytes.ts';

export const VALIDATORS = 7;

const number = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constantFrom(0, 127, 128, 2 ** 48, Number.MAX_SAFE_INTEGER));
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex);
const bytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });
const place = { epoch: number, view: number };
const seal = {
  signer: fc.nat(VALIDATORS - 1),
  incarnation: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toHex),
  signature: fc.uint8Array({ minLength: 65, maxLength: 65 }),
};
const about = { ...place, viewCertificate: fc.oneof(hash, fc.constant('')), height: number, hash };
const list = <T>(item: fc.Arbitrary<T>, max = VALIDATORS): fc.Arbitrary<T[]> => fc.array(item, { maxLength: max });
const maybe = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(item, { nil: undefined });

function vote(...kinds: VoteType[]): fc.Arbitrary<Vote> {
  return fc.record({ kind: fc.constantFrom(...kinds), ...about, ...seal });
}

function certificate(...kinds: Certificate['kind'][]): fc.Arbitrary<Certificate> {
  return fc.record({ kind: fc.constantFrom(...kinds), ...about, seals: list(fc.record(seal)) });
}

const anyVote = vote('PREPARE', 'COMMIT', 'COMMITTED');
const anyCertificate = certificate('QC', 'FP');
const row: fc.Arbitrary<Row> = fc.record({
  kind: fc.constant('ROW' as const),
  epoch: number,
  generation: number,
  members: list(fc.nat(VALIDATORS - 1)),
  ...seal,
});
const suspect: fc.Arbitrary<Suspect> = fc.record({
  kind: fc.constant('SUSPECT' as const),
  ...place,
  target: number,
  accused: list(fc.nat(VALIDATORS - 1)),
  rows: list(row),
  ...seal,
});
const viewChange: fc.Arbitrary<ViewChange> = fc.record({
  kind: fc.constant('VIEW-CHANGE' as const),
  ...place,
  lastSigned: maybe(fc.record({ prepare: vote('PREPARE'), commit: maybe(vote('COMMIT')) })),
  head: maybe(anyCertificate),
  final: maybe(anyCertificate),
  ...seal,
});
const vcFinal: fc.Arbitrary<VcFinal> = fc.record({
  kind: fc.constant('VC-FINAL' as const),
  ...place,
  viewChanges: list(viewChange, 3),
  ...seal,
});
const newView: fc.Arbitrary<NewView> = fc.record({
  kind: fc.constant('NEW-VIEW' as const),
  ...place,
  head: maybe(anyCertificate),
  digests: list(hash),
  prepare: vote('PREPARE'),
  ...seal,
});
const signed: fc.Arbitrary<SignedMessage> = fc.oneof(anyVote, suspect, viewChange, vcFinal, newView);
const proof = certificate('FP');
const block = bytes(300);

export const anyEvidence: fc.Arbitrary<Evidence> = fc.record({
  kind: fc.constantFrom(...EVIDENCE_KINDS),
  epoch: number,
  culprit: fc.nat(VALIDATORS - 1),
  messages: list(signed, 3),
  headers: list(bytes(80), 4),
  block: maybe(fc.uint8Array({ minLength: 1, maxLength: 300 })),
});

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  signed,
  fc.record({ kind: fc.constant('PROPOSAL' as const), prepare: vote('PREPARE'), block }),
  fc.record({ kind: fc.constant('CHAIN' as const), suspects: list(suspect, 4) }),
  fc.record({
    kind: fc.constant('HEARTBEAT' as const),
    ...place,
    final: number,
    head: number,
    tick: fc.nat({ max: 2 ** 31 - 1 }).map((n) => n * 2 ** 20),
    echo: number,
    row: maybe(row),
  }),
  fc.record({ kind: fc.constant('FETCH-FINAL' as const), nonce: number, from: number }),
  fc.record({ kind: fc.constant('FETCH-BODIES' as const), nonce: number, hash, height: number, floor: number }),
  fc.record({
    kind: fc.constant('BLOCKS' as const),
    nonce: number,
    blocks: list(fc.record({ block, proof: maybe(proof) }), 4),
  }),
  fc.record({ kind: fc.constant('FINAL' as const), block, proof }),
  fc.record({ kind: fc.constant('START-EPOCH' as const), block, proof }),
  fc.record({ kind: fc.constant('EPOCH-STARTED' as const), epoch: number }),
  fc.record({ kind: fc.constant('FINALITY' as const), proof }),
  fc.record({ kind: fc.constant('ASK' as const), epoch: number, nonce: number }),
  fc.record({ kind: fc.constant('ANSWER' as const), nonce: number, held: list(signed, 4) }),
  fc.record({ kind: fc.constant('EVIDENCE' as const), evidence: anyEvidence }),
);

export const anyRecord: fc.Arbitrary<DurableRecord> = fc.oneof(
  fc
    .record({ kind: fc.constant('epoch' as const), epoch: number, self: fc.integer({ min: -1, max: 99 }) })
    .chain((record) =>
      fc.constantFrom(
        { ...record, forgot: false, rolledBack: false },
        { ...record, forgot: true, rolledBack: false },
        { ...record, forgot: true, rolledBack: true },
      ),
    ),
  fc.record({ kind: fc.constant('block' as const), hash, height: number, bytes: block }),
  fc.record({ kind: fc.constant('vote' as const), vote: anyVote }),
  fc.record({ kind: fc.constant('certificate' as const), certificate: anyCertificate }),
  fc.record({
    kind: fc.constant('view' as const),
    view: number,
    suspects: list(suspect, 4),
    viewChange: maybe(viewChange),
  }),
  fc.record({ kind: fc.constant('suspect' as const), suspect }),
  fc.record({ kind: fc.constant('row' as const), row }),
  fc.record({ kind: fc.constant('vc-final' as const), vcFinal }),
  fc.record({ kind: fc.constant('new-view' as const), newView }),
  fc.record({
    kind: fc.constant('mark' as const),
    type: signed.map((message) => message.kind),
    view: number,
    height: number,
  }),
  fc.record({ kind: fc.constant('pin' as const), signer: fc.nat(99), incarnation: seal.incarnation }),
  fc.record({ kind: fc.constant('forgot' as const), rolledBack: fc.boolean() }),
);

export { anyCertificate };
