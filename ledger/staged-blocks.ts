/**
 * Final blocks that are written above the head without being executed: what lies below a snapshot (decision 0014). Nobody
 * sees them before the head moves past them. Each is linked by its parent's hash down to the head, each root in a header
 * but the state's is computed from body and receipts, and each finality proof is judged by the validators of its epoch,
 * which the blocks themselves tell.
 */
import { uint64 } from '../primitives/bytes.ts';
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import { keccakHash } from '../primitives/keccak.ts';
import { RlpError, rlpDecode, rlpList, rlpNumber } from '../primitives/rlp.ts';
import { headerEpoch, type RawBlock, splitBlock } from './block.ts';
import { headerProblem } from './block-rules.ts';
import type { ChainRules } from './chain-rules.ts';
import { type EpochInfo, epochOfRecovery } from './epoch-info.ts';
import { openedBy } from './epochs.ts';
import { AbiError } from './governance/abi-types.ts';
import type { Ledger } from './ledger.ts';
import { settled } from './open.ts';
import { orderedRoot } from './ordered-root.ts';
import { ChainReader, type HeaderWithHash, readLog } from './reader.ts';
import { bloomOf, encodeReceipt, type Receipt } from './receipt.ts';
import {
  blockKey,
  decodeStagedBlocks,
  encodePlace,
  encodeReceiptsRecord,
  encodeStagedBlocks,
  numberKey,
  proofKey,
  receiptsKey,
  STAGED_BLOCKS_KEY,
  sealRecord,
  transactionKey,
} from './records.ts';
import { type Recovery, recoveryOn } from './recovery.ts';
import type { KeyValueStore } from './store.ts';

/** A block as a source gives it, with its receipts record and its finality proof, which may be empty. */
export type GivenBlock = { readonly block: Bytes; readonly receipts: Bytes; readonly proof: Bytes };

/** What is wrong with the finality proof of a block of this epoch. */
export type JudgeProof = (
  epoch: EpochInfo,
  block: { readonly height: Height; readonly hash: Hash },
  proof: Bytes,
) => string | undefined;

export type StagingOptions = {
  readonly store: KeyValueStore;
  readonly ledger: Pick<Ledger, 'head' | 'recoveries' | 'epochAfter'>;
  readonly rules: ChainRules;
  readonly judge: JudgeProof;
};

/** Where the next block goes. */
type Top = HeaderWithHash & { readonly epoch: EpochInfo };
type Put = readonly [Bytes, Bytes];

export class BlockStaging {
  readonly #options: StagingOptions;
  readonly #recoveries: readonly Recovery[];
  #top: Top;

  /** Goes on where an earlier run ended, or at the head. */
  constructor(options: StagingOptions) {
    this.#options = options;
    this.#recoveries = options.ledger.recoveries;
    const { head } = options.ledger;
    const atHead = { header: head.header, hash: head.hash, epoch: options.ledger.epochAfter(head.hash) };
    this.#top = this.#resumed(atHead) ?? atHead;
  }

