/**
 * Messages as bytes (consensus.md section 11): RLP lists that begin with the kind's number; docs/wire.md lists each
 * with a test vector. One message has one encoding, and every other form of it is refused, so what a peer relays is
 * what was signed. Decoding is where untrusted bytes become typed: it checks shape and size, never signatures.
 *
 * Small fields are copied out of the input, so that a vote which is kept does not keep a received frame alive. A block
 * that is most of its message is a view into it.
 */
import type { Bytes } from '../primitives/ids.ts';
import { RlpError, type RlpInput, rlpEncode } from '../primitives/rlp.ts';
import { certificateItem, optionalCertificateItem, readProof, readVote, voteItem } from './certificate-codec.ts';
import { evidenceItem, readEvidence } from './evidence-codec.ts';
import type { Message } from './message.ts';
import {
  readRow,
  readSigned,
  readSignedFields,
  readSuspect,
  rowItem,
  signedItem,
  suspectItem,
} from './view-change-codec.ts';
import { MESSAGE_NUMBERS, type WireBounds, wireBounds } from './wire-numbers.ts';
import { refuse, WireReader } from './wire-reader.ts';

export type DecodedMessage =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly reason: string };

const KIND_BY_NUMBER: ReadonlyMap<number, Message['kind']> = new Map(
  (Object.keys(MESSAGE_NUMBERS) as Message['kind'][]).map((kind) => [MESSAGE_NUMBERS[kind], kind]),
);

function messageItem(message: Message): RlpInput {
  const number = MESSAGE_NUMBERS[message.kind];
  switch (message.kind) {
    case 'PROPOSAL':
      return [number, voteItem(message.prepare), message.block];
    case 'CHAIN':
      return [number, message.suspects.map(suspectItem)];
    case 'HEARTBEAT': {
      const { epoch, view, final, head, tick, echo, row } = message;
      return [number, epoch, view, final, head, tick, echo, row === undefined ? [] : rowItem(row)];
    }
    case 'FETCH-FINAL':
      return [number, message.nonce, message.from];
    case 'FETCH-BODIES':
      return [number, message.nonce, message.hash, message.height, message.floor];
    case 'BLOCKS': {
      const blocks = message.blocks.map(({ block, proof }): RlpInput => [block, optionalCertificateItem(proof)]);
      return [number, message.nonce, blocks];
    }
    case 'FINAL':
    case 'START-EPOCH':
      return [number, message.block, certificateItem(message.proof)];
    case 'EPOCH-STARTED':
      return [number, message.epoch];
    case 'FINALITY':
      return [number, certificateItem(message.proof)];
    case 'ASK':
      return [number, message.epoch, message.nonce];
    case 'ANSWER':
      return [number, message.nonce, message.held.map(signedItem)];
    case 'EVIDENCE':
      return [number, evidenceItem(message.evidence)];
    default:
      return signedItem(message);
  }
}

/**
 * A message as it goes to a peer. Staying within `WIRE_LIMITS` is up to whoever made the message: a longer one is
 * encoded all the same, and refused by every receiver.
 */
export function encodeMessage(message: Message): Bytes {
  return rlpEncode(messageItem(message));
}

function readFields(reader: WireReader, bounds: WireBounds, kind: Message['kind']): Message {
  switch (kind) {
    case 'PROPOSAL':
      return { kind, prepare: readVote(reader, bounds, 'PREPARE'), block: reader.body('block', bounds.blockBytes) };
    case 'CHAIN':
      return { kind, suspects: reader.items('suspects', bounds.suspects, () => readSuspect(reader, bounds)) };
    case 'HEARTBEAT':
      return {
        kind,
        epoch: reader.number('epoch'),
        view: reader.number('view'),
        final: reader.number('final'),
        head: reader.number('head'),
        tick: reader.number('tick', bounds.tick),
        echo: reader.number('echo'),
        row: reader.optional(() => readRow(reader, bounds)),
      };
    case 'FETCH-FINAL':
      return { kind, nonce: reader.number('nonce'), from: reader.number('from') };
    case 'FETCH-BODIES':
      return {
        kind,
        nonce: reader.number('nonce'),
        hash: reader.hash('hash'),
        height: reader.number('height'),
        floor: reader.number('floor'),
      };
    case 'BLOCKS':
      return {
        kind,
        nonce: reader.number('nonce'),
        blocks: reader.items('blocks', bounds.blocks, () =>
          reader.list('block and proof', () => ({
            block: reader.body('block', bounds.blockBytes),
            proof: reader.optional(() => readProof(reader, bounds)),
          })),
        ),
      };
    case 'FINAL':
    case 'START-EPOCH':
      return { kind, block: reader.body('block', bounds.blockBytes), proof: readProof(reader, bounds) };
    case 'EPOCH-STARTED':
      return { kind, epoch: reader.number('epoch') };
    case 'FINALITY':
      return { kind, proof: readProof(reader, bounds) };
    case 'ASK':
      return { kind, epoch: reader.number('epoch'), nonce: reader.number('nonce') };
    case 'ANSWER':
      return {
        kind,
        nonce: reader.number('nonce'),
        held: reader.items('held', bounds.held, () => readSigned(reader, bounds)),
      };
    case 'EVIDENCE':
      return { kind, evidence: readEvidence(reader, bounds) };
    default:
      return readSignedFields(reader, bounds, kind);
  }
}

/** Reads what a peer sent. Never throws: what is wrong comes back as a reason, one of a fixed set of texts. */
export function decodeMessage(bytes: Bytes, bounds: { readonly validators: number }): DecodedMessage {
  const reader = new WireReader(bytes);
  let kind: Message['kind'] | undefined;
  try {
    const message = reader.list('message', () => {
      const named = KIND_BY_NUMBER.get(reader.number('number'));
      if (named === undefined) refuse('message', 'unknown kind');
      kind = named;
      return readFields(reader, wireBounds(bounds.validators), named);
    });
    reader.finish();
    return { ok: true, message };
  } catch (error) {
    if (error instanceof RlpError) {
      return { ok: false, reason: kind === undefined ? error.message : `${kind}: ${error.message}` };
    }
    throw error;
  }
}
