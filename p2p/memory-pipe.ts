/** One direction of a memory link: four bounded queues, emptied a turn's bytes at a time. */
import type { Bytes } from '../primitives/ids.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { CHANNEL_LIMITS } from './limits.ts';
import { CHANNELS, type Channel, type ChannelStats } from './transport.ts';

export type MemoryPipeOptions = {
  readonly deliver: (channel: Channel, payload: Bytes) => void;
  /** A queue that refused a frame is down to half. */
  readonly onDrain: (channel: Channel) => void;
};

class Queue {
  frames: Bytes[] = [];
  bytes = 0;
  refused = false;
  bytesIn = 0;
  bytesOut = 0;
}

export class MemoryPipe {
  readonly #options: MemoryPipeOptions;
  readonly #queues: Record<Channel, Queue> = {
    consensus: new Queue(),
    blocks: new Queue(),
    transactions: new Queue(),
    sync: new Queue(),
  };
  #scheduled = false;
  #closed = false;

  constructor(options: MemoryPipeOptions) {
    this.#options = options;
  }

  push(channel: Channel, payload: Bytes): boolean {
    const queue = this.#queues[channel];
    const size = FRAME_HEADER_BYTES + payload.length;
    if (this.#closed) return false;
    if (queue.bytes + size > CHANNEL_LIMITS[channel].queueBytesMax) {
      queue.refused = true;
      return false;
    }
    queue.frames.push(Uint8Array.from(payload));
    queue.bytes += size;
    this.#schedule();
    return true;
  }

  countIn(channel: Channel, bytes: number): void {
    this.#queues[channel].bytesIn += bytes;
  }

  stats(channel: Channel): ChannelStats {
    const { bytes, bytesIn, bytesOut } = this.#queues[channel];
    return { queuedBytes: bytes, bytesIn, bytesOut };
  }

  /** What is queued is lost, as on a wire that breaks. */
  close(): void {
    this.#closed = true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const channel of CHANNELS) this.#turn(channel);
    });
  }

  #turn(channel: Channel): void {
    const queue = this.#queues[channel];
    const { turnBytesMax, queueBytesMax } = CHANNEL_LIMITS[channel];
    let sent = 0;
    let count = 0;
    // At least one frame a turn, however long it is.
    while (!this.#closed && count < queue.frames.length && (count === 0 || sent < turnBytesMax)) {
      const payload = queue.frames[count++]!;
      sent += FRAME_HEADER_BYTES + payload.length;
      queue.bytes -= FRAME_HEADER_BYTES + payload.length;
      queue.bytesOut += FRAME_HEADER_BYTES + payload.length;
      this.#options.deliver(channel, payload);
    }
    queue.frames = queue.frames.slice(count);
    if (this.#closed) return;
    if (queue.refused && queue.bytes <= queueBytesMax / 2) {
      queue.refused = false;
      this.#options.onDrain(channel);
    }
    if (queue.frames.length > 0) this.#schedule();
  }
}
