/**
 * One long-lived stream of a link: frames out through a bounded queue, frames in through the parser, each direction with
 * its own back-pressure. Three properties of libp2p streams shape it: `onDrain()` resolves too early, so the `drain`
 * event is used; data nobody paused for is buffered without bound, so a sender over its rate is paused; an exception in a
 * listener ends the process, so each one is guarded.
 */
import type { Stream } from '@libp2p/interface';
import { errorMessage } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import { FrameParser } from './frame.ts';
import { AbortReason, guarded } from './guard.ts';
import type { ChannelLimits } from './limits.ts';
import { type Allowance, Rate } from './rate.ts';
import { SendQueue } from './send-queue.ts';

/** What a lane needs of a libp2p stream. */
type LaneStream = Pick<Stream, 'send' | 'pause' | 'resume' | 'abort' | 'addEventListener'>;

export type LaneOptions = {
  readonly stream: LaneStream;
  readonly limits: ChannelLimits;
  /** Frame types that may arrive. */
  readonly types: readonly number[];
  /** Multiplies the inbound rates. */
  readonly share: number;
  readonly now: () => number;
  readonly onFrame: (type: number, payload: Bytes) => void;
  /** Something arrived, a whole frame or not: the peer lives. */
  readonly onBytes: () => void;
  /** The lane is finished and why; called once, never after `retire`. */
  readonly onFailure: (reason: string) => void;
  /** The queue wants flushing. */
  readonly onWritable: () => void;
  /** A queue that refused a frame is down to half. */
  readonly onDrain: () => void;
};

function allowance({ bytesPerSecond, framesPerSecond }: ChannelLimits, share: number): Allowance {
  return { bytesPerSecond: bytesPerSecond * share, framesPerSecond: framesPerSecond * share };
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #queue: SendQueue;
  readonly #parser: FrameParser;
  readonly #rate: Rate;
  /** The stream said its buffer is full; cleared by its `drain` event. */
  #blocked = false;
  #refused = false;
  #closed = false;
  #resumeTimer: NodeJS.Timeout | undefined;
  #framesInChunk = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(options: LaneOptions) {
    const { stream, limits, share, now } = options;
    this.#options = options;
    this.#queue = new SendQueue(limits.queueBytesMax);
    this.#rate = new Rate({ ...allowance(limits, share), now });
    this.#parser = new FrameParser({
      payloadBytesMax: limits.frameBytesMax,
      types: options.types,
      onFrame: (type, payload) => {
        this.#framesInChunk++;
        options.onFrame(type, payload);
        return !this.#closed;
      },
    });
    const guard = (action: () => void) => guarded(action, (error) => this.#fail(errorMessage(error)));
    stream.addEventListener('message', (event) => guard(() => this.#onData(event.data)));
    stream.addEventListener('drain', () => guard(() => this.#onStreamDrain()));
    stream.addEventListener('remoteCloseWrite', () => guard(() => this.#fail('the peer closed the stream')));
    stream.addEventListener('close', (event) =>
      guard(() => this.#fail(event.error === undefined ? 'stream closed' : errorMessage(event.error))),
    );
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }
  get bytesIn(): number {
    return this.#bytesIn;
  }
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Queues one frame for the next flush. False: closed, too long, or no room. */
  enqueue(type: number, payload: Bytes): boolean {
    if (this.#closed || payload.length > this.#options.limits.frameBytesMax) return false;
    const queued = this.#queue.push(type, payload);
    if (!queued) this.#refused = true;
    return queued;
  }

  /** Multiplies the inbound rates by this from now on. */
  setShare(share: number): void {
    this.#rate.allow(allowance(this.#options.limits, share));
  }

  /** Hands one turn's bytes to the stream. True when more waits and may be sent in the next turn. */
  flush(): boolean {
    if (this.#closed || this.#blocked || this.#queue.bytes === 0) return false;
    const piece = this.#queue.take(this.#options.limits.turnBytesMax);
    try {
      this.#blocked = !this.#options.stream.send(piece);
      this.#bytesOut += piece.length;
    } catch (error) {
      this.#fail(errorMessage(error)); // a stream that is closing throws instead of saying so
      return false;
    }
    if (this.#refused && this.#queue.bytes <= this.#options.limits.queueBytesMax / 2) {
      this.#refused = false;
      this.#options.onDrain();
    }
    return !this.#blocked && this.#queue.bytes > 0;
  }

  /** Neither sends nor listens any more. The stream is left to whoever closes the connection. */
  retire(): void {
    this.#closed = true;
    clearTimeout(this.#resumeTimer);
    this.#queue.clear();
  }

  #onData(data: Bytes | Iterable<Bytes>): void {
    if (this.#closed) return;
    let bytes = 0;
    this.#framesInChunk = 0;
    this.#options.onBytes();
    for (const chunk of data instanceof Uint8Array ? [data] : data) {
      bytes += chunk.length;
      const reason = this.#parser.push(chunk);
      if (this.#closed) return;
      if (reason !== undefined) {
        this.#fail(`malformed data: ${reason}`);
        return;
      }
    }
    this.#bytesIn += bytes;
    const waitMs = this.#rate.charge(bytes, this.#framesInChunk);
    if (waitMs > 0) this.#pauseFor(waitMs);
  }

  /** The window of the stream fills and the peer's own queue holds the rest: memory on its side, not on ours. */
  #pauseFor(waitMs: number): void {
    this.#options.stream.pause();
    clearTimeout(this.#resumeTimer);
    this.#resumeTimer = setTimeout(() => {
      if (this.#closed) return;
      guarded(
        () => this.#options.stream.resume(),
        (error) => this.#fail(errorMessage(error)),
      );
    }, waitMs);
  }

  #onStreamDrain(): void {
    if (this.#closed) return;
    this.#blocked = false;
    if (this.#queue.bytes > 0) this.#options.onWritable();
  }

  #fail(reason: string): void {
    if (this.#closed) return;
    this.retire();
    guarded(
      () => this.#options.stream.abort(new AbortReason(reason)),
      () => undefined, // it was closed already
    );
    this.#options.onFailure(reason);
  }
}
