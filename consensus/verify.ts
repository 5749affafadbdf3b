/**
 * Whether signed messages and certificates are what they claim to be: pure checks against the epoch's configuration,
 * none of them looking at a replica's state (consensus.md sections 1, 2, 5; paper section 3, certificate validity). Each
 * returns a reject reason or undefined. What was once found valid is remembered by digest, because VC-FINALs carry the
 * same certificates again and again.
 */
import { toHex } from '../primitives/bytes.ts';
import type { Hash, View } from '../primitives/ids.ts';
import type { EpochConfig } from './config.ts';
import type { Schedule } from './groups.ts';
import type { Certificate, NewView, Row, Seal, SignedMessage, Suspect, VcFinal, ViewChange, Vote } from './message.ts';
import type { Ports } from './ports.ts';
import type { RejectReason } from './reject.ts';
import { type Statement, sealDigest, sealType, statementDigest, viewCertificate } from './statement.ts';
import { generationOf, jumpFrom } from './suspicion-graph.ts';

const REMEMBERED_MAX = 4096;

export class Verifier {
  readonly #config: EpochConfig;
  readonly #schedule: Schedule;
  readonly #recover: Ports['recover'];
  /** Digest + signature + signer of seals found valid; cleared when full. */
  readonly #valid = new Set<string>();

  constructor(config: EpochConfig, schedule: Schedule, recover: Ports['recover']) {
    this.#config = config;
    this.#schedule = schedule;
    this.#recover = recover;
  }

