/** What the command lines of `simulate` and `swarm` have in common: the overrides of a run, and strict values. */
import { HABITS, type Overrides, WITHOUT } from './options.ts';

export const OVERRIDES = {
  validators: { type: 'string' },
  pace: { type: 'string' },
  without: { type: 'string' },
  only: { type: 'string' },
  'safety-ms': { type: 'string' },
  'real-crypto': { type: 'string' },
  habits: { type: 'string' },
  lying: { type: 'boolean' },
  honest: { type: 'boolean' },
  epochs: { type: 'boolean' },
  anarchy: { type: 'boolean' },
} as const;

type Values = { readonly [name in keyof typeof OVERRIDES]?: string | boolean | undefined };

export function say(line: string): void {
  process.stdout.write(line + '\n');
}

export function usage(text: string): never {
  say(text);
  process.exit(2);
}

export function whole(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  return usage(`--${name}: expected a whole number, found ${text}`);
}

/** A list out of `all`, or `all` of them. */
function named<T extends string>(text: string | undefined, all: readonly T[], name: string): readonly T[] | undefined {
  if (text === undefined) return undefined;
  const list = text === 'all' ? all : (text.split(',') as T[]);
  const unknown = list.find((word) => !all.includes(word));
  if (unknown === undefined) return list;
  return usage(`--${name}: there is no ${unknown}; there are ${all.join(', ')} (or all)`);
}

function text(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Only what was given. */
export function overridesOf(values: Values): Overrides {
  const only = text(values.only);
  const all: Overrides = {
    validators: whole(text(values.validators), 'validators'),
    pace: whole(text(values.pace), 'pace'),
    without: named(text(values.without), WITHOUT, 'without'),
    only: only === 'none' ? [] : only?.split(','),
    safetyMs: whole(text(values['safety-ms']), 'safety-ms'),
    realCrypto: values['real-crypto'] === undefined ? undefined : values['real-crypto'] === 'true',
    habits: named(text(values.habits), HABITS, 'habits'),
    lying: values.lying === true || undefined,
    honest: values.honest === true || undefined,
    epochs: values.epochs === true || undefined,
    anarchy: values.anarchy === true || undefined,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
