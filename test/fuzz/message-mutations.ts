/**
 * A liar's messages: real ones with some fields changed, here and there deep inside, and everything that the liar signs
 * in them signed anew with its key. So they are well-formed, current, and wrong in one place.
 */
import type { Message, SignedMessage } from '../../consensus/message.ts';
import type { Statement } from '../../consensus/statement.ts';
import { toHex } from '../../primitives/bytes.ts';
import type { Random } from './random.ts';

export type Liar = {
  readonly index: number;
  readonly incarnation: string;
  readonly sign: (statement: Statement) => Uint8Array;
};

type Fields = Record<string, unknown>;

const SIGNED: ReadonlySet<unknown> = new Set<SignedMessage['kind']>([
  'PREPARE',
  'COMMIT',
  'COMMITTED',
  'SUSPECT',
  'VIEW-CHANGE',
  'VC-FINAL',
  'NEW-VIEW',
]);
const VOTES = ['PREPARE', 'COMMIT', 'COMMITTED'] as const;
const FAR = [0, 1, 2, 1000, 2 ** 32, 2 ** 52];
const ITEMS_MAX = 64;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !Array.isArray(value);
}

/** A copy down to the leaves, so that the original may be used again. */
function copied<T>(value: T): T {
  if (value instanceof Uint8Array) return Uint8Array.from(value) as T;
  if (Array.isArray(value)) return value.map(copied) as T;
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, copied(field)])) as T;
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

/** Every object in a message, the outermost first. */
function objectsOf(value: unknown, into: Fields[] = []): Fields[] {
  if (Array.isArray(value)) for (const item of value) objectsOf(item, into);
  else if (isFields(value)) {
    into.push(value);
    for (const field of Object.values(value)) objectsOf(field, into);
  }
  return into;
}

function changed(random: Random, key: string, value: unknown, donors: readonly Fields[]): unknown {
  const donor = random(3) === 0 ? donors[random(donors.length)]?.[key] : undefined;
  if (donor !== undefined) return copied(donor);
  if (typeof value === 'number') return random(2) === 0 ? Math.max(0, value + random(5) - 2) : FAR[random(FAR.length)];
  if (typeof value === 'string' && value.startsWith('0x')) return toHex(noise(random, (value.length - 2) / 2));
  if (value instanceof Uint8Array)
    return random(2) === 0 ? noise(random, value.length) : value.slice(0, random(value.length + 1));
  if (!Array.isArray(value)) return random(2) === 0 ? value : undefined;
  const at = random(value.length + 1);
  if (random(2) === 0) return value.toSpliced(at, 1);
  const repeated = new Array(1 + random(ITEMS_MAX)).fill(value[at] ?? value[0]);
  return value.length === 0 ? value : value.toSpliced(at, 0, ...repeated).slice(0, ITEMS_MAX);
}

/** Signs anew whatever bears the liar's name, the innermost first, since the outer signatures cover it. */
function resign(value: unknown, liar: Liar): void {
  if (Array.isArray(value)) for (const item of value) resign(item, liar);
  if (!isFields(value)) return;
  for (const field of Object.values(value)) resign(field, liar);
  if (!SIGNED.has(value['kind']) || value['signer'] !== liar.index) return;
  value['signature'] = liar.sign(value as unknown as Statement);
}

/** `message` with one to three fields changed. `donors`: other messages, whose fields may be put in. */
export function mutated(random: Random, message: Message, donors: readonly Message[], liar: Liar): Message {
  const copy = copied(message);
  const foreign = objectsOf(donors[random(donors.length)]);
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const objects = objectsOf(copy);
    const object = objects[random(objects.length)]!;
    const keys = Object.keys(object).filter((key) => key !== 'kind' && key !== 'signature');
    const key = keys[random(keys.length)];
    if (key !== undefined) object[key] = changed(random, key, object[key], foreign);
    if (VOTES.includes(object['kind'] as never) && random(8) === 0) object['kind'] = VOTES[random(VOTES.length)];
  }
  // What others said may be passed on changed; what the liar says itself is under its own name and signature.
  const signed = objectsOf(copy).filter((object) => SIGNED.has(object['kind']));
  const own = signed[random(2) === 0 ? 0 : random(signed.length)];
  if (own !== undefined) Object.assign(own, { signer: liar.index, incarnation: liar.incarnation });
  resign(copy, liar);
  return copy;
}
