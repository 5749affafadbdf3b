/**
 * The store of a running node: opened after its files were read once, and moved aside when it is damaged and the operator
 * has asked for that. What it held is then fetched from the others again; the log with the key's promises stays where it
 * is, so nothing is signed anew.
 */
import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import { QuorateError } from '../primitives/errors.ts';
import { STORE_FOLDER, syncFolder } from './data-dir.ts';
import type { Log } from './log.ts';

export type OpenedLedger = {
  readonly ledger: Ledger;
  readonly store: LevelStore;
  readonly close: () => Promise<void>;
};

type Options = {
  readonly dataDir: string;
  /** A damaged store is moved aside. */
  readonly rebuild: boolean;
  readonly log: Log;
  readonly open: (store: LevelStore) => Promise<Ledger>;
};

/** Where a damaged store is kept; one at a time, a disk that damages two deserves a look. */
const DAMAGED_FOLDER = `${STORE_FOLDER}.damaged`;

export async function openNodeLedger(options: Options): Promise<OpenedLedger> {
  try {
    return await attempt(options);
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== 'STORE_DAMAGED' || !options.rebuild) throw error;
    await moveAside(options.dataDir, error);
    options.log.error('the store is damaged: moved aside, fetching the chain anew from the others', {
      problem: error.message,
      kept: join(options.dataDir, DAMAGED_FOLDER),
    });
    return await attempt(options);
  }
}

async function attempt({ dataDir, log, open }: Options): Promise<OpenedLedger> {
  const store = await LevelStore.open(join(dataDir, STORE_FOLDER), {
    onCheck: ({ files, bytes, closed }) => {
      if (closed) log.info('checking the store', { files, bytes });
      else log.warn('the last process did not close the store: checking it', { files, bytes });
    },
  });
  try {
    const ledger = await open(store);
    const close = async (): Promise<void> => {
      try {
        await ledger.close();
      } finally {
        await store.close();
      }
    };
    return { ledger, store, close };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function moveAside(dataDir: string, damage: QuorateError): Promise<void> {
  const aside = join(dataDir, DAMAGED_FOLDER);
  if (await isThere(aside)) {
    const message = `${damage.message}; it was rebuilt before: see to the disk, then remove ${aside} and start again`;
    throw new QuorateError('STORE_DAMAGED', message, { data: damage.data, cause: damage });
  }
  await rename(join(dataDir, STORE_FOLDER), aside);
  await syncFolder(dataDir);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
