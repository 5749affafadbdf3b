/**
 * Suspicion rows (consensus.md section 4): whom this replica has suspected in this generation, signed, only ever growing,
 * in the log before anybody sees it, and told at once; and those of the others, merged by union. Everybody keeps one,
 * passives too, so that when a replica falls silent the rest mostly know it before the first SUSPECT, which then leads
 * past all groups with it. A row adds edges at its signer only: a liar's cost it groups of its own.
 */
import type { View } from '../primitives/ids.ts';
import { type Core, persist, reject, sealRow, trace } from './core.ts';
import type { Row } from './message.ts';
import { generationOf } from './suspicion-graph.ts';

/** Rows kept of one signer and generation. A correct one's newest holds all before it; more than one is a liar's. */
const ROWS_PER_SIGNER_MAX = 2;

function rowsOf(core: Core, signer: number, generation: number): Row[] {
  return core.rows.filter((row) => row.signer === signer && row.generation === generation);
}

/** This replica's own, if it suspects anybody in that generation. */
export function ownRow(core: Core, generation: number): Row | undefined {
  return rowsOf(core, core.self, generation)[0];
}

/** Adds to the own row; what was not in it is signed, logged, and told with the next heartbeat, which is due now. */
export function addSuspicions(
  core: Core,
  suspicions: { readonly of: readonly number[]; readonly generation: number; readonly reason: string },
): void {
  const { generation, reason } = suspicions;
  const own = ownRow(core, generation);
  const added = suspicions.of.filter((member) => !own?.members.includes(member));
  if (added.length === 0) return;
  const members = [...(own?.members ?? []), ...added].sort((a, b) => a - b);
  const row = sealRow(core, { kind: 'ROW', epoch: core.config.epoch, generation, members });
  core.rows = [row, ...core.rows.filter((each) => each !== own)];
  core.lastHeartbeat = Number.NEGATIVE_INFINITY;
  trace(core, { name: 'suspicion', by: core.self, of: added, reason });
  persist(core, [{ kind: 'row', row }]);
}

/** Merges a verified row of another. */
export function keepRow(core: Core, row: Row): void {
  if (row.generation !== generationOf(core.view) || row.signer === core.self) return;
  const known = rowsOf(core, row.signer, row.generation);
  const told = new Set(known.flatMap(({ members }) => members));
  const of = row.members.filter((member) => !told.has(member));
  const beside = known.filter(({ members }) => !members.every((member) => row.members.includes(member)));
  if (of.length === 0 || beside.length >= ROWS_PER_SIGNER_MAX) return;
  core.rows = [...core.rows.filter((each) => !known.includes(each)), ...beside, row];
  trace(core, { name: 'suspicion', by: row.signer, of, reason: 'its word' });
}

/** The row on a heartbeat. */
export function onRow(core: Core, from: number, row: Row): void {
  if (row.generation !== generationOf(core.view)) return;
  const known = rowsOf(core, from, row.generation).flatMap(({ members }) => members);
  if (row.signer === from && row.members.every((member) => known.includes(member))) return;
  const isPinned = (core.pins.get(from) ?? row.incarnation) === row.incarnation;
  const bad = row.signer !== from ? 'not-the-sender' : isPinned ? core.verifier.row(row) : 'foreign-incarnation';
  if (bad) reject(core, from, 'HEARTBEAT', bad);
  else keepRow(core, row);
}

/** By validator: those whose rows name it. */
export function suspectedBy(core: Core): Map<number, number[]> {
  const generation = generationOf(core.view);
  const by = new Map<number, number[]>();
  for (const row of core.rows) {
    if (row.generation !== generation) continue;
    for (const member of row.members) by.set(member, [...new Set([...(by.get(member) ?? []), row.signer])]);
  }
  return by;
}

/** A view of a later generation: the suspicions of the one before are over. */
export function dropRows(core: Core, view: View): void {
  core.rows = core.rows.filter(({ generation }) => generation >= generationOf(view));
}

/**
 * Not heard for the time-out and `beyond` it. For its first word everybody has twice the time: at a start, of an epoch
 * too, all are busy.
 */
export function isSilent(core: Core, member: number, beyond = 0): boolean {
  const peer = core.peers.get(member);
  const patience = core.timeouts.suspicion * (peer?.isHeard ? 1 : 2);
  return core.now - (peer?.lastHeard ?? 0) > patience + beyond;
}

/** Those silent now. Who stopped at the same moment is found together, wherever in its Δ between two signs of life it was. */
export function silentNow(core: Core): number[] {
  if (!core.others.some((member) => isSilent(core, member))) return [];
  return core.others.filter((member) => isSilent(core, member, -core.timeouts.delta));
}

/**
 * Called at every tick, of passives too: who is silent, and whose fault is proven, which no generation forgets. With more
 * liars than are tolerated no group may be without one, and then a chain that moves is better than none.
 */
export function noteFaulty(core: Core): void {
  const { proven, schedule, phase } = core;
  if (phase !== 'running' || schedule.t === 0) return;
  const generation = generationOf(core.view);
  addSuspicions(core, { of: silentNow(core), generation, reason: 'silent' });
  if (proven.size > 0 && proven.size <= schedule.t) {
    const of = [...proven.keys()].filter((member) => member !== core.self);
    addSuspicions(core, { of, generation, reason: 'proven faulty' });
  }
}
