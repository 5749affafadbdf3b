/**
 * Replicas with a known fault, for the tests that show that the checkers bite: a checker that finds nothing in these
 * finds nothing. Each breaks one rule of consensus.md; none of it is in the code that runs in production.
 */
import type { DurableRecord } from '../../consensus/durable.ts';
import type { Effect } from '../../consensus/effect.ts';
import type { Event } from '../../consensus/event.ts';
import { decodeRecord, encodeRecord } from '../../consensus/record-codec.ts';
import type { RejectReason } from '../../consensus/reject.ts';
import { Replica } from '../../consensus/replica.ts';
import { Verifier } from '../../consensus/verify.ts';
import type { HostLog } from '../../node/host-options.ts';
import type { Bytes } from '../../primitives/ids.ts';
import type { WalDefect } from './disk.ts';
import { HOST } from './host-process.ts';
import type { Habit } from './options.ts';
import type { ProcessEnvironment } from './process.ts';
import type { Platform } from './setting.ts';
import type { Property } from './violation.ts';

export type Mutant = {
  readonly name: string;
  /** Properties whose checkers may be the one to notice. */
  readonly caughtBy: readonly Property[];
  readonly platform?: Platform;
  readonly defect?: WalDefect;
  /** Shows only when somebody lies. */
  readonly habits?: readonly Habit[];
  /** Shows only where epochs end: a seed known to catch it. */
  readonly epochs?: { readonly seed: number };
  /** Changes the code under test; gives back what undoes it. */
  readonly patch?: () => () => void;
};

/** The node's host in an environment that was tampered with. */
function tampered(change: (env: ProcessEnvironment) => ProcessEnvironment): Platform {
  return { shared: HOST.shared, open: (env) => HOST.open(change(env)) };
}

/** Effects of every step pass through `change`. */
function patchStep(change: (effects: Effect[], replica: Replica) => Effect[]): () => void {
  return patchReplica((step, replica, event) => change(step.call(replica, event), replica));
}

type Step = Replica['step'];

function patchReplica(patched: (step: Step, replica: Replica, event: Event) => Effect[]): () => void {
  const { step } = Replica.prototype;
  Replica.prototype.step = function patchedStep(this: Replica, event) {
    return patched(step, this, event);
  };
  return () => {
    Replica.prototype.step = step;
  };
}

type Keep = (record: DurableRecord) => DurableRecord | undefined;

function kept(records: readonly Bytes[], keep: Keep): Bytes[] {
  return records.flatMap((bytes) => {
    const record = keep(decodeRecord(bytes));
    return record === undefined ? [] : [encodeRecord(record)];
  });
}

function withRecords(env: ProcessEnvironment, keep: Keep): Bytes[] {
  return kept(env.records, keep);
}

/** A log that is not given everything. */
function withoutWrites({ wal }: ProcessEnvironment, keep: Keep): HostLog {
  return {
    append: (records, options) => wal.append(kept(records, keep), options),
    rotate: (snapshot) => wal.rotate(kept(snapshot, keep)),
    onDurable: (listener) => wal.onDurable(listener),
    flush: () => wal.flush(),
    get bytesSinceSnapshot() {
      return wal.bytesSinceSnapshot;
    },
  };
}

/** No block closes the epoch, as far as the replica knows. */
function goOn(event: Event): Event {
  if (event.kind === 'executed') return { ...event, closes: false };
  if (event.kind !== 'cut' || event.block === undefined) return event;
  return { ...event, block: { ...event.block, closes: false } };
}

/** Changes what the verifier says of certificates. */
function patchCertificates(change: (verdict: RejectReason | undefined) => RejectReason | undefined): () => void {
  const { certificate } = Verifier.prototype;
  Verifier.prototype.certificate = function patched(this: Verifier, subject) {
    return change(certificate.call(this, subject));
  };
  return () => {
    Verifier.prototype.certificate = certificate;
  };
}

