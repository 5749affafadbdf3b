/** The repository's files and a rough reading of TypeScript (TypeScript 7 has no JavaScript API to ask), for the house rules. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Never the project's own text: what is installed, built or fetched, when git is not there to say so. */
const NOT_OURS = new Set(['node_modules', 'dist', 'coverage', '.git', '.tmp']);

/** The folders of the product, in the order of the import law. */
export const SOURCE_FOLDERS = ['primitives', 'consensus', 'ledger', 'p2p', 'genesis', 'node', 'cli'] as const;

export type SourceFile = {
  /** Path from the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
  /** The text without comments and without what stands in strings. */
  readonly bare: string;
};

/** Tracked files and those about to be: git's view; in an unpacked archive, everything that is there. */
export function repositoryFiles(): string[] {
  try {
    const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1e8,
    });
    return [...new Set(listed.split('\n'))].filter((path) => path !== '' && readText(path) !== undefined);
  } catch {
    return walk('.');
  }
}

function walk(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** A file's text; undefined when it was deleted and git does not know it yet. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}

export function isCode(path: string): boolean {
  return /\.(?:ts|mjs)$/.test(path);
}

export function folderOf(path: string): string {
  return path.split('/')[0]!;
}

export function isProduct(path: string): boolean {
  return isCode(path) && (SOURCE_FOLDERS as readonly string[]).includes(folderOf(path));
}

export function readSource(path: string): SourceFile {
  const text = readText(path) ?? '';
  const { code, bare } = strip(text);
  return { path, text, code, bare };
}

/** Comments, strings and regular expressions by their shape: what a scanner without a grammar can know. */
const TOKEN =
  /(?<comment>\/\*[\s\S]*?\*\/|\/\/[^\n]*)|(?<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|(?<regexp>(?<=(?:[(,=:[!&|?{};\n]|=>|return|\|\|)\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[dgimsuvy]*)/g;

function strip(text: string): { code: string; bare: string } {
  const code = text.replace(TOKEN, (match, comment: string | undefined) => (comment === undefined ? match : ' '));
  const bare = text.replace(TOKEN, (match, comment: string | undefined, string: string | undefined) => {
    if (comment !== undefined) return ' ';
    // What stands in the braces of a template is code.
    if (string?.startsWith('`')) return (match.match(/\$\{[^}]*\}/g) ?? []).join(' ');
    return string === undefined ? ' /r/ ' : "''";
  });
  return { code, bare };
}

const IMPORT =
  /(?:\b(?:import|export)\b[^'"`;()]*?\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g;

/** What a file imports or re-exports, types included, as written. */
export function importsOf(source: SourceFile): string[] {
  return [...source.code.matchAll(IMPORT)].map((match) => match.groups!['specifier']!);
}

/** A relative import as a path from the root; undefined for packages. */
export function resolveImport(from: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? join(dirname(from), specifier) : undefined;
}
