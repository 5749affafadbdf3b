/**
 * `quorate chain export` and `quorate chain import`: final blocks of a stopped node into a file, and from a file into a
 * stopped node's store. Nothing in the file is trusted: the importing side verifies every finality proof against its
 * epoch's validators, from the genesis on, and executes every block, as if peers had sent them.
 *
 * Only the store is written, never the guard: what a validator signed is in its log and nowhere else, so a store that
 * came from elsewhere gives no key a right to sign, and takes no promise back.
 */
import { access, type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pipe } from 'it-pipe';
import type { Genesis } from '../genesis/genesis.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import { genesisBlock } from '../ledger/open.ts';
import { errorMessage, QuorateError } from '../primitives/errors.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { chainOf, chainRules, genesisInput } from './chain.ts';
import {
  type ChainHeader,
  type ChainRecord,
  decodeRecords,
  encodeRecords,
  HEADER_BYTES,
  parseHeader,
} from './chain-file.ts';
import {
  blocksOf,
  type Committed,
  commitTo,
  inChunks,
  newBlocks,
  type Progress,
  provenRuns,
  type Range,
  RUN_LIMITS,
  reporting,
} from './chain-stages.ts';
import { loadGenesis } from './config.ts';
import { GENESIS_FILE, STORE_FOLDER, syncFolder, writeNewFile } from './data-dir.ts';
import { acquireLock } from './lock.ts';
import { type ProofJudge, proofJudges } from './proof-judge.ts';
import { loadRecoveries } from './recovery-files.ts';

type OnProgress = (height: Height, last: Height) => void;

const CHUNK_BYTES = 1024 * 1024;

function progressTo(onProgress: OnProgress | undefined, last: Height): Progress | undefined {
  return onProgress && { tell: (height) => onProgress(height, last), now: () => performance.now() };
}

// --- export

export type ExportOptions = {
  readonly dataDir: string;
  readonly genesisPath?: string;
  readonly out: string;
  /** Default 1. */
  readonly from?: Height;
  /** Default: the head. The file ends with a block that has a proof, so it may go on a little. */
  readonly to?: Height;
  readonly onProgress?: OnProgress;
};

export type ExportReport = {
  readonly from: Height;
  readonly to: Height;
  readonly blocks: number;
  readonly hash: Hash;
  readonly bytes: number;
};

/** Throws USAGE, NOT_FOUND, DATA_DIR_LOCKED, STORE_DAMAGED, DISK_FAILED; a file is there only when it is whole. */
export async function exportChain(options: ExportOptions): Promise<ExportReport> {
  const { dataDir, out, onProgress } = options;
  const genesis = await loadGenesis(dataDir, options.genesisPath);
  if (!(await exists(join(dataDir, STORE_FOLDER)))) {
    throw new QuorateError('NOT_FOUND', `there is no chain in ${dataDir}; name the data folder of a node that has run`);
  }
  return await withLedger({ dataDir, genesis }, async (ledger) => {
    const { first, last } = rangeOf(ledger, options);
    const header = { genesisHash: ledger.genesisHash, first, last };
    const bytes = await pipe(
      blocksOf(ledger, header),
      reporting<ChainRecord>(progressTo(onProgress, last)),
      encodeRecords(header),
      inChunks(CHUNK_BYTES),
      (chunks) => writeNew(out, chunks),
    );
    return { from: first, to: last, blocks: last - first + 1, hash: ledger.headerByHeight(last)!.hash, bytes };
  });
}

/** What is asked for, up to a block with a proof of its own: what is above the last one cannot be imported. */
function rangeOf(ledger: Ledger, { from = 1, to }: ExportOptions): Range {
  const head = ledger.head.height;
  const first = Math.max(1, from);
  const wanted = to ?? head;
  if (head === 0)
    throw new QuorateError('NOT_FOUND', 'there is nothing to export: the chain has no block above block 0');
  if (wanted > head)
    throw new QuorateError('USAGE', `--to ${wanted} is above the newest block ${head}; give a lower one`);
  if (first > wanted)
    throw new QuorateError('USAGE', `--from ${first} is above block ${wanted}, the last to export; give a lower one`);
  const proven = (height: Height): boolean => (ledger.proof(height)?.length ?? 0) > 0;
  for (let last = wanted; last <= head && last - wanted <= RUN_LIMITS.blocks; last++)
    if (proven(last)) return { first, last };
  for (let last = wanted - 1; last >= first; last--) if (proven(last)) return { first, last };
  throw new QuorateError(
    'NOT_FOUND',
    `blocks ${first} to ${wanted} have no finality proof in this store; export a longer range`,
  );
}

