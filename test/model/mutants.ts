/**
 * Validators that break one rule of consensus.md: the checker must find each, or its silence about the real ones says
 * nothing. The production replica is wrapped: what it hears, holds, writes or says is tampered with on the way.
 */
import type { Core } from '../../consensus/core.ts';
import type { DurableRecord } from '../../consensus/durable.ts';
import type { Effect } from '../../consensus/effect.ts';
import type { Event } from '../../consensus/event.ts';
import type { Replica } from '../../consensus/replica.ts';
import { Verifier } from '../../consensus/verify.ts';
import type { ScopeName } from './scopes.ts';

export type Mutant = {
  readonly name: string;
  /** Where it shows. */
  readonly scope: ScopeName;
  /** What must be said of it. */
  readonly says: RegExp;
  /** Before each event of a correct validator: changes its state, or what it hears. */
  readonly before?: (core: Core, event: Event) => Event | undefined;
  readonly after?: (effects: Effect[], replica: Replica) => Effect[];
  /** A record that a restart does not find. */
  readonly forgets?: (record: DurableRecord) => boolean;
  /** Does not wait for its log before it speaks. */
  readonly hasty?: true;
  /** Changes the code itself; gives back what undoes it. */
  readonly patch?: () => () => void;
};

function waitIsOver(core: Core): undefined {
  if (core.vc.waitFrom !== undefined) core.vc.waitFrom = core.now - 2 * core.timeouts.delta;
}

/** What it gathered is forgotten once its own VC-FINAL is out: no head is below nothing. */
function hasNoUnion(core: Core): undefined {
  if (core.vc.vcFinals.has(core.self) && core.group[0] !== core.self) core.vc.union.clear();
}

function deliverOnCertificate(effects: Effect[], replica: Replica): Effect[] {
  return effects.flatMap((effect): Effect[] => {
    if (effect.kind === 'deliver') return [];
    if (effect.kind !== 'trace' || effect.trace.name !== 'certified') return [effect];
    const { height, hash } = effect.trace;
    const isNext = height > replica.status.final.height;
    return isNext ? [effect, { kind: 'deliver', height, hash, proof: undefined }] : [effect];
  });
}

/** No block closes the epoch, as far as the replica knows. */
function goOn(_: Core, event: Event): Event | undefined {
  if (event.kind === 'executed') return { ...event, closes: false };
  if (event.kind !== 'cut' || event.block === undefined) return undefined;
  return { ...event, block: { ...event.block, closes: false } };
}

function believeSuspects(): () => void {
  const { suspect } = Verifier.prototype;
  Verifier.prototype.suspect = () => undefined;
  return () => {
    Verifier.prototype.suspect = suspect;
  };
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'does not wait 2Δ for VIEW-CHANGEs',
    scope: 'liar-0',
    says: /halted|lacks final|two chains/,
    before: waitIsOver,
  },
  {
    name: 'adopts a head below the greatest it knows of',
    scope: 'liar-2',
    says: /halted|lacks final|two chains/,
    before: hasNoUnion,
  },
  {
    name: 'delivers on a certificate instead of a finality proof',
    scope: 'patient-primary',
    says: /lacks final|two chains/,
    after: deliverOnCertificate,
  },
  {
    name: 'forgets the view it entered in a crash',
    scope: 'crash-0',
    says: /after its VIEW-CHANGE|two VIEW-CHANGEs|two SUSPECTs|sign guard/,
    forgets: ({ kind }) => kind === 'view' || kind === 'suspect',
  },
  {
    name: 'speaks before what it signed is durable',
    scope: 'slow-disk',
    says: /signs two|after its VIEW-CHANGE|lacks final|two chains/,
    hasty: true,
  },
  {
    name: 'leaves a view on anybody’s word',
    scope: 'liar-2',
    says: /leaves view/,
    patch: believeSuspects,
  },
  {
    name: 'goes on above the closing block',
    scope: 'epochs',
    says: /above the closing block/,
    before: goOn,
  },
];
