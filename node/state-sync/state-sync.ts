/**
 * Taking a snapshot (consensus.md section 8; decision 0014). A node that follows and is further behind than the setting
 * says fetches the blocks it lacks without executing them, and the state after one of the newest, from all its peers at
 * once. When all of it is there, checked and durable, the node starts again inside its process and takes it over. Until
 * then it is the node it was, at its old head.
 *
 * A validator that may sign is never concerned, however far behind it is; one whose key forgot what it signed is, since it
 * only follows. What is taken touches blocks and state alone: no promise, no view, nothing that was ever signed.
 */
import type { ChainRules } from '../../ledger/chain-rules.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { BlockStaging, type JudgeProof } from '../../ledger/staged-blocks.ts';
import { StateStaging, type StateTarget, stagedState } from '../../ledger/staged-state.ts';
import type { KeyValueStore } from '../../ledger/store.ts';
import type { Bytes, Height } from '../../primitives/ids.ts';
import type { Log } from '../log.ts';
import { BlocksJob, type Job, type JobPorts, StateJob } from './jobs.ts';
import type { Answer } from './messages.ts';
import { Sources } from './sources.ts';

/** Questions to one source at a time. */
const ASKED_MAX = 2;
/** Without any progress for so long, blocks are fetched and executed again as ever. */
const STALLED_MS = 30_000;
/** Then, and after a start, this long passes before the next try. */
const AGAIN_MS = 30_000;
/** A state that nobody has given a node of for so long is given up for a newer one. */
const GONE_MS = 10_000;
/** After the first link, blocks are fetched for execution at the latest. */
const DECIDED_MS = 3_000;
/** Peers are asked how far they are. */
const PROBE_MS = 10_000;
const TELL_MS = 3_000;
const IDLE_MS = 100;
/**
 * Blocks whose height is a multiple of this are preferred, so that several nodes that come at once take the same one. The
 * second try takes the newest there is.
 */
const PREFERRED = 32;

export type StateSyncOptions = {
  readonly store: KeyValueStore;
  readonly ledger: Ledger;
  readonly rules: ChainRules;
  readonly judge: JudgeProof;
  /** Blocks behind the best peer from which on a snapshot is taken; 0: never. */
  readonly after: number;
  /** Not before this moment. */
  readonly notBefore: number;
  /** Whether this node only follows. */
  readonly follows: () => boolean;
  readonly connected: () => readonly string[];
  readonly send: (peer: string, payload: Bytes) => boolean;
  /** Milliseconds on a clock that does not go back. */
  readonly now: () => number;
  readonly later: (run: () => void, delayMs: number) => void;
  /** Tells this start's questions from an earlier one's. */
  readonly nonce: number;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** A snapshot is whole: the next start takes it over. */
  readonly onReady: (tookMs: number) => void;
  /** The disk failed, or holds something else than what was written. */
  readonly onFailure: (error: unknown) => void;
};

export type SyncProgress = {
  readonly part: 'blocks' | 'state';
  readonly startingBlock: Height;
  /** Newest block that is there, and how far the best source is. */
  readonly block: Height;
  readonly highestBlock: Height;
  /** Of the state: the block it is after, and its nodes taken in this life of the process. */
  readonly pivot: Height | undefined;
  readonly nodes: number;
};

const EXECUTED = 'the blocks were executed meanwhile';

/** It is over for now; the text says why. */
class GivenUp extends Error {}

export class StateSync {
  readonly #options: StateSyncOptions;
  readonly #sources: Sources;
  #notBefore: number;
  #probedAt = Number.NEGATIVE_INFINITY;
  #firstUpAt: number | undefined;
  #progress: SyncProgress | undefined;
  #progressAt = 0;
  #toldAt = 0;
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(options: StateSyncOptions) {
    this.#options = options;
    this.#notBefore = options.notBefore;
    this.#sources = new Sources(options, options.nonce);
  }

  /** Undefined: no snapshot is being taken. */
  get progress(): SyncProgress | undefined {
    return this.#progress;
  }

  onAnswer(peer: string, answer: Answer): void {
    this.#sources.onAnswer(peer, answer);
  }

