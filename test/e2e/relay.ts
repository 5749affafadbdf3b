/**
 * A bad network between two nodes that needs no rights: a TCP relay that one of them dials instead of the other. Each
 * direction has a shape of its own (delay with jitter, bandwidth, how much it holds), can be cut for itself, and loses
 * nothing: like TCP over a bad line it delivers late and in order, or not until the line is back.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type Endpoint = { readonly host: string; readonly port: number };

export type Shape = {
  readonly delayMs: number;
  /** Up to so much more, drawn for each piece. */
  readonly jitterMs: number;
  readonly bytesPerSecond: number;
  /** What is held before the sender's socket is read no more. */
  readonly heldBytesMax: number;
};

export const CLEAR: Shape = {
  delayMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  heldBytesMax: 4 * 1024 * 1024,
};

/** Pieces of a slow line: so many in a second. */
const PIECES_PER_SECOND = 20;

/** A piece of the stream, or its end. */
type Held = { readonly dueAt: number; readonly bytes: Buffer | undefined };

/** One direction of one connection. */
class Wire {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: Direction;
  readonly #held: Held[] = [];
  #heldBytes = 0;
  #freeAt = 0;
  #lastDueAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #blocked = false;

  constructor(from: Socket, to: Socket, direction: Direction) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    // Not before what was sent first: whoever is cut off does not hear of the end either.
    from.on('close', () => this.#hold(undefined));
    to.on('drain', () => {
      this.#blocked = false;
      this.pump();
    });
    to.on('close', () => clearTimeout(this.#timer));
  }

  #take(chunk: Buffer): void {
    const { bytesPerSecond, heldBytesMax } = this.#direction.shape;
    const size = Math.max(1, Math.min(chunk.length, Math.floor(bytesPerSecond / PIECES_PER_SECOND)));
    for (let at = 0; at < chunk.length; at += size) this.#hold(chunk.subarray(at, at + size));
    if (this.#heldBytes > heldBytesMax) this.#from.pause();
  }

  #hold(bytes: Buffer | undefined): void {
    const { delayMs, jitterMs, bytesPerSecond } = this.#direction.shape;
    const size = bytes?.length ?? 0;
    this.#freeAt = Math.max(performance.now(), this.#freeAt) + (1000 * size) / bytesPerSecond;
    this.#lastDueAt = Math.max(this.#lastDueAt, this.#freeAt + delayMs + Math.random() * jitterMs);
    this.#held.push({ dueAt: this.#lastDueAt, bytes });
    this.#heldBytes += size;
    this.pump();
  }

  /** Passes on what is due, and comes back for the rest. */
  pump(): void {
    clearTimeout(this.#timer);
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (this.#blocked || this.#direction.isCut || this.#to.destroyed) return;
      const waitMs = first.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        return;
      }
      this.#held.shift();
      if (first.bytes === undefined) this.#to.destroySoon();
      else {
        this.#heldBytes -= first.bytes.length;
        this.#blocked = !this.#to.write(first.bytes);
      }
      if (this.#from.isPaused() && this.#heldBytes <= this.#direction.shape.heldBytesMax / 2) this.#from.resume();
    }
  }
}

/** All connections of a relay, one way. */
export class Direction {
  shape: Shape = CLEAR;
  readonly #wires = new Set<Wire>();
  #isCut = false;

  get isCut(): boolean {
    return this.#isCut;
  }

  setCut(isCut: boolean): void {
    this.#isCut = isCut;
    if (!isCut) for (const wire of this.#wires) wire.pump();
  }

  join(from: Socket, to: Socket): void {
    const wire = new Wire(from, to, this);
    this.#wires.add(wire);
    to.on('close', () => this.#wires.delete(wire));
  }
}

export class Relay {
  /** From who dials to who is dialled, and back. */
  readonly forth = new Direction();
  readonly back = new Direction();
  readonly #server: Server;
  readonly #target: Endpoint;
  readonly #sockets = new Set<Socket>();
  /** Dialled while the line was cut: their first packet has not got through. */
  readonly #waiting = new Set<Socket>();

  private constructor(server: Server, target: Endpoint) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (socket) => this.#onConnection(socket));
  }

  static async start(target: Endpoint, host: string): Promise<Relay> {
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    const relay = new Relay(server, target);
    server.listen(0, host);
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts or heals both directions, or the one named. */
  setCut(isCut: boolean, way: 'forth' | 'back' | 'both' = 'both'): void {
    if (way !== 'back') this.forth.setCut(isCut);
    if (way !== 'forth') this.back.setCut(isCut);
    if (this.forth.isCut || this.back.isCut) return;
    for (const socket of this.#waiting) this.#join(socket);
    this.#waiting.clear();
  }

  shape(shape: Partial<Shape>): void {
    for (const direction of [this.forth, this.back]) direction.shape = { ...direction.shape, ...shape };
  }

  /** Breaks every connection, in the middle of whatever it carries. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #onConnection(socket: Socket): void {
    this.#remember(socket);
    if (!this.forth.isCut && !this.back.isCut) this.#join(socket);
    else {
      this.#waiting.add(socket);
      socket.on('close', () => this.#waiting.delete(socket));
    }
  }

  #join(dialler: Socket): void {
    const target = connect({ ...this.#target, noDelay: true });
    this.#remember(target);
    this.forth.join(dialler, target);
    this.back.join(target, dialler);
    dialler.resume();
  }

  #remember(socket: Socket): void {
    this.#sockets.add(socket);
    // What went wrong on one side reaches the other as the end of the stream, when its time has come.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
