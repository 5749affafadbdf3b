/**
 * One connection to one peer, from the first stream to the last: greeting, the four channels, heartbeats, the end.
 *
 * The dialler opens the control stream and says hello; the acceptor answers with its own. If the two agree the dialler
 * opens the four channel streams and says READY; the acceptor, once it has them all, is up and answers READY, and then
 * the dialler is. A resolved dial alone means nothing: a peer that refuses us also lets the dial succeed.
 *
 * libp2p's own connection monitor is off (it aborts a healthy connection on one late pong), and a stopped process would
 * be written to for minutes without an error: the heartbeat here is what finds dead peers. It counts its own beats, not
 * the clock, so that a pause of our own event loop is not taken for the silence of everyone else.
 */
import type { Connection, Stream } from '@libp2p/interface';
import { utf8 } from '../primitives/bytes.ts';
import { assert, errorMessage } from '../primitives/errors.ts';
import type { Bytes } from '../primitives/ids.ts';
import type { Notice } from './address-exchange.ts';
import { AbortReason, asError, guarded } from './guard.ts';
import { encodeHello, HELLO_PROTOCOL, type Hello, helloMismatch, parseHello } from './hello.ts';
import { Lane } from './lane.ts';
import { CHANNEL_LIMITS, CONTROL_LIMITS, OBSERVER_SHARE, SETUP_MS, SILENT_HEARTBEATS_MAX } from './limits.ts';
import { CHANNELS, type Channel, type ChannelStats } from './transport.ts';

/** Frame types. The control stream and the channels share one number space; a retired number stays reserved. */
const FRAME = { hello: 1, ready: 2, ping: 3, pong: 4, close: 5, address: 6, ask: 7, data: 16 } as const;
const { data: _, ...CONTROL_FRAME } = FRAME;
const CONTROL_TYPES = Object.values(CONTROL_FRAME);
const REASON_BYTES_MAX = 300;
/** How long a connection may take to close in good order after a refusal. */
const LAST_WORDS_MS = 500;

/** What a link needs of a libp2p connection. */
type LinkConnection = Pick<Connection, 'newStream' | 'close' | 'abort' | 'addEventListener'>;

export type LinkOptions = {
  readonly connection: LinkConnection;
  readonly peer: string;
  /** We opened the connection. */
  readonly dialled: boolean;
  readonly hello: Hello;
  readonly peerIsValidator: boolean;
  /** The protocol of a channel's stream. */
  readonly protocol: (channel: Channel) => string;
  /** Milliseconds on a clock that does not go back. */
  readonly now: () => number;
  /** Why this link must not become the peer's link; asked after the hello and again before it is up. */
  readonly objection: (link: Link) => string | undefined;
  readonly onUp: (link: Link) => void;
  readonly onDown: (link: Link, end: LinkEnd) => void;
  readonly onMessage: (link: Link, channel: Channel, payload: Bytes) => void;
  readonly onDrain: (link: Link, channel: Channel) => void;
  /** A frame about addresses. Gives the reason when it breaks the protocol. */
  readonly onNotice: (link: Link, notice: Notice, payload: Bytes) => string | undefined;
};

export type LinkEnd = {
  readonly reason: string;
  /** The other side, or we, said no; trying again at once would be the same again. */
  readonly refused: boolean;
};

type Counters = { queuedBytes: number; bytesIn: number; bytesOut: number };

