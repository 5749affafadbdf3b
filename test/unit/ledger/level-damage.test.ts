/**
 * A sweep over the files of a LevelDB store, as a disk, a power cut or a careless hand damages them (P27): what opens gives
 * the same answers or is an earlier point of the same chain, everything else is refused, and nothing ends the process.
 * `QUORATE_FUZZ_RUNS=50 npm run fuzz -- level-damage` sweeps more of them.
 */
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LevelStore } from '../../../ledger/level-store.ts';
import { answers, FLUSH, grow, sync } from './damaged-chain.ts';
import { openLedger } from './fixtures.ts';

const PAGE = 4096;
const BLOCKS = 40;
const GONE = 'gone';

type Damage =
  | { readonly kind: 'flip'; readonly bit: number }
  | { readonly kind: 'zero' | 'noise' | 'misdirected'; readonly page: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: typeof GONE };

let folder: string;
const store = () => join(folder, 'store');
const pristine = (how: string) => join(folder, how);
let truth: Record<string, string | undefined>;

/** Closed in good order; killed, with its newest blocks in LevelDB's log alone. Both have tables of several blocks. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-sweep-'));
  for (const blocks of [BLOCKS / 2, BLOCKS / 4]) {
    const opened = await LevelStore.open(store());
    const ledger = await openLedger({ store: opened, flush: FLUSH });
    await grow(ledger, blocks);
    await sync(ledger);
    await opened.close();
  }
  const opened = await LevelStore.open(store());
  const ledger = await openLedger({ store: opened, flush: FLUSH });
  await grow(ledger, BLOCKS / 4);
  truth = await answers(ledger);
  cpSync(store(), pristine('killed'), { recursive: true });
  await ledger.close();
  await opened.close();
  cpSync(store(), pristine('closed'), { recursive: true });
});

afterAll(() => rmSync(folder, { recursive: true }));

function damage(path: string, how: Damage): void {
  if (how.kind === GONE) {
    unlinkSync(path);
    return;
  }
  const bytes = readFileSync(path);
  if (bytes.length === 0) return;
  const pages = Math.ceil(bytes.length / PAGE);
  if (how.kind === 'cut') {
    truncateSync(path, how.at % bytes.length);
    return;
  }
  if (how.kind === 'flip') bytes[(how.bit >> 3) % bytes.length]! ^= 1 << (how.bit & 7);
  else {
    const at = (how.page % pages) * PAGE;
    const page = bytes.subarray(at, at + PAGE);
    if (how.kind === 'zero') page.fill(0);
    else if (how.kind === 'noise') for (let i = 0; i < page.length; i++) page[i] = (i * 197 + how.page) & 255;
    else page.set(bytes.subarray(0, page.length));
  }
  writeFileSync(path, bytes);
}

/** What the store answers now, or that it is refused. */
async function outcome(): Promise<Record<string, string | undefined> | 'refused'> {
  try {
    const opened = await LevelStore.open(store());
    try {
      return await answers(await openLedger({ store: opened, flush: FLUSH }));
    } finally {
      await opened.close();
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'STORE_DAMAGED', message: expect.stringMatching(/start again/) });
    return 'refused';
  }
}

const pageDamage = fc.record({ kind: fc.constantFrom('zero', 'noise', 'misdirected'), page: fc.nat() });
const anyDamage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('flip' as const), bit: fc.nat() }) },
  { weight: 3, arbitrary: pageDamage as fc.Arbitrary<Damage> },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ kind: GONE } as const) },
);

describe.each(['closed', 'killed'])('a store that was %s', (how) => {
  const restore = (): void => {
    rmSync(store(), { recursive: true });
    cpSync(pristine(how), store(), { recursive: true });
  };

  it('opens with everything as it was left', async () => {
    restore();
    expect(await outcome()).toEqual(truth);
  });

  it('with any of its files damaged gives the same answers, or fewer of the newest, or is refused', async () => {
    const databaseFiles = readdirSync(join(pristine(how), 'db')).filter((name) => !/^(LOG|LOCK)/.test(name));
    const tables = databaseFiles.filter((name) => name.endsWith('.ldb'));
    expect(tables.length).toBeGreaterThan(0);
    const files = [...databaseFiles.map((name) => join('db', name)), 'INITIALIZED'];
    const tally = { same: 0, earlier: 0, refused: 0 };
    const zeroedPages = tables.flatMap((name): [string, Damage][] =>
      [0, 1, 2, 3].map((page) => [join('db', name), { kind: 'zero', page }]),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), anyDamage, async (file, harm) => {
        restore();
        damage(join(store(), file), harm);
        const found = await outcome();
        if (found === 'refused') {
          tally.refused++;
          return;
        }
        // The end of the log may be gone, as after a power cut: then it is an earlier point of the same chain.
        for (const [question, answer] of Object.entries(found)) {
          if (question !== 'head') expect(answer, question).toBe(truth[question]);
        }
        const height = Object.keys(found).filter((question) => question.startsWith('block ')).length - 1;
        expect(found['head']).toBe(truth[`block ${height}`]);
        if (height === BLOCKS) tally.same++;
        else tally.earlier++;
      }),
      { numRuns: 80, examples: zeroedPages },
    );
    expect(tally.refused).toBeGreaterThan(tally.earlier);
    if (how === 'closed') expect(tally.earlier).toBe(0);
  });
});
