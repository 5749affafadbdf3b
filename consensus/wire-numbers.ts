/**
 * The one table of numbers that name kinds on the wire and in the log, and of how much one message may hold. A number
 * is never given a second meaning: one that goes out of use moves to `RETIRED_NUMBERS` and stays there.
 */
import type { DurableRecord } from './durable.ts';
import type { Certificate, Message, Row } from './message.ts';

/** First field of every message. */
export const MESSAGE_NUMBERS = {
  PREPARE: 1,
  COMMIT: 2,
  COMMITTED: 3,
  SUSPECT: 4,
  'VIEW-CHANGE': 5,
  'VC-FINAL': 6,
  'NEW-VIEW': 7,
  PROPOSAL: 8,
  CHAIN: 9,
  HEARTBEAT: 10,
  'FETCH-FINAL': 11,
  'FETCH-BODIES': 12,
  BLOCKS: 13,
  FINAL: 14,
  FINALITY: 15,
  ASK: 16,
  ANSWER: 17,
  'START-EPOCH': 18,
  'EPOCH-STARTED': 19,
  EVIDENCE: 20,
} as const satisfies Readonly<Record<Message['kind'], number>>;

/** First field of what is signed and only ever inside messages. */
export const NESTED_NUMBERS = { ROW: 25 } as const satisfies Readonly<Record<Row['kind'], number>>;

/** First field of every certificate; the same numbers are part of what VIEW-CHANGE and NEW-VIEW sign (statement.ts). */
export const CERTIFICATE_NUMBERS = { QC: 0, FP: 1 } as const satisfies Readonly<Record<Certificate['kind'], number>>;

/** First field of every log record. */
export const RECORD_NUMBERS = {
  epoch: 1,
  block: 2,
  vote: 3,
  certificate: 4,
  view: 5,
  suspect: 6,
  'vc-final': 7,
  'new-view': 8,
  pin: 9,
  mark: 10,
  forgot: 11,
  row: 12,
} as const satisfies Readonly<Record<DurableRecord['kind'], number>>;

/** Numbers that once meant something. */
export const RETIRED_NUMBERS: {
  readonly messages: readonly number[];
  readonly certificates: readonly number[];
  readonly records: readonly number[];
} = { messages: [], certificates: [], records: [] };

/** How much a decoder takes. Lists with at most one entry per validator are also held to the number of validators. */
export type WireBounds = {
  /** Indices of validators are below this. */
  readonly validators: number;
  readonly seals: number;
  readonly accused: number;
  /** Members of a row. */
  readonly suspected: number;
  readonly rows: number;
  readonly viewChanges: number;
  readonly digests: number;
  /** SUSPECTs in one CHAIN: a longer chain goes in several messages. */
  readonly suspects: number;
  readonly blocks: number;
  readonly blockBytes: number;
  /** Signed messages in one ANSWER. */
  readonly held: number;
  /** Signed messages and headers in one piece of evidence, and the size of a header. */
  readonly evidenceMessages: number;
  readonly evidenceHeaders: number;
  readonly headerBytes: number;
  /** Ticks of a peer's clock are below this: with the time one was held added, the echo is still a safe integer. */
  readonly tick: number;
};

/** Whoever makes messages stays within these; see docs/limits.md. */
export const WIRE_LIMITS: WireBounds = {
  validators: 100,
  seals: 100,
  accused: 100,
  suspected: 100,
  rows: 256,
  viewChanges: 100,
  digests: 100,
  suspects: 1024,
  blocks: 256,
  blockBytes: 8 * 1024 * 1024,
  held: 100,
  evidenceMessages: 3,
  evidenceHeaders: 128,
  headerBytes: 1024,
  tick: 2 ** 52,
};

/** Bounds of what a peer may send in an epoch of so many validators. */
export function wireBounds(validators: number): WireBounds {
  return {
    ...WIRE_LIMITS,
    validators,
    seals: Math.min(WIRE_LIMITS.seals, validators),
    accused: Math.min(WIRE_LIMITS.accused, validators),
    suspected: Math.min(WIRE_LIMITS.suspected, validators),
    viewChanges: Math.min(WIRE_LIMITS.viewChanges, validators),
    digests: Math.min(WIRE_LIMITS.digests, validators),
  };
}