export class Link {
  readonly peer: string;
  readonly dialled: boolean;
  readonly #options: LinkOptions;
  readonly #channels = new Map<Channel, Lane>();
  readonly #setupTimer: NodeJS.Timeout;
  #control: Lane | undefined;
  #state: 'greeting' | 'opening' | 'up' | 'down' = 'greeting';
  #peerReady = false;
  #peerIsValidator: boolean;
  #flushScheduled = false;
  #silentBeats = 0;
  #pingSequence = 0;
  #pingSentAt: number | undefined;
  #rttMs: number | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.peer = options.peer;
    this.dialled = options.dialled;
    this.#peerIsValidator = options.peerIsValidator;
    this.#setupTimer = setTimeout(() => this.close(`not ready within ${SETUP_MS / 1000} s`), SETUP_MS);
    options.connection.addEventListener('close', (event) => {
      // The dialler of a peer that does not admit us sees nothing but this: the connection closes before any hello.
      const before =
        this.#state === 'greeting' && this.dialled
          ? 'connection closed before the hello (does the peer admit this node key?)'
          : 'connection lost';
      this.#guard(() => this.close(event.error === undefined ? before : `${before}: ${errorMessage(event.error)}`));
    });
  }

  get up(): boolean {
    return this.#state === 'up';
  }
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  channelStats(channel: Channel): ChannelStats {
    const lane = this.#channels.get(channel);
    const counters: Counters = {
      queuedBytes: lane?.queuedBytes ?? 0,
      bytesIn: lane?.bytesIn ?? 0,
      bytesOut: lane?.bytesOut ?? 0,
    };
    return counters;
  }

  /** The dialler's side: opens the control stream and says hello. Never rejects; failure ends the link. */
  async greet(): Promise<void> {
    try {
      const stream = await this.#options.connection.newStream(HELLO_PROTOCOL, {
        signal: AbortSignal.timeout(SETUP_MS),
      });
      if (this.#state !== 'greeting') return stream.abort(new AbortReason('link closed'));
      this.acceptControl(stream);
      this.#sendControl(FRAME.hello, encodeHello(this.#options.hello));
    } catch (error) {
      this.close(`no hello: ${errorMessage(error)} (does the peer admit this node key?)`);
    }
  }

  acceptControl(stream: Stream): void {
    if (this.#control !== undefined || this.#state === 'down') {
      stream.abort(new AbortReason('second control stream'));
      return;
    }
    this.#control = this.#lane(stream, CONTROL_LIMITS, CONTROL_TYPES, 1, {
      onFrame: (type, payload) => this.#onControl(type, payload),
      onDrain: () => undefined,
    });
  }

  /** The acceptor's side: the peer opened a channel's stream. */
  acceptChannel(channel: Channel, stream: Stream): void {
    if (this.dialled || this.#state !== 'opening' || this.#channels.has(channel)) {
      stream.abort(new AbortReason('channel stream out of turn'));
      return;
    }
    this.#addChannel(channel, stream);
    this.#completeSetup();
  }

  /** Queues a frame. False: not up, too long, or no room. */
  send(channel: Channel, payload: Bytes): boolean {
    if (this.#state !== 'up') return false;
    const queued = this.#channels.get(channel)!.enqueue(FRAME.data, payload);
    if (queued) this.#scheduleFlush();
    return queued;
  }

  /** A frame about addresses. False: not up, too long, or no room. */
  tell(notice: Notice, payload: Bytes): boolean {
    return this.#state === 'up' && this.#sendControl(FRAME[notice], payload);
  }

  /** The peer's place in the set is another now: what it may send follows, the link stays. */
  setPeerIsValidator(isValidator: boolean): void {
    this.#peerIsValidator = isValidator;
    for (const lane of this.#channels.values()) lane.setShare(this.#share());
  }

  /** One heartbeat: called every second. */
  beat(): void {
    if (this.#state !== 'up') return;
    if (++this.#silentBeats > SILENT_HEARTBEATS_MAX) {
      this.close(`silent for ${SILENT_HEARTBEATS_MAX} s`);
      return;
    }
    this.#pingSentAt = this.#options.now();
    this.#pingSequence = (this.#pingSequence + 1) >>> 0;
    const sequence = Buffer.allocUnsafe(4);
    sequence.writeUInt32BE(this.#pingSequence);
    this.#sendControl(FRAME.ping, sequence);
  }

  /** Tells the peer why, lets it arrive, and ends the link. */
  refuse(reason: string, options: { readonly refused: boolean } = { refused: true }): void {
    if (this.#state === 'down') return;
    this.#sendControl(FRAME.close, utf8(reason).subarray(0, REASON_BYTES_MAX));
    const { connection } = this.#options;
    this.#end({ reason, ...options }, () => {
      connection
        .close({ signal: AbortSignal.timeout(LAST_WORDS_MS) })
        .catch((error) => connection.abort(asError(error)));
    });
  }

  /** Ends the link at once. */
  close(reason: string, options: { readonly refused: boolean } = { refused: false }): void {
    this.#end({ reason, ...options }, () => this.#options.connection.abort(new AbortReason(reason)));
  }

  #end(end: LinkEnd, closeConnection: () => void): void {
    if (this.#state === 'down') return;
    this.#state = 'down'; // first: aborting tells our own listeners
    clearTimeout(this.#setupTimer);
    this.#control?.retire();
    for (const lane of this.#channels.values()) lane.retire();
    guarded(closeConnection, () => undefined); // it was closed already
    this.#options.onDown(this, end);
  }

  #becomeUp(): void {
    assert(this.#state === 'opening', 'a link goes up once');
    this.#state = 'up';
    clearTimeout(this.#setupTimer);
    this.#options.onUp(this);
  }

  #onControl(type: number, payload: Bytes): void {
    if (type === FRAME.hello) {
      this.#onHello(payload);
      return;
    }
    if (type === FRAME.ready) {
      this.#onReady();
      return;
    }
    if (type === FRAME.close) {
      const text = printable(Buffer.from(payload).toString('utf8').slice(0, REASON_BYTES_MAX));
      this.close(`closed by the peer: ${text}`, { refused: this.#state !== 'up' });
      return;
    }
    if (type === FRAME.ping) {
      if (payload.length !== 4) {
        this.close('malformed data: ping');
        return;
      }
      this.#sendControl(FRAME.pong, payload);
      return;
    }
    if (type === FRAME.pong) {
      this.#onPong(payload);
      return;
    }
    this.#onNotice(type === FRAME.address ? 'address' : 'ask', payload);
  }

  /** Each side is up before it reads the first of these: READY goes before it on the same stream. */
  #onNotice(notice: Notice, payload: Bytes): void {
    const reason = this.#state === 'up' ? this.#options.onNotice(this, notice, payload) : 'out of turn';
    if (reason !== undefined) this.close(`malformed data: ${notice}: ${reason}`);
  }

  #onHello(payload: Bytes): void {
    if (this.#state !== 'greeting') {
      this.close('malformed data: second hello');
      return;
    }
    if (!this.dialled) this.#sendControl(FRAME.hello, encodeHello(this.#options.hello));
    const parsed = parseHello(payload);
    const mismatch = parsed.ok ? helloMismatch(this.#options.hello, parsed.hello) : parsed.reason;
    if (mismatch !== undefined) {
      this.#refusePeer(mismatch);
      return;
    }
    const objection = this.#options.objection(this);
    if (objection !== undefined) {
      this.refuse(objection);
      return;
    }
    this.#state = 'opening';
    if (this.dialled) void this.#openChannels();
  }

  /** A mismatch is said differently to each side: here of the peer, there that we refused it. */
  #refusePeer(mismatch: string): void {
    this.refuse(`peer ${this.#options.peer} ${mismatch}`);
  }

  async #openChannels(): Promise<void> {
    const { connection, protocol } = this.#options;
    try {
      const signal = AbortSignal.timeout(SETUP_MS);
      await Promise.all(
        CHANNELS.map(async (channel) => {
          const stream = await connection.newStream(protocol(channel), { signal });
          if (this.#state !== 'opening') return stream.abort(new AbortReason('link closed'));
          this.#addChannel(channel, stream);
        }),
      );
      if (this.#state === 'opening') this.#sendControl(FRAME.ready);
    } catch (error) {
      this.close(`no channel: ${errorMessage(error)}`);
    }
  }

  /** From the dialler: its streams are all open. From the acceptor, in answer: the link is up. */
  #onReady(): void {
    if (this.#state !== 'opening' || this.#peerReady) {
      this.close('malformed data: ready out of turn');
      return;
    }
    this.#peerReady = true;
    this.#completeSetup();
  }

  /** READY and the streams come in any order, since negotiating a stream ends in a later turn than its bytes. */
  #completeSetup(): void {
    if (this.#state !== 'opening' || !this.#peerReady || this.#channels.size < CHANNELS.length) return;
    const objection = this.#options.objection(this);
    if (objection !== undefined) {
      this.refuse(objection);
      return;
    }
    // Our READY leaves before anything that onUp may send: the dialler hears of the link first.
    if (!this.dialled) this.#sendControl(FRAME.ready);
    this.#becomeUp();
  }

  #onPong(payload: Bytes): void {
    if (payload.length !== 4) {
      this.close('malformed data: pong');
      return;
    }
    if (this.#pingSentAt === undefined || Buffer.from(payload).readUInt32BE(0) !== this.#pingSequence) return;
    this.#rttMs = this.#options.now() - this.#pingSentAt;
    this.#pingSentAt = undefined;
  }

  #addChannel(channel: Channel, stream: Stream): void {
    const lane = this.#lane(stream, CHANNEL_LIMITS[channel], [FRAME.data], this.#share(), {
      onFrame: (_type, payload) => this.#onData(channel, payload),
      onDrain: () => this.#options.onDrain(this, channel),
    });
    this.#channels.set(channel, lane);
  }

  #share(): number {
    return this.#peerIsValidator ? 1 : OBSERVER_SHARE;
  }

  #onData(channel: Channel, payload: Bytes): void {
    if (this.#state === 'up') this.#options.onMessage(this, channel, payload);
    else if (this.#state !== 'down') this.close('malformed data: channel used before the link was ready');
  }

  #lane(
    stream: Stream,
    limits: typeof CONTROL_LIMITS,
    types: readonly number[],
    share: number,
    handlers: { onFrame: (type: number, payload: Bytes) => void; onDrain: () => void },
  ): Lane {
    return new Lane({
      stream,
      limits,
      types,
      share,
      now: this.#options.now,
      ...handlers,
      onBytes: () => {
        this.#silentBeats = 0;
      },
      onFailure: (reason) => this.close(reason),
      onWritable: () => this.#scheduleFlush(),
    });
  }

  /** Control frames leave at once: they are few, small, and a heartbeat must not wait for a turn. */
  #sendControl(type: number, payload: Bytes = new Uint8Array(0)): boolean {
    if (this.#control?.enqueue(type, payload) !== true) return false;
    this.#control.flush();
    return true;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      if (this.#state !== 'down') this.#guard(() => this.#flush());
    });
  }

  /** One turn: each channel in its order, bulk a piece at a time, so that consensus never waits for more than a piece. */
  #flush(): void {
    let more = false;
    this.#control?.flush();
    for (const channel of CHANNELS) {
      if (this.#channels.get(channel)?.flush() === true) more = true;
    }
    if (more) this.#scheduleFlush();
  }

  #guard(action: () => void): void {
    guarded(action, (error) => this.close(errorMessage(error)));
  }
}

/** What a stranger wrote goes into our log: no line breaks, no terminal escapes. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e…]/g, '?');
}
