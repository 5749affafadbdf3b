/** xft_getEvidence: the proven faults this node holds, or one of them whole. */
import type { Hash } from '../../primitives/ids.ts';
import type { EvidenceDetail, EvidenceSummary } from '../evidence-view.ts';
import type { Extension } from './backend.ts';
import { args, parseHash } from './params.ts';

export type EvidenceReads = {
  list(): readonly EvidenceSummary[];
  detail(id: Hash): EvidenceDetail | undefined;
};

export function evidenceMethods(reads: EvidenceReads): Readonly<Record<string, Extension>> {
  return {
    xft_getEvidence: (params) => {
      const [id] = args(params, 0, 1);
      if (id === undefined || id === null) return reads.list();
      return reads.detail(parseHash(id, 'argument 0')) ?? null;
    },
  };
}
