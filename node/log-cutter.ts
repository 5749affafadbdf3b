/** Keeps the log short: cut once the store holds durably what the log would have to give back. */
import type { DurableRecord } from '../consensus/durable.ts';
import { encodeRecord } from '../consensus/record-codec.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Bytes, Height } from '../primitives/ids.ts';

type Log = { rotate(snapshot: readonly Bytes[]): number; readonly bytesSinceSnapshot: number };

export type LogCutterOptions = {
  readonly log: Log;
  readonly ledger: Ledger;
  /** Bytes of log after which it is cut. */
  readonly bytesMax: number;
  /** What must never be forgotten, when the cut is made; undefined: not now. */
  readonly snapshot: () => readonly DurableRecord[] | undefined;
  /** Newest block that was delivered. */
  readonly final: () => Height;
};

export class LogCutter {
  readonly #options: LogCutterOptions;
  #cutting = false;

  constructor(options: LogCutterOptions) {
    this.#options = options;
  }

  cut(): void {
    const { log, ledger, bytesMax, snapshot } = this.#options;
    if (this.#cutting || log.bytesSinceSnapshot < bytesMax) return;
    this.#cutting = true;
    const synced = ledger.head.height;
    ledger.sync((error) => {
      this.#cutting = false;
      if (error) throw error;
      const records = snapshot();
      if (records !== undefined) log.rotate([...this.#finalSince(synced), ...records].map(encodeRecord));
    });
  }

  /** Final blocks the store may not hold durably yet. */
  #finalSince(height: Height): DurableRecord[] {
    const { ledger, final } = this.#options;
    const records: DurableRecord[] = [];
    for (let at = height + 1; at <= final(); at++) {
      const block = ledger.blockByHeight(at) ?? ledger.unfinal().find((unfinal) => unfinal.header.number === at);
      if (block !== undefined) records.push({ kind: 'block', hash: block.hash, height: at, bytes: block.bytes });
    }
    return records;
  }
}
