/**
 * The simulated network between machines. Two natures, one drawn per run: `stream` behaves as the real transport does
 * (in order per channel, nothing lost while a link stands, everything in flight lost when it breaks, `connected` when it
 * comes up), `datagram` loses, doubles and reorders at will, which is worse than anything the transport can do.
 * Directed cuts, clogs and resets come from the fault injector; a link whose way is cut long enough breaks.
 */
import type { NetworkOptions } from './options.ts';
import type { Rng } from './rng.ts';
import type { Timeline } from './timeline.ts';

export type Channel = 'consensus' | 'blocks' | 'transactions' | 'sync' | 'gossip';

export type NetworkHooks = {
  readonly onMessage: (to: number, from: number, channel: Channel, payload: Uint8Array) => void;
  readonly onConnected: (at: number, peer: number) => void;
  readonly isRunning: (replica: number) => boolean;
  readonly watch?: NetworkWatch | undefined;
};

/** Told of what the network does to messages, links and ways. */
export type NetworkWatch = {
  /** `delayMs` undefined: it is lost. */
  readonly onMessage: (from: number, to: number, delayMs: number | undefined) => void;
  readonly onLink: (a: number, b: number, isUp: boolean) => void;
  readonly onCut: (from: number, to: number, isCut: boolean) => void;
};

type Held = { readonly from: number; readonly to: number; readonly deliver: () => void };

export type NetworkCounts = { sent: number; delivered: number; lost: number; duplicated: number; resets: number };

/** How long a stream survives a cut before it breaks. */
const CUT_SURVIVED_MS = 3000;

export class SimNetwork {
  readonly counts: NetworkCounts = { sent: 0, delivered: 0, lost: 0, duplicated: 0, resets: 0 };
  readonly #n: number;
  readonly #options: NetworkOptions;
  readonly #timeline: Timeline;
  readonly #rng: Rng;
  readonly #hooks: NetworkHooks;
  /** Per directed pair: cut until healed. */
  readonly #cut: boolean[];
  /** Per directed pair: nothing arrives before this time. */
  readonly #cloggedUntil: number[];
  /** Per directed pair: the last arrival, for order within a stream. */
  readonly #lastArrival: number[];
  /** Per directed pair (kept equal both ways): the link's life; 0 while it is down. */
  readonly #link: number[];
  readonly #connecting: boolean[];
  #held: Held[] = [];
  #links = 0;
  /** Pairs that must behave from now on, with the delay they may not exceed. */
  #calm: { readonly members: ReadonlySet<number>; readonly delayMaxMs: number } | undefined;

  constructor(n: number, options: NetworkOptions, timeline: Timeline, rng: Rng, hooks: NetworkHooks) {
    this.#n = n;
    this.#options = options;
    this.#timeline = timeline;
    this.#rng = rng;
    this.#hooks = hooks;
    this.#cut = new Array<boolean>(n * n).fill(false);
    this.#cloggedUntil = new Array<number>(n * n).fill(0);
    this.#lastArrival = new Array<number>(n * n).fill(0);
    this.#link = new Array<number>(n * n).fill(0);
    this.#connecting = new Array<boolean>(n * n).fill(false);
  }