/** A certificate is taken for a proof of finality: the block is delivered before anybody said it is durable. */
function deliverOnCertificate(effects: Effect[], replica: Replica): Effect[] {
  return effects.flatMap((effect): Effect[] => {
    if (effect.kind === 'deliver') return [];
    if (effect.kind !== 'trace' || effect.trace.name !== 'certified') return [effect];
    const { height, hash } = effect.trace;
    const isNext = height > replica.status.final.height;
    return isNext ? [effect, { kind: 'deliver', height, hash, proof: undefined }] : [effect];
  });
}

function deliverTwice(effect: Effect): Effect[] {
  return effect.kind === 'deliver' ? [effect, effect] : [effect];
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'delivers on a certificate instead of a finality proof',
    caughtBy: ['order', 'proof', 'agreement', 'crash'],
    patch: () => patchStep(deliverOnCertificate),
  },
  {
    name: 'sends before the log is synced',
    caughtBy: ['durability'],
    defect: 'early-durable',
  },
  {
    name: 'log loses its last records in a crash',
    caughtBy: ['double-sign', 'view-promise', 'accuracy', 'agreement'],
    defect: 'forgets-last',
  },
  {
    name: 'view is not restored after a restart',
    caughtBy: ['double-sign', 'view-promise', 'accuracy', 'crash'],
    platform: tampered((env) => ({
      ...env,
      records: withRecords(env, (record) => (record.kind === 'view' || record.kind === 'suspect' ? undefined : record)),
    })),
  },
  {
    name: 'delivers every block twice',
    caughtBy: ['order', 'crash'],
    patch: () => patchStep((effects) => effects.flatMap(deliverTwice)),
  },
  {
    name: 'believes any certificate',
    caughtBy: ['proof', 'agreement', 'double-sign', 'accuracy', 'liveness', 'convergence'],
    habits: ['forges', 'accuses'],
    patch: () => patchCertificates(() => undefined),
  },
  {
    name: 'keeps its COMMITs to itself',
    caughtBy: ['liveness', 'convergence'],
    patch: () =>
      patchStep((effects) => effects.filter((effect) => effect.kind !== 'send' || effect.message.kind !== 'COMMIT')),
  },
  {
    name: 'goes on above the closing block',
    caughtBy: ['epoch'],
    epochs: { seed: 1 },
    patch: () => patchReplica((step, replica, event) => step.call(replica, goOn(event))),
  },
  {
    // In a log that keeps its order the first vote's sync would cover a record that was merely written without one.
    name: 'does not write down that an epoch has begun',
    caughtBy: ['double-sign', 'view-promise', 'membership', 'epoch', 'accuracy', 'crash'],
    epochs: { seed: 4 },
    platform: tampered((env) => ({
      ...env,
      wal: withoutWrites(env, (record) => (record.kind === 'epoch' ? undefined : record)),
    })),
  },
  {
    name: 'signs after it lost its log, before the chain takes it in anew',
    caughtBy: ['membership', 'double-sign', 'accuracy'],
    epochs: { seed: 5 },
    platform: tampered((env) => ({ ...env, afterLoss: false })),
  },
  {
    name: 'does not remember that it forgot once an epoch has begun',
    caughtBy: ['membership', 'double-sign', 'accuracy'],
    epochs: { seed: 18 },
    platform: tampered((env) => ({
      ...env,
      records: withRecords(env, (record) =>
        record.kind === 'epoch' ? { ...record, forgot: false, rolledBack: false } : record,
      ),
    })),
  },
  {
    name: 'believes what validators of an earlier epoch certified',
    caughtBy: ['agreement', 'accuracy', 'crash', 'epoch', 'proof', 'liveness', 'convergence'],
    habits: ['hides', 'accuses'],
    epochs: { seed: 19 },
    patch: () => patchCertificates((verdict) => (verdict === 'other-epoch' ? undefined : verdict)),
  },
];
