/** Blocks that a lying primary shows: another valid one in the place of its own, or one that breaks a rule. */
import { encodeExtraData, readBlockHeader } from '../../ledger/block.ts';
import { orderedRoot } from '../../ledger/ordered-root.ts';
import { hexBytes } from '../../primitives/bytes.ts';
import type { Bytes, Hash } from '../../primitives/ids.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import { type RlpItem, rlpDecode, rlpEncode } from '../../primitives/rlp.ts';
import type { Rng } from './rng.ts';
import { transaction } from './transactions.ts';

export type MadeBlock = { readonly hash: Hash; readonly block: Bytes };

/** Places of fields in a header. */
const FIELD = {
  parentHash: 0,
  miner: 2,
  stateRoot: 3,
  transactionsRoot: 4,
  receiptsRoot: 5,
  number: 8,
  gasLimit: 9,
  gasUsed: 10,
  timestamp: 11,
  extraData: 12,
  mixHash: 13,
} as const;

type Parts = { readonly header: RlpItem[]; readonly raws: RlpItem[] };

function partsOf(block: Bytes): Parts {
  const [header, raws] = rlpDecode(block) as [RlpItem[], RlpItem[]];
  return { header: [...header], raws: [...raws] };
}

function made({ header, raws }: Parts): MadeBlock {
  return { hash: keccakHash(rlpEncode(header)), block: rlpEncode([header, raws]) };
}

/** The milliseconds of a block lie in its extra data only, so another time makes another block that is as valid. */
export function rivalOf(block: Bytes, parent: Hash | undefined): MadeBlock | undefined {
  const { header: read } = readBlockHeader(block) ?? {};
  if (read === undefined || read.extraData.length !== 16) return undefined;
  const view = new DataView(read.extraData.buffer, read.extraData.byteOffset, 16);
  const timeMs = Number(view.getBigUint64(0));
  const epoch = Number(view.getBigUint64(8));
  const parts = partsOf(block);
  // Within the same second: the header's seconds stay right.
  const otherMs = timeMs % 1000 === 999 ? timeMs - 1 : timeMs + 1;
  parts.header[FIELD.extraData] = encodeExtraData(otherMs, epoch);
  if (parent !== undefined) parts.header[FIELD.parentHash] = hexBytes(parent);
  return made(parts);
}

/** Ways to break a block; the transactions are correctly listed in its root unless that is what is broken. */
const SPOILED = [
  'state root',
  'receipts root',
  'transactions root',
  'gas used',
  'gas limit',
  'nonce',
  'signature',
  'overspent',
  'other chain',
  'twice',
  'no transaction',
  'number',
  'parent',
  'time',
  'epoch',
  'members',
  'miner',
  'bytes',
] as const;

function spoil(kind: (typeof SPOILED)[number], { header, raws }: Parts, rng: Rng): void {
  const add = (raw: Bytes): void => {
    raws.push(raw);
    header[FIELD.transactionsRoot] = hexBytes(orderedRoot(raws as Bytes[]));
  };
  const account = rng.int(4);
  switch (kind) {
    case 'state root':
      header[FIELD.stateRoot] = rng.bytes(32);
      return;
    case 'receipts root':
      header[FIELD.receiptsRoot] = rng.bytes(32);
      return;
    case 'transactions root':
      header[FIELD.transactionsRoot] = rng.bytes(32);
      return;
    case 'gas used':
      header[FIELD.gasUsed] = Uint8Array.of(82, 8 + rng.int(8));
      return;
    case 'gas limit':
      header[FIELD.gasLimit] = Uint8Array.of(1 + rng.int(200), 0, 0);
      return;
    case 'nonce':
      add(transaction(account, 500 + rng.int(5), 'plain'));
      return;
    case 'signature':
      add(transaction(account, rng.int(5), 'forged'));
      return;
    case 'overspent':
      add(transaction(account, rng.int(5), 'unfunded'));
      return;
    case 'other chain':
      add(transaction(account, rng.int(5), 'other-chain'));
      return;
    case 'twice':
      add((raws[0] as Bytes | undefined) ?? transaction(account, 0, 'plain'));
      return;
    case 'no transaction':
      add(rng.bytes(1 + rng.int(200)));
      return;
    case 'number':
      header[FIELD.number] = Uint8Array.of(1 + rng.int(255));
      return;
    case 'parent':
      header[FIELD.parentHash] = rng.bytes(32);
      return;
    case 'time':
      header[FIELD.timestamp] = Uint8Array.of(1 + rng.int(255), 1, 1, 1, 1);
      return;
    case 'epoch':
      header[FIELD.extraData] = encodeExtraData(1_800_000_000_000 + rng.int(1000), 1 + rng.int(5));
      return;
    case 'members':
      header[FIELD.mixHash] = rng.bytes(32);
      return;
    case 'miner':
      header[FIELD.miner] = rng.bytes(20);
      return;
    case 'bytes':
      header[FIELD.extraData] = rng.bytes(rng.int(40));
      return;
  }
}

/** A block that no correct replica may sign, named by the hash of its header. */
export function spoiled(block: Bytes, rng: Rng): MadeBlock {
  const parts = partsOf(block);
  spoil(rng.pick(SPOILED), parts, rng);
  return made(parts);
}
