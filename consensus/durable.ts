/**
 * What a replica must never forget, as log records and as the state they fold into (consensus.md section 10). The node
 * appends the records; after a restart it folds them again and makes the replica from the result, so that whatever was
 * signed before a crash binds the life after it. `snapshotRecords` is the same state as few records, for cutting the log.
 */
import type { Bytes, Epoch, Hash, Height, View } from '../primitives/ids.ts';
import {
  type Certificate,
  compareOrder,
  type NewView,
  type Row,
  type SignedMessage,
  type Suspect,
  type VcFinal,
  type ViewChange,
  type Vote,
} from './message.ts';
import { generationOf } from './suspicion-graph.ts';

export type DurableRecord =
  /**
   * First record of an epoch, with this validator's index in it, -1 when it only follows; and, since a crash may part it
   * from what was written with it, whether the key forgot what it signed (`forgot` below).
   */
  | {
      readonly kind: 'epoch';
      readonly epoch: Epoch;
      readonly self: number;
      readonly forgot: boolean;
      readonly rolledBack: boolean;
    }
  | { readonly kind: 'block'; readonly hash: Hash; readonly height: Height; readonly bytes: Bytes }
  /** A vote of this replica's own, or the PREPARE it voted for. */
  | { readonly kind: 'vote'; readonly vote: Vote }
  | { readonly kind: 'certificate'; readonly certificate: Certificate }
  /** The view entered: SUSPECTs that lead there from the view before, and the VIEW-CHANGE that will be sent. */
  | {
      readonly kind: 'view';
      readonly view: View;
      readonly suspects: readonly Suspect[];
      readonly viewChange: ViewChange | undefined;
    }
  | { readonly kind: 'suspect'; readonly suspect: Suspect }
  /** A row of this replica's own. */
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'vc-final'; readonly vcFinal: VcFinal }
  | { readonly kind: 'new-view'; readonly newView: NewView }
  /** In a snapshot only: the greatest position this key ever signed a type at. */
  | { readonly kind: 'mark'; readonly type: SignedMessage['kind']; readonly view: View; readonly height: Height }
  /** The incarnation under which a peer's key is known in this epoch. */
  | { readonly kind: 'pin'; readonly signer: number; readonly incarnation: string }
  /**
   * What this key signed in this epoch is not in this log, so it signs nothing more in it. `rolledBack`: a peer showed a
   * signature that the log should know of, so the log is an old copy, and worth nothing in later epochs either.
   */
  | { readonly kind: 'forgot'; readonly rolledBack: boolean };

/** Votes and certificate of one height in the current view. */
export type DurableEntry = {
  readonly prepare?: Vote | undefined;
  readonly commit?: Vote | undefined;
  readonly committed?: Vote | undefined;
  readonly certificate?: Certificate | undefined;
};

export type Durable = {
  epoch: Epoch;
  /** This validator's index in the epoch, -1 for none. */
  self: number;
  view: View;
  /** Accepted SUSPECTs from view 0 on: each led from the target of the one before to its own. */
  chain: Suspect[];
  /** This replica's own SUSPECT of the current view, made but perhaps not yet acted on. */
  suspect: Suspect | undefined;
  /** This replica's newest row of each generation that is not over. */
  rows: readonly Row[];
  viewChange: ViewChange | undefined;
  vcFinal: VcFinal | undefined;
  newView: NewView | undefined;
  /** Greatest PREPARE ever signed or voted for, with the own COMMIT if there is one. */
  lastSigned: { readonly prepare: Vote; readonly commit: Vote | undefined } | undefined;
  head: Certificate | undefined;
  final: Certificate | undefined;
  /** The sign guard: greatest position signed, per type. Height is 0 for types that have none. */
  marks: Map<SignedMessage['kind'], { readonly view: View; readonly height: Height }>;
  /** Per height above the view's base, in the current view only. */
  entries: Map<Height, DurableEntry>;
  /** Bodies logged, by hash. The host drops those that the ledger has as final: a proof alone does not save a body. */
  blocks: Map<Hash, { readonly height: Height; readonly bytes: Bytes }>;
  pins: Map<number, string>;
  /** This log is known to lack what its key signed; true until the epoch ends, whatever later starts hear. */
  forgot: boolean;
  /** It is an old copy: there may be a newer one, or another process that has it. */
  rolledBack: boolean;
};

