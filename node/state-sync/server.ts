/**
 * Snapshots, the answering side: blocks with receipts and proofs, and the state after a recent block, node by node. The
 * receiver checks everything, so nothing here needs trust; what needs care is that a validator has other things to do. One
 * question is answered at a time, and after each comes a pause longer than the answer took.
 */
import type { Ledger } from '../../ledger/ledger.ts';
import type { GivenBlock } from '../../ledger/staged-blocks.ts';
import type { StateView } from '../../ledger/state-view.ts';
import { EMPTY } from '../../primitives/bytes.ts';
import { errorMessage } from '../../primitives/errors.ts';
import type { Bytes, Height } from '../../primitives/ids.ts';
import { type Answer, encodeSyncMessage, type FetchHistory, type FetchState, type Request } from './messages.ts';

/** Blocks and bytes of one answer, about: it ends at a block with a proof of its own. */
const BLOCKS_MAX = 64;
const HISTORY_BYTES_MAX = 2 * 1024 * 1024;
/** How far past the bounds a proof is looked for. */
const PROOF_SEARCH_MAX = 128;
const RECORDS_BYTES_MAX = 512 * 1024;

/** Questions that wait, in all and of one peer; more are dropped, and asked again by whoever asked. */
const QUESTIONS_MAX = 64;
const QUESTIONS_PER_PEER_MAX = 8;
/** After an answer that took so long, this many times as long a pause. */
const PAUSE_FACTOR = 2;
/** All answers together. */
const ANSWER_BYTES_PER_SECOND = 32 * 1024 * 1024;

/** States of two blocks at a time; one that was not asked for lately makes room, or is let go. */
const VIEWS_MAX = 2;
const VIEW_BUSY_MS = 5_000;
const VIEW_IDLE_MS = 60_000;
/** Between two that are made: each writes the state and leads back to a block, which costs a moment. */
const VIEW_EVERY_MS = 1_000;

export type ServerPorts = {
  readonly ledger: Ledger;
  readonly send: (peer: string, payload: Bytes) => void;
  /** Milliseconds on a clock that does not go back. */
  readonly now: () => number;
  /** Runs later; 0: after what already waits. */
  readonly later: (run: () => void, delayMs: number) => void;
  readonly onProblem: (text: string) => void;
};

type View = { view: StateView | undefined; usedAt: number };

export class SnapshotServer {
  readonly #ports: ServerPorts;
  readonly #questions: { readonly peer: string; readonly request: Request }[] = [];
  readonly #views = new Map<Height, View>();
  #viewMadeAt = Number.NEGATIVE_INFINITY;
  #busy = false;
  #stopped = false;

  constructor(ports: ServerPorts) {
    this.#ports = ports;
  }

  onRequest(peer: string, request: Request): void {
    const ofPeer = this.#questions.filter((question) => question.peer === peer).length;
    if (this.#stopped || ofPeer >= QUESTIONS_PER_PEER_MAX || this.#questions.length >= QUESTIONS_MAX) return;
    this.#questions.push({ peer, request });
    this.#next();
  }

  #next(): void {
    const question = this.#busy ? undefined : this.#questions.shift();
    if (question === undefined || this.#stopped) return;
    this.#busy = true;
    const { now, send, later, onProblem } = this.#ports;
    const startedAt = now();
    let bytes = 0;
    try {
      const payload = encodeSyncMessage(this.#answer(question.request));
      bytes = payload.length;
      send(question.peer, payload);
    } catch (error) {
      onProblem(`a snapshot could not be served: ${errorMessage(error)}`);
    }
    const paced = (1000 * bytes) / ANSWER_BYTES_PER_SECOND;
    const pauseMs = Math.max(PAUSE_FACTOR * (now() - startedAt), paced);
    later(() => {
      this.#busy = false;
      this.#next();
    }, Math.round(pauseMs));
  }

  #answer(request: Request): Answer {
    const { nonce } = request;
    switch (request.kind) {
      case 'FETCH-HISTORY':
        return { kind: 'HISTORY', nonce, final: this.#ports.ledger.head.height, blocks: this.#history(request) };
      case 'FETCH-STATE':
        return { kind: 'STATE', nonce, records: this.#records(request) };
      case 'FETCH-CONTRACT':
        return { kind: 'CONTRACT', nonce, bytes: this.#view(request.height)?.contract() ?? EMPTY };
    }
  }

  #history({ from, to }: FetchHistory): readonly GivenBlock[] {
    const { ledger } = this.#ports;
    const blocks: GivenBlock[] = [];
    let bytes = 0;
    let usable = 0;
    for (let height = Math.max(1, from); height <= ledger.head.height; height++) {
      const full = height > to || blocks.length >= BLOCKS_MAX || bytes >= HISTORY_BYTES_MAX;
      if (full && (usable > 0 || blocks.length === 0 || blocks.length >= BLOCKS_MAX + PROOF_SEARCH_MAX)) break;
      const block = ledger.rawBlock(height);
      const receipts = ledger.rawReceipts(height);
      if (block === undefined || receipts === undefined) break;
      const proof = ledger.proof(height) ?? EMPTY;
      blocks.push({ block, receipts, proof });
      bytes += block.length + receipts.length;
      if (proof.length > 0) usable = blocks.length;
    }
    return blocks.slice(0, usable);
  }

  #records({ height, paths }: FetchState): readonly Bytes[] {
    return this.#view(height)?.records(paths, RECORDS_BYTES_MAX) ?? [];
  }

  /** The state after a block; when there is none yet it is made, for the next question. */
  #view(height: Height): StateView | undefined {
    const now = this.#ports.now();
    const known = this.#views.get(height);
    if (known !== undefined) {
      known.usedAt = now;
      return known.view;
    }
    if (now - this.#viewMadeAt < VIEW_EVERY_MS || !this.#makeRoom(now)) return undefined;
    this.#viewMadeAt = now;
    const made: View = { view: undefined, usedAt: now };
    this.#views.set(height, made);
    void this.#make(height, made);
    return undefined;
  }

  #makeRoom(now: number): boolean {
    if (this.#views.size < VIEWS_MAX) return true;
    const [idle] = [...this.#views].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    return idle !== undefined && now - idle[1].usedAt >= VIEW_BUSY_MS && this.#drop(idle[0]);
  }

  async #make(height: Height, made: View): Promise<void> {
    const { ledger, later, onProblem } = this.#ports;
    const pause = () => new Promise<void>((resume) => later(resume, 0));
    try {
      made.view = await ledger.stateView(height, pause);
    } catch (error) {
      if (!this.#stopped) onProblem(`the state of block ${height} could not be served: ${errorMessage(error)}`);
    }
    // Without one the next question tries again; dropped meanwhile, nobody else would close it.
    if (made.view === undefined && this.#views.get(height) === made) this.#views.delete(height);
    if (made.view !== undefined && this.#views.get(height) !== made) await made.view.close();
  }

  #drop(height: Height): boolean {
    void this.#views.get(height)?.view?.close();
    return this.#views.delete(height);
  }

  /** Called now and then. */
  tick(): void {
    const now = this.#ports.now();
    for (const [height, { usedAt }] of this.#views) if (now - usedAt > VIEW_IDLE_MS) this.#drop(height);
  }

  stop(): void {
    this.#stopped = true;
    for (const height of this.#views.keys()) this.#drop(height);
  }
}
