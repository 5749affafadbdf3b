/** The xft_ methods that this module can answer from the backend; the rest come through its extensions. */
import type { Height } from '../../primitives/ids.ts';
import { finalHeight, parseBlock } from './block-param.ts';
import { FinalWaiters } from './final-waiters.ts';
import { quantity } from './format.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, parseCount, parseHash } from './params.ts';

const WAIT_MS_DEFAULT = 10_000;

export function xftMethods(services: Services): MethodGroup {
  const { backend, limits } = services;
  const onFinal = (listener: () => void) => backend.onFinal(listener);
  const waiters = new FinalWaiters({ limits, what: 'blocks', onFinal });

  /** Tag, number, EIP-1898 object or bare hash. */
  const heightOf = (value: unknown): Height | undefined => {
    const bare = typeof value === 'string' && value.length === 66;
    return finalHeight(
      backend,
      bare ? { kind: 'hash', hash: parseHash(value, 'argument 0') } : parseBlock(value, 'argument 0'),
    );
  };

  return {
    xft_status: (params) => {
      args(params, 0, 0);
      return backend.status();
    },
    xft_getValidators: (params) => {
      const height = heightOf(args(params, 0, 1)[0]);
      return (height === undefined ? undefined : backend.validators(height)) ?? null;
    },
    xft_getFinalityProof: (params) => {
      const height = heightOf(args(params, 1, 1)[0]);
      return (height === undefined ? undefined : backend.finalityProof(height)) ?? null;
    },
    xft_waitForBlock: (params) => {
      const [number, timeout] = args(params, 1, 2);
      const height = parseCount(number, 'argument 0');
      const timeoutMs = timeout === undefined || timeout === null ? WAIT_MS_DEFAULT : parseCount(timeout, 'argument 1');
      return waiters.wait({
        timeoutMs,
        look: () => (backend.head().height >= height ? quantity(backend.head().height) : undefined),
        timedOut: (ms) => `block ${height} is not final after ${ms} ms`,
      });
    },
  };
}
