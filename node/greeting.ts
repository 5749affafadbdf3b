/** How observers, and validators of other epochs, hear how far the chain is, should gossip have lost a block. */
import type { Message } from '../consensus/message.ts';
import type { ReplicaStatus } from '../consensus/replica.ts';

const EVERY_MS = 1000;

export class Greeting {
  #saidAt = Number.NEGATIVE_INFINITY;

  /** The sign of life to send now, if it is time for one. */
  due({ epoch, view, final, head }: ReplicaStatus, nowMs: number): Message | undefined {
    if (nowMs - this.#saidAt < EVERY_MS) return undefined;
    this.#saidAt = nowMs;
    return {
      kind: 'HEARTBEAT',
      epoch,
      view,
      final: final.height,
      head: head.height,
      tick: Math.floor(nowMs),
      echo: 0,
      row: undefined,
    };
  }
}
