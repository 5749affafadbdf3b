/**
 * What is left to do for an epoch that has ended (VR Revisited section 7; consensus.md section 7, step 4): whoever holds
 * the proof of the closing block tells the new validators, and everybody who still speaks in an older epoch, until t'+1
 * of the new ones have started. Any message of the new epoch, or of a later one, shows that its sender has. It is up to
 * every validator of the epoch that ended, also to one that heard of it late or starts again: those who knew it first may
 * be gone by now.
 */
import { faultThreshold } from '../consensus/config.ts';
import type { Certificate, Message } from '../consensus/message.ts';
import type { EpochInfo } from '../ledger/epoch-info.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { assert } from '../primitives/errors.ts';
import { type Identity, indexIn } from './epoch-peers.ts';
import { proofAt } from './serve.ts';

export type HandOverPorts = {
  readonly ledger: Ledger;
  readonly identity: Identity;
  /** Who has not started is told again after this long. */
  readonly everyMs: number;
  readonly send: (to: readonly string[], message: Message) => void;
};

export type Ended = {
  readonly old: EpochInfo;
  readonly next: EpochInfo;
  /** Proof of the block between them. */
  readonly closing: Certificate;
  /** It was an active of the last view: the others wait whether the actives' word is enough. */
  readonly wasActive: boolean;
};

type Duty = {
  readonly message: Message;
  /** Everybody to be told: old and new validators but this one. */
  readonly peers: readonly string[];
  /** The new validators among them. */
  readonly successors: ReadonlySet<string>;
  /** New validators still to be heard before this is done. */
  readonly needed: number;
  readonly started: Set<string>;
  dueAt: number;
};

const keysOf = ({ members }: EpochInfo): string[] => members.map(({ nodeKey }) => nodeKey);

export class HandOver {
  readonly #ports: HandOverPorts;
  #duty: Duty | undefined;
  /** The epoch this node came back in: its root is perhaps not written yet. */
  #restarted: EpochInfo | undefined;

  constructor(ports: HandOverPorts) {
    this.#ports = ports;
  }

  onEnded({ old, next, closing, wasActive }: Ended, nowMs: number): void {
    const { ledger, identity, everyMs } = this.#ports;
    this.#restarted = undefined;
    this.#duty = undefined;
    if (indexIn(old, identity) < 0) return;
    const block = ledger.block(closing.hash)?.bytes;
    assert(block !== undefined, `closing block ${closing.height} is not in the ledger`);
    const peers = new Set([...keysOf(old), ...keysOf(next)]);
    const successors = new Set(keysOf(next));
    peers.delete(identity.nodeKey);
    // This node, if it is one of them, counts as one that has started.
    const isSuccessor = successors.delete(identity.nodeKey);
    this.#duty = {
      message: { kind: 'START-EPOCH', block, proof: closing },
      peers: [...peers],
      successors,
      needed: faultThreshold(next.members.length) + (isSuccessor ? 0 : 1),
      started: new Set(),
      dueAt: wasActive ? nowMs : nowMs + everyMs,
    };
    this.tick(nowMs);
  }

  /** A start in an epoch: nothing says whether its validators have heard of it. */
  onRestart(present: EpochInfo): void {
    this.#restarted = present;
  }

  onStarted(peer: string): void {
    if (this.#duty?.successors.has(peer)) this.#duty.started.add(peer);
  }

  /** Tells whoever is to be told now. */
  tick(nowMs: number): void {
    this.#resume(nowMs);
    const duty = this.#duty;
    if (duty === undefined) return;
    if (duty.started.size >= duty.needed) this.#duty = undefined;
    else if (nowMs >= duty.dueAt) {
      duty.dueAt = nowMs + this.#ports.everyMs;
      const { message, peers, started } = duty;
      this.#ports.send(
        peers.filter((peer) => !started.has(peer)),
        message,
      );
    }
  }

  #resume(nowMs: number): void {
    const { ledger } = this.#ports;
    const next = this.#restarted;
    if (next === undefined || ledger.head.height < next.root.height) return;
    this.#restarted = undefined;
    const old = ledger.epochInfo(next.epoch - 1);
    const closing = proofAt(ledger, next.root.height);
    if (old !== undefined && closing !== undefined) this.onEnded({ old, next, closing, wasActive: false }, nowMs);
  }
}
