/** Says before anything starts which port is taken, because a node's own complaint would stand in a log file. */
import { createServer } from 'node:net';
import { QuorateError } from '../../primitives/errors.ts';

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Throws PORT_IN_USE when one of the ports cannot be listened on. */
export async function requireFreePorts(ports: readonly number[]): Promise<void> {
  const free = await Promise.all(ports.map(isFree));
  const taken = ports.filter((_, i) => free[i] === false);
  if (taken.length === 0) return;
  const which = taken.length === 1 ? `port ${taken[0]} is` : `ports ${taken.join(', ')} are`;
  const message = `${which} in use; stop what runs there, or choose another --base-port (with a new --dir)`;
  throw new QuorateError('PORT_IN_USE', message, { data: { ports: taken } });
}
