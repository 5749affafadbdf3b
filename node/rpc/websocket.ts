/**
 * JSON-RPC over WebSocket: one object per connection. A client that does not read is dropped; one that sends faster than
 * it is answered is read no further until it is.
 */
import { type RawData, WebSocket } from 'ws';
import type { Dispatcher } from './dispatcher.ts';
import type { RpcLimits } from './limits.ts';
import type { CallContext } from './method.ts';
import type { Subscriber, SubscriptionHub } from './subscriptions.ts';
import type { UnreadBytes } from './unread.ts';

export type WebSocketOptions = {
  readonly dispatcher: Dispatcher;
  readonly hub: SubscriptionHub;
  readonly unread: UnreadBytes;
  readonly limits: RpcLimits;
  /** Told when a consumer was dropped for not keeping up. */
  readonly onDropped: () => void;
};

export class WebSocketConnection implements Subscriber {
  readonly #socket: WebSocket;
  readonly #options: WebSocketOptions;
  #inFlight = 0;
  /** Messages that came while too many were in flight: at most what one read of the socket holds. */
  readonly #waiting: string[] = [];
  /** Messages given to the socket and not yet written. */
  #queued = 0;
  #queuedBytes = 0;
  #alive = true;

  constructor(socket: WebSocket, options: WebSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('message', (data) => this.#onMessage(data));
    socket.on('pong', () => {
      this.#alive = true;
    });
    socket.on('close', () => this.#onClose());
    // A broken frame or connection: `close` follows and cleans up.
    socket.on('error', () => socket.terminate());
  }

  notify(text: string): void {
    if (this.#queued >= this.#options.limits.queuedNotificationsMax) this.drop();
    else this.#send(text);
  }

  drop(): void {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    this.#options.onDropped();
    this.#options.hub.drop(this);
    this.#socket.terminate();
  }

  /** Every ping interval: ends the connection when the last ping was not answered. */
  checkAlive(): void {
    if (!this.#alive) {
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    this.#socket.ping();
  }

  /** Closes politely; `terminate` follows when the peer does not answer in time. */
  close(): void {
    this.#socket.close(1001, 'the node stops');
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #onMessage(data: RawData): void {
    this.#waiting.push(textOf(data));
    // What the socket has already read still comes after this: it waits, but nothing more is read.
    if (this.#inFlight >= this.#options.limits.webSocketInFlightMax) this.#socket.pause();
    else this.#handleNext();
  }

  #handleNext(): void {
    const text = this.#waiting.shift();
    if (text === undefined) {
      this.#socket.resume();
      return;
    }
    this.#inFlight++;
    const { dispatcher, hub } = this.#options;
    const context: CallContext = { subscriber: this, created: [] };
    dispatcher.handle(text, context, (reply) => {
      this.#inFlight--;
      if (reply !== undefined) this.#send(reply);
      if (this.#socket.readyState !== WebSocket.OPEN) {
        hub.drop(this); // it left while its subscription was made
        return;
      }
      for (const made of context.created) hub.release(made);
      this.#handleNext();
    });
  }

  #send(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const { limits, unread } = this.#options;
    const bytes = text.length;
    if (this.#queuedBytes + bytes > limits.unreadBytesPerSocketMax || unread.full) {
      this.drop();
      return;
    }
    this.#queued++;
    this.#queuedBytes += bytes;
    unread.add(bytes);
    this.#socket.send(text, () => {
      this.#queued--;
      this.#queuedBytes -= bytes;
      unread.remove(bytes);
    });
  }

  #onClose(): void {
    this.#options.hub.drop(this);
  }
}

function textOf(data: RawData): string {
  if (Buffer.isBuffer(data)) return data.toString('utf8');
  return Array.isArray(data) ? Buffer.concat(data).toString('utf8') : Buffer.from(data).toString('utf8');
}
