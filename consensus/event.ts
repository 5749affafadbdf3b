/** What goes into `Replica.step`. Plain data, so that a run can be recorded and replayed. */
import type { Bytes, Hash, Height } from '../primitives/ids.ts';
import type { Message } from './message.ts';

/** Names the persist effect whose records, and all before them, are now durable. */
export type PersistToken =
  | { readonly of: 'vote'; readonly view: number; readonly height: Height }
  | { readonly of: 'certificate'; readonly view: number; readonly height: Height }
  | { readonly of: 'view'; readonly view: number };

export type Event =
  /** A decoded message from the validator `from`, as the transport authenticated it. */
  | { readonly kind: 'message'; readonly from: number; readonly message: Message }
  /** Time in ticks (milliseconds since an arbitrary start), never going back. About every 10 ms. */
  | { readonly kind: 'tick'; readonly now: number }
  /** A peer, of this epoch or a guest, speaks from a later epoch and says that it has final blocks up to this height. */
  | { readonly kind: 'ahead'; readonly from: number; readonly final: Height }
  /** A link to a validator came up. */
  | { readonly kind: 'connected'; readonly peer: number }
  | { readonly kind: 'persisted'; readonly token: PersistToken }
  /** Answer to the effect `execute`. */
  | {
      readonly kind: 'executed';
      readonly hash: Hash;
      readonly ok: boolean;
      /** The block ends the epoch: nothing may be built on it in this one. */
      readonly closes?: boolean;
      readonly reason?: string;
    }
  /** Answer to the effect `cut`; no block when nothing executable is left. */
  | {
      readonly kind: 'cut';
      readonly parent: Hash;
      readonly block:
        | { readonly hash: Hash; readonly height: Height; readonly bytes: Bytes; readonly closes: boolean }
        | undefined;
    }
  /** The pool changed: something executable beyond what is in flight, and whether it fills a batch. */
  | { readonly kind: 'pool'; readonly waiting: boolean; readonly full: boolean }
  /** A transaction handed to the primary of the current view is overdue (consensus.md section 4). */
  | { readonly kind: 'overdue'; readonly view: number };
