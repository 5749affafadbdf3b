/**
 * The global ledger of everything signed (reliability.md P20, P21, P36, P39; consensus.md sections 7 and 10): over a
 * validator's whole life, restarts included, no two contents at one position of an epoch, no vote in a view it has
 * promised to leave, nothing above a closing block, nothing under an incarnation that the chain does not know, and no
 * signature by somebody whose place it is not. Fed with every message that leaves a correct replica; what liars sign is
 * not looked at.
 */
import type { Certificate, Message, Row, SignedMessage, Vote } from '../../../consensus/message.ts';
import { sealType } from '../../../consensus/statement.ts';
import { readBlockId } from '../../../ledger/block.ts';
import type { Bytes, Hash } from '../../../primitives/ids.ts';
import { type Property, Violation } from '../violation.ts';
import type { EpochBook, EpochTruth } from './epochs.ts';

type VoteLike = Pick<
  Vote,
  'kind' | 'epoch' | 'view' | 'viewCertificate' | 'height' | 'hash' | 'signer' | 'incarnation' | 'signature'
>;
type Promised = { readonly view: number; readonly order: number };
type Signed = { readonly epoch: number; readonly signer: number; readonly incarnation: string };

/** A correct validator in one epoch. */
type Voter = {
  /** Of epoch and machine. */
  readonly key: string;
  readonly machine: number;
  readonly truth: EpochTruth;
  readonly promises: Promised[];
  /** Per view: the newest vote's order. */
  readonly votes: Map<number, number>;
};

export type Report = (violation: Violation) => void;

