/**
 * From request text to reply text. Single calls and batches run in the scheduler's slices; a batch stops executing once
 * its replies pass the limit. Whatever a method throws that is no RpcError is a bug of this program: logged, -32603.
 */
import {
  type Call,
  errorText,
  INTERNAL_ERROR,
  METHOD_NOT_FOUND,
  parsePayload,
  REPLY_TOO_LARGE,
  RpcError,
  resultText,
  type Unfit,
} from './jsonrpc.ts';
import type { RpcLimits } from './limits.ts';
import type { CallContext, Method } from './method.ts';
import type { Scheduler } from './scheduler.ts';

export type DispatcherOptions = {
  readonly methods: ReadonlyMap<string, Method>;
  readonly scheduler: Scheduler;
  readonly limits: RpcLimits;
  /** Told of every bug that surfaced in a method. */
  readonly onBug: (method: string, error: unknown) => void;
};

/** Names of unknown methods are shown, but not at any length. */
const NAME_SHOWN_MAX = 100;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** For metrics. */
  readonly counters = { calls: 0, errors: 0, bugs: 0 };

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Calls `reply` exactly once; with undefined when nothing is to be sent (notifications only). */
  handle(text: string, context: CallContext, reply: (text: string | undefined) => void): void {
    this.#options.scheduler.run(() => {
      const payload = parsePayload(text, this.#options.limits);
      if (payload.kind === 'batch') {
        void this.#batch(payload.calls, context).then(reply);
        return;
      }
      const answer = this.#execute(payload.call, context);
      if (answer instanceof Promise) void answer.then(reply);
      else reply(answer);
    });
  }

  async #batch(calls: readonly (Call | Unfit)[], context: CallContext): Promise<string | undefined> {
    const { scheduler, limits } = this.#options;
    const answers: (string | undefined | Promise<string | undefined>)[] = [];
    let bytes = 0;
    const bounded = (call: Call | Unfit, answer: string | undefined): string | undefined => {
      if (answer === undefined) return undefined;
      bytes += answer.length;
      return bytes <= limits.replyBytesMax || 'reply' in call ? answer : tooLarge(call);
    };
    for (const call of calls) {
      const pause = scheduler.breathe();
      if (pause !== undefined) await pause;
      if (bytes > limits.replyBytesMax && !('reply' in call)) {
        answers.push(tooLarge(call));
        continue;
      }
      const answer = this.#execute(call, context);
      answers.push(answer instanceof Promise ? answer.then((text) => bounded(call, text)) : bounded(call, answer));
    }
    const texts = (await Promise.all(answers)).filter((text) => text !== undefined);
    return texts.length === 0 ? undefined : `[${texts.join(',')}]`;
  }

  /** Never throws and never rejects. Undefined: a notification. */
  #execute(call: Call | Unfit, context: CallContext): string | undefined | Promise<string | undefined> {
    this.counters.calls++;
    if ('reply' in call) {
      this.counters.errors++;
      return call.reply;
    }
    const method = this.#options.methods.get(call.method);
    if (method === undefined) {
      const name = call.method.slice(0, NAME_SHOWN_MAX);
      return this.#failed(call, new RpcError(METHOD_NOT_FOUND, `the method ${name} does not exist/is not available`));
    }
    try {
      const result = method(call.params, context);
      if (!(result instanceof Promise)) return call.id === undefined ? undefined : resultText(call.id, result);
      return result
        .then((value: unknown) => (call.id === undefined ? undefined : resultText(call.id, value)))
        .catch((error: unknown) => this.#failed(call, error));
    } catch (error) {
      return this.#failed(call, error);
    }
  }

  #failed(call: Call, error: unknown): string | undefined {
    this.counters.errors++;
    if (!(error instanceof RpcError)) {
      this.counters.bugs++;
      this.#options.onBug(call.method, error);
    }
    if (call.id === undefined) return undefined;
    if (error instanceof RpcError) return errorText(call.id, error.code, error.message, error.data);
    return errorText(call.id, INTERNAL_ERROR, 'internal error: see the log of the node');
  }
}

function tooLarge(call: Call): string | undefined {
  return call.id === undefined ? undefined : errorText(call.id, REPLY_TOO_LARGE, 'response too large');
}
