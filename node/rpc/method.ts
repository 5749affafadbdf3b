/** What a JSON-RPC method is, and what it may use. */
import type { Backend } from './backend.ts';
import type { Filters } from './filters.ts';
import type { RpcLimits } from './limits.ts';
import type { ReceiptCache } from './receipt-cache.ts';
import type { Scheduler } from './scheduler.ts';
import type { Subscriber, Subscription, SubscriptionHub } from './subscriptions.ts';

/** Lives as long as the server. */
export type Services = {
  readonly backend: Backend;
  readonly limits: RpcLimits;
  readonly scheduler: Scheduler;
  readonly receipts: ReceiptCache;
  readonly filters: Filters;
  readonly hub: SubscriptionHub;
};

/** Lives as long as one request or batch. */
export type CallContext = {
  /** The WebSocket that asks; undefined over HTTP. */
  readonly subscriber: Subscriber | undefined;
  /** Subscriptions made by this request: they speak after its reply has gone out. */
  readonly created: Subscription[];
};

/** Returns a plain JSON value or a promise of one; throws RpcError. Long work breathes through the scheduler. */
export type Method = (params: readonly unknown[], context: CallContext) => unknown;

export type MethodGroup = Readonly<Record<string, Method>>;
