/**
 * The global ledger of everything signed (reliability.md P20, P21; consensus.md section 10): over a replica's whole
 * life, restarts included, no two contents at one position, no vote in a view it has promised to leave, and no signature
 * by somebody whose place it is not. Fed with every message that leaves a replica; in these runs all replicas are
 * correct, so whatever contradicts itself is a bug.
 */
import type { Schedule } from '../../../consensus/groups.ts';
import type { Certificate, Message, SignedMessage, Vote } from '../../../consensus/message.ts';
import { sealType } from '../../../consensus/statement.ts';
import { type Property, Violation } from '../violation.ts';

type VoteLike = Pick<Vote, 'kind' | 'view' | 'viewCertificate' | 'height' | 'hash' | 'signer' | 'signature'>;
type Promised = { readonly view: number; readonly order: number };

export type Report = (violation: Violation) => void;

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export class SignatureChecker {
  readonly #schedule: Schedule;
  readonly #report: Report;
  /** Position to content. */
  readonly #statements = new Map<string, string>();
  /** Signature to its place in the order in which signatures were made. */
  readonly #orders = new Map<string, number>();
  readonly #promises: Promised[][];
  /** Per signer and view: the newest vote's order. */
  readonly #votes: Map<number, number>[];
  readonly #newViews = new Map<number, { readonly height: number; readonly hash: string }>();
  #made = 0;

  readonly #liars: ReadonlySet<number>;
  readonly #onCertificate: (certificate: Certificate) => void;

  /** What `liars` sign is not looked at. */
  constructor(
    schedule: Schedule,
    report: Report,
    liars: ReadonlySet<number>,
    onCertificate: (certificate: Certificate) => void,
  ) {
    this.#onCertificate = onCertificate;
    this.#schedule = schedule;
    this.#liars = liars;
    this.#report = report;
    this.#promises = Array.from({ length: schedule.n }, () => []);
    this.#votes = Array.from({ length: schedule.n }, () => new Map<number, number>());
  }

  get statements(): number {
    return this.#statements.size;
  }

  /** A signing port was called. */
  onSigned(signature: Uint8Array): void {
    const key = text(signature);
    if (!this.#orders.has(key)) this.#orders.set(key, this.#made++);
  }

  /** A replica sent this. */
  onMessage(message: Message): void {
    switch (message.kind) {
      case 'PROPOSAL':
        this.#vote(message.prepare);
        return;
      case 'CHAIN':
        for (const suspect of message.suspects) this.#signed(suspect);
        return;
      case 'BLOCKS':
        for (const block of message.blocks) this.#certificate(block.proof);
        return;
      case 'FINAL':
      case 'FINALITY':
        this.#certificate(message.proof);
        return;
      case 'ANSWER':
        for (const held of message.held) this.#signed(held);
        return;
      case 'HEARTBEAT':
      case 'FETCH-FINAL':
      case 'FETCH-BODIES':
      case 'ASK':
        return;
      default:
        this.#signed(message);
        return;
    }
  }

  #signed(message: SignedMessage): void {
    switch (message.kind) {
      case 'PREPARE':
      case 'COMMIT':
      case 'COMMITTED':
        this.#vote(message);
        return;
      case 'SUSPECT':
        this.#once(message, this.#schedule.groupOf(message.view).includes(message.signer));
        return;
      case 'VIEW-CHANGE':
        if (message.lastSigned) this.#vote(message.lastSigned.prepare);
        if (message.lastSigned?.commit) this.#vote(message.lastSigned.commit);
        this.#certificate(message.head);
        this.#certificate(message.final);
        this.#once(message, true);
        this.#promise(message.signer, message.view, message.signature);
        return;
      case 'VC-FINAL':
        for (const change of message.viewChanges) this.#signed(change);
        this.#once(message, this.#schedule.groupOf(message.view).includes(message.signer));
        return;
      case 'NEW-VIEW':
        this.#certificate(message.head);
        this.#vote(message.prepare);
        if (!this.#liars.has(message.signer)) this.#newViews.set(message.view, message.prepare);
        this.#once(message, this.#schedule.groupOf(message.view)[0] === message.signer);
        return;
    }
  }

  #certificate(certificate: Certificate | undefined): void {
    if (certificate === undefined) return;
    this.#onCertificate(certificate);
    for (const [place, seal] of certificate.seals.entries()) {
      const kind = sealType(certificate.kind, place, certificate.seals.length);
      this.#vote({ ...certificate, kind, signer: seal.signer, signature: seal.signature });
    }
  }

  #vote(vote: VoteLike): void {
    if (this.#liars.has(vote.signer)) return;
    const group = this.#schedule.groupOf(vote.view);
    const place = group.indexOf(vote.signer);
    if (place < 0 || (vote.kind === 'PREPARE' && place !== 0) || (vote.kind === 'COMMIT' && place === 0)) {
      this.#fail(
        'membership',
        `replica ${vote.signer} signed ${vote.kind} in view ${vote.view}, whose group is ${group}`,
      );
    }
    const content = `${vote.hash} ${vote.viewCertificate}`;
    const isNew = this.#claim(`${vote.kind} ${vote.signer} ${vote.view}/${vote.height}`, content);
    if (!isNew) return;
    const order = this.#orders.get(text(vote.signature));
    if (order === undefined) {
      this.#fail('double-sign', `a ${vote.kind} of replica ${vote.signer} that it never signed is on the network`);
      return;
    }
    for (const promised of this.#promises[vote.signer]!) {
      if (promised.view > vote.view && promised.order < order) this.#brokenPromise(vote, promised.view);
    }
    const votes = this.#votes[vote.signer]!;
    votes.set(vote.view, Math.max(votes.get(vote.view) ?? -1, order));
  }

  #promise(signer: number, view: number, signature: Uint8Array): void {
    if (this.#liars.has(signer)) return;
    const promises = this.#promises[signer]!;
    if (promises.some((promised) => promised.view === view)) return;
    const order = this.#orders.get(text(signature)) ?? 0;
    promises.push({ view, order });
    for (const [voted, last] of this.#votes[signer]!) {
      if (voted < view && last > order) this.#brokenPromise({ kind: 'COMMIT', view: voted, signer }, view);
    }
  }

  #brokenPromise(vote: Pick<VoteLike, 'kind' | 'view' | 'signer'>, promised: number): void {
    this.#fail(
      'view-promise',
      `replica ${vote.signer} signed a vote (${vote.kind}) in view ${vote.view} after its VIEW-CHANGE into view ${promised}`,
    );
  }

  #once(message: Exclude<SignedMessage, Vote>, isMember: boolean): void {
    if (this.#liars.has(message.signer)) return;
    if (!isMember)
      this.#fail('membership', `replica ${message.signer} signed ${message.kind} for view ${message.view}`);
    this.#claim(`${message.kind} ${message.signer} ${message.view}`, text(message.signature));
  }

  /** True when the position was free. */
  #claim(position: string, content: string): boolean {
    const before = this.#statements.get(position);
    if (before === content) return false;
    if (before !== undefined)
      this.#fail('double-sign', `two contents at one position: ${position} (signer, view/height)`);
    this.#statements.set(position, content);
    return true;
  }

  /** What is final in a view must be contained in the head of every later one (reliability.md P5). */
  onFinal(view: number, height: number, hash: string): void {
    for (const [opened, head] of this.#newViews) {
      if (opened <= view) continue;
      if (head.height < height || (head.height === height && head.hash !== hash)) {
        this.#fail(
          'agreement',
          `NEW-VIEW of view ${opened} adopts height ${head.height}; ${height} is final in view ${view}`,
        );
      }
    }
  }

  #fail(property: Property, message: string): void {
    this.#report(new Violation(property, message));
  }
}
