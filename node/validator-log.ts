/**
 * The log as a node's life needs it: a write-ahead log with the verdict on how it ended wherever there is a validator
 * key, in the present set or not, and none for an observer, which promises nothing. Where the log of a key that may have
 * signed is gone a new one is begun, marked for life: under it the key signs only in an epoch that takes it in anew.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { toHex } from '../primitives/bytes.ts';
import { assert } from '../primitives/errors.ts';
import type { Address, Bytes, Hash } from '../primitives/ids.ts';
import { removeEmptyGuard } from './data-dir.ts';
import type { HostLog } from './host-options.ts';
import { hasEmptyGuard } from './node-keys.ts';
import { openWal } from './wal/open.ts';

export type ValidatorLog = {
  readonly log: HostLog & { close(): Promise<void> };
  readonly records: readonly Bytes[];
  readonly incarnation: string;
  /** The log ended cleanly: its last word is this validator's last word. */
  readonly clean: boolean;
  /** Begun after an earlier log was lost, and with it what the key promised. */
  readonly afterLoss: boolean;
  /** That was at this very start. */
  readonly justLost: boolean;
  /** Peers were asked: a torn tail may be cut now, and what was appended meanwhile written. */
  readonly settle: () => void;
};

type Options = {
  readonly dataDir: string;
  /** Undefined without a validator key. */
  readonly validator: Address | undefined;
  readonly genesisHash: Hash;
  readonly onFailure: (error: unknown) => void;
};

/** For whoever signs nothing: everything is durable at once. */
function noLog(): ValidatorLog {
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
      flush: () => undefined,
      rotate: append,
      bytesSinceSnapshot: 0,
      close: () => Promise.resolve(),
    },
    records: [],
    incarnation: toHex(randomBytes(16)),
    clean: true,
    afterLoss: false,
    justLost: false,
    settle: () => undefined,
  };
}

export async function openValidatorLog(options: Options): Promise<ValidatorLog> {
  const { dataDir, validator, genesisHash, onFailure } = options;
  if (validator === undefined) return noLog();
  const fresh = await hasEmptyGuard(dataDir, validator);
  const opened = await openWal({
    directory: join(dataDir, 'guard'),
    identity: { genesisHash, validator },
    mayBegin: true,
    afterLoss: !fresh,
    onFailure,
  });
  assert(opened !== undefined, 'a log that may be begun was not');
  // Only now: without marker and without log the key would count as one that forgot.
  if (fresh) await removeEmptyGuard(dataDir);
  const { wal, records, incarnation, state, afterLoss } = opened;
  const justLost = afterLoss && state === 'empty';
  const settle = (): void => {
    if (state === 'torn') wal.cutTornTail().catch(onFailure);
  };
  return { log: wal, records, incarnation, clean: state === 'clean', afterLoss, justLost, settle };
}