export function emptyDurable(epoch: Epoch, self: number): Durable {
  return {
    epoch,
    self,
    view: 0,
    chain: [],
    suspect: undefined,
    rows: [],
    viewChange: undefined,
    vcFinal: undefined,
    newView: undefined,
    lastSigned: undefined,
    head: undefined,
    final: undefined,
    marks: new Map(),
    entries: new Map(),
    blocks: new Map(),
    pins: new Map(),
    forgot: false,
    rolledBack: false,
  };
}

/** Raises the mark of a type, never lowers it. */
function raiseMark(durable: Durable, type: SignedMessage['kind'], at: { view: View; height: Height }): void {
  const mark = durable.marks.get(type);
  if (mark === undefined || compareOrder(at, mark) > 0) durable.marks.set(type, { view: at.view, height: at.height });
}

/** The current view's votes: every PREPARE, and this replica's own COMMITs and COMMITTEDs. */
function foldEntry(durable: Durable, vote: Vote): void {
  const entry = durable.entries.get(vote.height) ?? {};
  if (vote.kind === 'PREPARE') durable.entries.set(vote.height, { ...entry, prepare: vote });
  else if (vote.signer !== durable.self) return;
  else if (vote.kind === 'COMMIT') durable.entries.set(vote.height, { ...entry, commit: vote });
  else durable.entries.set(vote.height, { ...entry, committed: vote });
}

function foldVote(durable: Durable, vote: Vote): void {
  if (vote.signer === durable.self) raiseMark(durable, vote.kind, vote);
  // A snapshot brings along the vote signed last, which may be of a view that was left.
  if (vote.view === durable.view) foldEntry(durable, vote);
  if (vote.kind === 'PREPARE') {
    const last = durable.lastSigned;
    if (last === undefined || compareOrder(vote, last.prepare) > 0) {
      durable.lastSigned = { prepare: vote, commit: undefined };
    }
    return;
  }
  if (vote.signer !== durable.self || vote.kind === 'COMMITTED') return;
  const last = durable.lastSigned;
  if (last !== undefined && compareOrder(vote, last.prepare) === 0) {
    durable.lastSigned = { prepare: last.prepare, commit: vote };
  }
}

/** The greater of two certificates by `(view, height)`; the newer one on a tie. */
export function greaterCertificate(a: Certificate | undefined, b: Certificate | undefined): Certificate | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return compareOrder(b, a) >= 0 ? b : a;
}

/** The proof of the greater height; of the higher view when the heights are equal. */
export function laterProof(a: Certificate | undefined, b: Certificate): Certificate {
  if (a === undefined || b.height > a.height) return b;
  return b.height === a.height && b.view > a.view ? b : a;
}

function foldCertificate(durable: Durable, certificate: Certificate): void {
  durable.head = greaterCertificate(durable.head, certificate);
  if (certificate.kind === 'FP') {
    durable.final = laterProof(durable.final, certificate);
    for (const height of durable.entries.keys()) {
      if (height < certificate.height) durable.entries.delete(height);
    }
  }
  if (certificate.view === durable.view && certificate.kind === 'QC') {
    const entry = durable.entries.get(certificate.height) ?? {};
    durable.entries.set(certificate.height, { ...entry, certificate });
  }
}

