/**
 * A stopped node's folder as a recovery needs it: its chain up to the newest block it can prove final, and what its log
 * says of blocks above that. `recover propose`, `sign` and `apply` look at it before they say or believe anything.
 */
import { join } from 'node:path';
import { type Durable, type DurableRecord, emptyDurable, foldRecord } from '../consensus/durable.ts';
import { makeSchedule } from '../consensus/groups.ts';
import { type Certificate, compareOrder } from '../consensus/message.ts';
import { decodeRecord, encodeRecord } from '../consensus/record-codec.ts';
import type { Genesis } from '../genesis/genesis.ts';
import { readBlockId } from '../ledger/block.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import { Ledger } from '../ledger/ledger.ts';
import { LevelStore } from '../ledger/level-store.ts';
import { genesisBlock } from '../ledger/open.ts';
import { QuorateError } from '../primitives/errors.ts';
import type { Address, Bytes, Hash, Height } from '../primitives/ids.ts';
import { chainOf, chainRules, genesisInput } from './chain.ts';
import { loadGenesis } from './config.ts';
import { STORE_FOLDER, VALIDATOR_KEY_FILE } from './data-dir.ts';
import type { Chain } from './epoch-peers.ts';
import { decodeProof } from './finality-view.ts';
import { keyFileExists, readKeyText, summarizeKey } from './keystore.ts';
import { acquireLock } from './lock.ts';
import { type AppliedRecovery, loadRecoveries } from './recovery-files.ts';
import { replayFinal } from './replay.ts';
import { openValidatorLog, type ValidatorLog } from './validator-log.ts';

/** A block that somebody certified: a quorum certificate or a finality proof of it is here. */
export type Certified = {
  readonly certificate: Certificate;
  /** It and everything below it is here and executes. */
  readonly isWhole: boolean;
};

export type StoppedNode = {
  readonly dataDir: string;
  readonly genesis: Genesis;
  readonly chain: Chain;
  readonly ledger: Ledger;
  readonly applied: readonly AppliedRecovery[];
  /** The epoch that blocks above the newest final one belong to. */
  readonly epoch: EpochInfo;
  /** Certified blocks at or above the newest final one, greatest `(epoch, view, height)` first. */
  readonly certified: readonly Certified[];
  /** View of the epoch its log is in, if it is in this one. */
  readonly view: number | undefined;
  readonly validator: Address | undefined;
  /** Of the validator's log. */
  readonly incarnation: string;
  /** The log knows of this epoch. */
  readonly isInEpoch: boolean;
  /** Peers have shown that it is an old one: its key never signs again with it. */
  readonly isOldCopy: boolean;
  /** From now on, whatever happens, this validator signs nothing more in the epoch its log is in. */
  readonly promise: () => Promise<void>;
};

export type FolderOptions = { readonly dataDir: string; readonly genesisPath?: string | undefined };

