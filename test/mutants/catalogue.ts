/** All mutants. */
import type { Mutant } from './mutation.ts';
import { EPOCH_RULES } from './zoo-epochs.ts';
import { PROTOCOL } from './zoo-protocol.ts';
import { STORAGE } from './zoo-storage.ts';

function order(id: string): number {
  return Number(id.slice(1)) + (id.startsWith('M') ? 1000 : 0);
}

export const MUTANTS: readonly Mutant[] = [...PROTOCOL, ...EPOCH_RULES, ...STORAGE].sort(
  (a, b) => order(a.id) - order(b.id),
);
