/** The xft_ methods that this module can answer from the backend; the rest come through its extensions. */
import type { Height } from '../../primitives/ids.ts';
import { finalHeight, parseBlock } from './block-param.ts';
import { quantity } from './format.ts';
import { LIMIT_EXCEEDED, REFUSED, RpcError } from './jsonrpc.ts';
import type { MethodGroup, Services } from './method.ts';
import { args, parseCount, parseHash } from './params.ts';

const WAIT_MS_DEFAULT = 10_000;

export function xftMethods(services: Services): MethodGroup {
  const { backend, limits } = services;
  let waiters = 0;

  /** Tag, number, EIP-1898 object or bare hash. */
  const heightOf = (value: unknown): Height | undefined => {
    const bare = typeof value === 'string' && value.length === 66;
    return finalHeight(
      backend,
      bare ? { kind: 'hash', hash: parseHash(value, 'argument 0') } : parseBlock(value, 'argument 0'),
    );
  };

  const waitFor = (height: Height, timeoutMs: number): Promise<string> => {
    if (waiters >= limits.waitersMax) {
      throw new RpcError(LIMIT_EXCEEDED, `too many callers wait for blocks: at most ${limits.waitersMax} on this node`);
    }
    waiters++;
    return new Promise<string>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        unlisten();
        waiters--;
      };
      const timer = setTimeout(() => {
        done();
        reject(new RpcError(REFUSED, `timed out: block ${height} is not final after ${timeoutMs} ms`));
      }, timeoutMs);
      timer.unref();
      const unlisten = backend.onFinal(({ block }) => {
        if (block.header.number < height) return;
        done();
        resolve(quantity(block.header.number));
      });
    });
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
      const head = backend.head().height;
      return head >= height ? quantity(head) : waitFor(height, Math.min(timeoutMs, limits.waitMsMax));
    },
  };
}
