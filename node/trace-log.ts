/**
 * What the replica traces, for people: view changes and suspicions with their reasons at once, blocks at debug level,
 * rejected messages counted and told once in a while, so that a chain in trouble says what troubles it and a healthy one
 * is quiet.
 */
import type { Trace } from '../consensus/effect.ts';
import type { Address } from '../primitives/ids.ts';
import type { Log } from './log.ts';

/** Rejections of one kind from one peer are logged at most this often. */
const REJECTION_EVERY_MS = 10_000;

export type TraceLogOptions = {
  readonly log: Log;
  readonly now?: () => number;
};

export class TraceLog {
  readonly #options: TraceLogOptions;
  /** The present epoch's, by index. */
  validators: readonly Address[] = [];
  readonly #rejections = new Map<string, { count: number; toldAt: number }>();
  /** Why the newest view was entered. */
  lastReason = '';
  viewChanges = 0;
  suspicions = 0;
  conflicts = 0;
  rejected = 0;

  constructor(options: TraceLogOptions) {
    this.#options = options;
  }

  #name(index: number): string {
    return `${index} (${this.validators[index] ?? 'unknown'})`;
  }

  #names(indices: readonly number[]): string {
    return indices.map((index) => this.#name(index)).join(', ');
  }

  take(trace: Trace): void {
    const { log } = this.#options;
    switch (trace.name) {
      case 'started':
        log.info('no peer knows a signature this log does not have: signing', { answers: trace.answers });
        return;
      case 'amnesia':
        log.error(
          'a peer holds a signature of this key that the log does not know, so the log is an old copy: this node follows and signs nothing; move its guard folder away and start it again',
          {
            held: trace.held,
          },
        );
        return;
      case 'halted':
        log.error('halted: only more faults than are tolerated explain this', { reason: trace.reason });
        return;
      case 'suspect':
        this.suspicions++;
        this.lastReason = trace.reason;
        log.warn('suspecting', {
          view: trace.view,
          accused: this.#names(trace.accused),
          reason: trace.reason,
          next: trace.target,
        });
        return;
      case 'suspicion':
        log.info('suspicion', { by: this.#name(trace.by), of: this.#names(trace.of), reason: trace.reason });
        return;
      case 'generation':
        log.warn('no group was left without a suspicion in it: suspicions begin anew', {
          generation: trace.generation,
        });
        return;
      case 'view-entered':
        this.viewChanges++;
        this.lastReason = `validator ${this.#name(trace.by)} suspected ${this.#names(trace.accused)}`;
        log.info('entering view', { view: trace.view, reason: this.lastReason });
        return;
      case 'view-installed':
        log.info('view installed', { view: trace.view, block: trace.height, hash: trace.hash });
        return;
      case 'proposed':
      case 'certified':
      case 'final':
        log.debug(trace.name, { view: trace.view, block: trace.height, hash: trace.hash });
        return;
      case 'epoch-ended':
        log.info('epoch ended', { epoch: trace.epoch, block: trace.height, hash: trace.hash });
        return;
      case 'fetching':
        log.debug('fetching blocks', { from: trace.from, to: trace.to, peer: trace.peer });
        return;
      case 'proven':
        return; // told when it is kept (evidence-files.ts)
      case 'conflict':
        this.conflicts++;
        log.error('conflicting signatures', { signer: this.#name(trace.signer), what: trace.what });
        return;
      case 'rejected':
        this.#reject(trace);
        return;
    }
  }

  #reject(trace: Extract<Trace, { name: 'rejected' }>): void {
    this.rejected++;
    const key = `${trace.from} ${trace.message} ${trace.reason}`;
    const now = (this.#options.now ?? Date.now)();
    const known = this.#rejections.get(key) ?? { count: 0, toldAt: Number.NEGATIVE_INFINITY };
    known.count++;
    this.#rejections.set(key, known);
    if (this.#rejections.size > 1000) this.#rejections.clear();
    if (now - known.toldAt < REJECTION_EVERY_MS) return;
    // A message for a view not entered yet is normal for a moment around every view change.
    const level = trace.reason === 'future-view' || trace.reason === 'outside-window' ? 'debug' : 'warn';
    this.#options.log[level]('rejected', {
      from: this.#name(trace.from),
      message: trace.message,
      reason: trace.reason,
      count: known.count,
    });
    known.count = 0;
    known.toldAt = now;
  }
}
