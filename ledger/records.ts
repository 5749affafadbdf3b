/**
 * Where the ledger keeps what in the store. Keys: one letter and a big-endian height, a hash or a trie path. Records that
 * no hash in the chain covers carry a checksum of their own.
 */
import { hash } from 'node:crypto';
import { concat, equalBytes, hexBytes, readUint64, toHex, uint64, utf8 } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { RlpError, type RlpInput, rlpBytes, rlpDecode, rlpEncode, rlpList, rlpNumber } from '../primitives/rlp.ts';
import type { Log, Receipt } from './receipt.ts';

/** One allocation per key: there is one for every transaction. */
function heightKey(letter: string, height: Height): Bytes {
  const key = Buffer.allocUnsafe(9);
  key[0] = letter.charCodeAt(0);
  key.writeUInt16BE(0, 1);
  key.writeUIntBE(height, 3, 6);
  return key;
}

/** Half of a hash tells keys apart; the record leads to the whole one, which is compared. */
const HASH_KEY_BYTES = 16;

function hashKey(letter: string, hash: Hash): Bytes {
  const key = Buffer.allocUnsafe(1 + HASH_KEY_BYTES);
  key[0] = letter.charCodeAt(0);
  key.write(hash.slice(2, 2 + 2 * HASH_KEY_BYTES), 1, 'hex');
  return key;
}

/** Newest block in the store, oldest undo record, and the height of the state; checksummed. */
export const HEAD_KEY = utf8('mhead');
/** Height and root of the state in the store, and its slot; checksummed. */
export const STATE_KEY = utf8('mstate');
/** Written by `sync`, so that there is something to write. */
export const SYNC_KEY = utf8('msync');
/** Former states of the governance contract that are still kept; checksummed. */
export const SUPERSEDED_KEY = utf8('mgovernance');
/**
 * Trie nodes of accounts lie under one of these and their path: one holds the state, as its record says, and the other is
 * where a newer one is put together, so that taking it over is one small batch.
 */
const ACCOUNT_PREFIXES = [utf8('a'), utf8('A')] as const;
export type Slot = 0 | 1;
export const accountPrefix = (slot: Slot): Bytes => ACCOUNT_PREFIXES[slot];
export const otherSlot = (slot: Slot): Slot => (slot === 0 ? 1 : 0);
/** First key behind those of a prefix. */
export function endOf(prefix: Bytes): Bytes {
  const end = Uint8Array.from(prefix);
  end[end.length - 1]!++;
  return end;
}
/** A snapshot on its way in (staged-state.ts), and how far the blocks below it are there (staged-blocks.ts); checksummed. */
export const STAGED_STATE_KEY = utf8('mstaged');
export const STAGED_BLOCKS_KEY = utf8('mblocks');

export const blockKey = (height: Height): Bytes => heightKey('b', height);
export const receiptsKey = (height: Height): Bytes => heightKey('r', height);
export const proofKey = (height: Height): Bytes => heightKey('p', height);
export const undoKey = (height: Height): Bytes => heightKey('u', height);
/** Block hash to height. */
export const numberKey = (blockHash: Hash): Bytes => hashKey('n', blockHash);
/** Transaction hash to height and index. */
export const transactionKey = (transactionHash: Hash): Bytes => hashKey('x', transactionHash);

export const GOVERNANCE_PREFIX = utf8('g');
/** State of the governance contract by its storage root, which checks it. */
export const governanceKey = (storageRoot: Hash): Bytes => hashKey('g', storageRoot);

/** The way back from any damage to the store. */
export const REMEDY =
  'move that folder away and start again, or start with --rebuild-store: the node fetches the chain anew from the others';

export function damaged(what: string): QuorateError {
  return new QuorateError('STORE_DAMAGED', `the ledger's folder store is damaged (${what}): ${REMEDY}`, {
    data: { what },
  });
}

const CHECKSUM_BYTES = 16;

function checksum(bytes: Bytes): Bytes {
  return hash('sha256', bytes, 'buffer').subarray(0, CHECKSUM_BYTES);
}

/** A record that carries its own checksum. */
export function sealRecord(bytes: Bytes): Bytes {
  return concat(checksum(bytes), bytes);
}

/** What was sealed, or undefined when there is no record. Throws STORE_DAMAGED. */
export function openRecord(record: Bytes | undefined, what: string): Bytes | undefined {
  if (record === undefined) return undefined;
  const bytes = record.subarray(CHECKSUM_BYTES);
  if (!equalBytes(record.subarray(0, CHECKSUM_BYTES), checksum(bytes))) throw damaged(`${what}: wrong checksum`);
  return bytes;
}

/** Decodes a record of ours; anything malformed is damage. */
export function decodeRecord<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof RlpError || error instanceof RangeError) throw damaged(`${what}: ${error.message}`);
    throw error;
  }
}

