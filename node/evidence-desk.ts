/**
 * Evidence between core, chain and shelf. The core judges what is about its own epoch; what is about one that is over
 * here, or was on disk, is judged here by that epoch's configuration.
 */

import { judgeEvidence, type Verdict } from '../consensus/evidence-judge.ts';
import { makeSchedule } from '../consensus/groups.ts';
import type { Evidence } from '../consensus/message.ts';
import { encodeMessage } from '../consensus/message-codec.ts';
import type { Ports } from '../consensus/ports.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Channel } from '../p2p/transport.ts';
import type { Bytes } from '../primitives/ids.ts';
import { BLOCK_PORTS } from './block-ports.ts';
import { channelOf } from './channel.ts';
import { type Chain, epochConfig } from './epoch-peers.ts';
import type { EvidenceShelf, KeptEvidence } from './evidence-shelf.ts';

export type DeskOptions = {
  readonly chain: Chain;
  readonly ledger: Pick<Ledger, 'epochInfo'>;
  readonly recover: Ports['recover'];
  readonly nowMs: () => number;
};

type Proven = Pick<KeptEvidence, 'evidence' | 'view' | 'what'>;
type Observers = { readonly toObservers?: (channel: Channel, payload: Bytes) => void };

/** After evidence that proves nothing, no more of it from that peer is looked at for so long. */
const PATIENCE_MS = 10_000;
/** Peers of which that is remembered. */
const UNHEARD_MAX = 256;

/** By the configuration of the epoch it is about. */
export function judgeByChain({ chain, ledger, recover }: DeskOptions, evidence: Evidence): Verdict {
  const info = ledger.epochInfo(evidence.epoch);
  if (info === undefined) return { ok: false, reason: `epoch ${evidence.epoch} has not begun here` };
  const next = ledger.epochInfo(info.epoch + 1);
  // Where the operators broke the epoch off, votes above its last block are no fault.
  const closing = next?.recovery === undefined ? next?.root.hash : undefined;
  const schedule = makeSchedule(info.members.length);
  const isClosing = (hash: string) => hash === closing;
  return judgeEvidence(evidence, { config: epochConfig(chain, info), schedule, recover, ...BLOCK_PORTS, isClosing });
}

export class EvidenceDesk {
  readonly #options: DeskOptions;
  readonly shelf: EvidenceShelf;
  readonly #unheard = new Map<string, number>();

  constructor(options: DeskOptions, shelf: EvidenceShelf) {
    this.#options = options;
    this.shelf = shelf;
  }

  /** Evidence from a peer about an epoch that is over here. */
  onPast(from: string, evidence: Evidence): void {
    const nowMs = this.#options.nowMs();
    if (this.shelf.has(evidence) || nowMs < (this.#unheard.get(from) ?? 0)) return;
    const verdict = judgeByChain(this.#options, evidence);
    if (verdict.ok) {
      const { view, what } = verdict;
      this.shelf.add({ evidence, view, what });
      return;
    }
    if (this.#unheard.size >= UNHEARD_MAX) this.#unheard.clear();
    this.#unheard.set(from, nowMs + PATIENCE_MS);
  }

  /** The replica proved it. It has told the validators; observers are told by the node. */
  onProven(proven: Proven, network: Observers | undefined): void {
    const { evidence, view, what } = proven;
    this.shelf.add({ evidence, view, what });
    const message = { kind: 'EVIDENCE', evidence } as const;
    network?.toObservers?.(channelOf(message), encodeMessage(message));
  }
}
