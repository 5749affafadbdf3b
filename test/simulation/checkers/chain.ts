/**
 * The one chain (reliability.md P1, P2, P3, P8, P12): every replica's final blocks are blocks of it, in height order
 * without gaps, and each is proven by a finality proof of its own epoch's validators. The chain here only grows; it knows
 * nothing of crashes, so a block that was final once must still be there, the same, when whoever lost it has caught up
 * again.
 */
import { decodeCertificate } from '../../../consensus/certificate-codec.ts';
import type { Certificate } from '../../../consensus/message.ts';
import { sealDigest, sealType } from '../../../consensus/statement.ts';
import { WIRE_LIMITS } from '../../../consensus/wire-numbers.ts';
import { type Block, headerEpoch } from '../../../ledger/block.ts';
import type { GovernanceState } from '../../../ledger/governance/state.ts';
import type { Address, Bytes, Hash } from '../../../primitives/ids.ts';
import { membershipHash } from '../../../primitives/membership.ts';
import type { Keys } from '../keys.ts';
import { type Property, Violation } from '../violation.ts';
import type { EpochBook } from './epochs.ts';
import { LedgerModel } from './model.ts';
import type { Report } from './signatures.ts';

export type Delivery = { readonly replica: number; readonly block: Block; readonly proof: Bytes };

type Account = { readonly nonce: number; readonly balance: bigint } | undefined;

export type ChainHooks = {
  readonly onGlobal: (block: Block) => void;
  readonly onProof: (certificate: Certificate) => void;
};

function summary(state: Pick<EpochBook['governance'], 'epoch' | 'members' | 'policy' | 'nextId' | 'lives'>): string {
  const { epoch, members, policy, nextId, lives } = state;
  const incarnations = [...lives].map(([validator, { incarnation }]) => [validator, incarnation]).sort();
  return JSON.stringify([epoch, nextId, membershipHash(members), Object.entries(policy).sort(), incarnations]);
}

export class ChainChecker {
  readonly #book: EpochBook;
  readonly #keys: Keys;
  readonly #report: Report;
  readonly #hooks: ChainHooks;
  /** Hash by height; index 0 is the genesis. */
  readonly #hashes: Hash[];
  readonly #model = new LedgerModel();
  /** Height each replica delivered last in its present life. */
  readonly #delivered: number[];
  /** Lowest height each replica delivered without any proof at or above it so far. */
  readonly #unproven: (number | undefined)[];
  readonly #proofs = new Set<string>();
  /** What valid proofs say is final at heights that nobody has delivered yet. */
  readonly #proven = new Map<number, Hash>();
  /** Greatest height of which a valid finality proof has been seen anywhere. */
  #provenHeight = 0;

  constructor(
    context: { readonly book: EpochBook; readonly keys: Keys; readonly machines: number },
    report: Report,
    hooks: ChainHooks,
  ) {
    this.#book = context.book;
    this.#keys = context.keys;
    this.#report = report;
    this.#hooks = hooks;
    this.#hashes = [context.book.newest.config.root.hash];
    this.#delivered = new Array<number>(context.machines).fill(0);
    this.#unproven = new Array<number | undefined>(context.machines).fill(undefined);
  }

  /** Height of the newest block that is final anywhere. */
  get height(): number {
    return this.#hashes.length - 1;
  }

  /** A replica starts with this head; `floor` is what it may never fall below. */
  onStart(replica: number, head: { readonly height: number; readonly hash: Hash }, floor: number): void {
    if (head.height > this.height || this.#hashes[head.height] !== head.hash) {
      this.#fail('agreement', `replica ${replica} starts on ${head.height} ${head.hash}, which was never final`);
      return;
    }
    if (head.height < floor) {
      this.#fail('durability', `replica ${replica} starts at height ${head.height}; ${floor} was on its disk`);
    }
    this.#delivered[replica] = head.height;
    this.#unproven[replica] = undefined;
  }

  /** The consensus module of a replica said that a block is final. */
  onDeliver({ replica, block, proof }: Delivery): void {
    const height = block.header.number;
    if (height !== this.#delivered[replica]! + 1) {
      this.#fail('order', `replica ${replica} delivers height ${height} after ${this.#delivered[replica]}`);
    }
    this.#delivered[replica] = height;
    const known = this.#hashes[height];
    if (known === undefined) this.#extend(replica, block);
    else if (known !== block.hash) {
      this.#fail('agreement', `replica ${replica} delivers ${block.hash} at height ${height}, others had ${known}`);
    }
    this.#checkProof(replica, block, proof);
  }

