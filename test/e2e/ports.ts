/**
 * Free ports for a devnet, chosen when a test runs: three blocks at the distances interface.md gives them. Below the range
 * from which the system takes the ports of outgoing connections, or one of those could sit on a port while its node is
 * down.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

export const P2P_OFFSET = 21_755;
export const METRICS_OFFSET = 1000;
const FIRST = 2000;
const LAST = 10_900;
const ATTEMPTS_MAX = 200;
/** Ports of other protocols that `fetch` refuses to speak to (Fetch standard, "bad port"), as far as they are in range. */
const NEVER_FETCHED = new Set([2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6679, 6697, 10_080]);
for (let irc = 6665; irc <= 6669; irc++) NEVER_FETCHED.add(irc);

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A base port with room for so many nodes. */
export async function freeBasePort(nodes: number): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const base = randomInt(FIRST, LAST);
    const ports = [0, METRICS_OFFSET, P2P_OFFSET].flatMap((offset) =>
      Array.from({ length: nodes }, (_, index) => base + offset + index),
    );
    if (ports.some((port) => NEVER_FETCHED.has(port))) continue;
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error('no free ports found');
}
