/** Plain JSON-RPC over HTTP, as a script would speak it: single calls and batches, with a time-out each. */

export type RpcFailure = { readonly code: number; readonly message: string; readonly data?: unknown };
type Answer = { readonly id: unknown; readonly result?: unknown; readonly error?: RpcFailure };

/** The node answered with a JSON-RPC error. */
export class RpcRefusal extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(method: string, failure: RpcFailure) {
    super(`${method}: ${failure.message} (${failure.code})`);
    this.code = failure.code;
    this.data = failure.data;
  }
}

const TIMEOUT_MS = 20_000;

export class Rpc {
  readonly url: string;
  #id = 0;

  constructor(url: string) {
    this.url = url;
  }

  /** Sends a body as it is; the answer's status and text. */
  async post(body: string, timeoutMs = TIMEOUT_MS): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, text: await response.text() };
  }

  /** Throws RpcRefusal for an error answer, and something else when the node does not answer. */
  async call<T = unknown>(method: string, params: readonly unknown[] = [], timeoutMs = TIMEOUT_MS): Promise<T> {
    const { status, text } = await this.post(
      JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params }),
      timeoutMs,
    );
    if (status !== 200) throw new Error(`${method}: HTTP ${status} ${text.slice(0, 200)}`);
    const answer = JSON.parse(text) as Answer;
    if (answer.error !== undefined) throw new RpcRefusal(method, answer.error);
    return answer.result as T;
  }

  /** One request with many calls; results in order, a refusal as its error. */
  async batch<T = unknown>(calls: readonly (readonly [string, readonly unknown[]])[]): Promise<(T | RpcRefusal)[]> {
    const out: (T | RpcRefusal)[] = [];
    for (let from = 0; from < calls.length; from += 100)
      out.push(...(await this.#batchOf<T>(calls.slice(from, from + 100))));
    return out;
  }

  async #batchOf<T>(calls: readonly (readonly [string, readonly unknown[]])[]): Promise<(T | RpcRefusal)[]> {
    const body = calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }));
    const { status, text } = await this.post(JSON.stringify(body));
    if (status !== 200) throw new Error(`batch: HTTP ${status} ${text.slice(0, 200)}`);
    const answers = JSON.parse(text) as Answer[];
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    return calls.map(([method], id) => {
      const answer = byId.get(id);
      if (answer === undefined) throw new Error(`batch: no answer to call ${id}`);
      return answer.error === undefined ? (answer.result as T) : new RpcRefusal(method, answer.error);
    });
  }

  async number(method: string, params: readonly unknown[] = []): Promise<number> {
    return Number(await this.call<string>(method, params));
  }

  async blockNumber(timeoutMs?: number): Promise<number> {
    return Number(await this.call<string>('eth_blockNumber', [], timeoutMs));
  }
}
