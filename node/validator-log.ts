/**
 * The log as a node's life needs it: a validator's write-ahead log with the verdict on how it ended, or, for an observer
 * and for a validator whose log is gone, none at all, since they promise nothing.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { toHex } from '../primitives/bytes.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { removeEmptyGuard } from './data-dir.ts';
import type { HostLog } from './host.ts';
import { hasEmptyGuard } from './node-keys.ts';
import { openWal } from './wal/open.ts';

export type ValidatorLog = {
  readonly log: HostLog & { close(): Promise<void> };
  readonly records: readonly Bytes[];
  readonly incarnation: string;
  /** The log ended cleanly: its last word is this validator's last word. */
  readonly clean: boolean;
  /** The log is gone, and with it what the key promised in this epoch. */
  readonly forgot: boolean;
  /** Peers were asked: a torn tail may be cut now, and what was appended meanwhile written. */
  readonly settle: () => void;
};

type Options = {
  readonly dataDir: string;
  /** Undefined for an observer. */
  readonly validator: Address | undefined;
  readonly genesisHash: Hash;
  readonly onFailure: (error: unknown) => void;
};

/** For whoever signs nothing: everything is durable at once. */
function noLog(forgot: boolean): ValidatorLog {
  let sequence = -1;
  const listeners: ((sequence: number) => void)[] = [];
  const append = (records: readonly Bytes[]): number => {
    sequence += records.length;
    const durable = sequence;
    queueMicrotask(() => {
      for (const listener of listeners) listener(durable);
    });
    return sequence;
  };
  return {
    log: {
      append,
      onDurable: (listener) => {
        listeners.push(listener);
      },
      rotate: append,
      bytesSinceSnapshot: 0,
      close: () => Promise.resolve(),
    },
    records: [],
    incarnation: toHex(randomBytes(16)),
    clean: true,
    forgot,
    settle: () => undefined,
  };
}

export async function openValidatorLog(options: Options): Promise<ValidatorLog> {
  const { dataDir, validator, genesisHash, onFailure } = options;
  if (validator === undefined) return noLog(false);
  const fresh = await hasEmptyGuard(dataDir, validator);
  const opened = await openWal({
    directory: join(dataDir, 'guard'),
    identity: { genesisHash, validator },
    mayBegin: fresh,
    onFailure,
  });
  if (opened === undefined) return noLog(true);
  // Only now: without marker and without log the key would count as one that forgot.
  if (fresh) await removeEmptyGuard(dataDir);
  const { wal, records, incarnation, state } = opened;
  const settle = (): void => {
    if (state === 'torn') wal.cutTornTail().catch(onFailure);
  };
  return { log: wal, records, incarnation, clean: state === 'clean', forgot: false, settle };
}
