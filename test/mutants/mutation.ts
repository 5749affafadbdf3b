/**
 * A mutant: the sources with one rule broken on purpose, for the tests that show that the tests bite (reliability.md
 * section 6.3). The program has no switches for it: the text of a file is changed on its way into a process of its own. An
 * edit whose place is not there exactly once is an error, so that no mutant is outlived by the code it breaks.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Overrides } from '../simulation/options.ts';
import type { Property } from '../simulation/violation.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export type Edit = { readonly file: string; readonly from: string; readonly to: string };

/** Found by the simulator: in the recorded seed, by a checker of one of these properties. */
export type BySeed = {
  readonly seed: number;
  readonly overrides: Overrides;
  readonly caughtBy: readonly Property[];
};

/** Found by a test whose title has these words. */
type ByTest = { readonly test: string; readonly title: string };

export type Mutant = {
  /** As in reliability.md, or M and a number for those that are ours. */
  readonly id: string;
  /** The rule as it is in the mutant. */
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly killer: BySeed | ByTest;
};

/** A mistake that cannot be made here. */
export type Impossible = { readonly id: string; readonly name: string; readonly because: string };

/** The changed files' whole texts, by their URL. */
export function mutatedTexts({ id, edits }: Pick<Mutant, 'id' | 'edits'>): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const { file, from, to } of edits) {
    const path = ROOT + file;
    const url = pathToFileURL(path).href;
    const text = texts[url] ?? readFileSync(path, 'utf8');
    const places = text.split(from).length - 1;
    if (places !== 1) throw new Error(`${id}: ${places} places in ${file} read ${JSON.stringify(from)}, expected 1`);
    texts[url] = text.replace(from, () => to);
  }
  return texts;
}
