/** The house rules that a machine can hold: import law, names, sizes, and what must not be in the repository. */
import { homedir, tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  folderOf,
  importsOf,
  isCode,
  isProduct,
  readSource,
  readText,
  repositoryFiles,
  resolveImport,
  SOURCE_FOLDERS,
} from './tidy/sources.ts';

const files = repositoryFiles();
const sources = files.filter(isCode).map(readSource);
const product = sources.filter(({ path }) => isProduct(path));
const LINES_MAX = 500;

/** Whom each folder may import besides itself. */
const MAY_IMPORT: Readonly<Record<(typeof SOURCE_FOLDERS)[number], readonly string[]>> = {
  primitives: [],
  consensus: ['primitives'],
  ledger: ['primitives'],
  p2p: ['primitives'],
  genesis: ['primitives'],
  node: ['primitives', 'consensus', 'ledger', 'p2p', 'genesis'],
  cli: ['node', 'genesis', 'primitives'],
};

/** `path:line` of every match in one of a file's texts. */
function places(pattern: RegExp, among = sources, text: 'text' | 'code' | 'bare' = 'text'): string[] {
  return among.flatMap((source) =>
    [...source[text].matchAll(new RegExp(pattern, 'g'))].map((match) => {
      const line = source[text].slice(0, match.index).split('\n').length;
      return text === 'text' ? `${source.path}:${line}: ${match[0]}` : `${source.path}: ${match[0]}`;
    }),
  );
}

test('there is something to check: every folder of the product has sources', () => {
  for (const folder of SOURCE_FOLDERS) {
    expect(
      product.some(({ path }) => folderOf(path) === folder),
      folder,
    ).toBe(true);
  }
});

describe('imports', () => {
  test('go down only', () => {
    const wrong = product.flatMap((source) =>
      importsOf(source).flatMap((specifier) => {
        const target = resolveImport(source.path, specifier);
        if (target === undefined) return [];
        const from = folderOf(source.path) as keyof typeof MAY_IMPORT;
        const allowed = folderOf(target) === from || MAY_IMPORT[from].includes(folderOf(target));
        return allowed ? [] : [`${source.path} imports ${target}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('name files that exist, with their extension', () => {
    const wrong = sources.flatMap((source) =>
      importsOf(source)
        .filter((specifier) => {
          const target = resolveImport(source.path, specifier);
          return target !== undefined && !target.startsWith('dist/') && readText(target) === undefined;
        })
        .map((specifier) => `${source.path} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test('of the product name only packages that are installed with it', () => {
    const manifest = JSON.parse(readText('package.json')!) as { dependencies: Record<string, string> };
    const wrong = product.flatMap((source) =>
      importsOf(source)
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .filter((specifier) => {
          const parts = specifier.split('/');
          const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
          return !(name in manifest.dependencies);
        })
        .map((specifier) => `${source.path} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test('make no cycles', () => {
    const graph = new Map(
      product.map((source) => [
        source.path,
        importsOf(source).flatMap((specifier) => resolveImport(source.path, specifier) ?? []),
      ]),
    );
    expect(cyclesOf(graph)).toEqual([]);
  });
});

/** One path for each import that leads back to a file it was reached from. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.push([...trail.slice(at), path].join(' > '));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

describe('the consensus core', () => {
  const core = product.filter(({ path }) => folderOf(path) === 'consensus');

  test('imports nothing of the platform and no package', () => {
    const wrong = core.flatMap((source) =>
      importsOf(source)
        .filter((specifier) => !specifier.startsWith('.'))
        .map((specifier) => `${source.path} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test('has no clock, randomness, promise, logger or timer', () => {
    const banned =
      /(?<![.\w])(?:Date|Promise|async|await|console|process|performance|crypto|fetch|setTimeout|setInterval|setImmediate|queueMicrotask|globalThis)\b(?!\s*[?:])|\bMath\.random\b/;
    expect(places(banned, core, 'bare')).toEqual([]);
  });
});

describe('files', () => {
  test('have kebab-case names', () => {
    const wrong = sources.filter(
      ({ path }) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*\.(?:ts|mjs)$/.test(path.split('/').at(-1)!),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test(`have at most ${LINES_MAX} lines`, () => {
    const long = sources.filter(({ text }) => text.trimEnd().split('\n').length > LINES_MAX);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test('begin with a comment that says what they are, unless they are tests: titles do', () => {
    const named = sources.filter(({ path }) => !path.endsWith('.test.ts'));
    const wrong = named.filter(({ text }) => !/^(?:#![^\n]*\n)?(?:\/\*\*|\/\/)/.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test('have no default export, except configuration', () => {
    const wrong = sources.filter(({ path }) => !path.endsWith('.config.ts'));
    expect(places(/\bexport\s+default\b|\bas default\b/, wrong, 'bare')).toEqual([]);
  });

  test('are no barrels: nothing is exported from another file, nothing is called index', () => {
    expect(places(/\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;'"]*?\bfrom\b/, sources, 'bare')).toEqual([]);
    expect(sources.filter(({ path }) => /(?:^|\/)index\.(?:ts|mjs)$/.test(path)).map(({ path }) => path)).toEqual([]);
  });
});

describe('what must not be there', () => {
  const texts = files
    .filter((path) => path !== 'test/tidy.test.ts' && path !== 'package-lock.json')
    .map((path) => ({ path, text: readText(path)!, code: '', bare: '' }));

  test('no postponed work', () => {
    expect(places(/\b(?:TODO|FIXME|XXX|HACK)\b/, texts)).toEqual([]);
  });

  test('no test is skipped, focused or left for later', () => {
    expect(places(/\.(?:skip|only|todo)\(|\bx(?:it|describe|test)\(/, sources, 'bare')).toEqual([]);
  });

  test('no bare Error in the product: a code, a reason, or an assertion', () => {
    expect(places(/\b(?:new|throw)\s+Error\s*\(/, product, 'bare')).toEqual([]);
  });

  test('no path of a machine and no registry in any file', () => {
    // Where this checkout and its user are, whatever machine it is, and what such places look like elsewhere.
    const checkout = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
    const own = [checkout, dirname(checkout), homedir()].filter((path) => path !== '/' && path !== tmpdir());
    const names = own.map((path) => path.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&') + '/');
    const machine = new RegExp([...names, '/home/[a-z]+/', '/Users/[A-Za-z]+/', 'registry\\.npmjs'].join('|'));
    expect(places(machine, texts)).toEqual([]);
    expect(readText('package-lock.json')).not.toMatch(/"resolved": "https?:/);
  });
});

describe('documents', () => {
  test('every error code has its remedy in docs/errors.md, and none is there that does not exist', () => {
    const union = /export type ErrorCode =(?<codes>[^;]*);/.exec(readText('primitives/errors.ts')!)!.groups!['codes']!;
    const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map((match) => match[1]!);
    expect(codes.length).toBeGreaterThan(0);
    const page = readText('docs/errors.md') ?? '';
    const described = [...page.matchAll(/^(?:#+ |\| *)`?([A-Z]+(?:_[A-Z]+)*)`?(?= *(?:\||$|:))/gm)].map(
      (match) => match[1]!,
    );
    expect(described.toSorted()).toEqual(codes.toSorted());
  });
});
