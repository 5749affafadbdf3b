/**
 * Replicas with a known fault, for the tests that show that the checkers bite: a checker that finds nothing in these
 * finds nothing. Each breaks one rule of consensus.md; none of it is in the code that runs in production.
 */
import type { DurableRecord } from '../../consensus/durable.ts';
import type { Effect } from '../../consensus/effect.ts';
import { decodeRecord, encodeRecord } from '../../consensus/record-codec.ts';
import { Replica } from '../../consensus/replica.ts';
import { Verifier } from '../../consensus/verify.ts';
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
  /** Changes the code under test; gives back what undoes it. */
  readonly patch?: () => () => void;
};

/** The node's host in an environment that was tampered with. */
function tampered(change: (env: ProcessEnvironment) => ProcessEnvironment): Platform {
  return { shared: HOST.shared, open: (env) => HOST.open(change(env)) };
}

/** Effects of every step pass through `change`. */
function patchStep(change: (effects: Effect[], replica: Replica) => Effect[]): () => void {
  const { step } = Replica.prototype;
  Replica.prototype.step = function patched(this: Replica, event) {
    return change(step.call(this, event), this);
  };
  return () => {
    Replica.prototype.step = step;
  };
}

function withRecords(env: ProcessEnvironment, keep: (record: DurableRecord) => DurableRecord | undefined): Bytes[] {
  return env.records.flatMap((bytes) => {
    const record = keep(decodeRecord(bytes));
    return record === undefined ? [] : [encodeRecord(record)];
  });
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
    patch: () => {
      const { certificate } = Verifier.prototype;
      Verifier.prototype.certificate = () => undefined;
      return () => {
        Verifier.prototype.certificate = certificate;
      };
    },
  },
  {
    name: 'keeps its COMMITs to itself',
    caughtBy: ['liveness', 'convergence'],
    patch: () =>
      patchStep((effects) => effects.filter((effect) => effect.kind !== 'send' || effect.message.kind !== 'COMMIT')),
  },
];
