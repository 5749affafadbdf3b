/** A small JSON-RPC client: one node, HTTP, single calls. Failures become errors that say which node and what to do. */
import { errorMessage, QuorateError } from '../primitives/errors.ts';

const REQUEST_TIMEOUT_MS = 30_000;

type Answer = { readonly result?: unknown; readonly error?: { readonly code: number; readonly message: string } };

export class RpcClient {
  readonly url: string;
  #id = 0;

  constructor(url: string) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new QuorateError(
        'USAGE',
        `${JSON.stringify(url)} is not an RPC address; it looks like http://127.0.0.1:8545`,
      );
    }
    this.url = url;
  }

  /** The result of one method. Throws RPC_UNREACHABLE or RPC_ERROR. */
  async call(method: string, params: readonly unknown[] = [], timeoutMs = REQUEST_TIMEOUT_MS): Promise<unknown> {
    const answer = await this.#post(JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params }), timeoutMs);
    if (answer.error !== undefined) {
      const { code, message } = answer.error;
      throw new QuorateError('RPC_ERROR', `the node refused ${method}: ${message}`, {
        data: { code, method, reason: message },
      });
    }
    return answer.result;
  }

  async #post(body: string, timeoutMs: number): Promise<Answer> {
    let text: string;
    try {
      const headers = { 'content-type': 'application/json' };
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(this.url, { method: 'POST', headers, body, signal });
      text = await response.text();
      if (!response.ok) throw new QuorateError('RPC_UNREACHABLE', `${this.url} answered HTTP ${response.status}`);
    } catch (cause) {
      if (cause instanceof QuorateError) throw cause;
      const reason =
        cause instanceof Error && cause.cause !== undefined ? errorMessage(cause.cause) : errorMessage(cause);
      const message = `no node answers at ${this.url}${reason === '' ? '' : ` (${reason})`}; start one or name it with --rpc URL`;
      throw new QuorateError('RPC_UNREACHABLE', message, { cause });
    }
    try {
      return JSON.parse(text) as Answer;
    } catch (cause) {
      throw new QuorateError('RPC_UNREACHABLE', `${this.url} does not speak JSON-RPC; check --rpc URL`, { cause });
    }
  }
}

/** A hex quantity of an answer, as a number. */
export function quantity(value: unknown): number {
  return Number(bigQuantity(value));
}

/** A hex quantity of an answer. Throws RPC_ERROR when the node sent something else. */
export function bigQuantity(value: unknown): bigint {
  if (typeof value === 'string' && /^0x[0-9a-fA-F]+$/.test(value)) return BigInt(value);
  throw new QuorateError('RPC_ERROR', `the node answered ${JSON.stringify(value)} where a hex number was expected`);
}

export function toQuantity(value: number | bigint): string {
  return '0x' + value.toString(16);
}
