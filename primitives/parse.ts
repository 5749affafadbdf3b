/**
 * Strict parsing of untrusted JSON (genesis, configuration, key files): every wrong field is named by its path with
 * what was expected, unknown fields are refused, and all problems are collected before one error is thrown.
 */

/** Collects problems as `path: expected …, found …`. */
export class Problems {
  readonly list: string[] = [];
  add(path: string, message: string): undefined {
    this.list.push(`${path}: ${message}`);
    return undefined;
  }
  expected(path: string, what: string, found: unknown): undefined {
    return this.add(path, `expected ${what}, found ${describe(found)}`);
  }
}

/** A short picture of a value for an error message. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? text.slice(0, 57) + '…' : text;
}

/** An object with only the known fields; undefined (with problems) when it is not an object. */
export function parseObject(
  value: unknown,
  path: string,
  known: readonly string[],
  problems: Problems,
): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return problems.expected(path, 'an object', value);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) problems.add(path === '' ? key : `${path}.${key}`, 'unknown field');
  }
  return value as Record<string, unknown>;
}

export function parseBoolean(value: unknown, path: string, problems: Problems): boolean | undefined {
  return typeof value === 'boolean' ? value : problems.expected(path, 'true or false', value);
}

export function parseInteger(
  value: unknown,
  path: string,
  range: { readonly min: number; readonly max: number },
  problems: Problems,
): number | undefined {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < range.min || value > range.max) {
    return problems.expected(path, `an integer from ${range.min} to ${range.max}`, value);
  }
  return value;
}
