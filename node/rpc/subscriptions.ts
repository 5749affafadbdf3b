/**
 * eth_subscribe: newHeads, logs, newPendingTransactions, and XFT's own xft_finality and xft_views. Only final blocks are
 * told, each once, in height order. A notification is made to text once per kind, whatever the number of listeners.
 */
import type { Transaction } from '../../ledger/transaction.ts';
import type { Backend, FinalBlock, Unlisten } from './backend.ts';
import { headerJson, transactionJson } from './format.ts';
import { LIMIT_EXCEEDED, METHOD_NOT_FOUND, notificationText, RpcError } from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';
import { blockLogs, type LogCriteria, parseLogQuery } from './log-filter.ts';
import { parseBoolean } from './params.ts';
import { randomId } from './random-id.ts';
import { firstLogs } from './receipt-cache.ts';

/** A connection that can be told something. */
export interface Subscriber {
  /** Sends a notification; drops the connection when it does not keep up. */
  notify(text: string): void;
  /** Ends the connection: what it was promised can no longer be given in full. */
  drop(): void;
}

type Topic =
  | { readonly kind: 'newHeads' | 'xft_finality' | 'xft_views' }
  | { readonly kind: 'logs'; readonly criteria: LogCriteria }
  | { readonly kind: 'newPendingTransactions'; readonly full: boolean };

export type Subscription = {
  readonly id: string;
  readonly subscriber: Subscriber;
  readonly topic: Topic;
  /** What came before the reply with the id went out; undefined afterwards. */
  held: string[] | undefined;
};

export class SubscriptionHub {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  readonly #byId = new Map<string, Subscription>();
  readonly #bySubscriber = new Map<Subscriber, Set<Subscription>>();
  /** Per kind the subscriptions and the backend listener that feeds them, only while there are any. */
  readonly #kinds = new Map<Topic['kind'], { readonly members: Set<Subscription>; readonly unlisten: Unlisten }>();

  constructor(backend: Backend, limits: RpcLimits) {
    this.#backend = backend;
    this.#limits = limits;
  }

  get size(): number {
    return this.#byId.size;
  }

  subscribe(subscriber: Subscriber, topic: Topic): Subscription {
    const mine = this.#bySubscriber.get(subscriber) ?? new Set();
    if (mine.size >= this.#limits.subscriptionsPerSocketMax) {
      throw new RpcError(
        LIMIT_EXCEEDED,
        `too many subscriptions: at most ${this.#limits.subscriptionsPerSocketMax} on one connection`,
      );
    }
    if (this.#byId.size >= this.#limits.subscriptionsMax) {
      throw new RpcError(
        LIMIT_EXCEEDED,
        `too many subscriptions: at most ${this.#limits.subscriptionsMax} on this node`,
      );
    }
    const subscription: Subscription = { id: randomId(), subscriber, topic, held: [] };
    this.#byId.set(subscription.id, subscription);
    this.#bySubscriber.set(subscriber, mine.add(subscription));
    const kind = this.#kinds.get(topic.kind);
    if (kind !== undefined) kind.members.add(subscription);
    else {
      const members = new Set([subscription]);
      this.#kinds.set(topic.kind, { members, unlisten: this.#listen(topic.kind, members) });
    }
    return subscription;
  }

  /** The reply that names the subscription has gone out: what was held follows. */
  release(subscription: Subscription): void {
    const { held } = subscription;
    subscription.held = undefined;
    for (const text of held ?? []) subscription.subscriber.notify(text);
  }

  unsubscribe(subscriber: Subscriber, id: unknown): boolean {
    const subscription = typeof id === 'string' ? this.#byId.get(id) : undefined;
    if (subscription === undefined || subscription.subscriber !== subscriber) return false;
    this.#remove(subscription);
    return true;
  }

  /** The connection has ended. */
  drop(subscriber: Subscriber): void {
    for (const subscription of this.#bySubscriber.get(subscriber) ?? []) this.#remove(subscription);
  }

  #remove(subscription: Subscription): void {
    const { id, subscriber, topic } = subscription;
    this.#byId.delete(id);
    const mine = this.#bySubscriber.get(subscriber);
    mine?.delete(subscription);
    if (mine?.size === 0) this.#bySubscriber.delete(subscriber);
    const kind = this.#kinds.get(topic.kind);
    kind?.members.delete(subscription);
    if (kind?.members.size !== 0) return;
    kind.unlisten();
    this.#kinds.delete(topic.kind);
  }

  #listen(kind: Topic['kind'], members: ReadonlySet<Subscription>): Unlisten {
    const tellAll = (value: unknown) => {
      const text = JSON.stringify(value);
      for (const subscription of [...members]) this.#tell(subscription, text);
    };
    switch (kind) {
      case 'newHeads':
        return this.#backend.onFinal(({ block }) => tellAll(headerJson(block.header, block.hash)));
      case 'logs':
        return this.#backend.onFinal((final) => this.#tellLogs(members, final));
      case 'newPendingTransactions':
        return this.#backend.onPooled((transaction) => this.#tellPending(members, transaction));
      case 'xft_finality':
        return this.#backend.onFinality(tellAll);
      case 'xft_views':
        return this.#backend.onView(tellAll);
    }
  }

  #tellLogs(members: ReadonlySet<Subscription>, { block, receipts }: FinalBlock): void {
    const list = { receipts, firstLog: firstLogs(receipts) };
    for (const subscription of [...members]) {
      if (subscription.topic.kind !== 'logs') continue;
      for (const log of blockLogs(block, list, subscription.topic.criteria))
        this.#tell(subscription, JSON.stringify(log));
    }
  }

  #tellPending(members: ReadonlySet<Subscription>, transaction: Transaction): void {
    const hash = `"${transaction.hash}"`;
    let object: string | undefined;
    for (const subscription of [...members]) {
      if (subscription.topic.kind !== 'newPendingTransactions') continue;
      if (subscription.topic.full) object ??= JSON.stringify(transactionJson(transaction, undefined));
      this.#tell(subscription, subscription.topic.full ? object! : hash);
    }
  }

  #tell(subscription: Subscription, result: string): void {
    const text = notificationText('eth_subscription', `{"subscription":"${subscription.id}","result":${result}}`);
    if (subscription.held === undefined) subscription.subscriber.notify(text);
    else if (subscription.held.length < this.#limits.queuedNotificationsMax) subscription.held.push(text);
    else subscription.subscriber.drop();
  }
}

export function parseTopic(params: readonly unknown[]): Topic {
  const [kind, option] = params;
  switch (kind) {
    case 'newHeads':
    case 'xft_finality':
    case 'xft_views':
      return { kind };
    case 'logs':
      return { kind, criteria: parseLogQuery(option, 'argument 1') };
    case 'newPendingTransactions':
      return { kind, full: parseBoolean(option, 'argument 1') };
    default:
      throw new RpcError(
        METHOD_NOT_FOUND,
        'no such subscription: choose newHeads, logs, newPendingTransactions, xft_finality or xft_views',
      );
  }
}
