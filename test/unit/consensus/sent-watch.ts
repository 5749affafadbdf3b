/**
 * Watches what honest validators sign, over all their lives (consensus.md section 10): a signed message is in the log
 * before it leaves, and nobody signs two different things of one kind at one place.
 */

import type { DurableRecord } from '../../../consensus/durable.ts';
import type { Message, SignedMessage } from '../../../consensus/message.ts';
import { encodeMessage } from '../../../consensus/message-codec.ts';
import { equalBytes } from '../../../primitives/bytes.ts';
import type { Bytes } from '../../../primitives/ids.ts';

const encoded = new WeakMap<Message, Bytes>();

/** The bytes of a message, made once: the same ones go to many and again and again. */
export function bytesOf(message: Message): Bytes {
  const known = encoded.get(message) ?? encodeMessage(message);
  encoded.set(message, known);
  return known;
}

function placeOf(message: SignedMessage): string {
  const height = 'height' in message ? message.height : '';
  return `${message.signer} ${message.kind} ${message.view}/${height}`;
}

/** Signed messages in a log record. */
function inRecord(record: DurableRecord): SignedMessage[] {
  switch (record.kind) {
    case 'vote':
      return [record.vote];
    case 'view':
      return record.viewChange === undefined ? [] : [record.viewChange];
    case 'suspect':
      return [record.suspect];
    case 'vc-final':
      return [record.vcFinal];
    case 'new-view':
      return [record.newView, record.newView.prepare];
    default:
      return [];
  }
}

/** Signed messages that a message shows to its receiver. */
function inMessage(message: Message): SignedMessage[] {
  switch (message.kind) {
    case 'PROPOSAL':
      return [message.prepare];
    case 'CHAIN':
      return [...message.suspects];
    case 'NEW-VIEW':
      return [message, message.prepare];
    case 'PREPARE':
    case 'COMMIT':
    case 'COMMITTED':
    case 'SUSPECT':
    case 'VIEW-CHANGE':
    case 'VC-FINAL':
      return [message];
    default:
      return [];
  }
}

export class SentWatch {
  readonly #logged = new Map<string, Bytes>();
  readonly #left = new Map<string, Bytes>();

  persisted(by: number, record: DurableRecord): void {
    for (const message of inRecord(record)) {
      if (message.signer === by) this.#logged.set(placeOf(message), bytesOf(message));
    }
  }

  leaves(by: number, message: Message): void {
    for (const signed of inMessage(message)) {
      if (signed.signer !== by) continue;
      const place = placeOf(signed);
      const bytes = bytesOf(signed);
      const logged = this.#logged.get(place);
      if (logged === undefined || !equalBytes(logged, bytes)) throw new TypeError(`${place} left before it was logged`);
      if (!equalBytes(this.#left.get(place) ?? bytes, bytes)) throw new TypeError(`${place} left with two contents`);
      this.#left.set(place, bytes);
    }
  }
}
