/**
 * Accounts as they were at recent heights. The state itself is only the newest; what a block changed is in its undo record,
 * so an account at height H is what the first block above H that touched it found. Wallets ask for blocks up to some 30
 * seconds old by number, so at least `blocksMin` blocks and `ageMinMs` are kept, and `blocks` where memory allows.
 */
import type { Address, Bytes, Height } from '../primitives/ids.ts';
import type { Account } from './account.ts';
import type { Undo } from './block-state.ts';
import { damaged, openRecord, undoKey } from './records.ts';
import { decodeUndo, fingerprintOf, fingerprints } from './undo-record.ts';

export type HistoryLimits = {
  /** Blocks kept. */
  readonly blocks: number;
  /** Fewer are never kept, whatever their size. */
  readonly blocksMin: number;
  /** Nor younger ones dropped. */
  readonly ageMinMs: number;
  /** Changed accounts held in memory as 4-byte fingerprints. */
  readonly entries: number;
  /** The same, read back at start. */
  readonly entriesAtStart: number;
};

export const HISTORY_LIMITS: HistoryLimits = {
  blocks: 4096,
  blocksMin: 128,
  ageMinMs: 60_000,
  entries: 4_000_000,
  entriesAtStart: 500_000,
};

/** Parsed records kept for the next question. */
const PARSED_MAX = 8;

type Filter = { readonly height: Height; readonly timeMs: number; readonly touched: Uint32Array };

export class History {
  readonly #limits: HistoryLimits;
  readonly #read: (key: Bytes) => Bytes | undefined;
  /** Ascending heights without gaps; the last is the newest written block. */
  #filters: Filter[] = [];
  #entries = 0;
  readonly #parsed = new Map<Height, Undo>();

  constructor(read: (key: Bytes) => Bytes | undefined, limits: HistoryLimits = HISTORY_LIMITS) {
    this.#read = read;
    this.#limits = limits;
  }

  /** Oldest height whose state can be told; undefined before the first block: then only the newest. */
  get oldest(): Height | undefined {
    const first = this.#filters[0];
    return first === undefined ? undefined : first.height - 1;
  }

  /** Takes the undo record of the next block, which is in the store. */
  append(height: Height, timeMs: number, record: Bytes): void {
    const touched = fingerprints(record);
    this.#filters.push({ height, timeMs, touched });
    this.#entries += touched.length;
    this.#trim();
  }

  #trim(): void {
    const newest = this.#filters[this.#filters.length - 1]!;
    let drop = 0;
    for (;;) {
      const first = this.#filters[drop]!;
      const kept = this.#filters.length - drop;
      if (kept <= this.#limits.blocksMin || newest.timeMs - first.timeMs < this.#limits.ageMinMs) break;
      if (kept <= this.#limits.blocks && this.#entries <= this.#limits.entries) break;
      this.#entries -= first.touched.length;
      drop++;
    }
    if (drop > 0) this.#filters.splice(0, drop);
  }

  /** Reads records back from `height` down; `timeOf` gives a block's time. Called once, at start. */
  restore(height: Height, oldest: Height, timeOf: (height: Height) => number): void {
    const filters: Filter[] = [];
    let newestMs = 0;
    for (let h = height; h >= oldest && h > 0 && filters.length < this.#limits.blocks; h--) {
      const record = openRecord(this.#read(undoKey(h)), `undo ${h}`);
      if (record === undefined) throw damaged(`undo record of block ${h} is missing`);
      const timeMs = timeOf(h);
      if (h === height) newestMs = timeMs;
      const enough = filters.length >= this.#limits.blocksMin && newestMs - timeMs >= this.#limits.ageMinMs;
      if (enough && this.#entries >= this.#limits.entriesAtStart) break;
      const touched = fingerprints(record);
      this.#entries += touched.length;
      filters.push({ height: h, timeMs, touched });
    }
    this.#filters = filters.reverse();
  }

  /** What the first block above `height` that touched the account found; undefined when none did. */
  before(address: Address, height: Height): { readonly account: Account | undefined } | undefined {
    const first = this.#filters[0];
    if (first === undefined) return undefined;
    const fingerprint = fingerprintOf(address);
    for (let i = Math.max(0, height + 1 - first.height); i < this.#filters.length; i++) {
      const filter = this.#filters[i]!;
      if (!includes(filter.touched, fingerprint)) continue;
      const undo = this.#undo(filter.height);
      if (undo.has(address)) return { account: undo.get(address) };
    }
    return undefined;
  }

  #undo(height: Height): Undo {
    const known = this.#parsed.get(height);
    if (known !== undefined) return known;
    const record = openRecord(this.#read(undoKey(height)), `undo ${height}`);
    const undo = record === undefined ? undefined : decodeUndo(record);
    if (undo === undefined) throw damaged(`undo record of block ${height}`);
    if (this.#parsed.size >= PARSED_MAX) this.#parsed.delete(this.#parsed.keys().next().value!);
    this.#parsed.set(height, undo);
    return undo;
  }
}

/** Binary search. */
function includes(sorted: Uint32Array, value: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}
