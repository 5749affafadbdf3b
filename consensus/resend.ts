/**
 * Channels of the model are reliable, sockets are not: what may have been lost is sent again every Δ until it is
 * superseded, as the same bytes (consensus.md sections 4 and 5 step 7). And the heartbeat, by which others know that this
 * replica lives, where it is, and how far away.
 */

import { pushChain } from './chain.ts';
import { resendInFlight } from './common-case.ts';
import { type Core, established, isActive, isPrimary, otherActives, send } from './core.ts';
import type { Heartbeat } from './message.ts';
import { generationOf } from './suspicion-graph.ts';
import { onRow, ownRow } from './suspicion-rows.ts';
import { showDisputed } from './view-change.ts';

export function resend(core: Core): void {
  if (core.phase !== 'running' || core.now - core.lastResend < core.timeouts.resend) return;
  core.lastResend = core.now;
  pushChain(core);
  if (core.view > 0 && !established(core)) resendViewChange(core);
  resendInFlight(core);
}

function resendViewChange(core: Core): void {
  if (core.viewChange !== undefined) send(core, otherActives(core), core.viewChange);
  if (!isActive(core)) return;
  const vcFinal = core.vc.vcFinals.get(core.self);
  if (vcFinal !== undefined) send(core, otherActives(core), vcFinal);
  showDisputed(core);
  const { newView } = core.vc;
  if (!core.installed || !isPrimary(core) || newView === undefined) return;
  const commits = core.entries.get(newView.prepare.height)?.commits;
  send(
    core,
    otherActives(core).filter((member) => !commits?.has(member)),
    newView,
  );
}

export function heartbeat(core: Core): void {
  if (core.self < 0 || core.now - core.lastHeartbeat < core.timeouts.heartbeat) return;
  core.lastHeartbeat = core.now;
  const row = ownRow(core, generationOf(core.view));
  for (const [index, peer] of core.peers) {
    const echo = peer.tick === 0 ? 0 : peer.tick + (core.clock - peer.tickAt);
    send(core, [index], {
      kind: 'HEARTBEAT',
      epoch: core.config.epoch,
      view: core.view,
      final: core.delivered.height,
      head: core.head?.height ?? core.config.root.height,
      tick: core.clock,
      echo,
      row,
    });
  }
}

export function onHeartbeat(core: Core, from: number, message: Heartbeat): void {
  const peer = core.peers.get(from);
  if (peer === undefined || message.epoch !== core.config.epoch) return;
  if (message.final > peer.final) peer.finalAt = core.now;
  peer.final = message.final;
  peer.view = message.view;
  peer.tick = message.tick;
  peer.tickAt = core.clock;
  const roundTrip = core.clock - message.echo;
  if (message.row !== undefined) onRow(core, from, message.row);
  if (message.echo > 0 && roundTrip >= 0) core.timeouts.onRoundTrip(from, roundTrip);
}