  #pair(from: number, to: number): number {
    return from * this.#n + to;
  }

  #isCalm(from: number, to: number): boolean {
    return this.#calm?.members.has(from) === true && this.#calm.members.has(to);
  }

  /** What the transport's send is to the host: false when there is no link. */
  send(from: number, to: number, channel: Channel, payload: Uint8Array): boolean {
    const pair = this.#pair(from, to);
    const life = this.#link[pair]!;
    if (life === 0) return false;
    this.counts.sent++;
    const calm = this.#isCalm(from, to);
    if (!calm && this.#rng.chance(this.#options.lossChance)) {
      this.counts.lost++;
      this.#hooks.watch?.onMessage(from, to, undefined);
      return true;
    }
    this.#schedule(from, to, life, channel, payload);
    if (!calm && this.#rng.chance(this.#options.duplicateChance)) {
      this.counts.duplicated++;
      this.#schedule(from, to, life, channel, payload);
    }
    return true;
  }

  #delayMs(from: number, to: number): number {
    const { delayMinMs, delayMeanMs, tailChance, tailFactor } = this.#options;
    let delay = delayMinMs + this.#rng.exponential(Math.max(0, delayMeanMs - delayMinMs));
    if (this.#rng.chance(tailChance)) delay *= tailFactor;
    return this.#isCalm(from, to) ? Math.min(delay, this.#calm!.delayMaxMs) : delay;
  }

  #schedule(from: number, to: number, life: number, channel: Channel, payload: Uint8Array): void {
    const pair = this.#pair(from, to);
    const now = this.#timeline.now;
    let arrival = Math.max(now + this.#delayMs(from, to), this.#cloggedUntil[pair]!);
    if (this.#options.mode === 'stream') {
      arrival = Math.max(arrival, this.#lastArrival[pair]!);
      this.#lastArrival[pair] = arrival;
    }
    const deliver = (): void => {
      if (this.#link[pair] !== life) {
        this.counts.lost++;
        return;
      }
      if (this.#cut[pair]) {
        if (this.#options.mode === 'stream') this.#held.push({ from, to, deliver });
        else this.counts.lost++;
        return;
      }
      this.counts.delivered++;
      this.#hooks.onMessage(to, from, channel, payload);
    };
    this.#hooks.watch?.onMessage(from, to, arrival - now);
    this.#timeline.after(arrival - now, deliver);
  }

  /** Begins to connect every pair of running replicas that has no link. */
  connectAll(): void {
    for (let a = 0; a < this.#n; a++) for (let b = a + 1; b < this.#n; b++) this.connect(a, b);
  }

  connect(a: number, b: number): void {
    const pair = this.#pair(Math.min(a, b), Math.max(a, b));
    if (a === b || this.#link[pair] !== 0 || this.#connecting[pair]) return;
    if (!this.#hooks.isRunning(a) || !this.#hooks.isRunning(b)) return;
    this.#connecting[pair] = true;
    const attempt = (): void => {
      this.#connecting[pair] = false;
      if (this.#link[pair] !== 0 || !this.#hooks.isRunning(a) || !this.#hooks.isRunning(b)) return;
      if (this.#cut[this.#pair(a, b)] && this.#cut[this.#pair(b, a)]) return;
      this.#links++;
      this.#link[this.#pair(a, b)] = this.#links;
      this.#link[this.#pair(b, a)] = this.#links;
      this.#hooks.watch?.onLink(a, b, true);
      const [first, second] = this.#rng.chance(0.5) ? [a, b] : [b, a];
      this.#announce(first, second, this.#links, 0);
      this.#announce(second, first, this.#links, this.#delayMs(first, second));
    };
    const mean = this.#isCalm(a, b) ? Math.min(this.#options.connectMeanMs, 100) : this.#options.connectMeanMs;
    this.#timeline.after(this.#rng.exponential(mean), attempt);
  }

  #announce(at: number, peer: number, life: number, delayMs: number): void {
    this.#timeline.after(delayMs, () => {
      if (this.#link[this.#pair(at, peer)] === life) this.#hooks.onConnected(at, peer);
    });
  }

  /** The link breaks, with all that is in flight, and comes up again if it can. */
  reset(a: number, b: number): void {
    if (this.#link[this.#pair(a, b)] !== 0) {
      this.counts.resets++;
      this.#hooks.watch?.onLink(a, b, false);
    }
    this.#link[this.#pair(a, b)] = 0;
    this.#link[this.#pair(b, a)] = 0;
    this.#held = this.#held.filter(
      (held) => !(held.from === a && held.to === b) && !(held.from === b && held.to === a),
    );
    this.connect(a, b);
  }

  /** A process ended: its links are gone. */
  resetAll(replica: number): void {
    for (let peer = 0; peer < this.#n; peer++) if (peer !== replica) this.reset(replica, peer);
  }

  /** Stops everything from one replica to another. */
  cut(from: number, to: number): void {
    const pair = this.#pair(from, to);
    if (this.#cut[pair]) return;
    this.#cut[pair] = true;
    this.#hooks.watch?.onCut(from, to, true);
    if (this.#options.mode !== 'stream') return;
    const life = this.#link[pair];
    const patience = this.#rng.exponential(CUT_SURVIVED_MS);
    this.#timeline.after(patience, () => {
      if (this.#cut[pair] && this.#link[pair] === life && life !== 0) this.reset(from, to);
    });
  }

  heal(from: number, to: number): void {
    const pair = this.#pair(from, to);
    if (!this.#cut[pair]) return;
    this.#cut[pair] = false;
    this.#hooks.watch?.onCut(from, to, false);
    // A datagram link never broke by itself: it comes up anew, as a transport's would after a long cut.
    if (this.#options.mode === 'datagram' && !this.#cut[this.#pair(to, from)] && this.#rng.chance(0.5)) {
      this.reset(from, to);
    }
    const freed = this.#held.filter((held) => held.from === from && held.to === to);
    this.#held = this.#held.filter((held) => held.from !== from || held.to !== to);
    for (const held of freed) this.#timeline.after(0, held.deliver);
    this.connect(from, to);
  }

  clog(from: number, to: number, forMs: number): void {
    this.#cloggedUntil[this.#pair(from, to)] = this.#timeline.now + forMs;
  }

  /** From now on nothing is lost, doubled or late between these; their links are made anew, but for `kept` pairs. */
  calm(members: ReadonlySet<number>, delayMaxMs: number, kept = (_a: number, _b: number): boolean => false): void {
    this.#calm = { members, delayMaxMs };
    for (const a of members) {
      for (const b of members) {
        if (a === b) continue;
        this.#cloggedUntil[this.#pair(a, b)] = 0;
        this.#lastArrival[this.#pair(a, b)] = 0;
        this.heal(a, b);
        if (a >= b) continue;
        if (kept(a, b)) this.connect(a, b);
        else this.reset(a, b);
      }
    }
  }
}
