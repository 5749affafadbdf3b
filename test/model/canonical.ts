/**
 * States as plain values: copied so that the original can go on, and named by what they contain, so that two ways to the
 * same state meet. What was sent, received or logged never changes, so it is frozen once and shared by all copies.
 */
import { hash as digestOf } from 'node:crypto';

/**
 * Points in time. The checker lets any time-out run out at any moment, so ages say nothing but when they are compared with
 * 2Δ: they are erased, and every other waiting begins anew with each step.
 */
const TIMES = new Set([
  'now',
  'clock',
  'since',
  'at',
  'askedAt',
  'enteredAt',
  'quorumAt',
  'completeAt',
  'disputedAt',
  'behindSince',
  'finalAt',
  'lastHeard',
  'tick',
  'tickAt',
  'chainAnswerAfter',
  'lastCutAt',
  'progressAt',
  'lastResend',
  'lastHeartbeat',
]);
/** Kept up to 2Δ: see the file's comment in validator.ts. */
const WAIT = 'waitFrom';

export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || value instanceof Uint8Array)
    return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a) < String(b) ? -1 : 1;
}

/**
 * A copy that shares nothing that may change. Maps and sets come in the order of their keys, blocks in that of their
 * heights: orders in which things happened to arrive are not told apart, and the copy has the order that stands for all.
 */
export function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || value instanceof Uint8Array)
    return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  if (value instanceof Set) return new Set([...value].sort(compare)) as T;
  if (value instanceof Map) {
    const entries = [...value].map(([key, item]): [unknown, unknown] => [key, copy(item)]);
    entries.sort(([a, x], [b, y]) => heightOf(x) - heightOf(y) || compare(a, b));
    return new Map(entries) as T;
  }
  if (!isPlain(value)) throw new TypeError(`no way to copy a ${value.constructor.name}`);
  const out: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) out[name] = copy(part);
  return out as T;
}

function heightOf(value: unknown): number {
  const height = (value as { height?: unknown } | undefined)?.height;
  return typeof height === 'number' ? height : 0;
}

/** Erases points in time, in place. */
export function eraseTimes(value: unknown, now: number, longestMs: number): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || value instanceof Uint8Array) return;
  if (value instanceof Map) {
    for (const item of value.values()) eraseTimes(item, now, longestMs);
    return;
  }
  const record = value as Record<string, unknown>;
  for (const name of Object.keys(record)) {
    const part = record[name];
    if (typeof part === 'object') eraseTimes(part, now, longestMs);
    else if (typeof part !== 'number') continue;
    else if (name === WAIT) record[name] = Math.max(part - now, -longestMs);
    else if (TIMES.has(name)) record[name] = 0;
  }
}

const names = new WeakMap<object, string>();

/** A short name of a value's content; equal contents have equal names. */
export function nameOf(value: object): string {
  const known = names.get(value);
  if (known !== undefined) return known;
  const name = digestOf('md5', value instanceof Uint8Array ? value : text(value, true), 'base64');
  if (Object.isFrozen(value) || value instanceof Uint8Array) names.set(value, name);
  return name;
}

function text(value: unknown, top = false): string {
  if (typeof value === 'string') return `"${value}"`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Uint8Array || (!top && Object.isFrozen(value))) return nameOf(value);
  let out = '';
  if (Array.isArray(value)) {
    for (const item of value) out += text(item) + ',';
    return `[${out}]`;
  }
  if (value instanceof Map) {
    for (const [key, item] of value) out += `${String(key)}=${text(item)},`;
    return `{${out}}`;
  }
  if (value instanceof Set) {
    for (const item of value) out += text(item) + ',';
    return `<${out}>`;
  }
  for (const [name, part] of Object.entries(value)) if (part !== undefined) out += `${name}:${text(part)},`;
  return `(${out})`;
}
