/**
 * View change (paper section 4.3, Algorithm 2; consensus.md section 5). Every replica brings its greatest certificate to
 * all actives of the new view; every active, not only the primary, gathers them, for 2Δ or until it has all; the actives
 * swap what they gathered; the primary adopts the greatest certified head and has it certified again in the new view. A
 * follower refuses a head below the greatest it knows of.
 *
 * Departure from the paper: one certified head instead of one entry per sequence number, because blocks are chained.
 */

import { toHex } from '../primitives/bytes.ts';
import type { Hash } from '../primitives/ids.ts';
import { headChainReady } from './adoption.ts';
import { pushChain } from './chain.ts';
import { onVoted } from './common-case.ts';
import {
  accuse,
  type Core,
  entryAt,
  established,
  freshViewChange,
  isActive,
  isPrimary,
  type Link,
  makeVote,
  otherActives,
  persist,
  reject,
  seal,
  send,
  trace,
} from './core.ts';
import { greaterCertificate, laterProof } from './durable.ts';
import { detect, observe, onInvalid } from './fault-detection.ts';
import { acceptProof } from './finality.ts';
import {
  type Certificate,
  compareOrder,
  type NewView,
  type Suspect,
  type VcFinal,
  type ViewChange,
} from './message.ts';
import { vcFinalDigest } from './statement.ts';
import { generationOf } from './suspicion-graph.ts';
import { dropRows, keepRow } from './suspicion-rows.ts';
import { witness } from './witness.ts';

/**
 * Enters a higher view. Led here by this replica's own SUSPECT or by an unbroken chain of others'. Everything of the
 * old view stops; the promise is durable before anybody hears of it.
 */
export function enterView(core: Core, suspects: readonly Suspect[]): void {
  const last = suspects.at(-1)!;
  // View 0 needs no view change, and one with a finality proof had one that worked.
  const worked = core.view === 0 || established(core) ? 1 : 0;
  const generations = generationOf(last.target) - generationOf(core.view);
  core.timeouts.onViewEntered(suspects.length - worked + generations);
  core.chain.push(...suspects);
  core.view = last.target;
  core.group = core.schedule.groupOf(core.view);
  core.viewCertificate = '';
  core.installed = false;
  core.suspected = false;
  core.accusation = undefined;
  core.cutting = false;
  core.entries.clear();
  core.viewChange = undefined;
  core.vc = freshViewChange(core.now);
  core.suspectsAhead = core.suspectsAhead.filter(({ target }) => target > core.view);
  dropRows(core, core.view);
  for (const suspect of suspects) for (const row of suspect.rows) keepRow(core, row);
  if (core.phase === 'running') core.viewChange = makeViewChange(core);
  const { view: left, signer: by, accused } = last;
  trace(core, { name: 'view-entered', view: core.view, left, by, accused });
  if (generations > 0) trace(core, { name: 'generation', generation: generationOf(core.view) });
  const { view, viewChange } = core;
  persist(core, [{ kind: 'view', view, suspects, viewChange }], { of: 'view', view });
  pushChain(core);
  shareViewChange(core);
}

/** A view that a certificate shows to have been established needs no VIEW-CHANGE any more: this replica is late. */
function makeViewChange(core: Core): ViewChange | undefined {
  const { config, view, lastSigned, head, final } = core;
  const newest = Math.max(head?.view ?? -1, final?.view ?? -1);
  if (newest >= view) return undefined;
  return seal<ViewChange>(core, { kind: 'VIEW-CHANGE', epoch: config.epoch, view, lastSigned, head, final });
}

/** After a restart in a view whose VIEW-CHANGE was never made: made now. */
export function resumeViewChange(core: Core): void {
  if (core.installed) return;
  const { view } = core;
  const made = core.viewChange;
  const signed = core.marks.get('VIEW-CHANGE');
  if (made === undefined && (signed === undefined || signed.view < view)) core.viewChange = makeViewChange(core);
  const { viewChange } = core;
  if (viewChange !== undefined && made === undefined) persist(core, [{ kind: 'view', view, suspects: [], viewChange }]);
  core.vc.waitFrom = core.now;
  shareViewChange(core);
}

/** Sends the own VIEW-CHANGE to the actives of the view; as one of them, keeps it. */
export function shareViewChange(core: Core): void {
  const own = core.viewChange;
  if (own === undefined) return;
  send(core, otherActives(core), own);
  if (isActive(core)) keepViewChange(core, own, true);
}

/** Tells the VIEW-CHANGEs of a two-faced sender apart. */
export function unionKey(message: ViewChange): string {
  return `${message.signer}${toHex(message.signature)}`;
}

