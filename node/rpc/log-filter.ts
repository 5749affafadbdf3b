/**
 * Log filters: parsing, the bloom test that skips most blocks, and the scan of final blocks. Only final blocks have logs
 * here, so a range that ends at `pending` ends at the newest final block.
 */
import type { Block } from '../../ledger/block.ts';
import type { Log } from '../../ledger/receipt.ts';
import { hexBytes } from '../../primitives/bytes.ts';
import type { Address, Bytes, Hash, Height } from '../../primitives/ids.ts';
import { keccak256 } from '../../primitives/keccak.ts';
import type { Backend } from './backend.ts';
import { type BlockParam, parseBlockNumber } from './block-param.ts';
import { logJson } from './format.ts';
import { REFUSED, RpcError } from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';
import { invalid, parseAddress, parseHash, parseObject } from './params.ts';
import type { BlockReceipts, ReceiptCache } from './receipt-cache.ts';
import type { Scheduler } from './scheduler.ts';

const ADDRESSES_MAX = 1000;
const TOPICS_PER_POSITION_MAX = 1000;

/** Which logs match: any of the addresses (all when undefined), and at each position any of the topics. */
export type LogCriteria = {
  readonly addresses: ReadonlySet<Address> | undefined;
  readonly topics: readonly (ReadonlySet<Hash> | undefined)[];
  /** Per condition the alternatives, each three bits of the bloom. */
  readonly bloom: readonly (readonly Bits[])[];
};

type Bits = readonly { readonly byte: number; readonly mask: number }[];

export type LogQuery = LogCriteria & {
  readonly from: BlockParam | undefined;
  readonly to: BlockParam | undefined;
  readonly blockHash: Hash | undefined;
};

export function parseLogQuery(value: unknown, what: string): LogQuery {
  const object = value === undefined || value === null ? {} : parseObject(value, what);
  const { fromBlock, toBlock, blockHash } = object;
  const given = (field: unknown) => field !== undefined && field !== null;
  if (given(blockHash) && (given(fromBlock) || given(toBlock))) {
    throw invalid(what, 'cannot specify both blockHash and fromBlock/toBlock, choose one or the other');
  }
  return {
    ...parseCriteria(object, what),
    from: given(fromBlock) ? parseRangeEnd(fromBlock, `${what}, fromBlock`) : undefined,
    to: given(toBlock) ? parseRangeEnd(toBlock, `${what}, toBlock`) : undefined,
    blockHash: given(blockHash) ? parseHash(blockHash, `${what}, blockHash`) : undefined,
  };
}

/** "0x", zeros, and a number; as long as one of 64 bits at most. */
const PADDED = /^0x0+(?=[0-9a-fA-F])/;
const PADDED_CHARS_MAX = 18;

/**
 * MetaMask pads the block numbers of its log filters to whole bytes ("0x0a"). Leading zeros, which are refused in all
 * other quantities, are taken here: a page behind a wallet that is refused loses logs without a word.
 */
function parseRangeEnd(value: unknown, what: string): BlockParam {
  const padded = typeof value === 'string' && value.length <= PADDED_CHARS_MAX;
  return parseBlockNumber(padded ? value.replace(PADDED, '0x') : value, what);
}

function parseCriteria(object: Readonly<Record<string, unknown>>, what: string): LogCriteria {
  const { address, topics: wanted = [] } = object;
  const addresses =
    address === undefined || address === null
      ? undefined
      : alternatives(address, ADDRESSES_MAX, `${what}, address`, parseAddress);
  if (wanted !== null && !Array.isArray(wanted)) throw invalid(`${what}, topics`, 'expected an array');
  const list: readonly unknown[] = wanted ?? [];
  if (list.length > 4) throw invalid(`${what}, topics`, 'more than 4 positions');
  const topics = list.map((topic, i) =>
    topic === null || topic === undefined
      ? undefined
      : alternatives(topic, TOPICS_PER_POSITION_MAX, `${what}, topics ${i}`, parseHash),
  );
  const conditions = [addresses, ...topics].filter((set) => set !== undefined);
  return { addresses, topics, bloom: conditions.map((set) => [...set].map(bloomBits)) };
}

/** One value or an array of them; an empty array matches everything, as absence does. */
function alternatives(
  value: unknown,
  most: number,
  what: string,
  parse: (item: unknown, what: string) => string,
): ReadonlySet<string> | undefined {
  if (!Array.isArray(value)) return new Set([parse(value, what)]);
  if (value.length > most) throw invalid(what, `more than ${most} alternatives`);
  return value.length === 0 || value.includes(null) ? undefined : new Set(value.map((item) => parse(item, what)));
}

