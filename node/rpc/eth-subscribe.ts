/** eth_subscribe and eth_unsubscribe: over WebSocket only. */
import { METHOD_NOT_FOUND, REFUSED, RpcError } from './jsonrpc.ts';
import type { CallContext, MethodGroup } from './method.ts';
import { args } from './params.ts';
import { parseTopic, type Subscriber, type SubscriptionHub } from './subscriptions.ts';

function subscriberOf(context: CallContext): Subscriber {
  if (context.subscriber !== undefined) return context.subscriber;
  throw new RpcError(METHOD_NOT_FOUND, 'notifications not supported: subscribe over WebSocket, or use filters');
}

export function subscriptionMethods(hub: SubscriptionHub): MethodGroup {
  return {
    eth_subscribe: (params, context) => {
      const subscriber = subscriberOf(context);
      const subscription = hub.subscribe(subscriber, parseTopic(args(params, 1, 2)));
      context.created.push(subscription);
      return subscription.id;
    },
    eth_unsubscribe: (params, context) => {
      const subscriber = subscriberOf(context);
      if (hub.unsubscribe(subscriber, args(params, 1, 1)[0])) return true;
      throw new RpcError(REFUSED, 'subscription not found');
    },
  };
}
