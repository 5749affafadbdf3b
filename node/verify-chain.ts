/**
 * `quorate chain verify`: a stopped node's whole chain checked offline, finality proofs included, with nothing taken on
 * trust but the genesis file.
 */
import { join } from 'node:path';
import type { Block } from '../ledger/block.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import { LevelStore } from '../ledger/level-store.ts';
import { genesisBlock } from '../ledger/open.ts';
import { verifyStore } from '../ledger/verify.ts';
import { assert, QuorateError } from '../primitives/errors.ts';
import type { Bytes, Height } from '../primitives/ids.ts';
import { chainOf, chainRules, genesisInput } from './chain.ts';
import { loadGenesis } from './config.ts';
import { STORE_FOLDER } from './data-dir.ts';
import { acquireLock } from './lock.ts';
import { type ProofJudge, proofJudges } from './proof-judge.ts';
import { loadRecoveries } from './recovery-files.ts';

export type ChainReport = {
  readonly head: Height;
  readonly hash: string;
  readonly transactions: number;
  readonly proofs: number;
};

export type VerifyChainOptions = {
  readonly dataDir: string;
  readonly onProgress?: (done: Height, total: Height) => void;
};

/** Throws VERIFY_FAILED with every problem found; DATA_DIR_LOCKED while the node runs. */
export async function verifyChain({ dataDir, onProgress }: VerifyChainOptions): Promise<ChainReport> {
  const genesis = await loadGenesis(dataDir);
  const rules = chainRules(genesis);
  const input = genesisInput(genesis);
  // Block 0 is computed from the genesis file, never read from the store that is being judged.
  const chain = chainOf(genesis, genesisBlock(rules, input).block.hash);
  const recoveries = (await loadRecoveries(dataDir, chain)).map(({ recovery }) => recovery);
  const judgeOf = proofJudges(chain, recoveries);
  let judge: ProofJudge | undefined;
  let proofs = 0;
  let unproven: Height | undefined;
  const problems: string[] = [];
  const enterEpoch = (epoch: EpochInfo): void => {
    judge = judgeOf(epoch);
    if (unproven === undefined) return;
    problems.push(`block ${epoch.root.height} closes an epoch and has no finality proof of its own`);
    unproven = undefined;
  };
  const checkProof = (block: Block, bytes: Bytes | undefined): string | undefined => {
    if (bytes === undefined || bytes.length === 0) {
      unproven ??= block.header.number;
      return undefined;
    }
    assert(judge !== undefined, 'verify: blocks come after the epoch they are in');
    const refused = judge({ height: block.header.number, hash: block.hash }, bytes);
    if (refused !== undefined) return refused;
    proofs++;
    unproven = undefined;
    return undefined;
  };
  const lock = await acquireLock(dataDir);
  try {
    const store = await LevelStore.open(join(dataDir, STORE_FOLDER), { checkAll: true });
    try {
      const result = await verifyStore({
        store,
        rules,
        genesis: input,
        recoveries,
        checkProof,
        enterEpoch,
        ...(onProgress !== undefined && { progress: onProgress }),
      });
      problems.push(...result.problems);
      if (result.ok && unproven !== undefined) {
        problems.push(`blocks ${unproven} to ${result.head} have no finality proof at or above them`);
      }
      if (problems.length > 0) throw failure(problems);
      return { head: result.head, hash: result.hash, transactions: result.transactions, proofs };
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
}

function failure(problems: readonly string[]): QuorateError {
  const shown = problems.slice(0, 10).join('; ');
  const more = problems.length > 10 ? `; and ${problems.length - 10} more` : '';
  const message = `the chain in this folder does not verify: ${shown}${more}`;
  return new QuorateError('VERIFY_FAILED', message, { data: { problems } });
}
