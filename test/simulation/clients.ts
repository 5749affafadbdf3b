/**
 * Simulated clients: each account sends transfers one nonce after the other to replicas drawn at random, keeps a window
 * of them under way and hands those that are not final in time to another replica, as a wallet would. Some send rubbish.
 */
import type { LoadOptions } from './options.ts';
import type { Rng } from './rng.ts';
import type { Timeline } from './timeline.ts';
import { REFUSED, transaction, type Variant } from './transactions.ts';
import { Violation } from './violation.ts';

export type SubmitResult = { readonly ok: true } | { readonly ok: false; readonly message: string };

export type ClientHooks = {
  readonly n: number;
  /** Undefined when the replica does not answer. */
  readonly submit: (replica: number, raw: Uint8Array) => SubmitResult | undefined;
};

type Pending = { readonly nonce: number; readonly raw: Uint8Array; since: number };
type Account = { readonly index: number; final: number; next: number; pending: Pending[] };

export class Clients {
  readonly #accounts: Account[];
  readonly #options: LoadOptions;
  readonly #rng: Rng;
  readonly #timeline: Timeline;
  readonly #hooks: ClientHooks;
  #silentUntil = 0;
  #phaseEnds = 0;
  #stopped = false;
  #servers: readonly number[];
  submitted = 0;

  constructor(options: LoadOptions, timeline: Timeline, rng: Rng, hooks: ClientHooks) {
    this.#options = options;
    this.#timeline = timeline;
    this.#rng = rng;
    this.#hooks = hooks;
    this.#accounts = Array.from({ length: options.accounts }, (_, index) => ({
      index,
      final: 0,
      next: 0,
      pending: [],
    }));
    this.#servers = Array.from({ length: hooks.n }, (_, index) => index);
  }

  start(): void {
    const gap = (): number => this.#rng.exponential(1000 / this.#options.perSecond);
    const arrive = (): void => {
      if (this.#stopped) return;
      if (!this.#isSilent()) this.#send();
      this.#timeline.after(gap(), arrive);
    };
    const retry = (): void => {
      this.#retry();
      this.#timeline.after(this.#options.retryMs / 2, retry);
    };
    this.#timeline.after(gap(), arrive);
    this.#timeline.after(this.#options.retryMs, retry);
  }

  #isSilent(): boolean {
    const { silenceMs } = this.#options;
    const now = this.#timeline.now;
    if (silenceMs === 0) return false;
    if (now >= this.#phaseEnds) {
      this.#silentUntil = now + this.#rng.exponential(silenceMs);
      this.#phaseEnds = this.#silentUntil + this.#rng.exponential(silenceMs);
    }
    return now < this.#silentUntil;
  }

  #send(): void {
    const account = this.#rng.pick(this.#accounts);
    if (this.#rng.chance(this.#options.oddChance)) this.#sendOdd(account);
    if (account.pending.length < this.#options.window) this.#sendNext(account);
  }

  #sendNext(account: Account): void {
    const nonce = account.next++;
    const raw = transaction(account.index, nonce, 'plain');
    account.pending.push({ nonce, raw, since: this.#timeline.now });
    this.#submit(raw);
  }

  #submit(raw: Uint8Array): void {
    this.submitted++;
    this.#hooks.submit(this.#rng.pick(this.#servers), raw);
  }

  #sendOdd(account: Account): void {
    const variant = this.#rng.pick<Variant>(['rival', 'rival', 'plain', ...REFUSED]);
    const nonce = Math.max(0, account.next + this.#rng.int(4) - 2);
    const raw = transaction(account.index, nonce, variant);
    const result = this.#hooks.submit(this.#rng.pick(this.#servers), raw);
    if (result?.ok && REFUSED.includes(variant)) {
      throw new Violation('client', `a transaction that is ${variant} was taken`);
    }
  }

  #retry(): void {
    const now = this.#timeline.now;
    for (const account of this.#accounts) {
      const oldest = account.pending[0];
      if (oldest === undefined || now - oldest.since < this.#options.retryMs) continue;
      const server = this.#rng.pick(this.#servers);
      for (const pending of account.pending) {
        pending.since = now;
        this.#hooks.submit(server, pending.raw);
      }
    }
  }

  /** A final block holds this account's transaction. */
  onFinal(sender: number, nonce: number): void {
    const account = this.#accounts[sender];
    if (account === undefined) return;
    account.final = nonce + 1;
    account.next = Math.max(account.next, nonce + 1);
    account.pending = account.pending.filter((pending) => pending.nonce > nonce);
  }

  /** No new load: from now on only `servers` are asked, and only for what is still open. */
  drain(servers: readonly number[]): void {
    this.#stopped = true;
    this.#servers = servers;
  }

  /** One more transaction from every account, or what each still has under way. */
  probe(): void {
    for (const account of this.#accounts) {
      if (account.pending.length === 0) this.#sendNext(account);
    }
  }

  get open(): number {
    return this.#accounts.reduce((sum, account) => sum + account.pending.length, 0);
  }
}
