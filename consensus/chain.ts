/**
 * The chain (consensus.md section 4): the accepted SUSPECTs that led this replica to its view, kept for the epoch. It is
 * pushed, never only fetched: shown to one replica alone, while that one is cut off, it would break the argument of the
 * 2Δ wait, by which every correct replica in touch is heard before a view opens.
 */
import type { View } from '../primitives/ids.ts';
import { type Core, send } from './core.ts';
import type { Suspect } from './message.ts';

/** SUSPECTs, and rows in them, in one CHAIN message. A single SUSPECT may have more rows, and has a message to itself. */
const CHAIN_SUSPECTS_MAX = 512;
const CHAIN_ROWS_MAX = 1024;

/** Shows a peer the way from `view` to this replica's view. */
export function sendChain(core: Core, to: number, view: View): void {
  if (view >= core.view) return;
  // Targets ascend, and most peers are near the end.
  const from = core.chain.findLastIndex(({ target }) => target <= view) + 1;
  let suspects: Suspect[] = [];
  let rows = 0;
  for (const suspect of core.chain.slice(from)) {
    if (suspects.length >= CHAIN_SUSPECTS_MAX || (rows > 0 && rows + suspect.rows.length > CHAIN_ROWS_MAX)) {
      send(core, [to], { kind: 'CHAIN', suspects });
      [suspects, rows] = [[], 0];
    }
    suspects.push(suspect);
    rows += suspect.rows.length;
  }
  if (suspects.length > 0) send(core, [to], { kind: 'CHAIN', suspects });
}

/** Pushes it to every peer, from the newest view the peer is known to be in. */
export function pushChain(core: Core): void {
  for (const [index, { view }] of core.peers) sendChain(core, index, view);
}

/** Any message for a view below this one is answered with the chain, at once, but not twice within Δ/2. */
export function answerWithChain(core: Core, from: number, view: View): void {
  const peer = core.peers.get(from);
  if (peer === undefined || view >= core.view || core.now < peer.chainAnswerAfter) return;
  peer.chainAnswerAfter = core.now + core.timeouts.delta / 2;
  sendChain(core, from, view);
}