export type SignatureContext = {
  readonly book: EpochBook;
  readonly report: Report;
  /** Machines that lie. */
  readonly liars: ReadonlySet<number>;
  /** Incarnation of a machine's first log. */
  readonly firstIncarnation: (machine: number) => string;
  readonly onCertificate: (certificate: Certificate) => void;
};

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export class SignatureChecker {
  readonly #context: SignatureContext;
  /** Position to content. */
  readonly #statements = new Map<string, string>();
  /** Signature to its place in the order in which signatures were made. */
  readonly #orders = new Map<string, number>();
  readonly #voters = new Map<string, Voter>();
  /** Largest suspicion row by voter and generation. */
  readonly #rows = new Map<string, readonly number[]>();
  /** Per epoch: the head that each view opened with. */
  readonly #newViews = new Map<string, { readonly height: number; readonly hash: Hash }>();
  /** Blocks that end their epoch when they are executed. */
  readonly #closing = new Set<Hash>();
  #made = 0;

  constructor(context: SignatureContext) {
    this.#context = context;
  }

  get statements(): number {
    return this.#statements.size;
  }

  /** A signing port was called. */
  onSigned(signature: Uint8Array): void {
    const key = text(signature);
    if (!this.#orders.has(key)) this.#orders.set(key, this.#made++);
  }

  onClosing(hash: Hash): void {
    this.#closing.add(hash);
  }

  isClosing(hash: Hash): boolean {
    return this.#closing.has(hash);
  }

  /** A replica sent this. */
  onMessage(message: Message): void {
    switch (message.kind) {
      case 'PROPOSAL':
        this.#vote(message.prepare);
        this.#checkParent(message.prepare, message.block);
        return;
      case 'CHAIN':
        for (const suspect of message.suspects) this.#signed(suspect);
        return;
      case 'BLOCKS':
        for (const block of message.blocks) this.#certificate(block.proof);
        return;
      case 'FINAL':
      case 'START-EPOCH':
      case 'FINALITY':
        this.#certificate(message.proof);
        return;
      case 'ANSWER':
        for (const held of message.held) this.#signed(held);
        return;
      case 'HEARTBEAT':
        if (message.row !== undefined) this.#row(message.row);
        return;
      case 'FETCH-FINAL':
      case 'FETCH-BODIES':
      case 'ASK':
      case 'EPOCH-STARTED':
      case 'EVIDENCE':
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
        for (const row of message.rows) this.#row(row);
        this.#once(message, (group) => group.includes(message.signer));
        return;
      case 'VIEW-CHANGE':
        if (message.lastSigned) this.#vote(message.lastSigned.prepare);
        if (message.lastSigned?.commit) this.#vote(message.lastSigned.commit);
        this.#certificate(message.head);
        this.#certificate(message.final);
        this.#once(message, () => true);
        this.#promise(message);
        return;
      case 'VC-FINAL':
        for (const change of message.viewChanges) this.#signed(change);
        this.#once(message, (group) => group.includes(message.signer));
        return;
      case 'NEW-VIEW':
        this.#certificate(message.head);
        this.#vote(message.prepare);
        this.#once(message, (group) => group[0] === message.signer);
        if (this.#voter(message) !== undefined) this.#newViews.set(`${message.epoch}/${message.view}`, message.prepare);
        return;
    }
  }

  /** Of one signer's rows in a generation each holds the other or is held by it. */
  #row(row: Row): void {
    const voter = this.#voter(row);
    if (voter === undefined) return;
    const key = `${voter.key} ${row.generation}`;
    const largest = this.#rows.get(key) ?? [];
    const [small, large] = largest.length < row.members.length ? [largest, row.members] : [row.members, largest];
    if (!small.every((member) => large.includes(member))) {
      this.#fail('double-sign', `a suspicion row of replica ${voter.machine} shrank: ${largest}, then ${row.members}`);
    }
    this.#rows.set(key, large);
  }

  #certificate(certificate: Certificate | undefined): void {
    if (certificate === undefined) return;
    this.#context.onCertificate(certificate);
    for (const [place, seal] of certificate.seals.entries()) {
      const kind = sealType(certificate.kind, place, certificate.seals.length);
      this.#vote({ ...certificate, ...seal, kind });
    }
  }

  /** Undefined: a liar, or nobody who may sign. */
  #voter({ epoch, signer, incarnation }: Signed): Voter | undefined {
    const { book, liars, firstIncarnation } = this.#context;
    const truth = book.at(epoch);
    const machine = truth?.machines[signer];
    if (truth === undefined || machine === undefined) {
      this.#fail('membership', `a signature of validator ${signer} in epoch ${epoch}, which has none`);
      return undefined;
    }
    if (liars.has(machine)) return undefined;
    const known = truth.lives.get(truth.config.validators[signer]!) ?? firstIncarnation(machine);
    if (incarnation !== known) {
      const text = `signed in epoch ${epoch} as ${incarnation}; the chain knows it as ${known}`;
      this.#fail('membership', `replica ${machine} ${text}`);
    }
    const key = `${epoch}/${machine}`;
    let voter = this.#voters.get(key);
    if (voter === undefined) {
      voter = { key, machine, truth, promises: [], votes: new Map() };
      this.#voters.set(key, voter);
    }
    return voter;
  }

  #vote(vote: VoteLike): void {
    const voter = this.#voter(vote);
    if (voter === undefined) return;
    const { key, machine, truth } = voter;
    const content = `${vote.hash} ${vote.viewCertificate}`;
    if (!this.#claim(`${vote.kind} ${key} ${vote.view}/${vote.height}`, content)) return;
    const group = truth.schedule.groupOf(vote.view);
    const place = group.indexOf(vote.signer);
    if (place < 0 || (vote.kind === 'PREPARE' && place !== 0) || (vote.kind === 'COMMIT' && place === 0)) {
      const what = `${vote.kind} in view ${vote.view} of epoch ${vote.epoch}, whose group is ${group}`;
      this.#fail('membership', `replica ${machine}, validator ${vote.signer}, signed ${what}`);
    }
    // A view above 0 begins with the head it adopts, which may be the block that opened the epoch.
    const lowest = truth.config.root.height + (vote.view === 0 ? 1 : 0);
    if (vote.height < lowest) {
      this.#fail('epoch', `replica ${machine} signed ${vote.kind} of block ${vote.height} in epoch ${vote.epoch}`);
    }
    const order = this.#orders.get(text(vote.signature));
    if (order === undefined) {
      this.#fail('double-sign', `a ${vote.kind} of replica ${machine} that it never signed is on the network`);
      return;
    }
    for (const promised of voter.promises) {
      if (promised.view > vote.view && promised.order < order) this.#brokenPromise(voter, vote, promised.view);
    }
    voter.votes.set(vote.view, Math.max(voter.votes.get(vote.view) ?? -1, order));
  }

  /** Nothing is proposed above a closing block in its epoch; what follows it is the next one's. */
  #checkParent(prepare: Vote, block: Bytes): void {
    const parent = readBlockId(block)?.parentHash;
    const voter = this.#voter(prepare);
    if (voter === undefined || parent === undefined || !this.#closing.has(parent)) return;
    if (parent === voter.truth.config.root.hash) return;
    this.#fail('epoch', `replica ${voter.machine} proposes block ${prepare.height} above one that closes its epoch`);
  }

  #promise(message: Signed & { readonly view: number; readonly signature: Bytes }): void {
    const voter = this.#voter(message);
    const { view } = message;
    if (voter === undefined || voter.promises.some((promised) => promised.view === view)) return;
    const order = this.#orders.get(text(message.signature)) ?? 0;
    voter.promises.push({ view, order });
    for (const [voted, last] of voter.votes) {
      if (voted < view && last > order) this.#brokenPromise(voter, { kind: 'COMMIT', view: voted }, view);
    }
  }

  #brokenPromise({ key, machine }: Voter, vote: Pick<VoteLike, 'kind' | 'view'>, promised: number): void {
    this.#fail(
      'view-promise',
      `replica ${machine} (${key}) signed a vote (${vote.kind}) in view ${vote.view} after its VIEW-CHANGE into view ${promised}`,
    );
  }

  #once(message: Exclude<SignedMessage, Vote>, isPlace: (group: readonly number[]) => boolean): void {
    const voter = this.#voter(message);
    if (voter === undefined) return;
    if (!isPlace(voter.truth.schedule.groupOf(message.view))) {
      this.#fail('membership', `replica ${voter.machine} signed ${message.kind} for view ${message.view}`);
    }
    this.#claim(`${message.kind} ${voter.key} ${message.view}`, text(message.signature));
  }

  /** True when the position was free. */
  #claim(position: string, content: string): boolean {
    const before = this.#statements.get(position);
    if (before === content) return false;
    if (before !== undefined)
      this.#fail('double-sign', `two contents at one position: ${position} (epoch/signer view/height)`);
    this.#statements.set(position, content);
    return true;
  }

  /** What is final in a view must be contained in the head of every later one of the epoch (reliability.md P5). */
  onFinal({ epoch, view, height, hash }: Certificate): void {
    for (const [opened, head] of this.#newViews) {
      const [ofEpoch, ofView] = opened.split('/').map(Number);
      if (ofEpoch !== epoch || ofView! <= view) continue;
      if (head.height < height || (head.height === height && head.hash !== hash)) {
        this.#fail(
          'agreement',
          `NEW-VIEW of view ${ofView} in epoch ${epoch} adopts height ${head.height}; ${height} is final in view ${view}`,
        );
      }
    }
  }

  #fail(property: Property, message: string): void {
    this.#context.report(new Violation(property, message));
  }
}
