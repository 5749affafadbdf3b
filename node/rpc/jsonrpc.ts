/**
 * JSON-RPC 2.0 envelopes: text to calls and results to text. Ids travel as JSON text from request to reply, so that
 * strings, null and numbers of any size come back as they came. Error codes as geth and EIP-1474 use them.
 */

import { literalIds, tooComplex } from './json-scan.ts';
import type { RpcLimits } from './limits.ts';

const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
/** Only for bugs of this program; each one is logged. */
export const INTERNAL_ERROR = -32603;
/** Refused for what the chain or the account says: the text tells. */
export const REFUSED = -32000;
export const REPLY_TOO_LARGE = -32003;
/** The server is busy; clients try again by themselves. */
export const LIMIT_EXCEEDED = -32005;
/** geth's code for "execution reverted", with the revert data. */
export const EXECUTION_REVERTED = 3;

/** An error that is the answer to a call. Thrown by methods and parameter parsers, caught by the dispatcher. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export type Call = {
  /** JSON text of the id; undefined for a notification, which is answered by silence. */
  readonly id: string | undefined;
  readonly method: string;
  readonly params: readonly unknown[];
};

/** A request that is none, with the reply it gets. */
export type Unfit = { readonly reply: string };

export type Payload =
  | { readonly kind: 'single'; readonly call: Call | Unfit }
  | { readonly kind: 'batch'; readonly calls: readonly (Call | Unfit)[] };

export function errorText(id: string, code: number, message: string, data?: unknown): string {
  const more = data === undefined ? '' : `,"data":${JSON.stringify(data)}`;
  return `{"jsonrpc":"2.0","id":${id},"error":{"code":${code},"message":${JSON.stringify(message)}${more}}}`;
}

export function resultText(id: string, result: unknown): string {
  return `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(result ?? null)}}`;
}

export function notificationText(method: string, params: string): string {
  return `{"jsonrpc":"2.0","method":"${method}","params":${params}}`;
}

function unfit(code: number, message: string, id = 'null'): Unfit {
  return { reply: errorText(id, code, message) };
}

type Limits = Pick<RpcLimits, 'depthMax' | 'elementsMax' | 'batchMax'>;

/** Request text to calls. Never throws. */
export function parsePayload(text: string, limits: Limits): Payload {
  const reason = tooComplex(text, limits);
  if (reason !== undefined) return { kind: 'single', call: unfit(INVALID_REQUEST, `request refused: ${reason}`) };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'single', call: unfit(PARSE_ERROR, 'parse error: the request is not valid JSON') };
  }
  let literals: readonly (string | undefined)[] | undefined;
  const literalId = (index: number): string | undefined => {
    literals ??= literalIds(text);
    return literals[index];
  };
  if (!Array.isArray(value)) return { kind: 'single', call: toCall(value, 0, literalId) };
  if (value.length === 0) return { kind: 'single', call: unfit(INVALID_REQUEST, 'empty batch') };
  if (value.length > limits.batchMax) {
    return { kind: 'single', call: unfit(INVALID_REQUEST, `batch too large: at most ${limits.batchMax} calls`) };
  }
  return { kind: 'batch', calls: value.map((item, index) => toCall(item, index, literalId)) };
}

function toCall(value: unknown, index: number, literalId: (index: number) => string | undefined): Call | Unfit {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return unfit(INVALID_REQUEST, 'invalid request: expected an object');
  }
  const { jsonrpc, id, method, params } = value as Record<string, unknown>;
  let idText: string | undefined;
  if (id === null || typeof id === 'string') idText = JSON.stringify(id);
  else if (typeof id === 'number') {
    idText = Number.isSafeInteger(id) ? String(id) : (literalId(index) ?? JSON.stringify(id));
  } else if (id !== undefined) return unfit(INVALID_REQUEST, 'invalid request: id must be a string, a number or null');
  if (jsonrpc !== '2.0') return unfit(INVALID_REQUEST, 'invalid request: jsonrpc must be "2.0"', idText);
  if (typeof method !== 'string') return unfit(INVALID_REQUEST, 'invalid request: method must be a string', idText);
  if (params === undefined || params === null) return { id: idText, method, params: [] };
  if (!Array.isArray(params)) return unfit(INVALID_PARAMS, 'invalid params: expected an array', idText);
  return { id: idText, method, params };
}
