/**
 * The one chain (reliability.md P1, P2, P3, P8, P12): every replica's final blocks are blocks of it, in height order
 * without gaps, and each is proven by a finality proof. The chain here only grows; it knows nothing of crashes, so a
 * block that was final once must still be there, the same, when whoever lost it has caught up again.
 */
import { decodeCertificate } from '../../../consensus/certificate-codec.ts';
import type { EpochConfig } from '../../../consensus/config.ts';
import type { Schedule } from '../../../consensus/groups.ts';
import type { Certificate } from '../../../consensus/message.ts';
import { sealDigest, sealType } from '../../../consensus/statement.ts';
import type { Block } from '../../../ledger/block.ts';
import type { Address, Bytes, Hash } from '../../../primitives/ids.ts';
import type { Keys } from '../keys.ts';
import { type Property, Violation } from '../violation.ts';
import { LedgerModel } from './model.ts';
import type { Report } from './signatures.ts';

export type Delivery = { readonly replica: number; readonly block: Block; readonly proof: Bytes };

type Account = { readonly nonce: number; readonly balance: bigint } | undefined;

export class ChainChecker {
  readonly #config: EpochConfig;
  readonly #schedule: Schedule;
  readonly #keys: Keys;
  readonly #report: Report;
  readonly #onGlobal: (block: Block) => void;
  readonly #onProof: (certificate: Certificate) => void;
  /** Hash by height; index 0 is the genesis. */
  readonly #hashes: Hash[];
  readonly #model = new LedgerModel();
  /** Height each replica delivered last in its present life. */
  readonly #delivered: number[];
  /** Lowest height each replica delivered without any proof at or above it so far. */
  readonly #unproven: (number | undefined)[];
  readonly #proofs = new Set<string>();
  /** Greatest height of which a valid finality proof has been seen anywhere. */
  #provenHeight = 0;

  constructor(
    context: { readonly config: EpochConfig; readonly schedule: Schedule; readonly keys: Keys },
    report: Report,
    hooks: { readonly onGlobal: (block: Block) => void; readonly onProof: (certificate: Certificate) => void },
  ) {
    this.#config = context.config;
    this.#schedule = context.schedule;
    this.#keys = context.keys;
    this.#report = report;
    this.#onGlobal = hooks.onGlobal;
    this.#onProof = hooks.onProof;
    this.#hashes = [context.config.root.hash];
    this.#delivered = new Array<number>(context.schedule.n).fill(0);
    this.#unproven = new Array<number | undefined>(context.schedule.n).fill(undefined);
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
    this.#checkProof(replica, block, proof);
    const known = this.#hashes[height];
    if (known === undefined) {
      this.#extend(replica, block);
      return;
    }
    if (known !== block.hash) {
      this.#fail('agreement', `replica ${replica} delivers ${block.hash} at height ${height}, others had ${known}`);
    }
  }

  #extend(replica: number, block: Block): void {
    const height = block.header.number;
    if (height !== this.#hashes.length || block.header.parentHash !== this.#hashes[height - 1]) {
      this.#fail('agreement', `replica ${replica} delivers a block at height ${height} off the chain`);
      return;
    }
    this.#hashes.push(block.hash);
    const wrong = this.#model.apply(block);
    if (wrong !== undefined) this.#fail('execution', `block ${height}: ${wrong}`);
    this.#onGlobal(block);
  }

  #checkProof(replica: number, block: Block, proof: Bytes): void {
    const height = block.header.number;
    if (proof.length === 0) {
      this.#unproven[replica] ??= height;
      return;
    }
    this.#unproven[replica] = undefined;
    const key = Buffer.from(proof).toString('latin1');
    if (this.#proofs.has(key)) return;
    const decoded = decodeCertificate(proof, { validators: this.#schedule.n });
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
    this.#proofs.add(key);
    this.#provenHeight = Math.max(this.#provenHeight, height);
    this.#onProof(certificate);
  }

  /** Checked here anew, not with the verifier under test: every active of the view signed COMMITTED for this block. */
  #invalid(certificate: Certificate): string | undefined {
    if (certificate.kind !== 'FP') return 'it is no finality proof';
    const group = this.#schedule.groupOf(certificate.view);
    if (certificate.seals.length !== group.length) return 'not every active of its view signed it';
    for (const [place, seal] of certificate.seals.entries()) {
      if (seal.signer !== group[place]) return `replica ${seal.signer} is not in its place`;
      const type = sealType('FP', place, group.length);
      const signer = this.#keys.recover(sealDigest(this.#config, certificate, type, seal), seal.signature);
      if (signer !== this.#config.validators[seal.signer])
        return `the signature of replica ${seal.signer} is not valid`;
    }
    return undefined;
  }

  /** A finality proof is on the network: it may cover blocks that are delivered before its own. */
  onCertificate(certificate: Certificate): void {
    if (certificate.kind !== 'FP' || certificate.height <= this.#provenHeight) return;
    if (this.#invalid(certificate) === undefined) this.#provenHeight = certificate.height;
  }

  /** Whenever a replica is done with an event, everything it delivered is covered by some proof. */
  checkProven(replica: number): void {
    const from = this.#unproven[replica];
    if (from === undefined || this.#delivered[replica]! <= this.#provenHeight) return;
    this.#fail('proof', `replica ${replica} delivered from height ${from} on without a proof`);
  }

  /** A replica's final state, when it is at the chain's end, is the model's. */
  checkState(replica: number, account: (address: Address) => Account): void {
    for (const address of this.#model.addresses) {
      const expected = this.#model.nonceAndBalance(address);
      const found = account(address);
      if ((found?.nonce ?? 0) !== expected.nonce || (found?.balance ?? 0n) !== expected.balance) {
        this.#fail('execution', `replica ${replica}: account ${address} differs from the model`);
      }
    }
  }

  #fail(property: Property, message: string): void {
    this.#report(new Violation(property, message));
  }
}