  #sealed(digest: Uint8Array, seal: Seal): boolean {
    const validator = this.#config.validators[seal.signer];
    if (validator === undefined) return false;
    const key = `${seal.signer}${toHex(digest)}${toHex(seal.signature)}`;
    if (this.#valid.has(key)) return true;
    if (this.#recover(digest, seal.signature) !== validator) return false;
    if (this.#valid.size >= REMEMBERED_MAX) this.#valid.clear();
    this.#valid.add(key);
    return true;
  }

  /** Whoever the message names signed it, in this epoch; what it says is not looked at. */
  signature(message: SignedMessage): RejectReason | undefined {
    if (message.epoch !== this.#config.epoch) return 'other-epoch';
    const digest = statementDigest(this.#config, message as Statement);
    return this.#sealed(digest, message) ? undefined : 'bad-signature';
  }

  /** Any signed message, by its own rules. */
  message(message: SignedMessage): RejectReason | undefined {
    switch (message.kind) {
      case 'PREPARE':
      case 'COMMIT':
      case 'COMMITTED':
        return this.vote(message);
      case 'SUSPECT':
        return this.suspect(message);
      case 'VIEW-CHANGE':
        return this.viewChange(message);
      case 'VC-FINAL':
        return this.vcFinal(message);
      case 'NEW-VIEW':
        return this.newView(message);
    }
  }

  /** PREPARE from the view's primary, COMMIT from a follower, COMMITTED from any active. */
  vote(vote: Vote): RejectReason | undefined {
    const group = this.#schedule.groupOf(vote.view);
    const place = group.indexOf(vote.signer);
    if (place < 0) return 'not-in-group';
    if (vote.kind === 'PREPARE' && place !== 0) return 'not-primary';
    if (vote.kind === 'COMMIT' && place === 0) return 'not-in-group';
    if ((vote.view === 0) !== (vote.viewCertificate === '')) return 'wrong-certificate';
    return this.signature(vote);
  }

  /** All t+1 members of the view's group, in group order, over one block. */
  certificate(certificate: Certificate): RejectReason | undefined {
    if (certificate.epoch !== this.#config.epoch) return 'other-epoch';
    const group = this.#schedule.groupOf(certificate.view);
    if (certificate.seals.length !== group.length) return 'bad-certificate';
    if ((certificate.view === 0) !== (certificate.viewCertificate === '')) return 'wrong-certificate';
    if (certificate.height < this.#config.root.height) return 'bad-certificate';
    for (const [place, seal] of certificate.seals.entries()) {
      if (seal.signer !== group[place]) return 'bad-certificate';
      const type = sealType(certificate.kind, place, group.length);
      if (!this.#sealed(sealDigest(this.#config, certificate, type, seal), seal)) return 'bad-certificate';
    }
    return undefined;
  }

  row(row: Row): RejectReason | undefined {
    const { signer, members } = row;
    if (row.epoch !== this.#config.epoch) return 'other-epoch';
    const ascending = members.every((member, i) => i === 0 || members[i - 1]! < member);
    if (members.length === 0 || !ascending || members.includes(signer)) return 'bad-row';
    if (members.at(-1)! >= this.#config.validators.length) return 'bad-row';
    return this.#sealed(statementDigest(this.#config, row), row) ? undefined : 'bad-signature';
  }

  /**
   * A member of the view's group accuses another member of it, at the price of an edge: its own row must name that one.
   * Every view below the target must be justified by the rows, so that no single SUSPECT can skip a group that works.
   */
  suspect(suspect: Suspect): RejectReason | undefined {
    const group = this.#schedule.groupOf(suspect.view);
    if (!group.includes(suspect.signer)) return 'not-in-group';
    if (suspect.target <= suspect.view) return 'bad-target';
    if (suspect.accused.length === 0 || suspect.accused.length >= group.length) return 'bad-accused';
    if (new Set(suspect.accused).size !== suspect.accused.length) return 'bad-accused';
    for (const accused of suspect.accused) {
      if (accused === suspect.signer || !group.includes(accused)) return 'bad-accused';
    }
    const generation = generationOf(suspect.view);
    const own = suspect.rows.filter((row) => row.signer === suspect.signer && row.generation === generation);
    const named = new Set(own.flatMap((row) => row.members));
    if (!suspect.accused.every((accused) => named.has(accused))) return 'bad-accused';
    const bad = this.signature(suspect);
    if (bad) return bad;
    for (const row of suspect.rows) if (this.row(row) !== undefined) return 'bad-row';
    return suspect.target > jumpFrom(this.#schedule, suspect.view, suspect.rows).target ? 'bad-target' : undefined;
  }

  viewChange(message: ViewChange): RejectReason | undefined {
    if (message.signer >= this.#config.validators.length) return 'bad-signature';
    for (const certificate of [message.head, message.final]) {
      if (certificate === undefined) continue;
      if (certificate.view >= message.view) return 'bad-head';
      const bad = this.certificate(certificate);
      if (bad) return bad;
    }
    if (message.final !== undefined && message.final.kind !== 'FP') return 'bad-certificate';
    const last = message.lastSigned;
    if (last !== undefined) {
      if (last.prepare.kind !== 'PREPARE' || last.prepare.view >= message.view) return 'bad-lock';
      if (this.vote(last.prepare) !== undefined) return 'bad-lock';
      if (last.commit !== undefined) {
        const { commit, prepare } = last;
        const matches =
          commit.view === prepare.view && commit.height === prepare.height && commit.hash === prepare.hash;
        if (commit.kind !== 'COMMIT' || commit.signer !== message.signer || !matches) return 'bad-lock';
        if (this.vote(commit) !== undefined) return 'bad-lock';
      }
    }
    return this.signature(message);
  }

  /** At least n-t valid VIEW-CHANGEs of distinct senders for the same view. */
  vcFinal(message: VcFinal): RejectReason | undefined {
    const { n, t } = this.#schedule;
    if (!this.#schedule.groupOf(message.view).includes(message.signer)) return 'not-in-group';
    const senders = new Set(message.viewChanges.map((change) => change.signer));
    if (senders.size !== message.viewChanges.length || senders.size < n - t) return 'too-few-senders';
    for (const change of message.viewChanges) {
      if (change.view !== message.view) return 'bad-head';
      const bad = this.viewChange(change);
      if (bad) return bad;
    }
    return this.signature(message);
  }

  newView(message: NewView): RejectReason | undefined {
    const group = this.#schedule.groupOf(message.view);
    if (message.signer !== group[0]) return 'not-primary';
    if (message.digests.length !== group.length) return 'bad-certificate';
    const { head, prepare } = message;
    if (head !== undefined) {
      if (head.view >= message.view) return 'bad-head';
      const bad = this.certificate(head);
      if (bad) return bad;
    }
    const { height, hash } = head ?? this.#config.root;
    if (prepare.kind !== 'PREPARE' || prepare.view !== message.view) return 'bad-head';
    if (prepare.height !== height || prepare.hash !== hash) return 'bad-head';
    if (prepare.viewCertificate !== this.openedBy(message)) return 'wrong-certificate';
    return this.vote(prepare) ?? this.signature(message);
  }

  /** The view certificate a NEW-VIEW's PREPARE must carry. */
  openedBy(message: { view: View; head: Certificate | undefined; digests: readonly Hash[] }): string {
    const head = message.head ?? { view: -1, ...this.#config.root };
    return viewCertificate({ view: message.view, head, digests: message.digests });
  }
}
