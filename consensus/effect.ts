/**
 * What comes out of `Replica.step`, in order. `send` and `deliver` after a `persist` wait until its records are
 * durable: that is the whole durability contract. `execute`, `cut` and `trace` promise nothing to anybody and need not
 * wait.
 */
import type { Bytes, Hash, Height, View } from '../primitives/ids.ts';
import type { DurableRecord } from './durable.ts';
import type { PersistToken } from './event.ts';
import type { Certificate, Evidence, EvidenceKind, Message } from './message.ts';

export type Effect =
  /** Append to the log; `sync: false` may ride with the next synced write. The token comes back as `persisted`. */
  | {
      readonly kind: 'persist';
      readonly records: readonly DurableRecord[];
      readonly sync: boolean;
      readonly token: PersistToken | undefined;
    }
  /** Send to validators by index (never to itself). */
  | { readonly kind: 'send'; readonly to: readonly number[]; readonly message: Message }
  /** Check and execute on top of its parent. `judgeTime` is false for blocks already certified by others. */
  | {
      readonly kind: 'execute';
      readonly hash: Hash;
      readonly parent: Hash;
      readonly height: Height;
      readonly block: Bytes;
      readonly judgeTime: boolean;
    }
  /** Cut a batch into a block on top of `parent` and execute it. */
  | { readonly kind: 'cut'; readonly parent: Hash; readonly height: Height; readonly allowEmpty: boolean }
  /** The chain that new blocks build on now ends here (after a proposal, a vote, or a view change). */
  | { readonly kind: 'tip'; readonly hash: Hash; readonly height: Height }
  /** Final: executed, in height order, each exactly once. The proof is its own, or of a descendant delivered later. */
  | {
      readonly kind: 'deliver';
      readonly height: Height;
      readonly hash: Hash;
      readonly proof: Certificate | undefined;
    }
  /**
   * The closing block was delivered: this replica signs nothing more and has no further use but to say what it saw.
   * `live`: it took part until now, so that it may go on in the next epoch without asking about its own past.
   */
  | { readonly kind: 'ended'; readonly closing: Certificate; readonly live: boolean }
  /** A fault is proven, by messages seen here or by evidence from a peer, for the first time: to be kept. */
  | { readonly kind: 'evidence'; readonly evidence: Evidence; readonly view: View; readonly what: string }
  | { readonly kind: 'trace'; readonly trace: Trace };

/** What the node makes logs and metrics of, and tests make transcripts of. */
export type Trace =
  | { readonly name: 'started'; readonly answers: number }
  | { readonly name: 'amnesia'; readonly held: string }
  | { readonly name: 'halted'; readonly reason: string }
  | {
      readonly name: 'suspect';
      readonly view: number;
      readonly target: number;
      readonly accused: readonly number[];
      readonly reason: string;
    }
  /** Somebody's row has grown: this replica's own, or what another says. */
  | { readonly name: 'suspicion'; readonly by: number; readonly of: readonly number[]; readonly reason: string }
  /** No group was left without a suspicion in it: they begin anew. */
  | { readonly name: 'generation'; readonly generation: number }
  /** The SUSPECT that led here, and the view it ended. */
  | {
      readonly name: 'view-entered';
      readonly view: number;
      readonly left: number;
      readonly by: number;
      readonly accused: readonly number[];
    }
  | { readonly name: 'view-installed'; readonly view: number; readonly height: Height; readonly hash: Hash }
  | { readonly name: 'proposed'; readonly view: number; readonly height: Height; readonly hash: Hash }
  | { readonly name: 'certified'; readonly view: number; readonly height: Height; readonly hash: Hash }
  | { readonly name: 'final'; readonly view: number; readonly height: Height; readonly hash: Hash }
  | { readonly name: 'epoch-ended'; readonly epoch: number; readonly height: Height; readonly hash: Hash }
  | { readonly name: 'fetching'; readonly from: Height; readonly to: Height; readonly peer: number }
  | {
      readonly name: 'proven';
      readonly signer: number;
      readonly kind: EvidenceKind;
      readonly epoch: number;
      readonly view: number;
      readonly what: string;
    }
  | { readonly name: 'conflict'; readonly signer: number; readonly what: string }
  | { readonly name: 'rejected'; readonly from: number; readonly message: string; readonly reason: string };
