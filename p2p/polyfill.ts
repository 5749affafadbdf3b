/**
 * `Promise.withResolvers` (ES2024) for Node 20, which libp2p's dependencies call. It must be there before the first of
 * them is evaluated, so this file imports nothing and is the first import of `bin/quorate` and of every file here that
 * imports libp2p. On newer Node it does nothing.
 */

type Resolvers<T> = {
  promise: Promise<T>;
  resolve: (value: T | PromiseLike<T>) => void;
  reject: (reason?: unknown) => void;
};

function withResolvers<T>(this: PromiseConstructor): Resolvers<T> {
  let resolve!: Resolvers<T>['resolve'];
  let reject!: Resolvers<T>['reject'];
  // `this`, as the standard has it, so that subclasses of Promise get their own kind.
  const promise = new this<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

if (typeof (Promise as { withResolvers?: unknown }).withResolvers !== 'function') {
  Object.defineProperty(Promise, 'withResolvers', { value: withResolvers, writable: true, configurable: true });
}

export {};
