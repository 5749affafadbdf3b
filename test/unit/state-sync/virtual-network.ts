/** Nodes that serve and take snapshots, over virtual time and links that a test may bend. */
import { Ledger } from '../../../ledger/ledger.ts';
import { MemoryStore } from '../../../ledger/memory-store.ts';
import { clearSlot } from '../../../ledger/staged-state.ts';
import type { KeyValueStore } from '../../../ledger/store.ts';
import { takeOverSnapshot } from '../../../ledger/take-over.ts';
import { chainOf, chainRules, genesisInput } from '../../../node/chain.ts';
import { proofJudges } from '../../../node/proof-judge.ts';
import {
  decodeSyncMessage,
  encodeSyncMessage,
  type Request,
  type SyncMessage,
} from '../../../node/state-sync/messages.ts';
import { SnapshotServer } from '../../../node/state-sync/server.ts';
import { Snapshots } from '../../../node/state-sync/snapshots.ts';
import type { Bytes } from '../../../primitives/ids.ts';
import { GENESIS } from '../node/proven-chain.ts';

/** What a peer does with a question; the answers go back through `answer`. */
export type Peer = (request: Request, answer: (message: SyncMessage) => void) => void;

export class VirtualTime {
  nowMs = 0;
  readonly #timers: { readonly at: number; readonly run: () => void }[] = [];

  readonly now = (): number => this.nowMs;

  readonly later = (run: () => void, delayMs: number): void => {
    this.#timers.push({ at: this.nowMs + delayMs, run });
  };

  /** Runs what is due, and lets promises settle, until the condition holds; false when the time is over. */
  async until(condition: () => boolean, mostMs = 600_000): Promise<boolean> {
    const end = this.nowMs + mostMs;
    while (!condition()) {
      await new Promise((resume) => setImmediate(resume));
      if (condition()) return true;
      const next = this.#timers.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY);
      if (next > end) return false;
      this.nowMs = Math.max(this.nowMs, next);
      const due = this.#timers.filter(({ at }) => at <= this.nowMs);
      for (const timer of due) this.#timers.splice(this.#timers.indexOf(timer), 1);
      for (const { run } of due) run();
    }
    return true;
  }
}

/** A peer that answers from a ledger, as every node does. */
export function honest(ledger: Ledger, time: VirtualTime): Peer {
  const answers = new Map<string, (message: SyncMessage) => void>();
  const server = new SnapshotServer({
    ledger,
    now: time.now,
    later: time.later,
    send: (peer, payload) => answers.get(peer)?.(decodeSyncMessage(payload)!),
    onProblem: (text) => {
      throw new Error(text);
    },
  });
  return (request, answer) => {
    answers.set('taker', answer);
    server.onRequest('taker', request);
  };
}

export type Lied = { readonly peer: string; readonly what: string };

/** A node that follows, with a store that outlives it. */
export class Taker {
  readonly store: MemoryStore;
  readonly peers: Map<string, Peer>;
  readonly warnings: string[] = [];
  readonly lies: Lied[] = [];
  /** Questions, by whom they were put to. */
  readonly asked: { readonly peer: string; readonly request: Request }[] = [];
  /** Answers with something in them. */
  answered = 0;
  follows = true;
  ready = false;
  /** Silent from now on, as if killed. */
  isDead = false;
  snapshots!: Snapshots;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime, peers: Record<string, Peer>, store = new MemoryStore()) {
    this.#time = time;
    this.peers = new Map(Object.entries(peers));
    this.store = store;
  }

  static async start(
    time: VirtualTime,
    peers: Record<string, Peer>,
    options: { readonly store?: MemoryStore; readonly after?: number } = {},
  ): Promise<Taker> {
    const taker = new Taker(time, peers, options.store);
    await takeOverSnapshot(taker.store);
    const ledger = await openNode(taker.store);
    await clearSlot(taker.store);
    taker.snapshots = taker.#make(ledger, options.after ?? 10);
    for (const peer of taker.peers.keys()) taker.snapshots.onUp(peer);
    taker.#tick();
    return taker;
  }

  #make(ledger: Ledger, after: number): Snapshots {
    const judgeOf = proofJudges(chainOf(GENESIS, ledger.genesisHash), ledger.recoveries);
    return new Snapshots({
      store: this.store,
      ledger,
      rules: chainRules(GENESIS),
      judge: (epoch, block, proof) => judgeOf(epoch)(block, proof),
      after,
      notBefore: 0,
      follows: () => this.follows,
      connected: () => [...this.peers.keys()],
      send: (peer, payload) => this.#send(peer, payload),
      now: this.#time.now,
      later: this.#time.later,
      nonce: 1,
      log: {
        info: () => undefined,
        warn: (message, data) => {
          this.warnings.push(message);
          if (data?.['peer'] !== undefined) this.lies.push(data as unknown as Lied);
        },
      },
      onReady: () => {
        this.ready = true;
      },
      onFailure: (error) => {
        throw error;
      },
    });
  }

  #send(peer: string, payload: Bytes): boolean {
    const request = decodeSyncMessage(payload) as Request;
    const answer = (message: SyncMessage): void => {
      const bytes = encodeSyncMessage(message);
      this.#time.later(() => {
        if (this.isDead) return;
        if (isUseful(message)) this.answered++;
        this.snapshots.onMessage(peer, bytes);
      }, 1);
    };
    if (this.isDead) return false;
    this.asked.push({ peer, request });
    this.#time.later(() => this.peers.get(peer)?.(request, answer), 1);
    return true;
  }

  #tick(): void {
    if (this.isDead) return;
    this.snapshots.tick();
    this.#time.later(() => this.#tick(), 250);
  }

  get banned(): string[] {
    return [...new Set(this.lies.map(({ peer }) => peer))].sort();
  }

  /** A kill: the store keeps what it has. */
  kill(): void {
    this.isDead = true;
    void this.snapshots.stop();
  }

  /** The same; what it still had under way has ended, too, so that the next life is alone with the store. */
  async killAndWait(): Promise<void> {
    this.isDead = true;
    let isOver = false;
    const stopped = this.snapshots.stop().then(() => {
      isOver = true;
    });
    await this.#time.until(() => isOver);
    await stopped;
  }
}

export async function openNode(store: KeyValueStore): Promise<Ledger> {
  return await Ledger.open({ store, ...chainRules(GENESIS), genesis: genesisInput(GENESIS) });
}

function isUseful(message: SyncMessage): boolean {
  if (message.kind === 'HISTORY') return message.blocks.length > 0;
  return message.kind === 'CONTRACT'
    ? message.bytes.length > 0
    : message.kind === 'STATE' && message.records.length > 0;
}
