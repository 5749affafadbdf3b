/**
 * Suspicion (paper section 4.3.2; consensus.md section 4): when an active gives up on its view, how the SUSPECT travels,
 * and how replicas that missed some are led on by the chain of them. Views are walked one by one: a SUSPECT ends exactly
 * the view it names, so no single replica can skip a group that works. The chain is pushed, never only fetched: without
 * that a chain shown to one replica alone, while it is cut off, breaks the argument of the 2Δ wait.
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
  send,
  trace,
} from './core.ts';
import type { Chain, Suspect } from './message.ts';
import { enterView } from './view-change.ts';

/** SUSPECTs of views ahead that are kept until they are reached. */
const FUTURE_MAX = 1024;
/** SUSPECTs in one CHAIN message. */
const CHAIN_MAX = 512;

/** Acts on an accusation: signs SUSPECT and leaves the view. */
export function actOnAccusation(core: Core): void {
  const accusation = core.accusation;
  if (accusation === undefined) return;
  core.accusation = undefined;
  const { view } = core;
  const { accused, reason } = accusation;
  const suspect = seal<Suspect>(core, {
    kind: 'SUSPECT',
    epoch: core.config.epoch,
    view,
    target: view + 1,
    accused,
    rows: [],
  });
  trace(core, { name: 'suspect', view, accused, reason });
  persist(core, [{ kind: 'suspect', suspect }]);
  enterView(core, [suspect]);
  // SUSPECTs of the views after this one may have come before.
  followChain(core);
}

/** SUSPECTs from anybody: each is checked for itself, so it does not matter who passed it on. */
export function onSuspects(core: Core, from: number, suspects: readonly Suspect[]): void {
  for (const suspect of suspects) {
    if (suspect.view < core.view || core.futureSuspects.has(suspect.view)) continue;
    if (suspect.view > core.view + FUTURE_MAX) {
      reject(core, from, 'SUSPECT', 'future-view');
      return;
    }
    const bad = core.verifier.suspect(suspect);
    if (bad) {
      reject(core, from, 'SUSPECT', bad);
      return;
    }
    core.futureSuspects.set(suspect.view, suspect);
  }
  followChain(core);
}

/** After a restart: a SUSPECT that was logged, but not the view it leads to, is acted on now. */
export function resumeSuspicion(core: Core): void {
  followChain(core);
}

/** Leaves the view when there is a SUSPECT for it, and as many views after it as there are SUSPECTs without a gap. */
function followChain(core: Core): void {
  const chain: Suspect[] = [];
  for (;;) {
    const next = core.futureSuspects.get(core.view + chain.length);
    if (next === undefined) break;
    chain.push(next);
  }
  if (chain.length > 0) enterView(core, chain);
}

/** Shows a peer the way from `view` to this replica's view. */
export function sendChain(core: Core, to: number, view: View): void {
  for (let from = view; from < core.view; from += CHAIN_MAX) {
    const message: Chain = { kind: 'CHAIN', suspects: core.chain.slice(from, from + CHAIN_MAX) };
    send(core, [to], message);
  }
}

/** Any message for a view below this one is answered with the chain, at once, but not twice within Δ/2. */
export function answerWithChain(core: Core, from: number, view: View): void {
  const peer = core.peers.get(from);
  if (peer === undefined || view >= core.view || core.now < peer.chainAnswerAfter) return;
  peer.chainAnswerAfter = core.now + core.timeouts.delta / 2;
  sendChain(core, from, view);
}

/** For its first word everybody has twice the time: at a start, of an epoch too, all are busy. */
function isSilent(core: Core, member: number): boolean {
  const peer = core.peers.get(member);
  const patience = core.timeouts.suspicion * (peer?.isHeard ? 1 : 2);
  return core.now - (peer?.lastHeard ?? 0) > patience;
}

/**
 * The clock's part of suspicion. Everything that is waited for has been sent again every Δ by then, with all that the
 * other side needs to answer (resend.ts), so an accusation for withholding follows at least 2Δ after such a reminder.
 */
export function checkTimeouts(core: Core): void {
  if (core.phase !== 'running' || !isActive(core) || core.schedule.t === 0 || core.suspected || overtaken(core)) return;
  const { suspicion, delta } = core.timeouts;
  const silent = otherActives(core).filter((member) => isSilent(core, member));
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
