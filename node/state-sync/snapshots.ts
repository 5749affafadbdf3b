/** Snapshots on both sides, as the node and its network see them: served to whoever asks, taken when far behind. */
import { MESSAGE_NUMBERS } from '../../consensus/wire-numbers.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { decodeSyncMessage, isSyncMessage, messageNumber } from './messages.ts';
import { SnapshotServer } from './server.ts';
import { StateSync, type StateSyncOptions, type SyncProgress } from './state-sync.ts';

/** Questions for blocks that would be executed. */
const TO_EXECUTE: readonly (number | undefined)[] = [MESSAGE_NUMBERS['FETCH-FINAL'], MESSAGE_NUMBERS['FETCH-BODIES']];

export class Snapshots {
  readonly #server: SnapshotServer;
  readonly #sync: StateSync;

  constructor(options: StateSyncOptions) {
    const { ledger, send, now, later, log } = options;
    this.#server = new SnapshotServer({ ledger, send, now, later, onProblem: (text) => log.warn(text) });
    this.#sync = new StateSync(options);
  }

  /** Whether it was meant for this part of the node. */
  onMessage(peer: string, payload: Bytes): boolean {
    if (!isSyncMessage(payload)) return false;
    const message = decodeSyncMessage(payload);
    if (message === undefined) return true;
    if (message.kind === 'HISTORY' || message.kind === 'STATE' || message.kind === 'CONTRACT') {
      this.#sync.onAnswer(peer, message);
    } else this.#server.onRequest(peer, message);
    return true;
  }

  /** While a snapshot is taken, blocks are not asked for to be executed: that would be the same work twice. */
  holdsBack(payload: Bytes): boolean {
    return TO_EXECUTE.includes(messageNumber(payload)) && this.#sync.holdsBlocks;
  }

  onUp(peer: string): void {
    this.#sync.onUp(peer);
  }

  onDown(peer: string): void {
    this.#sync.onDown(peer);
  }

  get progress(): SyncProgress | undefined {
    return this.#sync.progress;
  }

  /** Called now and then. */
  tick(): void {
    this.#server.tick();
    this.#sync.tick();
  }

  async stop(): Promise<void> {
    this.#server.stop();
    await this.#sync.stop();
  }
}
