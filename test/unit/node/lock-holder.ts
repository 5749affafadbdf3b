/** A process that takes the lock of a folder when told to, says what came of it, and holds it until it is stopped. */
import { acquireLock } from '../../../node/lock.ts';
import { QuorateError } from '../../../primitives/errors.ts';

process.stdout.write('ready\n');
process.stdin.once('data', () => {
  acquireLock(process.argv[2]!).then(
    () => process.stdout.write('locked\n'),
    (error: unknown) => {
      const { code, data } = error as QuorateError;
      process.stdout.write(error instanceof QuorateError ? `${code} ${String(data['pid'])}\n` : `${String(error)}\n`);
    },
  );
});