/** The three bits an address or topic sets (yellow paper, section 4.3.1). */
function bloomBits(hex: string): Bits {
  const digest = keccak256(hexBytes(hex));
  return [0, 2, 4].map((i) => {
    const bit = ((digest[i]! << 8) | digest[i + 1]!) & 0x7ff;
    return { byte: 255 - (bit >> 3), mask: 1 << (bit & 7) };
  });
}

const NO_LOGS = new Uint8Array(256);

function bloomMayMatch(bloom: Bytes, criteria: LogCriteria): boolean {
  if (Buffer.compare(bloom, NO_LOGS) === 0) return false;
  return criteria.bloom.every((condition) =>
    condition.some((bits) => bits.every(({ byte, mask }) => (bloom[byte]! & mask) !== 0)),
  );
}

function matches(log: Log, criteria: LogCriteria): boolean {
  if (criteria.addresses !== undefined && !criteria.addresses.has(log.address)) return false;
  if (criteria.topics.length > log.topics.length) return false;
  return criteria.topics.every((set, i) => set === undefined || set.has(log.topics[i]!));
}

/** Matching logs of one block as JSON, in order. */
export function blockLogs(block: Block, list: BlockReceipts, criteria: LogCriteria): Record<string, unknown>[] {
  const { header, hash } = block;
  const found: Record<string, unknown>[] = [];
  if (!bloomMayMatch(header.logsBloom, criteria)) return found;
  list.receipts.forEach((receipt, index) => {
    receipt.logs.forEach((log, i) => {
      if (!matches(log, criteria)) return;
      const transactionHash = block.transactions[index]!.hash;
      const logIndex = list.firstLog[index]! + i;
      found.push(logJson(log, { header, hash, transactionHash, transactionIndex: index, logIndex }));
    });
  });
  return found;
}

/** What looking for logs needs of the server. */
export type LogServices = {
  readonly backend: Backend;
  readonly limits: RpcLimits;
  readonly scheduler: Scheduler;
  readonly receipts: ReceiptCache;
};

/** Logs of one final block, read and filtered. */
export function logsAt(services: LogServices, block: Block, criteria: LogCriteria): Record<string, unknown>[] {
  const receipts = services.receipts.of(block.hash);
  if (receipts === undefined) throw pruned(block.header.number);
  return blockLogs(block, receipts, criteria);
}

function pruned(height: Height): RpcError {
  return new RpcError(REFUSED, `block ${height} is pruned on this node`);
}

export type Scan = {
  readonly logs: Record<string, unknown>[] /** First height that was not looked at. */;
  readonly next: Height;
};

/**
 * Logs of the final blocks `from` to `to`, in order. At more than the limit the scan stops before the block that would
 * pass it; a single block with more is given whole.
 */
export async function scanLogs(services: LogServices, criteria: LogCriteria, from: Height, to: Height): Promise<Scan> {
  const { backend, limits, scheduler } = services;
  const logs: Record<string, unknown>[] = [];
  for (let height = from; height <= to; height++) {
    const pause = scheduler.breathe();
    if (pause !== undefined) await pause;
    const entry = backend.headerByHeight(height);
    if (entry === undefined) throw pruned(height);
    if (!bloomMayMatch(entry.header.logsBloom, criteria)) continue;
    const block = backend.blockByHeight(height);
    if (block === undefined) throw pruned(height);
    const found = logsAt(services, block, criteria);
    if (logs.length > 0 && logs.length + found.length > limits.logsMax) return { logs, next: height };
    for (const log of found) logs.push(log);
  }
  return { logs, next: to + 1 };
}

/** First and last height of a query, cut at the newest final block; undefined when it lies wholly above. */
export function logRange(
  backend: Backend,
  query: Pick<LogQuery, 'from' | 'to'>,
  blocksMax: number,
): { readonly from: Height; readonly to: Height } | undefined {
  const head = backend.head().height;
  const heightOf = (param: BlockParam | undefined) => (param?.kind === 'height' ? param.height : head);
  const from = heightOf(query.from);
  const to = heightOf(query.to);
  if (from > to) throw new RpcError(REFUSED, `invalid block range: fromBlock ${from} is above toBlock ${to}`);
  if (to - from + 1 > blocksMax) {
    throw new RpcError(
      REFUSED,
      `block range too large: ${to - from + 1} blocks asked for, at most ${blocksMax}; narrow fromBlock and toBlock`,
    );
  }
  return from > head ? undefined : { from, to: Math.min(to, head) };
}
