/** The answer to whoever still speaks in an epoch that is over: how it ended (consensus.md section 7, steps 2 and 5). */
import type { Message } from '../consensus/message.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Epoch } from '../primitives/ids.ts';
import { proofAt } from './serve.ts';

/** Peers whose last answer is remembered. */
const ANSWERED_MAX = 256;

export class OldEpochs {
  readonly #ledger: Ledger;
  readonly #everyMs: number;
  readonly #answeredAt = new Map<string, number>();

  /** Nobody is answered more often than every `everyMs`. */
  constructor(ledger: Ledger, everyMs: number) {
    this.#ledger = ledger;
    this.#everyMs = everyMs;
  }

  answer(to: string, epoch: Epoch, nowMs: number): Message | undefined {
    if (nowMs < (this.#answeredAt.get(to) ?? Number.NEGATIVE_INFINITY) + this.#everyMs) return undefined;
    if (this.#answeredAt.size >= ANSWERED_MAX) this.#answeredAt.clear();
    this.#answeredAt.set(to, nowMs);
    const root = this.#ledger.epochInfo(epoch + 1)?.root;
    const block = root && this.#ledger.rawBlock(root.height);
    const proof = root && proofAt(this.#ledger, root.height);
    return block === undefined || proof === undefined ? undefined : { kind: 'START-EPOCH', block, proof };
  }
}
