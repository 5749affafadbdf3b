/** Seeds that once broke something, and what it was. They are run in every test; a fixed bug stays fixed. */
import type { Overrides } from './options.ts';
import { AIMED_HABITS } from './scheme-options.ts';

export type Regression = { readonly seed: number; readonly was: string } & Overrides;

export const REGRESSIONS: readonly Regression[] = [
  {
    seed: 6,
    honest: true,
    safetyMs: 89_970,
    was: 'a primary restarted above a gap proposed on blocks it had not executed again',
  },
  {
    seed: 67,
    honest: true,
    was: 'a primary that never got a transaction was not accused once the chain had gone idle',
  },
  {
    seed: 92,
    honest: true,
    safetyMs: 83_727,
    was: 'a snapshot brought back a vote of an older view as one of the current view',
  },
  { seed: 150, honest: true, was: 'blocks off the final chain were still built upon' },
  { seed: 174, honest: true, was: 'SUSPECT logged, the view it leads to not: signed twice after the restart' },
  { seed: 393, honest: true, was: 'SUSPECT logged, the view it leads to not: signed twice after the restart' },
  { seed: 1458, honest: true, was: 'empty blocks hid that a transaction was left out' },
  { seed: 1647, honest: true, was: 'final blocks in the log above a gap in the store were forgotten' },
  {
    seed: 2693,
    honest: true,
    was: 'final blocks spread over several logs after power cuts were never put together again',
  },
  {
    seed: 59,
    honest: true,
    epochs: true,
    was: 'the duty to tell the new validators was lost in a restart, and nobody spoke any more',
  },
  {
    seed: 139,
    honest: true,
    epochs: true,
    was: 'a crash between two records of one append let a key sign that had lost its log',
  },
  { seed: 1358, epochs: true, was: 'a closing block that came back from the log had no proof of its own' },
  {
    seed: 42,
    epochs: true,
    habits: AIMED_HABITS,
    was: 'a certified block that came with another body was executed, and stopped who asked for it',
  },
];