/** Writes a file that must not exist: under another name first, durable before it gets its own. Returns its length. */
async function writeNew(path: string, chunks: AsyncIterable<Bytes>): Promise<number> {
  const partial = `${path}.partial`;
  let file: FileHandle;
  try {
    // Also what keeps two exports to one file apart.
    file = await open(partial, 'wx');
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    if (taken)
      throw new QuorateError('USAGE', `${partial} is there already; remove it, unless another export is writing it`, {
        cause,
      });
    throw cannotWrite(path, cause);
  }
  try {
    let bytes = 0;
    try {
      await refuseExisting(path);
      for await (const chunk of chunks) {
        await file.writeFile(chunk);
        bytes += chunk.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await refuseExisting(path);
    await rename(partial, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (cause) {
    await rm(partial, { force: true });
    throw cause instanceof QuorateError ? cause : cannotWrite(path, cause);
  }
}

async function refuseExisting(path: string): Promise<void> {
  if (!(await exists(path))) return;
  throw new QuorateError('USAGE', `${path} exists already and is never overwritten; choose another name`);
}

function cannotWrite(path: string, cause: unknown): QuorateError {
  const message = `cannot write ${path} (${errorMessage(cause)}); choose a place with room that this user may write to`;
  return new QuorateError('DISK_FAILED', message, { cause });
}

// --- import

export type ImportOptions = {
  readonly dataDir: string;
  readonly file: string;
  readonly genesisPath?: string;
  readonly onProgress?: OnProgress;
};

export type ImportReport = {
  /** Blocks that were not here before. */
  readonly imported: number;
  readonly head: Height;
  readonly hash: Hash;
};

/**
 * Brings the store up to the end of the file. Throws CHAIN_FILE_INVALID and VERIFY_FAILED for what is wrong with the
 * file, GENESIS_MISMATCH, DATA_DIR_LOCKED, STORE_DAMAGED, DISK_FAILED. What was proven before an error stays.
 */
export async function importChain(options: ImportOptions): Promise<ImportReport> {
  const { dataDir, genesisPath, onProgress } = options;
  const genesis = await loadGenesis(dataDir, genesisPath);
  const file = await openChainFile(options.file);
  try {
    const genesisHash = genesisBlock(chainRules(genesis), genesisInput(genesis)).block.hash;
    checkGenesis(file.header, genesisHash);
    return await withLedger({ dataDir, genesis }, async (ledger) => {
      if (genesisPath !== undefined) await keepGenesis(dataDir, genesisPath);
      const judgeOf = proofJudges(chainOf(genesis, ledger.genesisHash), ledger.recoveries);
      return await importInto(ledger, judgeOf, file, onProgress);
    });
  } finally {
    await file.close();
  }
}

async function importInto(
  ledger: Ledger,
  judgeOf: (epoch: EpochInfo) => ProofJudge,
  file: ChainFile,
  onProgress?: OnProgress,
): Promise<ImportReport> {
  let imported = 0;
  try {
    await pipe(
      file.chunks(),
      decodeRecords,
      newBlocks(ledger),
      provenRuns((parent) => judgeOf(ledger.epochAfter(parent))),
      commitTo(ledger),
      reporting<Committed>(progressTo(onProgress, file.header.last)),
      async (runs) => {
        for await (const { blocks } of runs) imported += blocks;
      },
    );
  } catch (error) {
    throw withHead(error, ledger.head.height);
  } finally {
    await ledger.close();
  }
  return { imported, head: ledger.head.height, hash: ledger.head.hash };
}

/** Says in the same sentence how far the store has come. */
function withHead(error: unknown, head: Height): unknown {
  if (!(error instanceof QuorateError) || !['CHAIN_FILE_INVALID', 'VERIFY_FAILED'].includes(error.code)) return error;
  const message = `${error.message}; this folder's chain ends at block ${head}`;
  return new QuorateError(error.code, message, { data: { ...error.data, head }, cause: error });
}

function checkGenesis(header: ChainHeader, expected: Hash): void {
  if (header.genesisHash === expected) return;
  const message = `the chain file is of another chain (its block 0 is ${header.genesisHash}, the genesis file gives ${expected}); use that chain's genesis file`;
  throw new QuorateError('GENESIS_MISMATCH', message, { data: { found: header.genesisHash, expected } });
}

/** A folder without a genesis gets this one, so that what is imported can be verified and run from there. */
async function keepGenesis(dataDir: string, genesisPath: string): Promise<void> {
  const path = join(dataDir, GENESIS_FILE);
  if (!(await exists(path))) await writeNewFile(path, await readFile(genesisPath, 'utf8'), 'public');
}

type ChainFile = {
  readonly header: ChainHeader;
  readonly chunks: () => AsyncGenerator<Bytes>;
  readonly close: () => Promise<void>;
};

async function openChainFile(path: string): Promise<ChainFile> {
  const refused = (cause: unknown): QuorateError =>
    new QuorateError(
      'NOT_FOUND',
      `cannot read ${path} (${errorMessage(cause)}); name a file that \`quorate chain export\` has written`,
      { cause },
    );
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    const header = parseHeader(buffer.subarray(0, bytesRead));
    const opened = handle;
    const chunks = async function* (): AsyncGenerator<Bytes> {
      const stream = opened.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK_BYTES });
      try {
        yield* stream as AsyncIterable<Bytes>;
      } catch (cause) {
        throw refused(cause);
      }
    };
    return { header, chunks, close: () => opened.close() };
  } catch (cause) {
    await handle?.close();
    throw cause instanceof QuorateError ? cause : refused(cause);
  }
}

// --- both

/** Runs with a stopped node's ledger, which nobody else can start meanwhile. */
async function withLedger<T>(
  { dataDir, genesis }: { readonly dataDir: string; readonly genesis: Genesis },
  run: (ledger: Ledger) => Promise<T>,
): Promise<T> {
  const genesisHash = genesisBlock(chainRules(genesis), genesisInput(genesis)).block.hash;
  const lock = await acquireLock(dataDir);
  try {
    const applied = await loadRecoveries(dataDir, chainOf(genesis, genesisHash));
    const recoveries = applied.map(({ recovery }) => recovery);
    const store = await LevelStore.open(join(dataDir, STORE_FOLDER), { checkAll: true });
    try {
      const options = { store, ...chainRules(genesis), genesis: genesisInput(genesis), recoveries };
      return await run(await Ledger.open(options));
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
