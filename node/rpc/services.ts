/** Puts together what the methods share, and the dispatcher over them. */
import type { Backend } from './backend.ts';
import { Dispatcher } from './dispatcher.ts';
import { Filters } from './filters.ts';
import type { RpcLimits } from './limits.ts';
import type { Services } from './method.ts';
import { methodTable } from './methods.ts';
import { ReceiptCache } from './receipt-cache.ts';
import { Scheduler } from './scheduler.ts';
import { SubscriptionHub } from './subscriptions.ts';

export type ServicesOptions = {
  readonly backend: Backend;
  readonly limits: RpcLimits;
  readonly onBug: (method: string, error: unknown) => void;
  readonly now: () => number;
};

export function makeServices(options: ServicesOptions): {
  readonly services: Services;
  readonly dispatcher: Dispatcher;
} {
  const { backend, limits, onBug, now } = options;
  const services: Services = {
    backend,
    limits,
    scheduler: new Scheduler(limits.sliceMs),
    receipts: new ReceiptCache(backend),
    filters: new Filters(backend, limits, now),
    hub: new SubscriptionHub(backend, limits),
  };
  const { scheduler } = services;
  return { services, dispatcher: new Dispatcher({ methods: methodTable(services), scheduler, limits, onBug }) };
}