/** The height in a record of the hash index; undefined when malformed. */
export function decodeNumber(record: Bytes): Height | undefined {
  if (record.length !== 8) return undefined;
  try {
    return readUint64(record);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export type TransactionPlace = { readonly height: Height; readonly index: number };

export function encodePlace(place: TransactionPlace): Bytes {
  const out = Buffer.allocUnsafe(10);
  out.writeUIntBE(place.height, 0, 6);
  out.writeUInt32BE(place.index, 6);
  return out;
}

/** Undefined when malformed: the reader looks at the block to be sure in any case. */
export function decodePlace(record: Bytes): TransactionPlace | undefined {
  if (record.length !== 10) return undefined;
  const buffer = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  return { height: buffer.readUIntBE(0, 6), index: buffer.readUInt32BE(6) };
}

export type HeadRecord = { readonly height: Height; readonly hash: Hash; readonly oldestUndo: Height };

export function encodeHeadRecord(head: HeadRecord): Bytes {
  return sealRecord(concat(uint64(head.height), hexBytes(head.hash), uint64(head.oldestUndo)));
}

export function decodeHeadRecord(record: Bytes | undefined): HeadRecord | undefined {
  const bytes = openRecord(record, 'head');
  if (bytes === undefined) return undefined;
  if (bytes.length !== 48) throw damaged('head: wrong length');
  return { height: readUint64(bytes), hash: toHex(bytes.subarray(8, 40)), oldestUndo: readUint64(bytes, 40) };
}

export type StateRecord = { readonly height: Height; readonly root: Hash; readonly slot: Slot };

export function encodeStateRecord({ height, root, slot }: StateRecord): Bytes {
  return sealRecord(concat(uint64(height), hexBytes(root), Uint8Array.of(slot)));
}

/** Stores from before there were slots have records without one. */
export function decodeStateRecord(record: Bytes | undefined): StateRecord | undefined {
  const bytes = openRecord(record, 'state');
  if (bytes === undefined) return undefined;
  const slot = bytes[40] ?? 0;
  if ((bytes.length !== 40 && bytes.length !== 41) || (slot !== 0 && slot !== 1)) throw damaged('state: malformed');
  return { height: readUint64(bytes), root: toHex(bytes.subarray(8, 40)), slot };
}

/** A state that is being put together in the slot which is not in use; `complete`: it is whole, and checked. */
export type StagedState = StateRecord & { readonly hash: Hash; readonly complete: boolean };

export function encodeStagedState({ height, root, slot, hash, complete }: StagedState): Bytes {
  const flags = Uint8Array.of(slot, complete ? 1 : 0);
  return sealRecord(concat(uint64(height), hexBytes(root), hexBytes(hash), flags));
}

export function decodeStagedState(record: Bytes | undefined): StagedState | undefined {
  const bytes = openRecord(record, 'staged state');
  if (bytes === undefined) return undefined;
  const slot = bytes[72];
  if (bytes.length !== 74 || (slot !== 0 && slot !== 1)) throw damaged('staged state: malformed');
  const [root, hash] = [bytes.subarray(8, 40), bytes.subarray(40, 72)].map(toHex) as [Hash, Hash];
  return { height: readUint64(bytes), root, hash, slot, complete: bytes[73] === 1 };
}

/** Newest block that is there above the head, and the newest among them, or the head itself, that opened an epoch. */
export type StagedBlocks = { readonly height: Height; readonly hash: Hash; readonly opening: Height };

export function encodeStagedBlocks({ height, hash, opening }: StagedBlocks): Bytes {
  return sealRecord(concat(uint64(height), hexBytes(hash), uint64(opening)));
}

export function decodeStagedBlocks(record: Bytes | undefined): StagedBlocks | undefined {
  const bytes = openRecord(record, 'staged blocks');
  if (bytes === undefined) return undefined;
  if (bytes.length !== 48) throw damaged('staged blocks: wrong length');
  return { height: readUint64(bytes), hash: toHex(bytes.subarray(8, 40)), opening: readUint64(bytes, 40) };
}

/** A block that changed the governance state, and the storage root before it. */
export type Superseded = { readonly height: Height; readonly storageRoot: Hash };

export function encodeSuperseded(list: readonly Superseded[]): Bytes {
  return sealRecord(rlpEncode(list.map(({ height, storageRoot }) => [height, storageRoot])));
}

export function decodeSuperseded(record: Bytes | undefined): Superseded[] {
  const what = 'former governance states';
  const bytes = openRecord(record, what);
  if (bytes === undefined) return [];
  return decodeRecord(what, () =>
    rlpList(rlpDecode(bytes), what).map((item) => {
      const [height, storageRoot] = rlpList(item, what, 2);
      return { height: rlpNumber(height, 'height'), storageRoot: toHex(rlpBytes(storageRoot, 'storage root', 32)) };
    }),
  );
}

/** What the block does not say about its receipts: status, gas, logs. `receiptsRoot` checks it. */
export function encodeReceiptsRecord(receipts: readonly Receipt[]): Bytes {
  return rlpEncode(
    receipts.map((receipt) => [
      receipt.status,
      receipt.cumulativeGasUsed,
      receipt.logs.map((log: Log): RlpInput => [log.address, log.topics, log.data]),
    ]),
  );
}

/** Items of a receipts record; throws RlpError when malformed. */
export function splitReceiptsRecord(record: Bytes): ReturnType<typeof rlpList> {
  return rlpList(rlpDecode(record), 'receipts');
}
