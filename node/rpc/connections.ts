/**
 * Counts connections against the limits: all of them, and per address unless it is loopback. When all places are taken
 * an idle keep-alive connection is closed first, the one idle longest; only if none is idle is the newcomer refused.
 */
import type { Socket } from 'node:net';

type Entry = {
  readonly ip: string;
  /** Requests being answered. */
  busy: number;
  /** Has not sent a request yet: not idle, the request time-outs see to it. */
  fresh: boolean;
  /** Has become a WebSocket, which is counted where WebSockets are; here only its address counts. */
  upgraded: boolean;
};

export type ConnectionLimits = { readonly connectionsMax: number; readonly perIpMax: number };

export class Connections {
  readonly #limits: ConnectionLimits;
  /** Idle longest first among the idle ones. */
  readonly #sockets = new Map<Socket, Entry>();
  readonly #perIp = new Map<string, number>();
  #upgraded = 0;
  /** Connections that were refused or closed to make room, for metrics. */
  refused = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** Open connections that are not WebSockets. */
  get size(): number {
    return this.#sockets.size - this.#upgraded;
  }

  /** False: the socket has been destroyed. */
  admit(socket: Socket): boolean {
    const ip = socket.remoteAddress ?? '';
    const sameIp = this.#perIp.get(ip) ?? 0;
    const crowded = sameIp >= this.#limits.perIpMax && !isLoopback(ip);
    if (crowded || (this.size >= this.#limits.connectionsMax && !this.#closeIdle())) {
      this.refused++;
      socket.destroy();
      return false;
    }
    this.#perIp.set(ip, sameIp + 1);
    this.#sockets.set(socket, { ip, busy: 0, fresh: true, upgraded: false });
    socket.once('close', () => this.#remove(socket));
    return true;
  }

  /** A request begins on the socket. */
  begin(socket: Socket): void {
    const entry = this.#sockets.get(socket);
    if (entry === undefined) return;
    entry.busy++;
    entry.fresh = false;
  }

  /** A request of the socket has been answered. */
  end(socket: Socket): void {
    const entry = this.#sockets.get(socket);
    if (entry === undefined) return;
    entry.busy--;
    this.#sockets.delete(socket);
    this.#sockets.set(socket, entry);
  }

  /** The socket has become a WebSocket. */
  upgrade(socket: Socket): void {
    const entry = this.#sockets.get(socket);
    if (entry === undefined || entry.upgraded) return;
    entry.upgraded = true;
    this.#upgraded++;
  }

  destroyAll(): void {
    for (const socket of [...this.#sockets.keys()]) socket.destroy();
  }

  #closeIdle(): boolean {
    for (const [socket, entry] of this.#sockets) {
      if (entry.busy > 0 || entry.fresh || entry.upgraded) continue;
      this.refused++;
      this.#remove(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #remove(socket: Socket): void {
    const entry = this.#sockets.get(socket);
    if (entry === undefined) return;
    this.#sockets.delete(socket);
    if (entry.upgraded) this.#upgraded--;
    const left = this.#perIp.get(entry.ip)! - 1;
    if (left === 0) this.#perIp.delete(entry.ip);
    else this.#perIp.set(entry.ip, left);
  }
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.') || ip.startsWith('::ffff:127.');
}