/** Applies one record. */
export function foldRecord(durable: Durable, record: DurableRecord): void {
  switch (record.kind) {
    case 'epoch':
      Object.assign(durable, emptyDurable(record.epoch, record.self));
      durable.forgot = record.forgot;
      durable.rolledBack = record.rolledBack;
      return;
    case 'block':
      durable.blocks.set(record.hash, { height: record.height, bytes: record.bytes });
      return;
    case 'vote':
      foldVote(durable, record.vote);
      return;
    case 'certificate':
      foldCertificate(durable, record.certificate);
      return;
    case 'view':
      durable.view = record.view;
      durable.chain.push(...record.suspects);
      durable.viewChange = record.viewChange;
      durable.suspect = undefined;
      durable.rows = durable.rows.filter(({ generation }) => generation >= generationOf(record.view));
      durable.vcFinal = undefined;
      durable.newView = undefined;
      durable.entries = new Map();
      if (record.viewChange) raiseMark(durable, 'VIEW-CHANGE', { view: record.view, height: 0 });
      return;
    case 'suspect':
      durable.suspect = record.suspect;
      raiseMark(durable, 'SUSPECT', { view: record.suspect.view, height: 0 });
      return;
    case 'row':
      durable.rows = [...durable.rows.filter(({ generation }) => generation !== record.row.generation), record.row];
      return;
    case 'vc-final':
      durable.vcFinal = record.vcFinal;
      raiseMark(durable, 'VC-FINAL', { view: record.vcFinal.view, height: 0 });
      return;
    case 'new-view':
      durable.newView = record.newView;
      if (record.newView.signer === durable.self)
        raiseMark(durable, 'NEW-VIEW', { view: record.newView.view, height: 0 });
      // It contains the PREPARE, whose own record the end of the log may have lost.
      foldVote(durable, record.newView.prepare);
      return;
    case 'mark':
      raiseMark(durable, record.type, record);
      return;
    case 'pin':
      durable.pins.set(record.signer, record.incarnation);
      return;
    case 'forgot':
      durable.forgot = true;
      durable.rolledBack ||= record.rolledBack;
      return;
  }
}

/**
 * Takes in what the ledger has as final: bodies up to there are forgotten, its proof is not. A proof is written without a
 * sync of its own, so a power cut may take it from the log and leave the block in the store: votes of an older view, for a
 * block that was never final, would then look as if they contradicted what is.
 */
export function foldStored(durable: Durable, stored: { height: Height; proof: Certificate | undefined }): void {
  const { height, proof } = stored;
  for (const [hash, block] of durable.blocks) if (block.height <= height) durable.blocks.delete(hash);
  if (proof?.epoch === durable.epoch) foldRecord(durable, { kind: 'certificate', certificate: proof });
}

/** The same state in as few records as possible, in an order that folds back to it. */
export function snapshotRecords(durable: Durable): DurableRecord[] {
  const { epoch, self, forgot, rolledBack } = durable;
  const records: DurableRecord[] = [{ kind: 'epoch', epoch, self, forgot, rolledBack }];
  for (const [signer, incarnation] of durable.pins) records.push({ kind: 'pin', signer, incarnation });
  records.push({ kind: 'view', view: durable.view, suspects: durable.chain, viewChange: durable.viewChange });
  for (const [type, mark] of durable.marks) records.push({ kind: 'mark', type, ...mark });
  if (durable.suspect) records.push({ kind: 'suspect', suspect: durable.suspect });
  for (const row of durable.rows) records.push({ kind: 'row', row });
  if (durable.vcFinal) records.push({ kind: 'vc-final', vcFinal: durable.vcFinal });
  if (durable.newView) records.push({ kind: 'new-view', newView: durable.newView });
  for (const [hash, block] of durable.blocks) records.push({ kind: 'block', hash, ...block });
  const last = durable.lastSigned;
  const votes = [...durable.entries.values()].flatMap((entry) => [entry.prepare, entry.commit, entry.committed]);
  for (const vote of [last?.prepare, last?.commit, ...votes]) {
    if (vote !== undefined) records.push({ kind: 'vote', vote });
  }
  for (const entry of durable.entries.values()) {
    if (entry.certificate) records.push({ kind: 'certificate', certificate: entry.certificate });
  }
  for (const certificate of [durable.head, durable.final]) {
    if (certificate) records.push({ kind: 'certificate', certificate });
  }
  return records;
}
