/**
 * The filters of eth_newFilter and its kin. A filter is a position, not a buffer: each poll reads the final blocks since
 * the last one, so a filter nobody polls costs nothing but its entry, which goes after five minutes. Only hashes of
 * pooled transactions are kept, in one ring for all.
 */
import type { Hash, Height } from '../../primitives/ids.ts';
import type { Backend, Unlisten } from './backend.ts';
import { LIMIT_EXCEEDED, REFUSED, RpcError } from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';
import { type LogQuery, type LogServices, scanLogs } from './log-filter.ts';
import { invalid } from './params.ts';
import { randomId } from './random-id.ts';

type Position =
  | { readonly kind: 'logs'; readonly query: LogQuery; next: Height }
  | { readonly kind: 'blocks'; next: Height }
  | { readonly kind: 'pending'; next: number };

type Filter = {
  readonly position: Position;
  usedMs: number;
  /** Polls of one filter run one after another, so that nothing is given twice. */
  turn: Promise<unknown>;
};

const PENDING_MAX = 16_384;

export class Filters {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  readonly #now: () => number;
  /** Least recently used first. */
  readonly #filters = new Map<string, Filter>();
  readonly #pending: Hash[] = [];
  /** Number of pooled transactions seen before the first in #pending. */
  #pendingStart = 0;
  #unlisten: Unlisten | undefined;

  constructor(backend: Backend, limits: RpcLimits, now: () => number) {
    this.#backend = backend;
    this.#limits = limits;
    this.#now = now;
  }

  get size(): number {
    return this.#filters.size;
  }

  addLogs(query: LogQuery): string {
    const after = this.#backend.head().height + 1;
    const from = query.from?.kind === 'height' ? query.from.height : after;
    return this.#add({ kind: 'logs', query, next: Math.max(from, after) });
  }

  addBlocks(): string {
    return this.#add({ kind: 'blocks', next: this.#backend.head().height + 1 });
  }

  addPending(): string {
    const id = this.#add({ kind: 'pending', next: this.#pendingStart + this.#pending.length });
    this.#unlisten ??= this.#backend.onPooled((tx) => this.#notePending(tx.hash));
    return id;
  }

  /** What is new since the last poll. */
  changes(services: LogServices, id: unknown): unknown {
    const filter = this.#use(id);
    const { position } = filter;
    if (position.kind === 'blocks') return this.#newBlocks(position);
    if (position.kind === 'pending') return this.#newPending(position);
    const poll = filter.turn.then(async () => {
      const { query } = position;
      const last = query.to?.kind === 'height' ? query.to.height : Number.POSITIVE_INFINITY;
      const to = Math.min(this.#backend.head().height, last, position.next + this.#limits.logBlocksMax - 1);
      if (query.blockHash !== undefined || to < position.next) return [];
      const { logs, next } = await scanLogs(services, query, position.next, to);
      position.next = next;
      return logs;
    });
    filter.turn = poll.catch(() => undefined); // the poll itself carries the failure to its caller
    return poll;
  }

  /** The query of a log filter, for eth_getFilterLogs. */
  logQuery(id: unknown): LogQuery {
    const { position } = this.#use(id);
    if (position.kind !== 'logs') throw new RpcError(REFUSED, 'filter not found: it is not a log filter');
    return position.query;
  }

  remove(id: unknown): boolean {
    if (typeof id !== 'string') throw invalid('argument 0', 'expected a filter id');
    const found = this.#filters.delete(id);
    this.#quietPending();
    return found;
  }

  stop(): void {
    this.#filters.clear();
    this.#quietPending();
  }

  #add(position: Position): string {
    this.#expire();
    if (this.#filters.size >= this.#limits.filtersMax) {
      throw new RpcError(LIMIT_EXCEEDED, `too many filters: at most ${this.#limits.filtersMax} on this node`);
    }
    const id = randomId();
    this.#filters.set(id, { position, usedMs: this.#now(), turn: Promise.resolve() });
    return id;
  }

  #use(id: unknown): Filter {
    if (typeof id !== 'string') throw invalid('argument 0', 'expected a filter id');
    this.#expire();
    const filter = this.#filters.get(id);
    if (filter === undefined) throw new RpcError(REFUSED, 'filter not found');
    filter.usedMs = this.#now();
    this.#filters.delete(id);
    this.#filters.set(id, filter);
    return filter;
  }

  #expire(): void {
    const before = this.#now() - this.#limits.filterIdleMs;
    for (const [id, filter] of this.#filters) {
      if (filter.usedMs > before) break;
      this.#filters.delete(id);
    }
    this.#quietPending();
  }

  #newBlocks(position: { next: Height }): Hash[] {
    const head = this.#backend.head().height;
    const hashes: Hash[] = [];
    while (position.next <= head && hashes.length < this.#limits.logsMax) {
      const entry = this.#backend.headerByHeight(position.next);
      if (entry !== undefined) hashes.push(entry.hash);
      position.next++;
    }
    return hashes;
  }

  #newPending(position: { next: number }): Hash[] {
    const hashes = this.#pending.slice(Math.max(0, position.next - this.#pendingStart));
    position.next = this.#pendingStart + this.#pending.length;
    return hashes;
  }

  #notePending(hash: Hash): void {
    this.#pending.push(hash);
    if (this.#pending.length < 2 * PENDING_MAX) return;
    this.#pending.splice(0, PENDING_MAX);
    this.#pendingStart += PENDING_MAX;
  }

  /** Stops listening to the pool when no pending filter is left. */
  #quietPending(): void {
    if (this.#unlisten === undefined) return;
    for (const { position } of this.#filters.values()) if (position.kind === 'pending') return;
    this.#unlisten();
    this.#unlisten = undefined;
    this.#pendingStart += this.#pending.length;
    this.#pending.length = 0;
  }
}
