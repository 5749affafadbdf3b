/**
 * What moving a chain is made of, one stage each, for pipelines of async iterables. A stage pulls: nothing is read before
 * what was read earlier is dealt with, so memory holds one run of blocks whatever the file's length.
 *
 * A run is what one finality proof makes final: blocks without a proof of their own, up to and with the one that has it.
 * Hashes link them, so with the proof verified all of them are final, and before that none is executed or committed.
 */
import { readBlockId } from '../ledger/block.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { settled } from '../ledger/open.ts';
import { concat, EMPTY } from '../primitives/bytes.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import type { ChainRecord } from './chain-file.ts';
import type { ProofJudge } from './proof-judge.ts';

/** Blocks and bytes of one run: far above what a full pipeline of the largest blocks leaves without a proof. */
export type RunLimits = { readonly blocks: number; readonly bytes: number };
export const RUN_LIMITS: RunLimits = { blocks: 256, bytes: 512 * 1024 * 1024 };

/** Blocks between two syncs: what a power cut can take of an import. */
const SYNC_EVERY = 1024;
const TELL_EVERY_MS = 1000;

export type Range = { readonly first: Height; readonly last: Height };
export type Progress = { readonly tell: (height: Height) => void; readonly now: () => number };
type Stage<A, B> = (source: AsyncIterable<A>) => AsyncGenerator<B>;

export function unverified(message: string, data: Record<string, unknown>): QuorateError {
  return new QuorateError('VERIFY_FAILED', message, { data });
}

/** A ledger's final blocks with their proofs, the links between them checked. */
export async function* blocksOf(ledger: Ledger, { first, last }: Range): AsyncGenerator<ChainRecord> {
  let parent = ledger.headerByHeight(first - 1)?.hash;
  for (let height = first; height <= last; height++) {
    const block = ledger.rawBlock(height);
    const id = block === undefined ? undefined : readBlockId(block);
    if (block === undefined || id === undefined || id.parentHash !== parent) {
      const message = `block ${height} is missing in the store or does not follow block ${height - 1}; move the store away and fetch the chain from peers, or export from another node`;
      throw new QuorateError('STORE_DAMAGED', message, { data: { height } });
    }
    yield { ...id, block, proof: ledger.proof(height) ?? EMPTY };
    parent = id.hash;
  }
}

/** Passes everything on; after a second, and then every second, says how far it is. */
export function reporting<T extends { readonly height: Height }>(progress: Progress | undefined): Stage<T, T> {
  return async function* (source) {
    let toldAt = progress?.now() ?? 0;
    for await (const item of source) {
      yield item;
      const now = progress?.now() ?? 0;
      if (progress === undefined || now - toldAt < TELL_EVERY_MS) continue;
      progress.tell(item.height);
      toldAt = now;
    }
  };
}

/** Small parts joined, so that a disk is not asked once per block. */
export function inChunks(bytes: number): Stage<Bytes, Bytes> {
  return async function* (source) {
    let waiting: Bytes[] = [];
    let length = 0;
    for await (const part of source) {
      waiting.push(part);
      length += part.length;
      if (length < bytes) continue;
      yield concat(...waiting);
      waiting = [];
      length = 0;
    }
    if (length > 0) yield concat(...waiting);
  };
}

/** Only what the ledger lacks; what it has must be the same, and the rest must follow it. Throws VERIFY_FAILED. */
export function newBlocks(ledger: Ledger): Stage<ChainRecord, ChainRecord> {
  return async function* (source) {
    const { head } = ledger;
    let parent = head.hash;
    let expected = head.height + 1;
    for await (const record of source) {
      const { height } = record;
      if (height <= head.height) {
        if (ledger.headerByHeight(height)?.hash === record.hash) continue;
        const message = `block ${height} of the chain file is not the block ${height} of this folder; they are two chains, import it into an empty folder`;
        throw unverified(message, { height });
      }
      if (height !== expected) {
        const message = `the chain file begins at block ${height} and this folder ends at block ${head.height}; import a file that begins at block ${expected} or below first`;
        throw unverified(message, { height });
      }
      if (record.parentHash !== parent) {
        const message = `block ${height} of the chain file does not follow block ${height - 1}; export it again from a node of this chain`;
        throw unverified(message, { height });
      }
      yield record;
      parent = record.hash;
      expected++;
    }
  };
}

/**
 * Linked blocks to runs, each ending in a block whose proof holds. No run goes past the end of an epoch, so its judge is
 * known by the block it follows, which is in the ledger by then. Throws VERIFY_FAILED.
 */
export function provenRuns(
  judgeAbove: (parent: Hash) => ProofJudge,
  limits: RunLimits = RUN_LIMITS,
): Stage<ChainRecord, readonly ChainRecord[]> {
  return async function* (source) {
    let run: ChainRecord[] = [];
    let bytes = 0;
    for await (const record of source) {
      run.push(record);
      bytes += record.block.length;
      if (run.length > limits.blocks || bytes > limits.bytes) throw unproven(run);
      if (record.proof.length === 0) continue;
      const problem = judgeAbove(run[0]!.parentHash)(record, record.proof);
      if (problem !== undefined) {
        const { height, hash } = record;
        const message = `the finality proof of block ${height} is not valid (${problem}); export the chain again, from another node if this comes back`;
        throw unverified(message, { height, hash });
      }
      yield run;
      run = [];
      bytes = 0;
    }
    if (run.length > 0) throw unproven(run);
  };
}

function unproven(run: readonly ChainRecord[]): QuorateError {
  const [first, last] = [run[0]!.height, run.at(-1)!.height];
  const which = first === last ? `block ${first} has` : `blocks ${first} to ${last} have`;
  return unverified(`${which} no finality proof at or above them in the chain file; export it again`, { first, last });
}

/** A run that is in the ledger. */
export type Committed = { readonly height: Height; readonly blocks: number };

/** Executes proven runs and makes them final. Throws VERIFY_FAILED, DISK_FAILED. */
export function commitTo(ledger: Ledger): Stage<readonly ChainRecord[], Committed> {
  return async function* (source) {
    let unsynced = 0;
    for await (const run of source) {
      for (const record of run) await commit(ledger, record);
      unsynced += run.length;
      if (unsynced >= SYNC_EVERY) {
        await settled((done) => ledger.sync(done));
        unsynced = 0;
      }
      yield { height: run.at(-1)!.height, blocks: run.length };
    }
  };
}

async function commit(ledger: Ledger, { height, hash, block, proof }: ChainRecord): Promise<void> {
  const decoded = ledger.decodeBlock(block);
  const result = decoded.ok ? ledger.execute(decoded.block, undefined, {}) : { ...decoded, detail: decoded.reason };
  if (!result.ok) {
    // The header is proven: what fails is the body of this file, or the rules of this program.
    const message = `block ${height} of the chain file does not execute (${result.detail}); export it again, and use the version of quorate that the network runs`;
    throw unverified(message, { height, hash });
  }
  if (result.closes && proof.length === 0) {
    const message = `block ${height} of the chain file closes an epoch and has no finality proof of its own; export it again from another node`;
    throw unverified(message, { height, hash });
  }
  await settled((done) => ledger.commit(hash, proof, done));
}