  #resumed({ epoch, header }: Top): Top | undefined {
    const { store, rules } = this.#options;
    const staged = decodeStagedBlocks(store.get(STAGED_BLOCKS_KEY));
    if (staged === undefined || staged.height <= header.number) return undefined;
    const reader = new ChainReader(store, rules.chainId);
    const top = reader.header(staged.height);
    if (top?.hash !== staged.hash) return undefined;
    const opening = staged.opening > header.number ? reader.at(staged.opening) : undefined;
    const opened = opening && this.#openedBy(opening.block, opening.receipts);
    return { ...top, epoch: opened ?? epoch };
  }

  /** The epoch above a block that ends its own, by vote or by a recovery. */
  #openedBy(block: HeaderWithHash, receipts: readonly Pick<Receipt, 'logs'>[]): EpochInfo | undefined {
    const epoch = headerEpoch(block.header);
    let opened = openedBy(block, receipts, epoch + 1);
    for (;;) {
      // A recovered epoch may have been broken off in turn before its first block.
      const recovery = recoveryOn(this.#recoveries, block.hash, opened?.epoch ?? epoch);
      if (recovery === undefined) return opened;
      opened = epochOfRecovery(recovery);
    }
  }

  get top(): { readonly height: Height; readonly hash: Hash } {
    return { height: this.#top.header.number, hash: this.#top.hash };
  }

  /** State root after a block that is there. */
  target(height: Height): { readonly height: Height; readonly hash: Hash; readonly root: Hash } | undefined {
    const found = new ChainReader(this.#options.store, this.#options.rules.chainId).header(height);
    return found && { height, hash: found.hash, root: found.header.stateRoot };
  }

  /**
   * Takes blocks that go on from the newest one there, the last with a proof of its own, all of them or none. The answer
   * says what is wrong with them. `pause` lets other work pass.
   */
  async append(blocks: readonly GivenBlock[], pause: () => Promise<void>): Promise<string | undefined> {
    let top = this.#top;
    let opening: Height | undefined;
    const put: Put[] = [];
    if (blocks.at(-1)?.proof.length === 0) return 'the last block has no finality proof';
    for (const given of blocks) {
      const next = this.#check(top, given, put);
      if (typeof next === 'string') return `block ${top.header.number + 1}: ${next}`;
      if (next.epoch !== top.epoch) opening = next.header.number;
      top = next;
      await pause();
    }
    const { store } = this.#options;
    const { hash, header } = top;
    const before = decodeStagedBlocks(store.get(STAGED_BLOCKS_KEY));
    const record = { height: header.number, hash, opening: opening ?? before?.opening ?? 0 };
    put.push([STAGED_BLOCKS_KEY, encodeStagedBlocks(record)]);
    await settled((done) => store.write({ put, del: [] }, { sync: false }, done));
    this.#top = top;
    return undefined;
  }

  /** One block on top of another; what is wrong with it, or what it becomes for the next. */
  #check(parent: Top, { block, receipts: receiptsRecord, proof }: GivenBlock, put: Put[]): Top | string {
    const raw = splitBlock(block);
    if (typeof raw === 'string') return raw;
    const { header, hash } = raw;
    const refused = headerProblem(header, parent, this.#options.rules, undefined, { epoch: parent.epoch.epoch });
    if (refused !== undefined) return refused.detail;
    if (orderedRoot(raw.raws) !== header.transactionsRoot) return 'its body is another';
    const receipts = readReceipts(raw, receiptsRecord);
    if (receipts === undefined) return 'its receipts are others';
    const height = header.number;
    if (proof.length > 0) {
      const problem = this.#options.judge(parent.epoch, { height, hash }, proof);
      if (problem !== undefined) return `its finality proof: ${problem}`;
      put.push([proofKey(height), sealRecord(proof)]);
    }
    put.push(
      [blockKey(height), block],
      [receiptsKey(height), encodeReceiptsRecord(receipts)],
      [numberKey(hash), uint64(height)],
    );
    for (const [index, transaction] of raw.raws.entries()) {
      put.push([transactionKey(keccakHash(transaction)), encodePlace({ height, index })]);
    }
    let opened: EpochInfo | undefined;
    try {
      opened = this.#openedBy(raw, receipts);
    } catch (error) {
      if (error instanceof AbiError) return 'an event in it is malformed';
      throw error;
    }
    if (opened !== undefined && proof.length === 0) return 'it closes an epoch without a finality proof of its own';
    return { header, hash, epoch: opened ?? parent.epoch };
  }
}

/** Receipts of a record that the header's receiptsRoot and bloom bear out; only what they say themselves is filled in. */
function readReceipts({ raws, header }: RawBlock, record: Bytes): Receipt[] | undefined {
  try {
    const receipts = rlpList(rlpDecode(record), 'receipts', raws.length).map((item, i): Receipt => {
      const [status, cumulative, logItems] = rlpList(item, 'receipt', 3);
      const logs = rlpList(logItems, 'logs').map(readLog);
      const first = raws[i]![0]!;
      return {
        type: first === 1 || first === 2 ? first : 0,
        status: rlpNumber(status, 'status') === 1 ? 1 : 0,
        cumulativeGasUsed: rlpNumber(cumulative, 'cumulative gas'),
        gasUsed: 0,
        effectiveGasPrice: 0n,
        logsBloom: bloomOf(logs),
        logs,
      };
    });
    return orderedRoot(receipts.map(encodeReceipt)) === header.receiptsRoot ? receipts : undefined;
  } catch (error) {
    if (error instanceof RlpError) return undefined;
    throw error;
  }
}
