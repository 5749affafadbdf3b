/**
 * The two parts of taking a snapshot, as work that is shared among all sources at once: the blocks below it, in ranges that
 * are checked in order, and the nodes of its state, from the root down. What one source does not give, or gives wrong, is
 * asked of another.
 */
import type { BlockStaging, GivenBlock } from '../../ledger/staged-blocks.ts';
import type { StateStaging, Wanted } from '../../ledger/staged-state.ts';
import type { Bytes, Height } from '../../primitives/ids.ts';
import { Pieces } from './pieces.ts';
import type { Sources } from './sources.ts';

/** Blocks asked for at once. */
const RANGE_BLOCKS = 64;
/** Ranges asked for or waiting to be checked. */
const RANGES_MAX = 8;
/** Nodes asked for at once. */
const NODES_AT_ONCE = 192;
/** A source that had nothing to give is asked again after this long. */
const NOTHING_MS = 500;

export type JobPorts = {
  readonly sources: Sources;
  readonly now: () => number;
  /** Lets other work pass. */
  readonly pause: () => Promise<void>;
  /** Something was learnt. */
  readonly onProgress: () => void;
  readonly onLie: (peer: string, what: string) => void;
};

/** Work of which a source may be given a piece. */
export interface Job {
  readonly done: boolean;
  /** The next piece for this source, if there is one; the promise ends when it has been dealt with. */
  give(peer: string): Promise<void> | undefined;
}

type Range = { readonly from: Height; readonly to: Height };
type Received = Range & { readonly peer: string; readonly blocks: readonly GivenBlock[] };

/** Blocks up to what the sources have. */
export class BlocksJob implements Job {
  readonly #ports: JobPorts;
  readonly #staging: BlockStaging;
  /** Nothing above was asked for yet. */
  #next: Height;
  readonly #again: Range[] = [];
  readonly #asked: Pieces<Range>;
  readonly #received: Received[] = [];
  #checking = false;

  constructor(ports: JobPorts, staging: BlockStaging) {
    this.#ports = ports;
    this.#staging = staging;
    this.#asked = new Pieces(ports.now);
    this.#next = staging.top.height + 1;
  }

  /** A few blocks behind is near enough: they go on making blocks. */
  get done(): boolean {
    const best = this.#ports.sources.best();
    return !this.#checking && best > 0 && this.#staging.top.height + RANGE_BLOCKS / 2 >= best;
  }

  give(peer: string): Promise<void> | undefined {
    const final = this.#ports.sources.finalOf(peer);
    const isFull = this.#asked.size >= RANGES_MAX;
    const range = (isFull ? undefined : (this.#again[0] ?? this.#fresh())) ?? this.#asked.overdue(peer);
    if (range === undefined || range.from > final) return undefined;
    if (range === this.#again[0]) this.#again.shift();
    else if (range.from === this.#next) this.#next = range.to + 1;
    this.#asked.ask(range, peer);
    return this.#fetch(peer, range);
  }

  #fresh(): Range | undefined {
    const from = this.#next;
    if (from > this.#staging.top.height + RANGES_MAX * RANGE_BLOCKS) return undefined;
    return { from, to: from + RANGE_BLOCKS - 1 };
  }

  #askAgain(range: Range): void {
    this.#again.push(range);
    this.#again.sort((a, b) => a.from - b.from);
  }

  async #fetch(peer: string, range: Range): Promise<void> {
    const { sources, onLie } = this.#ports;
    const { from, to } = range;
    const answer = await sources.ask(peer, { kind: 'FETCH-HISTORY', from, to }, 'HISTORY');
    if (!this.#asked.isOpen(range)) return;
    if (answer === undefined || answer.blocks.length === 0) {
      // It was asked because it said that it has these blocks.
      if (answer !== undefined && answer.final >= from) onLie(peer, `block ${from} is not there`);
      if (this.#asked.giveUp(range, peer)) this.#askAgain(range);
      return;
    }
    this.#asked.close(range);
    this.#received.push({ from, to, peer, blocks: answer.blocks });
    this.#received.sort((a, b) => a.from - b.from);
    await this.#check();
  }

  /** Takes what goes on from the newest block there; one at a time, in order. */
  async #check(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      for (let next = this.#received[0]; next !== undefined; next = this.#received[0]) {
        if (next.from > this.#staging.top.height + 1) return;
        this.#received.shift();
        await this.#take(next);
      }
    } finally {
      this.#checking = false;
    }
  }

  async #take({ peer, from, to, blocks }: Received): Promise<void> {
    const { pause, onLie, onProgress } = this.#ports;
    // An answer may go on to the next block with a proof, past the range: those are there already.
    const fresh = blocks.slice(this.#staging.top.height + 1 - from);
    const problem = fresh.length === 0 ? undefined : await this.#staging.append(fresh, pause);
    if (problem !== undefined) onLie(peer, problem);
    else onProgress();
    const { height } = this.#staging.top;
    if (height < to) this.#askAgain({ from: height + 1, to });
  }
}

/** Every node of the state that is missing. */
export class StateJob implements Job {
  readonly #ports: JobPorts;
  readonly #staging: StateStaging;
  /** Deepest last, so that what waits stays little. */
  readonly #wanted: Wanted[];
  readonly #asked: Pieces<readonly Wanted[]>;
  #writing = 0;
  /** Records taken. */
  taken = 0;

  constructor(ports: JobPorts, staging: StateStaging, missing: readonly Wanted[]) {
    this.#ports = ports;
    this.#staging = staging;
    this.#asked = new Pieces(ports.now);
    this.#wanted = [...missing];
  }

  get done(): boolean {
    return this.#wanted.length === 0 && this.#asked.size === 0 && this.#writing === 0;
  }

  give(peer: string): Promise<void> | undefined {
    const piece = this.#wanted.length > 0 ? this.#wanted.splice(-NODES_AT_ONCE) : this.#asked.overdue(peer);
    if (piece === undefined) return undefined;
    this.#asked.ask(piece, peer);
    return this.#fetch(peer, piece);
  }

  async #fetch(peer: string, piece: readonly Wanted[]): Promise<void> {
    const { sources } = this.#ports;
    const { height } = this.#staging.target;
    const paths = piece.map(({ path }) => path);
    const answer = await sources.ask(peer, { kind: 'FETCH-STATE', height, paths }, 'STATE');
    if (!this.#asked.isOpen(piece)) return;
    const taken = answer === undefined ? 0 : this.#take(peer, piece, answer.records);
    if (taken === 0) {
      if (answer?.records.length === 0) sources.rest(peer, NOTHING_MS);
      if (this.#asked.giveUp(piece, peer)) this.#wanted.push(...piece);
      return;
    }
    this.#asked.close(piece);
    this.#wanted.push(...piece.slice(taken));
    this.taken += taken;
    this.#ports.onProgress();
    this.#writing++;
    await this.#staging.flush();
    this.#writing--;
  }

  /** How many of the nodes asked for came; what is below them is wanted now. */
  #take(peer: string, piece: readonly Wanted[], records: readonly Bytes[]): number {
    let taken = 0;
    for (const record of records.slice(0, piece.length)) {
      const below = this.#staging.put(piece[taken]!, record);
      if (below === undefined) {
        this.#ports.onLie(peer, `no such node in the state of block ${this.#staging.target.height}`);
        break;
      }
      taken++;
      this.#wanted.push(...below);
    }
    return taken;
  }
}