  #extend(replica: number, block: Block): void {
    const height = block.header.number;
    if (height !== this.#hashes.length || block.header.parentHash !== this.#hashes[height - 1]) {
      this.#fail('agreement', `replica ${replica} delivers a block at height ${height} off the chain`);
      return;
    }
    this.#hashes.push(block.hash);
    const wrong = this.#model.apply(block) ?? this.#book.apply(block, (at) => this.#hashes[at]);
    if (wrong !== undefined) this.#fail('execution', `block ${height}: ${wrong}`);
    const proven = this.#proven.get(height);
    this.#proven.delete(height);
    if (proven !== undefined && proven !== block.hash) this.#fork(height, proven);
    this.#hooks.onGlobal(block);
  }

  #checkProof(replica: number, block: Block, proof: Bytes): void {
    const height = block.header.number;
    if (proof.length === 0) {
      this.#unproven[replica] ??= height;
      const { closing } = this.#book.at(headerEpoch(block.header)) ?? {};
      if (closing?.height === height)
        this.#fail('proof', `replica ${replica}: closing block ${height} without a proof`);
      return;
    }
    this.#unproven[replica] = undefined;
    const key = Buffer.from(proof).toString('latin1');
    if (this.#proofs.has(key)) return;
    const decoded = decodeCertificate(proof, { validators: WIRE_LIMITS.validators });
    if (!decoded.ok) {
      this.#fail('proof', `replica ${replica}, height ${height}: ${decoded.reason}`);
      return;
    }
    const { certificate } = decoded;
    const invalid = this.#invalid(certificate);
    if (invalid !== undefined) {
      this.#fail('proof', `replica ${replica}, height ${height}: ${invalid}`);
      return;
    }
    if (certificate.height !== height || certificate.hash !== block.hash) {
      this.#fail('proof', `replica ${replica}: the proof stored with height ${height} is another block's`);
      return;
    }
    // A closing block may be proven by the next epoch, too, but whoever comes from before it can only judge this one's.
    if (certificate.epoch !== headerEpoch(block.header)) {
      this.#fail('proof', `replica ${replica}: block ${height} is stored with a proof of epoch ${certificate.epoch}`);
      return;
    }
    this.#proofs.add(key);
    this.#provenHeight = Math.max(this.#provenHeight, height);
    this.#checkRange(certificate);
    this.#hooks.onProof(certificate);
  }

  /** Checked here anew, not with the verifier under test: every active of the view signed COMMITTED for this block. */
  #invalid(certificate: Certificate): string | undefined {
    if (certificate.kind !== 'FP') return 'it is no finality proof';
    const truth = this.#book.at(certificate.epoch);
    if (truth === undefined) return `epoch ${certificate.epoch} has not begun`;
    const { config, schedule } = truth;
    const group = schedule.groupOf(certificate.view);
    if (certificate.seals.length !== group.length) return 'not every active of its view signed it';
    for (const [place, seal] of certificate.seals.entries()) {
      if (seal.signer !== group[place]) return `validator ${seal.signer} is not in its place`;
      const type = sealType('FP', place, group.length);
      const signer = this.#keys.recover(sealDigest(config, certificate, type, seal), seal.signature);
      if (signer !== config.validators[seal.signer]) return `the signature of validator ${seal.signer} is not valid`;
    }
    return undefined;
  }

  /** No two sets are active on one height: an epoch proves what is between its opening and its closing block. */
  #checkRange({ epoch, height }: Certificate): void {
    const { config, closing } = this.#book.at(epoch)!;
    if (height >= config.root.height && (closing === undefined || height <= closing.height)) return;
    const range = `${config.root.height} to ${closing?.height ?? '...'}`;
    this.#fail('epoch', `epoch ${epoch}, of blocks ${range}, proves block ${height}`);
  }

  /** A finality proof is on the network: it may cover blocks that are delivered before its own. */
  onCertificate(certificate: Certificate): void {
    const { kind, height, hash } = certificate;
    if (kind !== 'FP') return;
    const known = this.#hashes[height] ?? this.#proven.get(height);
    if (known === hash && height <= this.#provenHeight) return;
    if (this.#invalid(certificate) !== undefined) return;
    this.#checkRange(certificate);
    if (known === undefined) this.#proven.set(height, hash);
    else if (known !== hash) this.#fork(height, hash);
    this.#provenHeight = Math.max(this.#provenHeight, height);
  }

  #fork(height: number, hash: Hash): void {
    this.#fail('agreement', `a valid finality proof for ${hash} at height ${height}, which is not the block there`);
  }

  /** Whenever a replica is done with an event, everything it delivered is covered by some proof. */
  checkProven(replica: number): void {
    const from = this.#unproven[replica];
    if (from === undefined || this.#delivered[replica]! <= this.#provenHeight) return;
    this.#fail('proof', `replica ${replica} delivered from height ${from} on without a proof`);
  }

  /** A replica's final state, when it is at the chain's end, is the model's. */
  checkState(
    replica: number,
    found: { readonly account: (address: Address) => Account; readonly governance: () => GovernanceState },
  ): void {
    for (const address of this.#model.addresses) {
      const expected = this.#model.nonceAndBalance(address);
      const account = found.account(address);
      if ((account?.nonce ?? 0) !== expected.nonce || (account?.balance ?? 0n) !== expected.balance) {
        this.#fail('execution', `replica ${replica}: account ${address} differs from the model`);
      }
    }
    const { epoch, members, policy, nextId, lives } = this.#book.governance;
    const state = found.governance();
    const theirs = summary({ ...state, lives: new Map(state.lives.map((life) => [life.validator, life])) });
    const ours = summary({ epoch, members, policy, nextId, lives });
    if (theirs !== ours) this.#fail('execution', `replica ${replica}: governance is ${theirs}, by the model ${ours}`);
  }

  #fail(property: Property, message: string): void {
    this.#report(new Violation(property, message));
  }
}
