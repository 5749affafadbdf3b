/** The effects `execute` and `cut`: what the ledger does for the replica, and the event that answers it. */
import type { Effect } from '../consensus/effect.ts';
import type { Event } from '../consensus/event.ts';
import type { Transaction } from '../ledger/transaction.ts';
import type { Address } from '../primitives/ids.ts';
import type { HostOptions } from './host-options.ts';

type Options = Pick<HostOptions, 'ledger' | 'pool' | 'clock' | 'settings'>;

export class BlockWork {
  readonly #options: Options;
  readonly #onExecuted: (transactions: readonly Transaction[]) => void;

  constructor(options: Options, onExecuted: (transactions: readonly Transaction[]) => void) {
    this.#options = options;
    this.#onExecuted = onExecuted;
  }

  /** `miner` is the present primary's operator. */
  execute(effect: Extract<Effect, { kind: 'execute' }>, miner: Address): Event {
    const { ledger, clock, settings } = this.#options;
    const { hash, judgeTime } = effect;
    const decoded = ledger.decodeBlock(effect.block);
    if (!decoded.ok) return { kind: 'executed', hash, ok: false, reason: decoded.reason };
    const judge = judgeTime ? { nowMs: clock.wallMs(), maxDriftMs: settings.maxDriftMs } : undefined;
    // A new block carries its primary's operator; one certified again in a later view keeps the first one's.
    const result = ledger.execute(decoded.block, judge, judgeTime ? { miner } : {});
    if (!result.ok) return { kind: 'executed', hash, ok: false, reason: `${result.reason}: ${result.detail}` };
    this.#onExecuted(decoded.block.transactions);
    return { kind: 'executed', hash, ok: true, closes: result.closes };
  }

  /** `miner` is this node's operator. */
  cut({ parent, allowEmpty }: Extract<Effect, { kind: 'cut' }>, miner: Address): Event {
    const { ledger, pool, clock, settings } = this.#options;
    if (pool.executableCount === 0 && !allowEmpty) return { kind: 'cut', parent, block: undefined };
    const { block, closes } = ledger.build({
      parent,
      timeMs: clock.wallMs(),
      miner,
      candidates: pool.candidates((address) => ledger.account(address, { block: parent })?.nonce ?? 0),
      bytesMax: settings.batchBytesMax,
      transactionsMax: settings.batchTransactionsMax,
    });
    const wanted = block.transactions.length > 0 || allowEmpty;
    const { hash, bytes, header } = block;
    return { kind: 'cut', parent, block: wanted ? { hash, height: header.number, bytes, closes } : undefined };
  }
}
