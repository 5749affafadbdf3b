/**
 * Suspicion (paper section 4.3.2; consensus.md section 4): when an active gives up on its view, where its SUSPECT leads,
 * and how replicas that missed some are led on by the chain of them. The paper walks through all groups in turn; here
 * those that the suspicion graph shows not to work are skipped. A SUSPECT justifies each view it skips by signed rows, so
 * that no single replica can skip a group that works.
 */
import type { View } from '../primitives/ids.ts';
import { owing, unfinished } from './common-case.ts';
import {
  accuse,
  type Core,
  inCommonCase,
  isActive,
  isPrimary,
  otherActives,
  overtaken,
  persist,
  reject,
  seal,
  trace,
} from './core.ts';
import type { Suspect } from './message.ts';
import { generationOf, type Jump, jumpFrom } from './suspicion-graph.ts';
import { addSuspicions, isSilent, noteFaulty, ownRow, silentNow } from './suspicion-rows.ts';
import { enterView } from './view-change.ts';

/** SUSPECTs of views ahead that are kept of one signer until they are reached. */
const AHEAD_PER_SIGNER_MAX = 16;

/** Acts on an accusation: signs SUSPECT and leaves the view. */
export function actOnAccusation(core: Core): void {
  const accusation = core.accusation;
  if (accusation === undefined) return;
  core.accusation = undefined;
  const { view } = core;
  const { accused, reason } = accusation;
  const generation = generationOf(view);
  addSuspicions(core, { of: accused, generation, reason });
  const { target, rows } = nextJump(core, accused);
  const own = ownRow(core, generation)!;
  const suspect = seal<Suspect>(core, {
    kind: 'SUSPECT',
    epoch: core.config.epoch,
    view,
    target,
    accused,
    rows: [own, ...rows.filter((row) => row !== own)],
  });
  trace(core, { name: 'suspect', view, target, accused, reason });
  persist(core, [{ kind: 'suspect', suspect }]);
  follow(core, [suspect]);
}

/** Where the rows known here lead. If no group is left, asynchrony lied: the next generation begins with what is so now. */
function nextJump(core: Core, accused: readonly number[]): Jump {
  const jump = jumpFrom(core.schedule, core.view, core.rows);
  const generation = generationOf(jump.target);
  if (generation === generationOf(core.view)) return jump;
  addSuspicions(core, { of: [...new Set([...accused, ...silentNow(core)])], generation, reason: 'no group is left' });
  return jumpFrom(core.schedule, core.view, core.rows);
}

/** SUSPECTs from anybody: each is checked for itself, so it does not matter who passed it on. */
export function onSuspects(core: Core, from: number, suspects: readonly Suspect[]): void {
  const path: Suspect[] = [];
  let { view } = core;
  for (const suspect of suspects) {
    if (suspect.target <= view) continue;
    const isAhead = suspect.view > view;
    if (isAhead && !isKept(core, suspect)) {
      reject(core, from, 'SUSPECT', 'future-view');
      break;
    }
    const bad = core.verifier.suspect(suspect);
    if (bad) {
      reject(core, from, 'SUSPECT', bad);
      break;
    }
    if (isAhead) core.suspectsAhead.push(suspect);
    else {
      path.push(suspect);
      view = suspect.target;
    }
  }
  follow(core, path);
}

/** Whether there is room for one more of its signer, and it is news. */
function isKept(core: Core, { signer, view }: Suspect): boolean {
  const kept = core.suspectsAhead.filter((suspect) => suspect.signer === signer);
  return kept.length < AHEAD_PER_SIGNER_MAX && kept.every((suspect) => suspect.view !== view);
}

/** After a restart: a SUSPECT that was logged, but not the view it leads to, is acted on now. */
export function resumeSuspicion(core: Core): void {
  follow(core, []);
}

/** SUSPECT(u→x) counts in `w` when u ≤ w < x: goes where these lead, and from there as far as those that came early do. */
function follow(core: Core, suspects: readonly Suspect[]): void {
  const path = [...suspects];
  for (;;) {
    const view = path.at(-1)?.target ?? core.view;
    let furthest: Suspect | undefined;
    for (const suspect of core.suspectsAhead) {
      if (suspect.view <= view && suspect.target > (furthest?.target ?? view)) furthest = suspect;
    }
    if (furthest === undefined) break;
    path.push(furthest);
  }
  if (path.length > 0) enterView(core, path);
}

/**
 * The clock's part of suspicion. Everything that is waited for has been sent again every Δ by then, with all that the
 * other side needs to answer (resend.ts), so an accusation for withholding follows at least 2Δ after such a reminder.
 */
export function checkTimeouts(core: Core): void {
  noteFaulty(core);
  if (core.phase !== 'running' || !isActive(core) || core.schedule.t === 0 || core.suspected || overtaken(core)) return;
  const { suspicion, delta } = core.timeouts;
  // The rows of those who find the same have time to come, and lead past all groups that cannot work.
  const silent = otherActives(core).filter((member) => isSilent(core, member, delta / 2));
  if (!core.installed) {
    // Without n-t VIEW-CHANGEs this replica may be the one that is cut off: nobody is accused.
    if (core.vc.quorumAt === undefined) return;
    if (core.now - core.vc.enteredAt > 2 * delta) accuse(core, silent, 'silent');
    checkViewChange(core);
    return;
  }
  accuse(core, silent, 'silent');
  const lowest = unfinished(core)[0];
  if (lowest === undefined) return;
  const waited = core.now - Math.max(lowest.since, core.progressAt);
  if (waited <= suspicion) return;
  const what = lowest.certificate === undefined ? 'COMMIT' : 'COMMITTED';
  accuse(core, owing(core, lowest), `no ${what} for block ${lowest.height}`);
}

function checkViewChange(core: Core): void {
  const { vc } = core;
  const { viewChange, delta } = core.timeouts;
  const missing = otherActives(core).filter((member) => !vc.vcFinals.has(member));
  if (missing.length > 0) {
    if (core.now - vc.quorumAt! > viewChange) accuse(core, missing, 'no VC-FINAL');
    return;
  }
  if (vc.disputedAt !== undefined && core.now - vc.disputedAt > viewChange) {
    accuse(core, [core.group[0]!], 'NEW-VIEW names a VC-FINAL that its signer did not send');
  }
  if (isPrimary(core) || vc.newView !== undefined) return;
  const primary = core.group[0]!;
  const complete = Math.max(vc.quorumAt!, vc.completeAt ?? 0);
  // One that catches up gets more time, but not for ever: what it says of itself is only its word.
  const caughtUp = Math.min(core.peers.get(primary)?.finalAt ?? 0, complete + 4 * viewChange);
  if (core.now - Math.max(complete, caughtUp) > viewChange + 2 * delta) accuse(core, [primary], 'no NEW-VIEW');
}

/** The host found a transaction that the primary had room and time for and left out. */
export function onOverdue(core: Core, view: View): void {
  if (view !== core.view || !inCommonCase(core) || isPrimary(core)) return;
  accuse(core, [core.group[0]!], 'a transaction is overdue');
}
