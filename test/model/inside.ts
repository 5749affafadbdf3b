/**
 * The state inside a replica, which keeps it to itself: the checker has to compare states and go back to earlier ones.
 * Asked of the engine's debugger, as somebody at a console would, so that the product needs no door for it.
 */
import { Session } from 'node:inspector';
import type { Core } from '../../consensus/core.ts';
import { EvidenceBook } from '../../consensus/evidence-book.ts';
import type { Replica } from '../../consensus/replica.ts';
import { copy, eraseTimes } from './canonical.ts';

/** Not part of a state: fixed for the epoch, or a memory that only saves work. */
const FIXED = new Set([
  'config',
  'schedule',
  'self',
  'incarnation',
  'ports',
  'verifier',
  'timeouts',
  'others',
  'last',
  'out',
  // What was seen signed, in memory only: begun anew in every state, or one world would testify in another.
  'book',
]);

const slot = globalThis as unknown as { modelReplica?: Replica | undefined; modelCore?: Core | undefined };

export function coreOf(replica: Replica): Core {
  const session = new Session();
  session.connect();
  slot.modelReplica = replica;
  session.post('Runtime.evaluate', { expression: 'globalThis.modelReplica' }, (_, found) => {
    const objectId = found.result.objectId!;
    session.post('Runtime.getProperties', { objectId, ownProperties: true }, (_failed, properties) => {
      // The engine's list of private fields has no type in the declarations.
      const { privateProperties } = properties as unknown as {
        privateProperties: { name: string; value: { objectId: string } }[];
      };
      const field = privateProperties.find(({ name }) => name === '#core')!;
      const functionDeclaration = 'function () { globalThis.modelCore = this; }';
      session.post('Runtime.callFunctionOn', { objectId: field.value.objectId, functionDeclaration });
    });
  });
  session.disconnect();
  const core = slot.modelCore;
  slot.modelReplica = undefined;
  slot.modelCore = undefined;
  if (core === undefined) throw new TypeError('the replica has no field #core');
  return core;
}

/** What changes in a core, as a value of its own. */
export type Snapshot = Omit<Core, 'config' | 'schedule' | 'ports' | 'verifier' | 'timeouts' | 'book'>;

export function save(core: Core): Snapshot {
  const out: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(core)) if (!FIXED.has(name)) out[name] = copy(part);
  const snapshot = out as unknown as Snapshot;
  const longestMs = 2 * core.timeouts.delta;
  eraseTimes(snapshot, core.now, longestMs);
  snapshot.learning.avoid.clear();
  // Answers to who asks about its past, and one incarnation each: nobody here asks, nobody has a second.
  snapshot.seen.clear();
  snapshot.pins.clear();
  // How long a first word may take: any time-out may run out at any moment.
  for (const peer of snapshot.peers.values()) peer.isHeard = false;
  if (snapshot.installed) {
    // Gathered on the way into the view, and of no further use in it.
    snapshot.vc.direct.clear();
    snapshot.vc.union.clear();
  }
  if (snapshot.vc.vcFinals.has(core.self) || snapshot.installed) snapshot.vc.waitFrom = undefined;
  return snapshot;
}

/** Takes a core back to a state it, or another of the same validator in the same epoch, was in. */
export function load(core: Core, snapshot: Snapshot): void {
  for (const [name, part] of Object.entries(snapshot)) (core as unknown as Record<string, unknown>)[name] = copy(part);
  core.out = [];
  (core as { book: EvidenceBook }).book = new EvidenceBook();
}
