/**
 * Receipts: EIP-2718 typed, RLP([status, cumulative gas, bloom, logs]) (EIP-658), and the 2048-bit bloom of log addresses
 * and topics (yellow paper section 4.3.1).
 */
import { hexBytes } from '../primitives/bytes.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { keccak256 } from '../primitives/keccak.ts';
import { rlpEncode } from '../primitives/rlp.ts';
import { EMPTY_BLOOM } from './block.ts';

export type Log = { readonly address: Address; readonly topics: readonly Hash[]; readonly data: Bytes };

export interface Receipt {
  readonly type: 0 | 1 | 2;
  readonly status: 0 | 1;
  readonly cumulativeGasUsed: number;
  readonly gasUsed: number;
  readonly effectiveGasPrice: bigint;
  /** 256 bytes. */
  readonly logsBloom: Bytes;
  readonly logs: readonly Log[];
}

/** Sets the three bits of an address or topic. */
function addToBloom(bloom: Uint8Array, bytes: Bytes): void {
  const digest = keccak256(bytes);
  for (let i = 0; i < 6; i += 2) {
    const bit = ((digest[i]! << 8) | digest[i + 1]!) & 2047;
    bloom[255 - (bit >> 3)]! |= 1 << (bit & 7);
  }
}

/** Bloom over all addresses and topics; the shared empty one when there are no logs. */
export function bloomOf(logs: readonly Log[]): Bytes {
  if (logs.length === 0) return EMPTY_BLOOM;
  const bloom = new Uint8Array(256);
  for (const log of logs) {
    addToBloom(bloom, hexBytes(log.address));
    for (const topic of log.topics) addToBloom(bloom, hexBytes(topic));
  }
  return bloom;
}

/** Bloom of a block: all of its receipts' together. */
export function bloomOfReceipts(receipts: readonly Receipt[]): Bytes {
  let bloom: Uint8Array | undefined;
  for (const receipt of receipts) {
    if (receipt.logs.length === 0) continue;
    bloom ??= new Uint8Array(256);
    for (let i = 0; i < 256; i++) bloom[i]! |= receipt.logsBloom[i]!;
  }
  return bloom ?? EMPTY_BLOOM;
}

function logFields(log: Log): readonly [Address, readonly Hash[], Bytes] {
  return [log.address, log.topics, log.data];
}

/** Consensus encoding of one receipt. */
export function encodeReceipt(receipt: Receipt): Bytes {
  if (receipt.logs.length === 0) return encodePlain(receipt);
  const { status, cumulativeGasUsed, logsBloom, logs } = receipt;
  const encoded = rlpEncode([status, cumulativeGasUsed, logsBloom, logs.map(logFields)]);
  return receipt.type === 0 ? encoded : Buffer.concat([Buffer.of(receipt.type), encoded]);
}

/** Without logs, which is every transfer: 256 zero bytes and one number that varies, written by hand. */
function encodePlain(receipt: Receipt): Bytes {
  const gas = receipt.cumulativeGasUsed;
  const gasBytes = gas < 0x80 ? 0 : gas < 0x100 ? 1 : gas < 0x10000 ? 2 : gas < 0x1000000 ? 3 : gas < 2 ** 32 ? 4 : 6;
  if (gasBytes > 4 || gas === 0) {
    const encoded = rlpEncode([receipt.status, gas, EMPTY_BLOOM, []]);
    return receipt.type === 0 ? encoded : Buffer.concat([Buffer.of(receipt.type), encoded]);
  }
  const payload = 1 + 1 + gasBytes + 259 + 1;
  const typed = receipt.type === 0 ? 0 : 1;
  const out = Buffer.alloc(typed + 3 + payload);
  out[0] = receipt.type;
  let at = typed;
  out[at++] = 0xf9;
  at = out.writeUInt16BE(payload, at);
  out[at++] = receipt.status === 1 ? 1 : 0x80;
  if (gasBytes === 0) out[at++] = gas;
  else {
    out[at++] = 0x80 + gasBytes;
    at = out.writeUIntBE(gas, at, gasBytes);
  }
  out[at++] = 0xb9;
  out[at++] = 0x01; // 256 bytes of bloom, all zero already
  out[at + 1 + 256] = 0xc0;
  return out;
}
