import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { folderOf, isCode, isProduct, readText, repositoryFiles } from '../tidy/sources.ts';

/** Constants with such a name bound something, so the page must list them. Commands of the CLI bound only themselves. */
const IS_BOUND = /_MAX(?:_|$)|^LIMITS$|_LIMITS$|_PER_SECOND$|^PER_SECOND$|_KEPT$/;
const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  MB: 1_000_000,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  '%': 1,
};
const CONSTANT = /^(?:export )?const (?<name>[A-Z][A-Z0-9_]*)\b[^=\n]*= (?<value>[\s\S]*?);$/gm;

type Row = { readonly bound: string; readonly value: string; readonly file: string };

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
const rows: readonly Row[] = [
  ...page.matchAll(/^\| `(?<bound>[^`|]+)` \| (?<value>[^|`]+?) \| `(?<file>[^`]+\.ts)` \|/gm),
].map(({ groups }) => groups as unknown as Row);

/** A number as people write it: `1,024`, `1 MiB`, `30 s`, `1/16`; NaN when it is none. */
function parseNumber(text: string): number {
  const fraction = /^(\d+)\/(\d+)$/.exec(text);
  if (fraction) return Number(fraction[1]) / Number(fraction[2]);
  const [, digits, unit] = /^([\d,.]+)(?: ?(KiB|MiB|GiB|MB|ms|s|min|h|%))?$/.exec(text) ?? [];
  if (digits === undefined) return Number.NaN;
  return Number(digits.replaceAll(',', '')) * (unit === undefined ? 1 : UNITS[unit]!);
}

/** Constants of a file that are numbers or objects of numbers, by name. */
function constantsOf(text: string): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>();
  for (const { groups } of text.matchAll(CONSTANT)) {
    const { name, value } = groups as { name: string; value: string };
    const expression = value.replace(/ as const\b[\s\S]*$/, '').replace(/ satisfies [\s\S]*$/, '');
    try {
      found.set(name, runInNewContext(`(${expression})`, Object.fromEntries(found)));
    } catch {
      // It is made of something else than numbers, so it is no bound.
      found.delete(name);
    }
  }
  return found;
}

/** Every number in a constant: itself, or its fields by path. `{min, max}` stays one. */
function leaves(name: string, value: unknown): string[] {
  if (typeof value === 'number') return [name];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  if ('min' in value && 'max' in value) return [name];
  return Object.entries(value).flatMap(([field, inner]) => leaves(`${name}.${field}`, inner));
}

/** What the source says: a number, or `low to high`. A bound without a name is quoted code that ends with its value. */
function actualOf(bound: string, text: string): string {
  if (/[ ()]/.test(bound)) {
    const literal = /([\d_]+)$/.exec(bound)?.[1] ?? '';
    return text.includes(bound) ? String(Number(literal.replaceAll('_', ''))) : 'not in the file';
  }
  const [name, ...fields] = bound.split('.');
  const constant = constantsOf(text).get(name!);
  const value = fields.reduce<unknown>((object, field) => (object as Record<string, unknown>)?.[field], constant);
  if (typeof value === 'number') return String(value);
  const { min, max } = (value ?? {}) as { min?: unknown; max?: unknown };
  return min === undefined ? 'not in the file' : `${String(min)} to ${String(max)}`;
}

describe('docs/limits.md', () => {
  test('lists each bound once', () => {
    expect(rows.length).toBeGreaterThan(100);
    const seen = rows.map(({ bound, file }) => `${file} ${bound}`);
    expect(seen.filter((key, i) => seen.indexOf(key) !== i)).toEqual([]);
  });

  test('says of each what the source says', () => {
    const wrong = rows.flatMap(({ bound, value, file }) => {
      const actual = actualOf(bound, readText(file) ?? '');
      const said = value.split(' to ').map(parseNumber).join(' to ');
      return said === actual ? [] : [`${file} ${bound}: the page says ${value}, the source ${actual}`];
    });
    expect(wrong).toEqual([]);
  });

  test('lists every bound of the product', () => {
    const listed = new Set(rows.map(({ bound, file }) => `${file} ${bound}`));
    const bounds = repositoryFiles()
      .filter((path) => isCode(path) && isProduct(path) && folderOf(path) !== 'cli')
      .flatMap((path) => {
        const constants = [...constantsOf(readText(path)!)].filter(([name]) => IS_BOUND.test(name));
        return constants.flatMap(([name, value]) => leaves(name, value).map((leaf) => `${path} ${leaf}`));
      });
    expect(bounds.length).toBeGreaterThan(50);
    expect(bounds.filter((bound) => !listed.has(bound))).toEqual([]);
  });
});