function keepViewChange(core: Core, message: ViewChange, direct: boolean): void {
  const { vc } = core;
  const { n, t } = core.schedule;
  // The union is what the t+1 VC-FINALs hold, all of it and no more, or two correct actives could see different heads
  // and take each other for liars: one per sender in each, and nothing that comes after the own VC-FINAL.
  if (direct && (vc.direct.has(message.signer) || vc.vcFinals.has(core.self))) return;
  vc.union.set(unionKey(message), message);
  if (!direct) return;
  vc.direct.set(message.signer, message);
  if (vc.direct.size >= n - t) vc.quorumAt ??= core.now;
}

export function onViewChange(core: Core, from: number, message: ViewChange): void {
  if (!isActive(core) || core.installed) {
    observe(core, message);
    return;
  }
  const known = core.vc.direct.get(from);
  if (known !== undefined && toHex(known.signature) === toHex(message.signature)) return;
  const bad = core.verifier.viewChange(message);
  if (bad) {
    onInvalid(core, message);
    reject(core, from, 'VIEW-CHANGE', bad);
    return;
  }
  witness(core, message);
  if (known !== undefined)
    trace(core, { name: 'conflict', signer: from, what: `two VIEW-CHANGEs for ${message.view}` });
  keepViewChange(core, message, true);
}

/** A follower shows its primary what somebody sent it: two VC-FINALs of one key convict that one. */
function onShownVcFinal(core: Core, from: number, message: VcFinal): void {
  const { signer } = message;
  const known = core.vc.vcFinals.get(signer);
  if (known === undefined || toHex(known.signature) === toHex(message.signature)) return;
  const bad = core.verifier.vcFinal(message);
  if (bad) {
    reject(core, from, 'VC-FINAL', bad);
    return;
  }
  trace(core, { name: 'conflict', signer, what: `two VC-FINALs for ${message.view}` });
  detect(core, message);
  accuse(core, [signer], 'two VC-FINALs');
}

export function onVcFinal(core: Core, from: number, message: VcFinal): void {
  if (message.signer !== from) {
    if (isPrimary(core)) onShownVcFinal(core, from, message);
    return;
  }
  const known = core.vc.vcFinals.get(from);
  if (!isActive(core) || core.installed || known !== undefined) observe(core, message);
  if (!isActive(core) || core.installed) return;
  if (known !== undefined) {
    if (toHex(known.signature) !== toHex(message.signature)) {
      trace(core, { name: 'conflict', signer: from, what: `two VC-FINALs for ${message.view}` });
    }
    return;
  }
  const bad = core.verifier.vcFinal(message);
  if (bad) {
    onInvalid(core, message);
    reject(core, from, 'VC-FINAL', bad);
    accuse(core, [from], `invalid VC-FINAL: ${bad}`);
    return;
  }
  witness(core, message);
  core.vc.vcFinals.set(from, message);
  for (const change of message.viewChanges) keepViewChange(core, change, false);
}

export function onNewView(core: Core, from: number, message: NewView): void {
  if (!isActive(core) || from !== core.group[0] || core.installed || core.vc.newView !== undefined) {
    observe(core, message);
    return;
  }
  const bad = core.verifier.newView(message);
  if (bad) {
    onInvalid(core, message);
    reject(core, from, 'NEW-VIEW', bad);
    accuse(core, [from], `invalid NEW-VIEW: ${bad}`);
    return;
  }
  witness(core, message);
  core.vc.newView = message;
}

/** Greatest certificate anybody brought into the view; a proof is as good as a certificate. */
function greatestHead(core: Core): Certificate | undefined {
  let greatest: Certificate | undefined;
  for (const { head, final } of core.vc.union.values()) {
    if (head) greatest = greaterCertificate(greatest, head);
    if (final) greatest = greaterCertificate(greatest, final);
  }
  return greatest;
}

function newestProof(core: Core): Certificate | undefined {
  let newest: Certificate | undefined;
  for (const { final } of core.vc.union.values()) if (final) newest = laterProof(newest, final);
  return newest;
}

function linkOf(core: Core, head: Certificate | undefined): Link & { readonly view: number } {
  return head ?? { view: -1, ...core.config.root };
}

/** Takes every step of the view change that has become possible. */
export function advanceViewChange(core: Core): void {
  if (core.phase !== 'running' || core.installed || core.suspected || !isActive(core)) return;
  // A view with a finality proof was established without this replica's help, so it is over: the chain leads on.
  if (core.viewChange === undefined || established(core)) return;
  sendVcFinal(core);
  const { vc } = core;
  if (core.group.some((member) => !vc.vcFinals.has(member))) return;
  if (vc.completeAt === undefined) {
    vc.completeAt = core.now;
    const proof = newestProof(core);
    if (proof !== undefined && proof.height > core.delivered.height) acceptProof(core, proof);
  }
  if (isPrimary(core)) installAsPrimary(core);
  else installAsFollower(core);
}

