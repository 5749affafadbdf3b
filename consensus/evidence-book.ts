/**
 * What this replica saw others sign in the epoch (consensus.md section 6): per view and signer VIEW-CHANGE, VC-FINAL and
 * NEW-VIEW and the last votes, so that a message can be held against what its signer said before. In memory only: after a
 * restart seeing begins anew.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Height, View } from '../primitives/ids.ts';
import { compareOrder, type NewView, type SignedMessage, type VcFinal, type ViewChange, type Vote } from './message.ts';

/** Newest views of which everything is kept; of those before, only each signer's greatest votes. */
const VIEWS_MAX = 64;
/** Votes of one kind kept of a signer in the newest view; one in those before. */
const VOTES_MAX = 16;

/** What one signer said in one view. */
type Sayings = {
  /** Shows what it takes to have opened the view. */
  first: Vote | undefined;
  readonly votes: { readonly [K in Vote['kind']]: Map<Height, Vote> };
  viewChange: ViewChange | undefined;
  vcFinal: VcFinal | undefined;
  newView: NewView | undefined;
};

type Signer = {
  /** Shows its incarnation. */
  readonly first: SignedMessage;
  readonly views: Map<View, Sayings>;
  /** Greatest PREPARE or COMMIT, and the greatest vote by which it said that a certificate is in its log. */
  vote: Vote | undefined;
  word: Vote | undefined;
  /** Highest view it sent a VIEW-CHANGE for. */
  changed: View;
};

function greater(a: Vote | undefined, b: Vote): Vote {
  return a === undefined || compareOrder(b, a) > 0 ? b : a;
}

export class EvidenceBook {
  readonly #signers = new Map<number, Signer>();
  #newest: View = 0;

  #signer(message: SignedMessage): Signer {
    const known = this.#signers.get(message.signer);
    if (known !== undefined) return known;
    const signer: Signer = { first: message, views: new Map(), vote: undefined, word: undefined, changed: -1 };
    this.#signers.set(message.signer, signer);
    return signer;
  }

  #sayings(message: SignedMessage): Sayings {
    const { views } = this.#signer(message);
    const known = views.get(message.view);
    if (known !== undefined) return known;
    const fresh: Sayings = {
      first: undefined,
      votes: { PREPARE: new Map(), COMMIT: new Map(), COMMITTED: new Map() },
      viewChange: undefined,
      vcFinal: undefined,
      newView: undefined,
    };
    views.set(message.view, fresh);
    if (message.view > this.#newest) this.#turn(message.view);
    return fresh;
  }

  /** A new view has begun: less is kept of those before. */
  #turn(newest: View): void {
    this.#newest = newest;
    for (const { views } of this.#signers.values()) {
      for (const [view, { votes }] of views) {
        if (view <= newest - VIEWS_MAX) views.delete(view);
        else if (view < newest) for (const held of Object.values(votes)) forgetBut(held, 1);
      }
    }
  }

  /** The first message seen of a signer. */
  first(signer: number): SignedMessage | undefined {
    return this.#signers.get(signer)?.first;
  }

  said(signer: number, view: View): Sayings | undefined {
    return this.#signers.get(signer)?.views.get(view);
  }

  knows({ signer, view, kind, height, hash, viewCertificate }: Vote): boolean {
    const known = this.said(signer, view)?.votes[kind].get(height);
    return known !== undefined && known.hash === hash && known.viewCertificate === viewCertificate;
  }

  /** Takes a vote; false when this very one is known. */
  addVote(vote: Vote, isWord: boolean): boolean {
    if (vote.view <= this.#newest - VIEWS_MAX) return false;
    if (this.knows(vote)) return false;
    const sayings = this.#sayings(vote);
    sayings.first ??= vote;
    const held = sayings.votes[vote.kind];
    held.delete(vote.height);
    held.set(vote.height, vote);
    forgetBut(held, VOTES_MAX);
    const signer = this.#signer(vote);
    if (vote.kind !== 'COMMITTED') signer.vote = greater(signer.vote, vote);
    if (isWord) signer.word = greater(signer.word, vote);
    return true;
  }

  /** Takes a message about a view as a whole; false when there is one already, the same or another. */
  addOnce(message: ViewChange | VcFinal | NewView): boolean {
    if (message.view <= this.#newest - VIEWS_MAX) return false;
    const sayings = this.#sayings(message);
    switch (message.kind) {
      case 'VIEW-CHANGE': {
        if (sayings.viewChange !== undefined) return false;
        sayings.viewChange = message;
        const signer = this.#signer(message);
        signer.changed = Math.max(signer.changed, message.view);
        return true;
      }
      case 'VC-FINAL':
        if (sayings.vcFinal !== undefined) return false;
        sayings.vcFinal = { ...message, viewChanges: message.viewChanges.map((change) => this.#shared(change)) };
        return true;
      case 'NEW-VIEW':
        if (sayings.newView !== undefined) return false;
        sayings.newView = message;
        return true;
    }
  }

  /** The same VIEW-CHANGE is in up to t+1 VC-FINALs: kept once. */
  #shared(change: ViewChange): ViewChange {
    const known = this.said(change.signer, change.view)?.viewChange;
    return known !== undefined && toHex(known.signature) === toHex(change.signature) ? known : change;
  }

  /** VIEW-CHANGEs of a signer for views above one. */
  *changesAbove(signer: number, view: View): Generator<ViewChange, void, void> {
    const known = this.#signers.get(signer);
    if (known === undefined || known.changed <= view) return;
    for (const [at, { viewChange }] of known.views) if (at > view && viewChange !== undefined) yield viewChange;
  }

  /** Greatest vote of a signer below a view: of any kind that binds `lastSigned`, or that binds `head`. */
  greatestBelow(signer: number, view: View, kind: 'vote' | 'word', isWord: (vote: Vote) => boolean): Vote | undefined {
    const known = this.#signers.get(signer);
    if (known === undefined) return undefined;
    const top = known[kind];
    if (top === undefined || top.view < view) return top;
    let greatest: Vote | undefined;
    for (const [at, { votes }] of known.views) {
      if (at >= view) continue;
      for (const held of Object.values(votes)) {
        for (const vote of held.values()) {
          if (kind === 'word' ? isWord(vote) : vote.kind !== 'COMMITTED') greatest = greater(greatest, vote);
        }
      }
    }
    return greatest;
  }
}

/** Drops the oldest entries. */
function forgetBut(held: Map<Height, Vote>, count: number): void {
  for (const height of held.keys()) {
    if (held.size <= count) break;
    held.delete(height);
  }
}
