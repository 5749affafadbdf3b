/**
 * The messages of XPaxos as this chain speaks them (paper section 4, consensus.md sections 2 to 5). One discriminated
 * union; `kind` is the paper's word. Signed messages carry who signed (index in the epoch's validator list), the
 * signer's incarnation and the signature; the chain, genesis and membership they bind are known from context and are
 * part of the signed bytes only (statement.ts).
 */
import type { Bytes, Epoch, Hash, Height, View } from '../primitives/ids.ts';

/** Hash of what opened a view (consensus.md section 1); the empty string in view 0. */
export type ViewCertificate = Hash | '';

/** Who signed, in which life of its log, and the 65-byte signature. */
export type Seal = { readonly signer: number; readonly incarnation: string; readonly signature: Bytes };

export type VoteType = 'PREPARE' | 'COMMIT' | 'COMMITTED';

/** A signed statement about one block in one view. */
export type Vote = Seal & {
  readonly kind: VoteType;
  readonly epoch: Epoch;
  readonly view: View;
  readonly viewCertificate: ViewCertificate;
  readonly height: Height;
  readonly hash: Hash;
};

/**
 * All t+1 actives of one view about one block, in group order (primary first). As `QC` the primary's seal is a PREPARE
 * and the others' COMMITs; as `FP`, a finality proof, they are COMMITTEDs, but for the follower of a group of two,
 * whose COMMIT counts as its COMMITTED.
 */
export type Certificate = {
  readonly kind: 'QC' | 'FP';
  readonly epoch: Epoch;
  readonly view: View;
  readonly viewCertificate: ViewCertificate;
  readonly height: Height;
  readonly hash: Hash;
  readonly seals: readonly Seal[];
};

/**
 * Whom the signer has suspected in a generation of the epoch, in ascending order. Of one signer and generation each row
 * holds the one before it. Only inside other messages.
 */
export type Row = Seal & {
  readonly kind: 'ROW';
  readonly epoch: Epoch;
  readonly generation: number;
  readonly members: readonly number[];
};

/**
 * Ends `view` and leads to `target`. The rows justify every view that is skipped in between; the signer's own, with the
 * accused in it, is always among them.
 */
export type Suspect = Seal & {
  readonly kind: 'SUSPECT';
  readonly epoch: Epoch;
  readonly view: View;
  readonly target: View;
  readonly accused: readonly number[];
  readonly rows: readonly Row[];
};

/** What a replica brings into `view`. A missing head is the head that opened the epoch. */
export type ViewChange = Seal & {
  readonly kind: 'VIEW-CHANGE';
  readonly epoch: Epoch;
  readonly view: View;
  readonly lastSigned: { readonly prepare: Vote; readonly commit: Vote | undefined } | undefined;
  readonly head: Certificate | undefined;
  readonly final: Certificate | undefined;
};

/** The VIEW-CHANGEs an active of `view` gathered. */
export type VcFinal = Seal & {
  readonly kind: 'VC-FINAL';
  readonly epoch: Epoch;
  readonly view: View;
  readonly viewChanges: readonly ViewChange[];
};

/** The head a new primary adopts, with the digests of the t+1 VC-FINALs it used, in group order, and its PREPARE. */
export type NewView = Seal & {
  readonly kind: 'NEW-VIEW';
  readonly epoch: Epoch;
  readonly view: View;
  readonly head: Certificate | undefined;
  readonly digests: readonly Hash[];
  readonly prepare: Vote;
};

/** A block and the primary's PREPARE for it. */
export type Proposal = { readonly kind: 'PROPOSAL'; readonly prepare: Vote; readonly block: Bytes };

/** SUSPECTs that lead from one view to a higher one, in order: each counts in the view the one before leads to. */
export type Chain = { readonly kind: 'CHAIN'; readonly suspects: readonly Suspect[] };

/**
 * Sign of life. `tick` is the sender's clock; `echo` the receiver's last tick plus the time it was held, so that the
 * receiver can measure the round trip. `row`: the sender's of the generation that `view` belongs to, if it suspects anybody.
 */
export type Heartbeat = {
  readonly kind: 'HEARTBEAT';
  readonly epoch: Epoch;
  readonly view: View;
  readonly final: Height;
  readonly head: Height;
  readonly tick: number;
  readonly echo: number;
  readonly row: Row | undefined;
};