  onUp(peer: string): void {
    this.#firstUpAt ??= this.#options.now();
    if (this.#isConcerned) this.#probe(peer);
  }

  /**
   * Blocks are not to be fetched for execution: a snapshot is being taken, or is about to be, or nobody has said yet how far
   * the others are.
   */
  get holdsBlocks(): boolean {
    if (this.#running !== undefined) return true;
    const now = this.#options.now();
    if (now < this.#notBefore || !this.#isConcerned) return false;
    const best = this.#sources.best();
    const isOpen = best === 0 && this.#firstUpAt !== undefined && now - this.#firstUpAt < DECIDED_MS;
    return isOpen || this.#isFarBehind(best);
  }

  #isFarBehind(best: Height): boolean {
    return best - this.#options.ledger.head.height > this.#options.after;
  }

  onDown(peer: string): void {
    this.#sources.onDown(peer);
  }

  /** Nothing is written any more once this resolves. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const peer of this.#options.connected()) this.#sources.onDown(peer);
    await this.#running;
  }

  get #isConcerned(): boolean {
    return !this.#stopped && this.#options.after > 0 && this.#options.follows();
  }

  #probe(peer: string): void {
    const { height } = this.#options.ledger.head;
    void this.#sources.ask(peer, { kind: 'FETCH-HISTORY', from: height + 1, to: height }, 'HISTORY');
  }

  /** Called now and then. */
  tick(): void {
    const { now, log, onReady, onFailure } = this.#options;
    if (this.#running !== undefined || !this.#isConcerned) return;
    if (now() - this.#probedAt >= PROBE_MS) {
      this.#probedAt = now();
      for (const peer of this.#sources.usable()) this.#probe(peer);
    }
    if (now() < this.#notBefore || !this.#isFarBehind(this.#sources.best())) return;
    const startedAt = now();
    this.#running = this.#run()
      .then(
        () => onReady(now() - startedAt),
        (error) => {
          if (!(error instanceof GivenUp)) onFailure(error);
          else if (!this.#stopped) log.warn('no snapshot for now, blocks are executed instead', { why: error.message });
        },
      )
      .finally(() => {
        this.#notBefore = now() + AGAIN_MS;
        this.#progress = undefined;
        this.#running = undefined;
      });
  }

  async #run(): Promise<void> {
    const { store, ledger, rules, judge, log } = this.#options;
    const startingBlock = ledger.head.height;
    log.info('taking a snapshot', { head: startingBlock, best: this.#sources.best() });
    this.#progressAt = this.#options.now();
    const blocks = new BlockStaging({ store, ledger, rules, judge });
    let target = this.#resumable(blocks);
    for (let tries = 0; ; tries++) {
      if (target === undefined) {
        await this.#fetchBlocks(blocks, startingBlock);
        target = this.#choose(blocks, tries);
      }
      if (target.height <= ledger.head.height) throw new GivenUp(EXECUTED);
      if (await this.#fetchState(blocks, target, startingBlock)) break;
      log.info('nobody has the state of this block any more, a newer one is taken', { block: target.height });
      target = undefined;
    }
    if (target.height <= ledger.head.height) throw new GivenUp(EXECUTED);
    log.info('the snapshot is whole', { block: target.height, nodes: this.#progress?.nodes ?? 0 });
  }

  /** What an earlier life was at. */
  #resumable(blocks: BlockStaging): StateTarget | undefined {
    const { store, ledger } = this.#options;
    const found = stagedState(store);
    if (found === undefined || found.height <= ledger.head.height || found.height > blocks.top.height) return undefined;
    const target = blocks.target(found.height);
    return target?.hash === found.hash ? target : undefined;
  }

  #choose(blocks: BlockStaging, tries: number): StateTarget {
    const { height } = blocks.top;
    const preferred = tries === 0 ? height - (height % PREFERRED) : height;
    const target = blocks.target(preferred > this.#options.ledger.head.height ? preferred : height);
    if (target === undefined) throw new GivenUp(`block ${height} is gone`);
    return target;
  }

  async #fetchBlocks(blocks: BlockStaging, startingBlock: Height): Promise<void> {
    const job = new BlocksJob(this.#ports(), blocks);
    await this.#share(job, () => ({
      part: 'blocks',
      startingBlock,
      block: blocks.top.height,
      highestBlock: Math.max(this.#sources.best(), blocks.top.height),
      pivot: undefined,
      nodes: 0,
    }));
  }

  /** False: nobody has this state any more. */
  async #fetchState(blocks: BlockStaging, target: StateTarget, startingBlock: Height): Promise<boolean> {
    const { now } = this.#options;
    const staging = await StateStaging.begin(this.#options.store, target);
    let nodes = 0;
    let givenAt = now();
    const ports = this.#ports();
    const status = (taken: number) => (): SyncProgress => ({
      part: 'state',
      startingBlock,
      block: blocks.top.height,
      highestBlock: Math.max(this.#sources.best(), blocks.top.height),
      pivot: target.height,
      nodes: nodes + taken,
    });
    for (let missing = await staging.missing(); missing.length > 0; missing = await staging.missing()) {
      const job = new StateJob(ports, staging, missing);
      let before = -1;
      const isGone = (): boolean => {
        if (job.taken !== before) givenAt = now();
        before = job.taken;
        return now() - givenAt > GONE_MS && this.#sources.usable().length > 0;
      };
      if (!(await this.#share(job, () => status(job.taken)(), isGone))) return false;
      nodes += job.taken;
    }
    return await this.#fetchContract(staging);
  }

  async #fetchContract(staging: StateStaging): Promise<boolean> {
    const { height } = staging.target;
    const until = this.#options.now() + GONE_MS;
    while (this.#options.now() < until) {
      this.#throwIfStopped();
      for (const peer of this.#sources.usable()) {
        const answer = await this.#sources.ask(peer, { kind: 'FETCH-CONTRACT', height }, 'CONTRACT');
        this.#throwIfStopped();
        if (answer === undefined || answer.bytes.length === 0) continue;
        if (await staging.complete(answer.bytes)) return true;
        this.#lied(peer, `no such contract in the state of block ${height}`);
      }
      await this.#sleep(IDLE_MS);
    }
    return false;
  }

  #ports(): JobPorts {
    return {
      sources: this.#sources,
      now: this.#options.now,
      pause: () => this.#sleep(0),
      onProgress: () => this.#advance(),
      onLie: (peer, what) => this.#lied(peer, what),
    };
  }

  #advance(): void {
    this.#progressAt = this.#options.now();
  }

  #lied(peer: string, what: string): void {
    this.#sources.ban(peer);
    this.#options.log.warn('a peer sent something wrong for the snapshot; it is not asked again for a while', {
      peer,
      what,
    });
  }

  #throwIfStopped(): void {
    if (this.#stopped) throw new GivenUp('the node is stopping');
    if (!this.#options.follows()) throw new GivenUp('this node is a validator now');
  }

  /** Gives pieces of work to all usable sources until it is done; false when it has become pointless. */
  async #share(job: Job, progress: () => SyncProgress, isGone: () => boolean = () => false): Promise<boolean> {
    const running = new Set<Promise<void>>();
    let failure: unknown;
    while (!job.done) {
      this.#progress = progress();
      this.#tell();
      const over = this.#stopped || !this.#options.follows() || failure !== undefined || isGone();
      if (over) break;
      if (this.#options.now() - this.#progressAt > STALLED_MS) {
        failure = new GivenUp('no peer gives what is missing');
        break;
      }
      for (const peer of this.#sources.usable()) {
        while (this.#sources.asked(peer) < ASKED_MAX) {
          const piece = job.give(peer);
          if (piece === undefined) break;
          const settled: Promise<void> = piece
            .catch((error) => {
              failure ??= error;
            })
            .finally(() => running.delete(settled));
          running.add(settled);
        }
      }
      await Promise.race([...running, this.#sleep(IDLE_MS)]);
    }
    // What is still asked for has been answered by others when it is done.
    if (!job.done) await Promise.all(running);
    if (failure !== undefined) throw failure;
    this.#throwIfStopped();
    return job.done;
  }

  #tell(): void {
    const { now, log } = this.#options;
    if (now() - this.#toldAt < TELL_MS || this.#progress === undefined) return;
    this.#toldAt = now();
    const { part, block, highestBlock, pivot, nodes } = this.#progress;
    if (part === 'blocks')
      log.info('snapshot: blocks', { block, of: highestBlock, sources: this.#sources.usable().length });
    else log.info('snapshot: state', { block: pivot, nodes, sources: this.#sources.usable().length });
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resume) => this.#options.later(resume, delayMs));
  }
}
