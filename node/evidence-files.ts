/**
 * Evidence on disk: `evidence/ID.rlp` in the data folder, its name the hash of what is in it, so that a file says by
 * itself whether it is whole. Files may be copied to other nodes and taken away; nothing is ever overwritten.
 */
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeEvidence } from '../consensus/evidence-codec.ts';
import { errorMessage } from '../primitives/errors.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { VALIDATORS_MAX } from '../primitives/membership.ts';
import { makeFolder, syncFolder } from './data-dir.ts';
import { type DeskOptions, EvidenceDesk, judgeByChain } from './evidence-desk.ts';
import { EvidenceShelf, type KeptEvidence } from './evidence-shelf.ts';
import type { Log } from './log.ts';

const EVIDENCE_FOLDER = 'evidence';
const NAME = /^(0x[0-9a-f]{64})\.rlp$/;

async function write(dataDir: string, { id, bytes }: KeptEvidence): Promise<void> {
  const folder = join(dataDir, EVIDENCE_FOLDER);
  await makeFolder(folder);
  await syncFolder(dataDir);
  const path = join(folder, `${id}.rlp`);
  await writeFile(`${path}.next`, bytes, { flush: true });
  await rename(`${path}.next`, path);
  await syncFolder(folder);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** What a file holds, judged anew; otherwise why it is passed over. */
async function read(path: string, id: string, options: DeskOptions): Promise<KeptEvidence | string> {
  const bytes = await readFile(path);
  if (keccakHash(bytes) !== id) return 'it is damaged: its bytes do not have the hash that names it';
  const decoded = decodeEvidence(bytes, { validators: VALIDATORS_MAX });
  if (!decoded.ok) return `it cannot be read: ${decoded.reason}`;
  const verdict = judgeByChain(options, decoded.evidence);
  if (!verdict.ok) return `it proves nothing here: ${verdict.reason}`;
  return { id, bytes, evidence: decoded.evidence, view: verdict.view, what: verdict.what };
}

/** The evidence of a data folder, with all that is in it. A file that is passed over stays where it is. */
export async function openEvidence(dataDir: string, options: DeskOptions, log: Log): Promise<EvidenceDesk> {
  const shelf = new EvidenceShelf((kept) => {
    const { id, evidence, view, what } = kept;
    const { kind, epoch, culprit } = evidence;
    log.error('proven fault: see quorate evidence show, and operating.md on what to do', {
      id,
      culprit: `${culprit} (${options.ledger.epochInfo(epoch)?.members[culprit]?.validator})`,
      kind,
      epoch,
      view,
      what,
    });
    write(dataDir, kept).catch((error) => {
      log.error('evidence could not be written; it is lost at the next start', {
        id,
        problem: errorMessage(error),
      });
    });
  });
  const folder = join(dataDir, EVIDENCE_FOLDER);
  for (const name of await namesIn(folder)) {
    const id = NAME.exec(name)?.[1];
    if (id === undefined) continue;
    const found = await read(join(folder, name), id, options);
    if (typeof found === 'string') log.warn('evidence is passed over', { file: join(folder, name), problem: found });
    else shelf.restore(found);
  }
  return new EvidenceDesk(options, shelf);
}