/** Asks for final blocks from a height on. */
export type FetchFinal = { readonly kind: 'FETCH-FINAL'; readonly nonce: number; readonly from: Height };
/** Asks for blocks by hash link, from `hash` at `height` down to `floor`. */
export type FetchBodies = {
  readonly kind: 'FETCH-BODIES';
  readonly nonce: number;
  readonly hash: Hash;
  readonly height: Height;
  readonly floor: Height;
};
/** Blocks in ascending order, each with its finality proof where the sender holds one. */
export type Blocks = {
  readonly kind: 'BLOCKS';
  readonly nonce: number;
  readonly blocks: readonly { readonly block: Bytes; readonly proof: Certificate | undefined }[];
};

/** Lazy replication: a final block with its proof. */
export type Final = { readonly kind: 'FINAL'; readonly block: Bytes; readonly proof: Certificate };
/**
 * Opens the next epoch (VR Revisited section 7; consensus.md section 7): the block that closed `proof.epoch`, with its
 * proof. To new validators until enough have started, and the answer to whoever still speaks in that epoch.
 */
export type StartEpoch = { readonly kind: 'START-EPOCH'; readonly block: Bytes; readonly proof: Certificate };
/** The sender is a validator of this epoch and has started it. */
export type EpochStarted = { readonly kind: 'EPOCH-STARTED'; readonly epoch: Epoch };
/** A finality proof for a block the receiver already has. */
export type Finality = { readonly kind: 'FINALITY'; readonly proof: Certificate };

/** Start-up question: does anyone hold a signature of mine above these marks? (consensus.md section 7) */
export type Ask = { readonly kind: 'ASK'; readonly epoch: Epoch; readonly nonce: number };
/** Everything newest the answerer holds that the asker's key signed in this epoch. */
export type Answer = { readonly kind: 'ANSWER'; readonly nonce: number; readonly held: readonly SignedMessage[] };

export type SignedMessage = Vote | Suspect | ViewChange | VcFinal | NewView;

/** On the wire and on the chain a kind is its place in this list: new ones go to the end. */
export const EVIDENCE_KINDS = [
  'equivocation',
  'double-commit',
  'fork',
  'prepare-log-loss',
  'commit-log-loss',
  'bad-new-view',
  'two-faced',
  'bad-message',
  'bad-block',
] as const;

export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];

/**
 * Messages signed by one validator that no correct one would ever sign, so put together that anybody with the epoch's
 * configuration can judge them (consensus.md section 6).
 */
export type Evidence = {
  readonly kind: EvidenceKind;
  readonly epoch: Epoch;
  /** Index in the epoch's validator list. */
  readonly culprit: number;
  /** In the order in which the judge of this kind wants them (evidence-judge.ts). */
  readonly messages: readonly SignedMessage[];
  /** Headers that link what was signed, from the upper block down. */
  readonly headers: readonly Bytes[];
  /** The block that does not follow from its parent. */
  readonly block: Bytes | undefined;
};

/** One proof of a kind is enough for each culprit. */
export function convictionKey({ culprit, kind }: Pick<Evidence, 'culprit' | 'kind'>): string {
  return `${culprit}/${kind}`;
}

/** A proven fault, for everybody to judge and keep (consensus.md section 6). */
export type EvidenceMessage = { readonly kind: 'EVIDENCE'; readonly evidence: Evidence };

export type Message =
  | SignedMessage
  | Proposal
  | Chain
  | Heartbeat
  | FetchFinal
  | FetchBodies
  | Blocks
  | Final
  | StartEpoch
  | EpochStarted
  | Finality
  | Ask
  | Answer
  | EvidenceMessage;

/** The epoch a message speaks in; undefined for those that may be of any. */
export function epochOf(message: Message): Epoch | undefined {
  switch (message.kind) {
    case 'PROPOSAL':
      return message.prepare.epoch;
    case 'CHAIN':
      return message.suspects[0]?.epoch;
    case 'FINAL':
    case 'FINALITY':
    case 'START-EPOCH':
      return message.proof.epoch;
    case 'EVIDENCE':
      return message.evidence.epoch;
    case 'FETCH-FINAL':
    case 'FETCH-BODIES':
    case 'BLOCKS':
    case 'ANSWER':
      return undefined;
    default:
      return message.epoch;
  }
}

/** `(view, height)` order within an epoch; the head that opens an epoch is (-1, root height). */
export function compareOrder(
  a: { readonly view: View; readonly height: Height },
  b: { readonly view: View; readonly height: Height },
): number {
  return a.view !== b.view ? a.view - b.view : a.height - b.height;
}