/** Throws DATA_DIR_LOCKED, STORE_DAMAGED, LOG_DAMAGED, DISK_FAILED, RECOVERY_INVALID and others of a start. */
export async function withStoppedNode<T>(options: FolderOptions, run: (node: StoppedNode) => Promise<T>): Promise<T> {
  const { dataDir, genesisPath } = options;
  const genesis = await loadGenesis(dataDir, genesisPath);
  const genesisHash = genesisBlock(chainRules(genesis), genesisInput(genesis)).block.hash;
  const chain = chainOf(genesis, genesisHash);
  const lock = await acquireLock(dataDir);
  try {
    const applied = await loadRecoveries(dataDir, chain);
    const validator = await validatorOf(dataDir);
    const store = await LevelStore.open(join(dataDir, STORE_FOLDER), { checkAll: true });
    try {
      const recoveries = applied.map(({ recovery }) => recovery);
      const ledger = await Ledger.open({ store, ...chainRules(genesis), genesis: genesisInput(genesis), recoveries });
      const failed = new Failure();
      const log = await openValidatorLog({ dataDir, validator, genesisHash, onFailure: (error) => failed.set(error) });
      try {
        const node = lookInto({ dataDir, genesis, chain, ledger, applied, validator, log, failed });
        return await run(node);
      } finally {
        await log.log.close();
        await ledger.close();
      }
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
}

/** The address that the key file states; without opening it. */
async function validatorOf(dataDir: string): Promise<Address | undefined> {
  const path = join(dataDir, VALIDATOR_KEY_FILE);
  if (!(await keyFileExists(path))) return undefined;
  const { address } = summarizeKey(await readKeyText(path), path);
  if (address !== undefined) return address;
  throw new QuorateError('KEY_INVALID', `${path} does not name its address; import the key anew`);
}

/** A failed write of the log, which is told by a call back. */
class Failure {
  #error: unknown;
  #reject: ((error: unknown) => void) | undefined;

  set(error: unknown): void {
    this.#error ??= error;
    this.#reject?.(error);
  }

  /** Rejects when the log fails before `work` is done. */
  async unless(work: (done: () => void) => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#reject = reject;
      if (this.#error === undefined) work(resolve);
      else reject(this.#error);
    });
  }
}

type Opened = Omit<
  StoppedNode,
  'epoch' | 'certified' | 'view' | 'incarnation' | 'isInEpoch' | 'isOldCopy' | 'promise'
> & {
  readonly log: ValidatorLog;
  readonly failed: Failure;
};

function lookInto({ log, failed, ...opened }: Opened): StoppedNode {
  const { ledger, validator } = opened;
  const records = log.records.map(decodeRecord);
  const { delivered } = replayFinal(ledger, records);
  const epoch = ledger.epochAfter(delivered.hash);
  const durable = emptyDurable(
    0,
    ledger.epochInfo(0)!.members.findIndex((known) => known.validator === validator),
  );
  for (const record of records) foldRecord(durable, record);
  if (durable.epoch > epoch.epoch) {
    const message = `the log in ${opened.dataDir} is in epoch ${durable.epoch} and its store only in epoch ${epoch.epoch}; start the node until it has caught up, or use another one`;
    throw new QuorateError('RECOVERY_REFUSED', message);
  }
  const isInEpoch = durable.epoch === epoch.epoch;
  const logged = isInEpoch ? certificatesIn(durable, epoch) : [];
  return {
    ...opened,
    epoch,
    certified: certifiedFrom(ledger, { delivered, durable, logged }),
    view: isInEpoch ? durable.view : undefined,
    incarnation: log.incarnation,
    isInEpoch,
    isOldCopy: durable.rolledBack,
    promise: () => promise(log, failed),
  };
}

/** The log's own word for it: the same record that a validator writes that finds out that it forgot something. */
async function promise(log: ValidatorLog, failed: Failure): Promise<void> {
  const record: DurableRecord = { kind: 'forgot', rolledBack: false };
  // A torn tail is no matter any more: what it could promise is given up with all else in this epoch.
  log.settle();
  await failed.unless((done) => {
    let wanted = Number.POSITIVE_INFINITY;
    log.log.onDurable((sequence) => {
      if (sequence >= wanted) done();
    });
    wanted = log.log.append([encodeRecord(record)], { sync: true });
  });
}

/**
 * Every certificate the log holds or implies. With a group of two the follower's own COMMIT, with the PREPARE it answers,
 * is one, and counts as its word that it has it: the primary may have shown the block to a client on that alone.
 */
function certificatesIn(durable: Durable, { members }: EpochInfo): Certificate[] {
  const { head, final, viewChange, vcFinal, newView, entries, self, view } = durable;
  const heard = vcFinal?.viewChanges.flatMap((change) => [change.head, change.final]) ?? [];
  const found = [head, final, viewChange?.head, newView?.head, ...heard];
  const group = makeSchedule(members.length).groupOf(view);
  if (group.length === 2 && group[1] === self) {
    for (const { prepare, commit } of entries.values()) {
      if (prepare === undefined || commit === undefined) continue;
      const { epoch, viewCertificate, height, hash } = prepare;
      const seals = [prepare, commit].map(({ signer, incarnation, signature }) => ({ signer, incarnation, signature }));
      found.push({ kind: 'QC', epoch, view: prepare.view, viewCertificate, height, hash, seals });
    }
  }
  return found.filter((certificate) => certificate !== undefined);
}

type Link = { readonly height: Height; readonly hash: Hash };

function certifiedFrom(
  ledger: Ledger,
  found: { readonly delivered: Link; readonly durable: Durable; readonly logged: readonly Certificate[] },
): Certified[] {
  const { delivered, durable, logged } = found;
  const proof = decodeProof(ledger.proof(delivered.height) ?? new Uint8Array(), Number.MAX_SAFE_INTEGER);
  const all = proof === undefined ? logged : [...logged, proof];
  return all
    .filter(({ height }) => height >= delivered.height)
    .sort((a, b) => compareCertificates(b, a))
    .map((certificate) => ({ certificate, isWhole: executes(ledger, durable, certificate, delivered) }));
}

/** By `(epoch, view, height)`; of two for one block in one view the finality proof is the greater. */
export function compareCertificates(a: Certificate, b: Certificate): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  return compareOrder(a, b) || Number(a.kind === 'FP') - Number(b.kind === 'FP');
}

/** The block, with all that is missing below it in the ledger, is in the log, and executes; nothing is made final. */
function executes(ledger: Ledger, durable: Durable, to: Link, delivered: Link): boolean {
  const path: Bytes[] = [];
  let { hash } = to;
  for (let { height } = to; height > delivered.height; height--) {
    const bytes = durable.blocks.get(hash)?.bytes;
    const id = bytes && readBlockId(bytes);
    if (bytes === undefined || id === undefined) return false;
    path.unshift(bytes);
    hash = id.parentHash;
  }
  if (hash !== delivered.hash) return false;
  return path.every((bytes) => {
    const decoded = ledger.decodeBlock(bytes);
    return decoded.ok && ledger.execute(decoded.block, undefined, {}).ok;
  });
}
