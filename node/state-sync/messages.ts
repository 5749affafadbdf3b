/**
 * What nodes say to each other about snapshots (decision 0014; docs/wire.md, "Snapshots"): three questions and their
 * answers, on the channel `sync`, RLP lists that begin with a number as all messages do. Nothing is signed: an answer is
 * worth what it hashes to. An answer with nothing in it means "not here, or not now".
 */
import { WireReader } from '../../consensus/wire-reader.ts';
import type { GivenBlock } from '../../ledger/staged-blocks.ts';
import type { Bytes, Height } from '../../primitives/ids.ts';
import { RlpError, rlpEncode } from '../../primitives/rlp.ts';

/** Final blocks from a height on, up to another and to the next that has a proof of its own. */
export type FetchHistory = {
  readonly kind: 'FETCH-HISTORY';
  readonly nonce: number;
  readonly from: Height;
  readonly to: Height;
};
/** `final`: newest final block of the sender. */
export type History = {
  readonly kind: 'HISTORY';
  readonly nonce: number;
  readonly final: Height;
  readonly blocks: readonly GivenBlock[];
};
/** Nodes of the account trie after a block, by their paths: one nibble a byte. */
export type FetchState = {
  readonly kind: 'FETCH-STATE';
  readonly nonce: number;
  readonly height: Height;
  readonly paths: readonly Bytes[];
};
/** Records of the first so many nodes asked for: the node, and behind a branch its leaves, each after its place. */
export type State = { readonly kind: 'STATE'; readonly nonce: number; readonly records: readonly Bytes[] };
/** The governance contract's state after a block. */
export type FetchContract = { readonly kind: 'FETCH-CONTRACT'; readonly nonce: number; readonly height: Height };
export type Contract = { readonly kind: 'CONTRACT'; readonly nonce: number; readonly bytes: Bytes };

export type Request = FetchHistory | FetchState | FetchContract;
export type Answer = History | State | Contract;
export type SyncMessage = Request | Answer;

/** First field of each; the numbers below 30 are consensus/wire-numbers.ts's. */
export const SYNC_NUMBERS = {
  'FETCH-HISTORY': 30,
  HISTORY: 31,
  'FETCH-STATE': 32,
  STATE: 33,
  'FETCH-CONTRACT': 34,
  CONTRACT: 35,
} as const satisfies Readonly<Record<SyncMessage['kind'], number>>;

/** How much a decoder takes. */
export const SYNC_LIMITS = {
  blocks: 256,
  blockBytes: 8 * 1024 * 1024,
  receiptsBytes: 8 * 1024 * 1024,
  proofBytes: 64 * 1024,
  paths: 256,
  /** Nibbles of an account's key. */
  pathBytes: 64,
  /** A branch of 16 leaves with the largest accounts has about 2.6 KiB. */
  recordBytes: 4096,
  contractBytes: 8 * 1024 * 1024,
} as const;

const KINDS: ReadonlyMap<number, SyncMessage['kind']> = new Map(
  (Object.keys(SYNC_NUMBERS) as SyncMessage['kind'][]).map((kind) => [SYNC_NUMBERS[kind], kind]),
);

/** The number a message begins with, whatever it is; undefined when it has none. Looks at a few bytes only. */
export function messageNumber(payload: Bytes): number | undefined {
  const tag = payload[0] ?? 0;
  if (tag < 0xc0) return undefined;
  // A long list has the length of its length in the tag, and its length before the number.
  const number = payload[tag < 0xf8 ? 1 : 1 + (tag - 0xf7)];
  return number !== undefined && number < 0x80 ? number : undefined;
}

export function isSyncMessage(payload: Bytes): boolean {
  return KINDS.has(messageNumber(payload) ?? -1);
}

export function encodeSyncMessage(message: SyncMessage): Bytes {
  const head = [SYNC_NUMBERS[message.kind], message.nonce];
  switch (message.kind) {
    case 'FETCH-HISTORY':
      return rlpEncode([...head, message.from, message.to]);
    case 'HISTORY': {
      const blocks = message.blocks.map(({ block, receipts, proof }) => [block, receipts, proof]);
      return rlpEncode([...head, message.final, blocks]);
    }
    case 'FETCH-STATE':
      return rlpEncode([...head, message.height, message.paths]);
    case 'STATE':
      return rlpEncode([...head, message.records]);
    case 'FETCH-CONTRACT':
      return rlpEncode([...head, message.height]);
    case 'CONTRACT':
      return rlpEncode([...head, message.bytes]);
  }
}

/** Reads what a peer sent; undefined when it is malformed. Never throws. */
export function decodeSyncMessage(payload: Bytes): SyncMessage | undefined {
  const reader = new WireReader(payload);
  try {
    const message = reader.list('message', () => {
      const kind = KINDS.get(reader.number('number'));
      return kind && readFields(reader, kind, reader.number('nonce'));
    });
    reader.finish();
    return message;
  } catch (error) {
    if (error instanceof RlpError) return undefined;
    throw error;
  }
}

function readFields(reader: WireReader, kind: SyncMessage['kind'], nonce: number): SyncMessage {
  const { blocks, blockBytes, receiptsBytes, proofBytes, paths, pathBytes, recordBytes, contractBytes } = SYNC_LIMITS;
  switch (kind) {
    case 'FETCH-HISTORY':
      return { kind, nonce, from: reader.number('from'), to: reader.number('to') };
    case 'HISTORY': {
      const final = reader.number('final');
      const block = () => ({
        block: reader.body('block', blockBytes),
        receipts: reader.copy('receipts', receiptsBytes),
        proof: reader.copy('proof', proofBytes),
      });
      return { kind, nonce, final, blocks: reader.items('blocks', blocks, () => reader.list('block', block)) };
    }
    case 'FETCH-STATE': {
      const height = reader.number('height');
      return { kind, nonce, height, paths: reader.items('paths', paths, () => reader.copy('path', pathBytes)) };
    }
    case 'STATE':
      return { kind, nonce, records: reader.items('records', paths, () => reader.copy('record', recordBytes)) };
    case 'FETCH-CONTRACT':
      return { kind, nonce, height: reader.number('height') };
    case 'CONTRACT':
      return { kind, nonce, bytes: reader.body('contract', contractBytes) };
  }
}