/** All n VIEW-CHANGEs, or n-t and 2Δ since the chain was pushed: every correct replica in touch has been heard. */
function sendVcFinal(core: Core): void {
  const { vc, config, view } = core;
  const { n, t } = core.schedule;
  if (vc.vcFinals.has(core.self)) return;
  const waited = vc.waitFrom !== undefined && core.now - vc.waitFrom >= 2 * core.timeouts.delta;
  if (vc.direct.size < n && !(waited && vc.direct.size >= n - t)) return;
  // One of each sender: a VC-FINAL with two is refused. What was only learnt from others counts for the union.
  const bySender = new Map<number, ViewChange>();
  for (const change of [...vc.direct.values(), ...vc.union.values()]) {
    if (!bySender.has(change.signer)) bySender.set(change.signer, change);
  }
  const viewChanges = [...bySender.values()].sort((a, b) => a.signer - b.signer);
  const vcFinal = seal<VcFinal>(core, { kind: 'VC-FINAL', epoch: config.epoch, view, viewChanges });
  vc.vcFinals.set(core.self, vcFinal);
  persist(core, [{ kind: 'vc-final', vcFinal }]);
  send(core, otherActives(core), vcFinal);
}

function digestFrom(core: Core, member: number): Hash {
  return vcFinalDigest(core.config, core.vc.vcFinals.get(member)!);
}

/** VC-FINALs of other followers that NEW-VIEW rests on and that are not those this replica got (section 5, step 5). */
function disputed(core: Core, newView: NewView): VcFinal[] {
  const others = core.group.filter((member, place) => place > 0 && newView.digests[place] !== digestFrom(core, member));
  return others.map((member) => core.vc.vcFinals.get(member)!);
}

/** Shows the primary the VC-FINALs of others that its NEW-VIEW contradicts. */
export function showDisputed(core: Core): void {
  const { disputedAt, newView } = core.vc;
  if (disputedAt === undefined || newView === undefined) return;
  for (const vcFinal of disputed(core, newView)) send(core, [newView.signer], vcFinal);
}

function installAsPrimary(core: Core): void {
  const head = greatestHead(core);
  core.vc.adopting = linkOf(core, head);
  if (!headChainReady(core)) return;
  const { config, view } = core;
  const named = core.group.map((member) => digestFrom(core, member));
  core.viewCertificate = core.verifier.openedBy({ view, head, digests: named });
  const link = linkOf(core, head);
  const prepare = makeVote(core, 'PREPARE', link);
  const newView = seal<NewView>(core, { kind: 'NEW-VIEW', epoch: config.epoch, view, head, digests: named, prepare });
  core.vc.newView = newView;
  persist(core, [
    { kind: 'new-view', newView },
    { kind: 'vote', vote: prepare },
  ]);
  send(core, otherActives(core), newView);
  install(core, newView, link);
  onVoted(core, entryAt(core, link.height), { prepare, commit: undefined });
}

function installAsFollower(core: Core): void {
  const { newView } = core.vc;
  if (newView === undefined) return;
  if (newView.digests[core.group.indexOf(core.self)] !== digestFrom(core, core.self)) {
    accuse(core, [newView.signer], 'NEW-VIEW names a VC-FINAL this replica never sent');
    return;
  }
  if (disputed(core, newView).length > 0) {
    // Either its sender signed two, or the primary made one up: shown this one, a correct primary suspects the sender.
    core.vc.disputedAt ??= core.now;
    return;
  }
  const link = linkOf(core, newView.head);
  if (compareOrder(link, linkOf(core, greatestHead(core))) < 0) {
    accuse(core, [newView.signer], 'NEW-VIEW adopts a head below the greatest certificate');
    return;
  }
  core.vc.adopting = link;
  if (!headChainReady(core)) return;
  core.viewCertificate = newView.prepare.viewCertificate;
  const commit = makeVote(core, 'COMMIT', link);
  persist(
    core,
    [
      { kind: 'new-view', newView },
      { kind: 'vote', vote: newView.prepare },
      { kind: 'vote', vote: commit },
    ],
    { of: 'vote', view: core.view, height: link.height },
  );
  send(core, otherActives(core), commit);
  install(core, newView, link);
  onVoted(core, entryAt(core, link.height), { prepare: newView.prepare, commit });
}

/** From here on the common case runs on top of the adopted head; blocks above it are void. */
function install(core: Core, newView: NewView, head: Link): void {
  core.installed = true;
  core.progressAt = core.now;
  core.certified = head.height - 1;
  core.cutCredit = true;
  const entry = entryAt(core, head.height);
  entry.prepare = newView.prepare;
  // A proposal for this height, from a primary that jumped the gun, is none.
  entry.block = undefined;
  entry.parent = undefined;
  trace(core, { name: 'view-installed', view: core.view, height: head.height, hash: head.hash });
}
